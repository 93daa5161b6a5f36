package borealis.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/** The messages that were dealt with, and those that must not be shown any more. */
final class Known {
  private static final String FILE = "known";
  /** How many of each are remembered. */
  static final int SIZE = 500;

  private final Drawer drawer;
  private Set<String> keys;
  private Set<String> gone;

  Known(Drawer drawer) {
    this.drawer = drawer;
    Map<String, Object> state = drawer.read(FILE);
    keys = new LinkedHashSet<>(Json.strings(state.get("known")));
    gone = new LinkedHashSet<>(Json.strings(state.get("gone")));
  }

  synchronized boolean has(String key) {
    return keys.contains(key);
  }

  /** The message was withdrawn or replaced. */
  synchronized boolean isGone(String id) {
    return gone.contains(id);
  }

  /** Remembers a message and, unless null, the id of one that must not be shown any more. */
  synchronized void remember(String key, String goneId) throws IOException {
    Set<String> nextKeys = with(keys, key);
    Set<String> nextGone = goneId == null ? gone : with(gone, goneId);
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("known", nextKeys);
    state.put("gone", nextGone);
    drawer.write(FILE, state);
    keys = nextKeys;
    gone = nextGone;
  }

  synchronized void erase() throws IOException {
    drawer.delete(FILE);
    keys = new LinkedHashSet<>();
    gone = new LinkedHashSet<>();
  }

  private static Set<String> with(Collection<String> before, String more) {
    List<String> list = new ArrayList<>(before);
    list.remove(more);
    list.add(more);
    Iterator<String> newest = list.subList(Math.max(0, list.size() - SIZE), list.size()).iterator();
    Set<String> out = new LinkedHashSet<>();
    while (newest.hasNext()) {
      out.add(newest.next());
    }
    return out;
  }
}
