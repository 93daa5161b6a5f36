package borealis.driver;

import borealis.device.Json;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;

/** JSON objects, one per line, from any thread. */
public class Lines {
  private final PrintStream out;

  public Lines(PrintStream out) {
    this.out = out;
  }

  /** Writes an object and flushes. */
  public synchronized void print(Map<String, Object> object) {
    byte[] line = (Json.write(object) + "\n").getBytes(StandardCharsets.UTF_8);
    out.write(line, 0, line.length);
    out.flush();
  }
}
