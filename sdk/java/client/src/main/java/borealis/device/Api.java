package borealis.device;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.HttpRetryException;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import javax.net.ssl.HttpsURLConnection;

/** The calls to the server over HTTP. One at a time; close ends it from another thread. */
final class Api {
  private static final int TIMEOUT = 15_000;
  /** The longest answer that is read, in bytes. */
  private static final int MAX_ANSWER = 64 << 10;

  private final Options options;
  private HttpURLConnection current;
  private boolean closed;

  Api(Options options) {
    this.options = options;
  }

  /**
   * Registers.
   *
   * @throws RefusedException if the server says no
   */
  Map<String, Object> register(Map<String, Object> body) throws IOException {
    byte[] answer = call("POST", "/device/v1/register", null, Json.write(body));
    try {
      return Json.parseObject(new String(answer, StandardCharsets.UTF_8));
    } catch (JsonException notOurs) {
      throw new IOException("the answer to the registration is not ours: " + notOurs.getMessage());
    }
  }

  /**
   * Ends the registration. That it does not exist any more is success.
   *
   * @throws RefusedException if the server says no
   */
  void end(String registrationId, String secret) throws IOException {
    String login = Base64.encode((registrationId + ":" + secret).getBytes(StandardCharsets.UTF_8));
    try {
      call("DELETE", "/device/v1/registration", "Basic " + login, null);
    } catch (RefusedException e) {
      if (e.code != 401 && e.code != 404) {
        throw e;
      }
    }
  }

  /** Ends the call under way; no other can begin. */
  void close() {
    HttpURLConnection call;
    synchronized (this) {
      closed = true;
      call = current;
    }
    if (call != null) {
      call.disconnect();
    }
  }

  private byte[] call(String method, String path, String authorization, String body) throws IOException {
    HttpURLConnection call = (HttpURLConnection) new URL(options.server + path).openConnection();
    synchronized (this) {
      if (closed) {
        throw new IOException("stopped");
      }
      current = call;
    }
    try {
      if (options.tls != null && call instanceof HttpsURLConnection) {
        ((HttpsURLConnection) call).setSSLSocketFactory(options.tls);
      }
      call.setRequestMethod(method);
      call.setConnectTimeout(TIMEOUT);
      call.setReadTimeout(TIMEOUT);
      call.setUseCaches(false);
      // A redirection would take secrets to somebody else.
      call.setInstanceFollowRedirects(false);
      // Nothing stays open when the call is over.
      call.setRequestProperty("Connection", "close");
      call.setRequestProperty("X-App-Key", options.appKey);
      if (authorization != null) {
        call.setRequestProperty("Authorization", authorization);
      }
      if (body != null) {
        send(call, body.getBytes(StandardCharsets.UTF_8));
      }
      return answer(call);
    } catch (RuntimeException e) {
      // Some implementations lose themselves when another thread disconnects.
      throw new IOException("the call was cut short: " + e, e);
    } finally {
      synchronized (this) {
        current = null;
      }
      call.disconnect();
    }
  }

  private static void send(HttpURLConnection call, byte[] body) throws IOException {
    call.setRequestProperty("Content-Type", "application/json");
    call.setDoOutput(true);
    // Without it some implementations repeat a POST by themselves.
    call.setFixedLengthStreamingMode(body.length);
    try (OutputStream out = call.getOutputStream()) {
      out.write(body);
    }
  }

  private static byte[] answer(HttpURLConnection call) throws IOException {
    int status;
    try {
      status = call.getResponseCode();
    } catch (HttpRetryException unauthorized) {
      status = unauthorized.responseCode();
    }
    if (status < 0) {
      throw new IOException("the server did not answer in HTTP");
    }
    if (status / 100 == 2) {
      return read(call.getInputStream());
    }
    throw RefusedException.http(status, why(call), retryAfter(call.getHeaderField("Retry-After")));
  }

  /** What a problem document says. */
  private static String why(HttpURLConnection call) {
    try {
      InputStream in = call.getErrorStream();
      Map<String, Object> problem = Json.parseObject(in == null ? "{}" : new String(read(in), StandardCharsets.UTF_8));
      String detail = Json.string(problem.get("detail"));
      return detail == null ? "" : detail;
    } catch (IOException | JsonException none) {
      return "";
    }
  }

  /** Milliseconds; 0 where the header says no number of seconds. */
  static long retryAfter(String header) {
    return header != null && header.trim().matches("[0-9]{1,9}") ? Long.parseLong(header.trim()) * 1000 : 0;
  }

  private static byte[] read(InputStream in) throws IOException {
    try (InputStream from = in) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      byte[] part = new byte[4096];
      for (int n = from.read(part); n >= 0; n = from.read(part)) {
        out.write(part, 0, n);
        if (out.size() > MAX_ANSWER) {
          throw new IOException("the answer is longer than " + MAX_ANSWER + " bytes");
        }
      }
      return out.toByteArray();
    }
  }
}
