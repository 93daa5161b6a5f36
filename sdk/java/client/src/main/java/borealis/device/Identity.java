package borealis.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.UUID;

/** Who the device is, what its user agreed to, and how far its clock is from the server's. */
final class Identity {
  private static final String FILE = "identity";
  /** Smaller corrections of the clock are not worth a write. */
  private static final long SAME_CLOCK = 500;

  private final Drawer drawer;
  private Map<String, Object> state;

  Identity(Drawer drawer) {
    this.drawer = drawer;
    this.state = drawer.read(FILE);
  }

  /** The consent as the protocol has it; null before it. */
  synchronized Map<String, Object> consent() {
    return Json.object(state.get("consent"));
  }

  synchronized void agree(Map<String, Object> consent) throws IOException {
    Map<String, Object> next = new LinkedHashMap<>(state);
    next.put("consent", consent);
    keep(next);
  }

  /** The id of this installation, made when it is first asked for. */
  synchronized String installId() throws IOException {
    String id = Json.string(state.get("install_id"));
    if (id == null) {
      id = UUID.randomUUID().toString();
      Map<String, Object> next = new LinkedHashMap<>(state);
      next.put("install_id", id);
      keep(next);
    }
    return id;
  }

  synchronized String registrationId() {
    return Json.string(state.get("registration_id"));
  }

  synchronized String secret() {
    return Json.string(state.get("secret"));
  }

  synchronized List<String> addresses() {
    return Json.strings(state.get("mqtt"));
  }

  /** Seconds. */
  synchronized int keepAlive() {
    return (int) Math.max(0, Math.min(65_535, Json.number(state.get("keep_alive"), 240)));
  }

  /**
   * Takes the answer to a registration.
   *
   * @return whether the device is another one than before
   */
  synchronized boolean registered(Map<String, Object> answer, long now) throws IOException {
    String id = Json.string(answer.get("registration_id"));
    String secret = Json.string(answer.get("secret"));
    if (id == null || secret == null) {
      throw new IOException("the answer to the registration has no registration_id or no secret");
    }
    Map<String, Object> next = new LinkedHashMap<>(state);
    next.put("registration_id", id);
    next.put("secret", secret);
    next.put("mqtt", new ArrayList<Object>(Json.strings(answer.get("mqtt"))));
    next.put("keep_alive", Json.number(answer.get("keep_alive"), 240));
    long time = Json.number(answer.get("server_time"), 0);
    if (time > 0) {
      next.put("offset", time - now);
    }
    String before = Json.string(next.put("last_id", id));
    keep(next);
    return before != null && !before.equals(id);
  }

  /** The server does not know the device any more. The installation stays the same. */
  synchronized void forget() throws IOException {
    Map<String, Object> next = new LinkedHashMap<>(state);
    next.remove("registration_id");
    next.remove("secret");
    next.remove("mqtt");
    keep(next);
  }

  /** From now on the only thing left to do is to end the registration. */
  synchronized void ending() throws IOException {
    Map<String, Object> next = new LinkedHashMap<>(state);
    next.put("ending", Boolean.TRUE);
    keep(next);
  }

  synchronized boolean isEnding() {
    return state.get("ending") == Boolean.TRUE;
  }

  synchronized void erase() throws IOException {
    drawer.delete(FILE);
    state = new LinkedHashMap<>();
  }

  /** Milliseconds to add to the device's clock. */
  synchronized long offset() {
    return Json.number(state.get("offset"), 0);
  }

  synchronized void serverTime(long time, long now) throws IOException {
    if (Math.abs(time - now - offset()) >= SAME_CLOCK) {
      Map<String, Object> next = new LinkedHashMap<>(state);
      next.put("offset", time - now);
      keep(next);
    }
  }

  private void keep(Map<String, Object> next) throws IOException {
    drawer.write(FILE, next);
    state = next;
  }
}
