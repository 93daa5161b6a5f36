package borealis.device;

import java.io.IOException;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Random;

/** Keeps the device registered and connected, from start to stop, in a thread of its own. */
final class Conductor implements Runnable, Connection.Receiver {
  /** In place of a pause: stay offline until the next start. */
  private static final long OFFLINE = -1;

  private final State state;
  private final Options options;
  private final Listener listener;
  private final Timing timing;
  private final Delivery delivery;
  private final Random random = new Random();
  private final Thread thread = new Thread(this, "borealis-device");

  // Guarded by this.
  private boolean stopped;
  private boolean hurry;
  private Api api;
  private Dialer dialer;
  private Connection connection;
  private Uplink uplink;

  // Of the thread.
  private int failures;
  private boolean voided;
  private final Route route;

  Conductor(State state, Options options, Listener listener, Timing timing, Object turn) {
    this.state = state;
    this.options = options;
    this.listener = listener;
    this.timing = timing;
    route = new Route(state.identity, options.transport);
    delivery = new Delivery(state, options, listener, turn);
    thread.setDaemon(true);
  }

  void begin() {
    thread.start();
  }

  /** It has not been ended, and has not gone offline by itself. */
  synchronized boolean isAlive() {
    return !stopped && thread.isAlive();
  }

  /** Ends everything and waits until it has, unless the caller is the conductor's own thread. */
  void end() {
    Thread closer = new Thread("borealis-stop") {
      @Override
      public void run() {
        close();
      }
    };
    synchronized (this) {
      stopped = true;
      notifyAll();
    }
    // Not in the caller's thread: on Android that may be one which must not touch sockets.
    closer.start();
    if (Thread.currentThread() == thread) {
      return;
    }
    boolean interrupted = false;
    for (Thread t : new Thread[] {closer, thread}) {
      while (t.isAlive()) {
        try {
          t.join();
        } catch (InterruptedException e) {
          interrupted = true;
        }
      }
    }
    try {
      delivery.join();
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  private void close() {
    Api call;
    Dialer dialling;
    Connection open;
    synchronized (this) {
      call = api;
      dialling = dialer;
      open = connection;
    }
    if (call != null) {
      call.close();
    }
    if (open != null) {
      open.bye();
    } else if (dialling != null) {
      try {
        dialling.close();
      } catch (IOException gone) {
        // It is closed all the same.
      }
    }
  }

  /** Something changed that may end a wait: consent, or new things to say. */
  synchronized void wake() {
    notifyAll();
    if (uplink != null) {
      uplink.wake();
    }
  }

  /** There is a network, perhaps another one: do not wait longer, and do not trust a connection over the old one. */
  synchronized void network() {
    hurry = true;
    notifyAll();
    if (uplink != null) {
      uplink.probe();
    }
  }

  @Override
  public void run() {
    delivery.begin();
    try {
      while (awaitConsent()) {
        long pause = attempt();
        if (pause == OFFLINE || !pause(pause)) {
          return;
        }
      }
    } finally {
      delivery.end();
    }
  }

  /** False: stopped. */
  private boolean awaitConsent() {
    boolean told = false;
    while (true) {
      synchronized (this) {
        if (stopped) {
          return false;
        }
        if (state.identity.consent() != null || state.identity.isEnding()) {
          return true;
        }
        if (told) {
          waitHere(0);
          continue;
        }
      }
      told = true;
      listener.onWaitingForConsent();
    }
  }

  /** Waits so long, or until the network changes. False: stopped. */
  private synchronized boolean pause(long millis) {
    long until = Timing.now() + millis;
    for (long left = millis; left > 0 && !stopped && !hurry; left = until - Timing.now()) {
      waitHere(left);
    }
    hurry = false;
    return !stopped;
  }

  private void waitHere(long millis) {
    try {
      wait(millis);
    } catch (InterruptedException e) {
      stopped = true;
    }
  }

  /** Does what is to be done, as long as it works. The answer is how long to wait before the next attempt. */
  private long attempt() {
    try {
      if (state.identity.isEnding()) {
        finish();
        return 0;
      }
      if (state.identity.registrationId() == null) {
        register();
      }
      connect();
      return 0;
    } catch (RefusedException e) {
      return refused(e);
    } catch (IOException e) {
      return failed(e, 0);
    } catch (RuntimeException e) {
      // A mistake here or in a storage of the app's must not keep the device offline for ever.
      return failed(new IOException(e.toString(), e), 0);
    }
  }

  private long refused(RefusedException e) {
    if (e.takenOver()) {
      synchronized (this) {
        stopped = true;
      }
      listener.onTakenOver();
      return OFFLINE;
    }
    if (e.accepted) {
      disconnected(e.getMessage());
    }
    if (e.voidsIdentity()) {
      boolean again = voided;
      voided = true;
      try {
        state.identity.forget();
      } catch (IOException notKept) {
        return failed(notKept, 0);
      }
      return again ? failed(e, e.retryAfter) : 0;
    }
    if (e.moves()) {
      route.moved(e.reference);
      return failed(e, 0);
    }
    if (e.isFinal() && !state.identity.isEnding()) {
      failures++;
      listener.onRefused(e.http ? "register" : "connect", e.code, e.why);
      return timing.afterRefusal(random.nextDouble());
    }
    return failed(e, e.retryAfter);
  }

  private long failed(IOException e, long retryAfter) {
    failures++;
    synchronized (this) {
      if (stopped) {
        return 0;
      }
    }
    listener.onError(e.getMessage() == null ? e.toString() : e.getMessage());
    return timing.afterFailure(failures, random.nextDouble(), retryAfter);
  }

  /** Ends the registration, and then everything that is kept. */
  void finish() throws IOException {
    String id = state.identity.registrationId();
    if (id != null) {
      newApi().end(id, state.identity.secret());
    }
    state.erase();
  }

  private void register() throws IOException {
    Map<String, Object> body = new LinkedHashMap<>();
    String installId = state.identity.installId();
    body.put("app_key", options.appKey);
    body.put("install_id", installId);
    body.put("platform", options.platform);
    if (!options.packageName.isEmpty()) {
      body.put("package", options.packageName);
    }
    body.put("device", options.device);
    body.put("consent", state.identity.consent());
    if (options.signer != null) {
      try {
        body.put("signature", options.signer.sign(installId));
      } catch (Exception e) {
        throw new IOException("the app's backend did not sign the registration: " + e, e);
      }
    }
    Map<String, Object> answer = newApi().register(body);
    if (state.identity.registered(answer, options.clock.millis())) {
      state.profile.anew();
      state.tokens.anew();
    }
    listener.onRegistered(state.identity.registrationId());
  }

  private void connect() throws IOException {
    Dialer way = new Dialer(options.tls);
    synchronized (this) {
      if (stopped) {
        return;
      }
      dialer = way;
    }
    Connection c = null;
    try {
      c = Connection.open(way, route.next(), state.identity.registrationId(), options.appKey, state.identity.secret(), state.identity.keepAlive());
    } finally {
      synchronized (this) {
        dialer = null;
      }
      if (c == null) {
        route.failed();
      }
    }
    voided = false;
    if (c.serverTime() > 0) {
      state.identity.serverTime(c.serverTime(), options.clock.millis());
    }
    serve(c);
  }

  private void serve(Connection c) throws IOException {
    Uplink up = new Uplink(c, timing, listener, state.receipts, state.profile, state.tokens);
    long began = Timing.now();
    synchronized (this) {
      connection = c;
      uplink = up;
      hurry = false;
      if (stopped) {
        c.close();
      }
    }
    try {
      if (!c.isClosed()) {
        listener.onConnected();
      }
      up.begin();
      c.serve(this);
    } catch (RefusedException e) {
      throw e;
    } catch (IOException e) {
      disconnected(e.getMessage());
      throw e;
    } finally {
      c.close();
      synchronized (this) {
        connection = null;
        uplink = null;
      }
      up.end();
      delivery.forget(c);
      if (Timing.now() - began >= timing.lasting()) {
        failures = 0;
      }
    }
  }

  private void disconnected(String reason) {
    synchronized (this) {
      if (stopped) {
        return;
      }
    }
    listener.onDisconnected(reason == null ? "" : reason);
  }

  private Api newApi() throws IOException {
    Api call = new Api(options);
    synchronized (this) {
      if (stopped) {
        throw new IOException("stopped");
      }
      api = call;
    }
    return call;
  }

  @Override
  public void published(Connection from, String topic, int packetId, byte[] payload) throws IOException {
    if (topic.equals("push")) {
      delivery.add(from, packetId, payload);
    } else if (packetId != 0) {
      from.acknowledge(packetId);
    }
  }

  @Override
  public void acknowledged(int packetId, int code, String why) {
    Uplink up;
    synchronized (this) {
      up = uplink;
    }
    if (up != null) {
      up.acknowledged(packetId, code, why);
    }
  }
}
