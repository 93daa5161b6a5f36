package borealis.driver;

import borealis.device.Client;
import borealis.device.Clock;
import borealis.device.Json;
import borealis.device.Options;
import java.io.BufferedReader;
import java.io.File;
import java.io.IOException;
import java.io.InputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Reads commands, one JSON object per line, and carries them out on a client; see ../../scenarios/README.md. */
public class Driver {
  /** What the driver prints goes here, events too. */
  protected final Lines out;
  protected Client client;
  private Reporter reporter;

  public Driver(Lines out) {
    this.out = out;
  }

  public static void main(String[] args) throws IOException {
    PrintStream stdout = System.out;
    System.setOut(System.err); // whatever else prints must not break a line
    new Driver(new Lines(stdout)).serve(System.in);
  }

  /** Carries out commands until the input ends. */
  public void serve(InputStream in) throws IOException {
    BufferedReader lines = new BufferedReader(new InputStreamReader(in, StandardCharsets.UTF_8));
    for (String line = lines.readLine(); line != null; line = lines.readLine()) {
      final Map<String, Object> command = Json.parseObject(line);
      String word = Json.string(command.get("do"));
      if ("stop".equals(word) || "end".equals(word)) {
        // These wait for the network, which a later command may bring.
        new Thread("driver-" + word) {
          @Override
          public void run() {
            answer(command);
          }
        }.start();
      } else {
        answer(command);
      }
    }
  }

  /** Where the events of the life that begins are printed. */
  protected Lines events() {
    return out;
  }

  protected void consent(String version, List<String> purposes) {
    client.consent(version, purposes);
  }

  protected void start() {
    client.start();
  }

  protected void stop() {
    client.stop();
  }

  /** A word that is not among the usual ones. */
  protected void other(String word) throws IOException {
    throw new IllegalArgumentException("no such command: " + word);
  }

  private void answer(Map<String, Object> command) {
    Map<String, Object> answer = new LinkedHashMap<>();
    answer.put("n", command.get("n"));
    try {
      perform(command, answer);
    } catch (IOException | RuntimeException e) {
      answer.put("failed", e.toString());
    }
    out.print(answer);
  }

  private void perform(Map<String, Object> c, Map<String, Object> answer) throws IOException {
    String word = Json.string(c.get("do"));
    switch (word == null ? "" : word) {
      case "configure":
        configure(c);
        return;
      case "consent":
        consent(text(c, "version"), Json.strings(c.get("purposes")));
        return;
      case "start":
        start();
        return;
      case "stop":
        stop();
        return;
      case "end":
        client.end();
        return;
      case "handler":
        reporter.mode(text(c, "mode"));
        return;
      case "backoff":
        double random = ((Number) c.get("random")).doubleValue();
        answer.put("ms", Client.backoff((int) Json.number(c.get("failures"), 0), random, Json.number(c.get("retry_after_ms"), 0)));
        return;
      default:
        say(word, c);
    }
  }

  private void say(String word, Map<String, Object> c) throws IOException {
    switch (word == null ? "" : word) {
      case "setTags":
        client.setTags(Json.strings(c.get("tags")));
        return;
      case "addTags":
        client.addTags(Json.strings(c.get("tags")));
        return;
      case "removeTags":
        client.removeTags(Json.strings(c.get("tags")));
        return;
      case "setAlias":
        client.setAlias(text(c, "alias"));
        return;
      case "setAttributes":
        Map<String, String> attributes = new LinkedHashMap<>();
        for (Map.Entry<String, Object> e : Json.object(c.get("attributes")).entrySet()) {
          attributes.put(e.getKey(), Json.string(e.getValue()));
        }
        client.setAttributes(attributes);
        return;
      case "setTimezone":
        client.setTimezone(text(c, "timezone"));
        return;
      case "putToken":
        client.putToken(text(c, "channel"), text(c, "token"), text(c, "environment"));
        return;
      case "setSilence":
        if (c.get("from") == null && c.get("to") == null) {
          client.clearSilence();
        } else {
          client.setSilence(text(c, "from"), text(c, "to"));
        }
        return;
      case "setPushEnabled":
        client.setPushEnabled(c.get("enabled") == Boolean.TRUE);
        return;
      case "displayed":
        client.displayed(text(c, "id"));
        return;
      case "clicked":
        client.clicked(text(c, "id"));
        return;
      case "dismissed":
        client.dismissed(text(c, "id"));
        return;
      default:
        other(word);
    }
  }

  private void configure(Map<String, Object> c) {
    final long offset = Json.number(c.get("clock_offset_ms"), 0);
    Object scale = c.get("scale");
    reporter = new Reporter(events());
    Options options = new Options(text(c, "server"), text(c, "app_key"), new File(text(c, "storage")))
        .platform(text(c, "platform"))
        .transport(c.get("transport") == null ? "" : text(c, "transport"))
        .scale(scale instanceof Number ? ((Number) scale).doubleValue() : 1)
        .clock(new Clock() {
          @Override
          public long millis() {
            return System.currentTimeMillis() + offset;
          }
        })
        .listener(reporter);
    client = make(options, new File(text(c, "storage")), reporter);
  }

  /** Makes the client. */
  protected Client make(Options options, File storage, Reporter reporter) {
    return new Client(options);
  }

  private static String text(Map<String, Object> command, String member) {
    return Json.string(command.get(member));
  }
}
