package borealis.device;

import java.io.IOException;

/**
 * Where a device keeps what must outlive the process: a few small texts, each under a name of lower-case letters. Calls
 * come one at a time.
 */
public interface Storage {
  /** The text under the name; null if there is none. */
  String read(String name) throws IOException;

  /** Replaces the text under the name. It is durable when the call returns; a crash leaves the old text or the new one. */
  void write(String name, String text) throws IOException;

  /** Removes the text under the name; that there is none is no error. */
  void delete(String name) throws IOException;
}
