package borealis.device;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;

/** The device's addresses at the push services of phone makers, until the server has them. */
final class Tokens implements Up {
  private static final String FILE = "tokens";

  private final Drawer drawer;
  /** By channel: {channel, token, environment}. */
  private Map<String, Object> waiting;
  /** What the server has taken, by channel. */
  private Map<String, Object> taken;
  /** Under way; null if nothing is. */
  private Map<String, Object> sent;

  Tokens(Drawer drawer) {
    this.drawer = drawer;
    Map<String, Object> state = drawer.read(FILE);
    waiting = part(state, "waiting");
    taken = part(state, "taken");
  }

  /** Says a token; "" deletes the channel's. What the server has is not sent again. */
  synchronized void put(String channel, String token, String environment) throws IOException {
    Map<String, Object> said = new LinkedHashMap<>();
    said.put("channel", channel);
    said.put("token", token);
    if (environment != null && !environment.isEmpty()) {
      said.put("environment", environment);
    }
    Map<String, Object> next = new LinkedHashMap<>(waiting);
    boolean underWay = sent != null && channel.equals(sent.get("channel"));
    if (underWay ? said.equals(sent) : said.equals(taken.get(channel))) {
      next.remove(channel);
    } else {
      next.put(channel, said);
    }
    keep(next, taken);
    waiting = next;
  }

  /** Every token is to be said to a server that knows none. */
  synchronized void anew() throws IOException {
    Map<String, Object> next = new LinkedHashMap<>(taken);
    if (sent != null) {
      next.put((String) sent.get("channel"), sent);
    }
    next.putAll(waiting);
    keep(next, new LinkedHashMap<String, Object>());
    waiting = next;
    taken = new LinkedHashMap<>();
    sent = null;
  }

  @Override
  public String topic() {
    return "up/tokens";
  }

  @Override
  public String what() {
    return "token";
  }

  @Override
  public synchronized long due() {
    return waiting.isEmpty() ? Long.MAX_VALUE : 0;
  }

  @Override
  public synchronized String take() {
    if (waiting.isEmpty()) {
      return null;
    }
    String channel = waiting.keySet().iterator().next();
    sent = Json.object(waiting.get(channel));
    Map<String, Object> rest = new LinkedHashMap<>(waiting);
    rest.remove(channel);
    waiting = rest;
    return Json.write(sent);
  }

  @Override
  public synchronized boolean settled(boolean accepted) {
    Map<String, Object> done = new LinkedHashMap<>(taken);
    if (accepted && sent != null) {
      done.put((String) sent.get("channel"), sent);
    }
    sent = null;
    taken = done;
    try {
      keep(waiting, taken);
    } catch (IOException kept) {
      // It is sent again by the next life, which does no harm.
    }
    return true;
  }

  @Override
  public synchronized void again() {
    if (sent != null) {
      String channel = (String) sent.get("channel");
      if (!waiting.containsKey(channel)) {
        Map<String, Object> next = new LinkedHashMap<>(waiting);
        next.put(channel, sent);
        waiting = next;
      }
      sent = null;
    }
  }

  synchronized void erase() throws IOException {
    drawer.delete(FILE);
    waiting = new LinkedHashMap<>();
    taken = new LinkedHashMap<>();
    sent = null;
  }

  private void keep(Map<String, Object> pending, Map<String, Object> done) throws IOException {
    Map<String, Object> all = new LinkedHashMap<>();
    if (sent != null) {
      all.put((String) sent.get("channel"), sent);
    }
    all.putAll(pending);
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("waiting", all);
    state.put("taken", done);
    drawer.write(FILE, state);
  }

  private static Map<String, Object> part(Map<String, Object> state, String name) {
    Map<String, Object> value = Json.object(state.get(name));
    return value == null ? new LinkedHashMap<String, Object>() : value;
  }
}
