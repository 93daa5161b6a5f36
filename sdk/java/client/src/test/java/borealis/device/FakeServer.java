package borealis.device;

import java.io.ByteArrayOutputStream;
import java.io.Closeable;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ServerSocketFactory;

/** A server of one socket for both HTTP and MQTT, for what the scenarios cannot show. Tests take connections one by one. */
final class FakeServer implements Closeable {
  static final long PATIENCE = 20_000;

  private final ServerSocket listener;
  private final boolean tls;
  private final BlockingQueue<Socket> waiting = new LinkedBlockingQueue<>();
  volatile int keepAlive = 240;

  FakeServer() throws IOException {
    this(ServerSocketFactory.getDefault(), false);
  }

  FakeServer(ServerSocketFactory factory, boolean tls) throws IOException {
    this.tls = tls;
    listener = factory.createServerSocket(0, 50, InetAddress.getByName("localhost"));
    Thread accepting = new Thread(() -> {
      while (true) {
        try {
          waiting.add(listener.accept());
        } catch (IOException closed) {
          return;
        }
      }
    }, "fake-server");
    accepting.setDaemon(true);
    accepting.start();
  }

  String http() {
    return (tls ? "https" : "http") + "://localhost:" + listener.getLocalPort();
  }

  private String mqtt() {
    return (tls ? "mqtts" : "tcp") + "://localhost:" + listener.getLocalPort();
  }

  Socket take() throws IOException, InterruptedException {
    Socket socket = waiting.poll(PATIENCE, TimeUnit.MILLISECONDS);
    if (socket == null) {
      throw new IOException("nobody connects");
    }
    socket.setSoTimeout((int) PATIENCE);
    return socket;
  }

  boolean isQuiet() {
    return waiting.isEmpty();
  }

  /** Answers one HTTP request and returns it. */
  String answer(String status, String body) throws IOException, InterruptedException {
    try (Socket socket = take()) {
      String request = request(socket.getInputStream());
      socket.getOutputStream().write(("HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " + body.length() + "\r\n\r\n" + body)
          .getBytes(StandardCharsets.US_ASCII));
      return request;
    }
  }

  String register() throws IOException, InterruptedException {
    return answer("200 OK", "{\"registration_id\":\"00000000000000000001\",\"secret\":\"s\",\"mqtt\":[\"" + mqtt() + "\"],\"keep_alive\":" + keepAlive + "}");
  }

  private static String request(InputStream in) throws IOException {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    String text = "";
    int length = -1;
    while (length < 0 || text.length() < length) {
      int b = in.read();
      if (b < 0) {
        throw new IOException("the request ended too early");
      }
      out.write(b);
      text = new String(out.toByteArray(), StandardCharsets.UTF_8);
      if (length < 0 && text.endsWith("\r\n\r\n")) {
        int at = text.toLowerCase(Locale.ROOT).indexOf("content-length: ");
        length = text.length() + (at < 0 ? 0 : Integer.parseInt(text.substring(at + 16, text.indexOf('\r', at))));
      }
    }
    return text;
  }

  /** Accepts an MQTT connection. */
  Device accept() throws IOException, InterruptedException {
    return accept(new byte[] {0x20, 3, 0, 0, 0});
  }

  Device accept(byte[] connack) throws IOException, InterruptedException {
    Device d = new Device(take());
    Packet hello = d.next();
    if (hello.type != Packet.CONNECT) {
      throw new IOException("packet type " + hello.type + " instead of CONNECT");
    }
    d.send(connack);
    return d;
  }

  @Override
  public void close() throws IOException {
    listener.close();
    for (Socket socket = waiting.poll(); socket != null; socket = waiting.poll()) {
      socket.close();
    }
  }

  /** The server's end of a connection. */
  static final class Device implements Closeable {
    private final Socket socket;
    private final DataInputStream in;
    private final OutputStream out;

    Device(Socket socket) throws IOException {
      this.socket = socket;
      in = new DataInputStream(socket.getInputStream());
      out = socket.getOutputStream();
    }

    Packet next() throws IOException {
      return Packet.read(in);
    }

    void send(byte[] packet) throws IOException {
      out.write(packet);
      out.flush();
    }

    void push(int id, String payload) throws IOException {
      send(new Packet.Writer().text("push").twoBytes(id).oneByte(0).bytes(payload.getBytes(StandardCharsets.UTF_8)).packet(Packet.PUBLISH, 2));
    }

    @Override
    public void close() throws IOException {
      socket.close();
    }
  }
}
