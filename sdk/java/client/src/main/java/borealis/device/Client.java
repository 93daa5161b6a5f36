package borealis.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TimeZone;

/**
 * A device. Its methods may be called from any thread, at any time: before start, offline, without consent. What they
 * say is in the storage when they return, and sent when it may be.
 *
 * @see Options
 * @see Listener
 */
public final class Client {
  /** Of the SDK. */
  public static final String VERSION = "0.1.0";

  private final Options options;
  private final Listener listener;
  private final Timing timing;
  private final State state;
  private final Object turn = new Object();
  /** Null until the first start. Guarded by this. */
  private Conductor conductor;

  /** Reads what is kept; does nothing else. */
  public Client(Options options) {
    this.options = options.copy();
    listener = new Guarded(options.listener);
    timing = new Timing(options.scale);
    state = new State(options.storage, timing);
  }

  /**
   * The user agrees that the device talks to the server. Nothing is sent, and no identifier made, before. It is kept.
   *
   * @param version of the text that the user agreed to
   * @param purposes that the user agreed to, e.g. push
   */
  public void consent(String version, Collection<String> purposes) {
    Map<String, Object> consent = new LinkedHashMap<>();
    consent.put("version", version);
    consent.put("purposes", new ArrayList<>(purposes));
    try {
      if (state.identity.registrationId() != null) {
        state.profile.change(member("consent", consent));
      }
      state.identity.agree(consent);
    } catch (IOException e) {
      throw new StorageException(e);
    }
    wake();
  }

  /** Whether the user has agreed. */
  public boolean hasConsent() {
    return state.identity.consent() != null;
  }

  /** Connects when there is consent, and stays connected. Returns at once; twice is once. */
  public synchronized void start() {
    if (conductor == null || !conductor.isAlive()) {
      conductor = new Conductor(state, options, listener, timing, turn);
      conductor.begin();
    }
  }

  /**
   * Disconnects and stays offline. A message handler that is running is interrupted; its message comes again. Returns
   * when the threads have ended, at the latest two seconds after the connection has.
   */
  public void stop() {
    Conductor running;
    synchronized (this) {
      running = conductor;
    }
    if (running != null) {
      running.end();
    }
  }

  /**
   * Ends the registration: the server forgets the device, then everything kept here is erased, the consent too. It waits
   * for the server.
   *
   * @throws IOException if the server could not be reached. Then it is tried again with the next end or start, and
   *     nothing else is sent.
   */
  public void end() throws IOException {
    state.identity.ending();
    stop();
    final IOException[] failure = new IOException[1];
    final Conductor last = new Conductor(state, options, listener, timing, turn);
    // Not in the caller's thread: on Android that may be one which must not touch sockets.
    Thread ending = new Thread("borealis-end") {
      @Override
      public void run() {
        try {
          last.finish();
        } catch (IOException e) {
          failure[0] = e;
        } catch (RuntimeException e) {
          failure[0] = new IOException(e.toString(), e);
        }
      }
    };
    ending.start();
    try {
      ending.join();
    } catch (InterruptedException e) {
      Thread.currentThread().interrupt();
      throw new IOException("interrupted", e);
    }
    if (failure[0] != null) {
      throw failure[0];
    }
  }

  /** The device's id at the server; null before the registration. */
  public String registrationId() {
    return state.identity.registrationId();
  }

  /** There is a network, perhaps another one than before: whoever waits to connect does so now. */
  public void networkAvailable() {
    Conductor running;
    synchronized (this) {
      running = conductor;
    }
    if (running != null) {
      running.network();
    }
  }

  /** Replaces all tags. */
  public void setTags(Collection<String> tags) {
    change("tags", member("set", new ArrayList<Object>(tags)));
  }

  /** Adds tags. */
  public void addTags(Collection<String> tags) {
    change("tags", member("add", new ArrayList<Object>(tags)));
  }

  /** Removes tags. */
  public void removeTags(Collection<String> tags) {
    change("tags", member("remove", new ArrayList<Object>(tags)));
  }

  /** Binds the device to a name of the app, e.g. of its user; "" unbinds. Whether a device may is a setting of the app. */
  public void setAlias(String alias) {
    change("alias", alias);
  }

  /** Merges attributes; null deletes one. */
  public void setAttributes(Map<String, String> attributes) {
    change("attributes", new LinkedHashMap<String, Object>(attributes));
  }

  /** An IANA name, e.g. Asia/Shanghai. */
  public void setTimezone(String zone) {
    change("timezone", zone);
  }

  /** Hours in which notifications make no sound, by the device's clock, as HH:MM; from is within, to is not. */
  public void setSilence(String from, String to) {
    Silence.of(from, to); // throws IllegalArgumentException
    Map<String, Object> hours = new LinkedHashMap<>();
    hours.put("from", from);
    hours.put("to", to);
    change("silence", hours);
  }

  /** There are no such hours any more. */
  public void clearSilence() {
    change("silence", null);
  }

  /** Whether the silence hours hold now. */
  public boolean isSilent() {
    Silence silence = state.profile.silence();
    return silence != null && silence.holds(options.clock.millis(), TimeZone.getDefault());
  }

  /** Whether messages are wanted. While they are not, those that come are acknowledged and not handed over. */
  public void setPushEnabled(boolean enabled) {
    change("push_enabled", enabled);
  }

  /** Whether the system lets the app show notifications. */
  public void setNotificationsEnabled(boolean enabled) {
    change("notifications_enabled", enabled);
  }

  /**
   * The device's address at the push service of a phone maker; "" deletes it.
   *
   * @param channel fcm, huawei, honor, xiaomi, oppo, vivo or meizu
   * @param environment production (also null) or sandbox
   */
  public void putToken(String channel, String token, String environment) {
    try {
      state.tokens.put(channel, token, environment);
    } catch (IOException e) {
      throw new StorageException(e);
    }
    wake();
  }

  /** The notification was shown. */
  public void displayed(String messageId) {
    receipt(messageId, "displayed");
  }

  /** The notification was tapped. */
  public void clicked(String messageId) {
    receipt(messageId, "clicked");
  }

  /** The notification was swiped away. */
  public void dismissed(String messageId) {
    receipt(messageId, "dismissed");
  }

  /** The unscaled delay in milliseconds after so many failures in a row; random is in [0, 1). For tests. */
  public static long backoff(int failures, double random, long retryAfter) {
    return Timing.unscaled(failures, random, retryAfter);
  }

  private void receipt(String id, String event) {
    try {
      state.receipts.add(id, event, options.clock.millis() + state.identity.offset());
    } catch (IOException e) {
      throw new StorageException(e);
    }
    wake();
  }

  private void change(String name, Object value) {
    try {
      state.profile.change(member(name, value));
    } catch (IOException e) {
      throw new StorageException(e);
    }
    wake();
  }

  private static Map<String, Object> member(String name, Object value) {
    Map<String, Object> out = new LinkedHashMap<>();
    out.put(name, value);
    return out;
  }

  private void wake() {
    Conductor running;
    synchronized (this) {
      running = conductor;
    }
    if (running != null) {
      running.wake();
    }
  }
}
