package borealis.device;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TimeZone;

/**
 * Hands messages to the app, one after another: handler, then storage, then PUBACK. What fails on the way is not
 * acknowledged, so the server sends it again on the next connection.
 */
final class Delivery implements Runnable {
  /** After so many failures of one message it counts as handed over: it must not block the others for ever. */
  private static final int PATIENCE = 3;
  /** How many frames wait at most; a server that keeps to RECEIVE_MAXIMUM never gets there. */
  private static final int MAX_WAITING = 1024;
  /** Milliseconds. */
  private static final long STUBBORN = 2000;
  private static final String WITHDRAW = "withdraw";

  private static final class Frame {
    final Connection connection;
    final int packetId;
    final byte[] payload;

    Frame(Connection connection, int packetId, byte[] payload) {
      this.connection = connection;
      this.packetId = packetId;
      this.payload = payload;
    }
  }

  private final State state;
  private final Options options;
  private final Listener listener;
  private final Object turn;
  private final Deque<Frame> waiting = new ArrayDeque<>();
  private final Thread thread = new Thread(this, "borealis-delivery");
  private boolean done;

  /** turn is held while a message is dealt with: a new start waits for the handler that an old one left. */
  Delivery(State state, Options options, Listener listener, Object turn) {
    this.state = state;
    this.options = options;
    this.listener = listener;
    this.turn = turn;
  }

  void begin() {
    thread.setDaemon(true);
    thread.start();
  }

  /** Ends the thread; the handler under way is interrupted, unless it is the one that calls. */
  void end() {
    synchronized (this) {
      done = true;
      waiting.clear();
      notifyAll();
    }
    if (Thread.currentThread() != thread) {
      thread.interrupt();
    }
  }

  /** Waits a while for the end of the thread: a handler may not care that it is interrupted. */
  void join() throws InterruptedException {
    if (Thread.currentThread() != thread) {
      thread.join(STUBBORN);
    }
  }

  private synchronized boolean isDone() {
    return done;
  }

  synchronized void add(Connection from, int packetId, byte[] payload) throws IOException {
    if (waiting.size() >= MAX_WAITING) {
      throw new IOException("the server sends more than was asked for");
    }
    waiting.add(new Frame(from, packetId, payload));
    notifyAll();
  }

  /** Forgets what waits of a connection that ended: it comes again. */
  synchronized void forget(Connection ended) {
    for (Iterator<Frame> i = waiting.iterator(); i.hasNext(); ) {
      if (i.next().connection == ended) {
        i.remove();
      }
    }
  }

  @Override
  public void run() {
    while (true) {
      Frame frame = next();
      if (frame == null) {
        return;
      }
      boolean settled;
      synchronized (turn) {
        settled = !frame.connection.isClosed() && deal(frame.payload);
      }
      if (settled && frame.packetId != 0) {
        try {
          frame.connection.acknowledge(frame.packetId);
        } catch (IOException gone) {
          frame.connection.close();
        }
      }
    }
  }

  private synchronized Frame next() {
    while (!done) {
      Frame frame = waiting.poll();
      if (frame != null) {
        return frame;
      }
      try {
        wait();
      } catch (InterruptedException e) {
        return null;
      }
    }
    return null;
  }

  /** Deals with one payload; true: it may be acknowledged. */
  private boolean deal(byte[] payload) {
    Map<String, Object> members = read(payload);
    String id = members == null ? null : Json.string(members.get("id"));
    String type = members == null ? null : Json.string(members.get("type"));
    if (id == null || id.isEmpty() || type == null || !known(type)) {
      listener.onError("a message that this version does not understand was ignored");
      return true;
    }
    String key = type + "/" + id;
    if (state.known.has(key)) {
      return true;
    }
    boolean withdraws = type.equals(WITHDRAW);
    String target = Json.string(members.get(withdraws ? WITHDRAW : "override"));
    try {
      if (withdraws) {
        if (target != null) {
          listener.onWithdrawn(target);
        }
      } else if (wanted(id, members)) {
        listener.onMessage(new Message(members, silent()));
      }
      state.known.remember(key, target);
      state.failures.remove(key);
      return true;
    } catch (Throwable e) { // an error, too, must not end the thread: nothing would be handed over any more
      return failed(key, target, e);
    }
  }

  private boolean failed(String key, String target, Throwable e) {
    if (isDone()) {
      return false; // interrupted, which says nothing of the message
    }
    listener.onError("message " + key + " was not handled: " + e);
    Integer before = state.failures.get(key);
    int failures = before == null ? 1 : before + 1;
    state.failures.put(key, failures);
    if (failures < PATIENCE) {
      return false;
    }
    try {
      state.known.remember(key, target);
    } catch (IOException | RuntimeException notKept) {
      listener.onError("storage: " + notKept.getMessage());
    }
    return true;
  }

  /** It is still of worth, and nothing said that it must not be shown. */
  private boolean wanted(String id, Map<String, Object> members) {
    long expires = Json.number(members.get("expires_at"), 0);
    boolean expired = expires > 0 && expires < options.clock.millis() + state.identity.offset();
    return !expired && !state.known.isGone(id) && !state.profile.pushOff();
  }

  private boolean silent() {
    Silence silence = state.profile.silence();
    return silence != null && silence.holds(options.clock.millis(), TimeZone.getDefault());
  }

  private static boolean known(String type) {
    return type.equals(Message.NOTIFICATION) || type.equals(Message.CUSTOM) || type.equals(Message.IN_APP) || type.equals(WITHDRAW);
  }

  /** The object in the payload; null if there is none. */
  private static Map<String, Object> read(byte[] payload) {
    try {
      String text = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT)
          .onUnmappableCharacter(CodingErrorAction.REPORT).decode(ByteBuffer.wrap(payload)).toString();
      return Json.parseObject(text);
    } catch (CharacterCodingException | JsonException ignored) {
      return null;
    }
  }

  /** How often each message failed in this life, the newest few. */
  static final class Failures extends LinkedHashMap<String, Integer> {
    @Override
    protected boolean removeEldestEntry(Map.Entry<String, Integer> eldest) {
      return size() > Known.SIZE;
    }
  }
}
