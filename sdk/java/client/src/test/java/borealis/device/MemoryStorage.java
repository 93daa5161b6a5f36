package borealis.device;

import java.io.IOException;
import java.util.TreeMap;

/** A storage that can be told to fail. */
final class MemoryStorage implements Storage {
  final TreeMap<String, String> texts = new TreeMap<>();
  boolean failing;

  @Override
  public String read(String name) {
    return texts.get(name);
  }

  @Override
  public void write(String name, String text) throws IOException {
    if (failing) {
      throw new IOException("the disk is full");
    }
    texts.put(name, text);
  }

  @Override
  public void delete(String name) {
    texts.remove(name);
  }
}
