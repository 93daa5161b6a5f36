package borealis.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** What became of messages on this device, until the server knows it. */
final class Receipts implements Up {
  private static final String FILE = "receipts";
  /** How many are kept; the oldest are left out. */
  static final int SIZE = 1000;
  /** How many the server takes at once. */
  static final int BATCH = 100;

  private final Drawer drawer;
  private final long linger;
  private List<Object> list = new ArrayList<>();
  /** How many of list, from its beginning, are under way. */
  private int sent;
  /** When the oldest that is not under way may be sent. */
  private long due;

  Receipts(Drawer drawer, long linger) {
    this.drawer = drawer;
    this.linger = linger;
    List<Object> kept = Json.array(drawer.read(FILE).get("events"));
    if (kept != null) {
      list = kept;
    }
  }

  /** Adds one; of the same (id, event) there is one. */
  synchronized void add(String id, String event, long at) throws IOException {
    for (Object element : list) {
      Map<String, Object> other = Json.object(element);
      if (other != null && id.equals(other.get("id")) && event.equals(other.get("event"))) {
        return;
      }
    }
    Map<String, Object> receipt = new LinkedHashMap<>();
    receipt.put("id", id);
    receipt.put("event", event);
    receipt.put("at", at);
    List<Object> next = new ArrayList<>(list);
    next.add(receipt);
    int over = Math.max(0, next.size() - SIZE);
    next = new ArrayList<>(next.subList(over, next.size()));
    keep(next);
    if (list.size() == sent) {
      due = Timing.now() + linger;
    }
    list = next;
    sent = Math.max(0, sent - over);
  }

  @Override
  public String topic() {
    return "up/events";
  }

  @Override
  public String what() {
    return "events";
  }

  @Override
  public synchronized long due() {
    int waiting = list.size() - sent;
    if (waiting == 0) {
      return Long.MAX_VALUE;
    }
    return waiting >= BATCH ? 0 : due;
  }

  @Override
  public synchronized String take() {
    if (list.isEmpty()) {
      return null;
    }
    sent = Math.min(BATCH, list.size());
    Map<String, Object> batch = new LinkedHashMap<>();
    batch.put("events", list.subList(0, sent));
    // The rest lingers anew.
    due = Timing.now() + linger;
    return Json.write(batch);
  }

  @Override
  public synchronized boolean settled(boolean taken) {
    List<Object> next = new ArrayList<>(list.subList(sent, list.size()));
    try {
      keep(next);
    } catch (IOException kept) {
      // They are sent again by the next life, which does no harm.
    }
    list = next;
    sent = 0;
    return true;
  }

  @Override
  public synchronized void again() {
    sent = 0;
    due = 0;
  }

  synchronized void erase() throws IOException {
    drawer.delete(FILE);
    list = new ArrayList<>();
    sent = 0;
  }

  private void keep(List<Object> next) throws IOException {
    Map<String, Object> state = new LinkedHashMap<>();
    state.put("events", next);
    drawer.write(FILE, state);
  }
}
