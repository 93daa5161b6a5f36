package borealis.device;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.ArrayList;
import java.util.Deque;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.Map;
import java.util.Set;

/** What the app says of the device: tags, alias, attributes, time zone, silence hours, push on or off, consent. */
final class Profile implements Up {
  private static final String FILE = "profile";
  /** The longest document that is sent, in bytes; the server takes 65,536. */
  private static final int MAX_BYTES = 60_000;

  private final Drawer drawer;
  /** Not sent yet. */
  private Map<String, Object> waiting = new LinkedHashMap<>();
  /** The members of a document that was refused, each to be sent by itself, before waiting is. */
  private final Deque<Map<String, Object>> single = new ArrayDeque<>();
  /** Under way; empty if nothing is. */
  private Map<String, Object> sent = new LinkedHashMap<>();
  /** All that the server has taken, for the day on which it does not know the device any more. */
  private Map<String, Object> taken;
  /** The part that this device itself obeys, from the moment it is said. */
  private Map<String, Object> local;

  Profile(Drawer drawer) {
    this.drawer = drawer;
    Map<String, Object> state = drawer.read(FILE);
    waiting = part(state, "waiting");
    taken = part(state, "taken");
    local = part(state, "local");
  }

  /**
   * Adds a change; about each thing the last word counts.
   *
   * @throws IllegalArgumentException if more would wait than the server takes at once
   */
  synchronized void change(Map<String, Object> change) throws IOException {
    Map<String, Object> next = merge(waiting, change);
    if (Json.write(next).getBytes(StandardCharsets.UTF_8).length > MAX_BYTES) {
      throw new IllegalArgumentException("the changes that wait would be longer than " + MAX_BYTES + " bytes");
    }
    Map<String, Object> nextLocal = new LinkedHashMap<>(local);
    for (String name : new String[] {"silence", "push_enabled"}) {
      if (change.containsKey(name)) {
        nextLocal.put(name, change.get(name));
      }
    }
    keep(next, taken, nextLocal);
    waiting = next;
    local = nextLocal;
  }

  /** Everything said so far is to be said to a server that does not know it. */
  synchronized void anew() throws IOException {
    Map<String, Object> next = merge(taken, unsettled(waiting));
    keep(next, new LinkedHashMap<String, Object>(), local);
    waiting = next;
    sent = new LinkedHashMap<>();
    single.clear();
    taken = new LinkedHashMap<>();
  }

  synchronized boolean pushOff() {
    return local.get("push_enabled") == Boolean.FALSE;
  }

  /** The silence hours; null if there are none. */
  synchronized Silence silence() {
    Map<String, Object> hours = Json.object(local.get("silence"));
    return hours == null ? null : Silence.of(Json.string(hours.get("from")), Json.string(hours.get("to")));
  }

  @Override
  public String topic() {
    return "up/profile";
  }

  @Override
  public String what() {
    return "profile";
  }

  @Override
  public synchronized long due() {
    return waiting.isEmpty() && single.isEmpty() ? Long.MAX_VALUE : 0;
  }

  @Override
  public synchronized String take() {
    if (!single.isEmpty()) {
      sent = single.poll();
    } else if (waiting.isEmpty()) {
      return null;
    } else {
      sent = waiting;
      waiting = new LinkedHashMap<>();
    }
    return Json.write(sent);
  }

  @Override
  public synchronized boolean settled(boolean accepted) {
    if (!accepted && sent.size() > 1) {
      // The server takes all of a document or nothing; only what is at fault shall be lost.
      for (Map.Entry<String, Object> member : sent.entrySet()) {
        Map<String, Object> alone = new LinkedHashMap<>();
        alone.put(member.getKey(), member.getValue());
        single.add(alone);
      }
      sent = new LinkedHashMap<>();
      return false;
    }
    Map<String, Object> nextTaken = accepted ? merge(taken, sent) : taken;
    sent = new LinkedHashMap<>();
    taken = nextTaken;
    try {
      keep(waiting, taken, local);
    } catch (IOException kept) {
      // It is sent again by the next life, which does no harm.
    }
    return true;
  }

  @Override
  public synchronized void again() {
    waiting = unsettled(waiting);
    sent = new LinkedHashMap<>();
    single.clear();
  }

  synchronized void erase() throws IOException {
    drawer.delete(FILE);
    waiting = new LinkedHashMap<>();
    sent = new LinkedHashMap<>();
    single.clear();
    taken = new LinkedHashMap<>();
    local = new LinkedHashMap<>();
  }

  private void keep(Map<String, Object> pending, Map<String, Object> done, Map<String, Object> own) throws IOException {
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("waiting", unsettled(pending));
    state.put("taken", done);
    state.put("local", own);
    drawer.write(FILE, state);
  }

  /** What the server has not settled: under way, refused as a whole, waiting. */
  private Map<String, Object> unsettled(Map<String, Object> pending) {
    Map<String, Object> out = sent;
    for (Map<String, Object> member : single) {
      out = merge(out, member);
    }
    return merge(out, pending);
  }

  private static Map<String, Object> part(Map<String, Object> state, String name) {
    Map<String, Object> value = Json.object(state.get(name));
    return value == null ? new LinkedHashMap<String, Object>() : value;
  }

  /** The one change that does what the two do one after the other. */
  static Map<String, Object> merge(Map<String, Object> first, Map<String, Object> later) {
    Map<String, Object> out = new LinkedHashMap<>(first);
    for (Map.Entry<String, Object> member : later.entrySet()) {
      Map<String, Object> before = Json.object(out.get(member.getKey()));
      Map<String, Object> after = Json.object(member.getValue());
      Object value = member.getValue();
      if (before != null && after != null && member.getKey().equals("tags")) {
        value = mergeTags(before, after);
      } else if (before != null && after != null && member.getKey().equals("attributes")) {
        Map<String, Object> both = new LinkedHashMap<>(before);
        both.putAll(after);
        value = both;
      }
      out.put(member.getKey(), value);
    }
    return out;
  }

  private static Map<String, Object> mergeTags(Map<String, Object> first, Map<String, Object> later) {
    if (later.containsKey("set")) {
      return later;
    }
    Set<String> add = new LinkedHashSet<>(Json.strings(later.get("add")));
    Set<String> remove = new LinkedHashSet<>(Json.strings(later.get("remove")));
    Map<String, Object> out = new LinkedHashMap<>();
    if (first.containsKey("set")) {
      Set<String> set = new LinkedHashSet<>(Json.strings(first.get("set")));
      set.removeAll(remove);
      set.addAll(add);
      out.put("set", new ArrayList<>(set));
      return out;
    }
    Set<String> added = new LinkedHashSet<>(Json.strings(first.get("add")));
    Set<String> removed = new LinkedHashSet<>(Json.strings(first.get("remove")));
    added.removeAll(remove);
    added.addAll(add);
    removed.removeAll(add);
    removed.addAll(remove);
    if (!added.isEmpty()) {
      out.put("add", new ArrayList<>(added));
    }
    if (!removed.isEmpty()) {
      out.put("remove", new ArrayList<>(removed));
    }
    return out;
  }
}
