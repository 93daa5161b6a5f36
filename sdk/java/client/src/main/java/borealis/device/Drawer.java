package borealis.device;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** The storage as the SDK uses it: JSON objects, one call at a time. */
final class Drawer {
  private final Storage storage;

  Drawer(Storage storage) {
    this.storage = storage;
  }

  /** The object under the name; empty if there is none or it cannot be read: what is lost must not keep a device silent. */
  synchronized Map<String, Object> read(String name) {
    try {
      String text = storage.read(name);
      return text == null ? new LinkedHashMap<String, Object>() : Json.parseObject(text);
    } catch (IOException | JsonException broken) {
      return new LinkedHashMap<>();
    }
  }

  synchronized void write(String name, Map<String, Object> object) throws IOException {
    storage.write(name, Json.write(object));
  }

  synchronized void delete(String name) throws IOException {
    storage.delete(name);
  }
}
