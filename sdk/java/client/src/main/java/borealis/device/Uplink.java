package borealis.device;

import java.io.IOException;
import java.util.Random;

/**
 * Writes what the device has to say to one connection, and pings. It owns the thread that does so, from begin to end.
 */
final class Uplink implements Runnable {
  /** Reason codes with which the server settles what it does not take. */
  private static final int NOT_AUTHORIZED = 0x87;
  private static final int QUOTA = 0x97;
  private static final int PAYLOAD_INVALID = 0x99;
  /** Codes from here on are refusals. */
  private static final int FIRST_REFUSAL = 0x80;

  /** One kind of thing to say, on this connection. */
  private static final class Lane {
    final Up up;
    /** Under way; 0: nothing is. */
    int packetId;
    int failures;
    /** Nothing is sent before. */
    long notBefore;

    Lane(Up up) {
      this.up = up;
    }
  }

  /** Stands for a ping in the place of a lane. */
  private static final Lane PING = new Lane(null);

  private final Connection connection;
  private final Timing timing;
  private final Listener listener;
  private final Lane[] lanes;
  private final Random random = new Random();
  private final Thread thread;
  private int lastId;
  private boolean done;
  /** When an answer must have come to a ping that was sent because the network changed; 0: none was. */
  private long probeUntil;
  /** How many packets had come when it was asked for, and whether it is sent. */
  private long probedAt;
  private boolean probed;
  private long lastPing;

  Uplink(Connection connection, Timing timing, Listener listener, Up... ups) {
    this.connection = connection;
    this.timing = timing;
    this.listener = listener;
    lanes = new Lane[ups.length];
    for (int i = 0; i < ups.length; i++) {
      lanes[i] = new Lane(ups[i]);
    }
    thread = new Thread(this, "borealis-uplink");
    thread.setDaemon(true);
  }

  void begin() {
    thread.start();
  }

  /** Ends the thread and waits for it. What is not acknowledged goes back to where it came from. */
  void end() {
    synchronized (this) {
      done = true;
      notifyAll();
    }
    boolean interrupted = false;
    while (true) {
      try {
        thread.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    for (Lane lane : lanes) {
      lane.up.again();
    }
    if (interrupted) {
      Thread.currentThread().interrupt();
    }
  }

  /** There may be something new to say. */
  synchronized void wake() {
    notifyAll();
  }

  /** Finds out soon whether the connection still works. */
  synchronized void probe() {
    // One that waits for its answer is enough.
    if (probeUntil == 0 || connection.packets() != probedAt) {
      probedAt = connection.packets();
      probed = false;
      probeUntil = Timing.now() + timing.probe();
      notifyAll();
    }
  }

  @Override
  public void run() {
    try {
      while (true) {
        Lane lane = next();
        if (lane == null) {
          return;
        }
        if (lane == PING) {
          connection.ping();
          continue;
        }
        String payload = lane.up.take();
        if (payload == null) {
          continue;
        }
        int id;
        synchronized (this) {
          id = ++lastId & 0xffff;
          if (id == 0) {
            id = ++lastId & 0xffff;
          }
          lane.packetId = id;
        }
        connection.publish(lane.up.topic(), id, payload);
      }
    } catch (IOException broken) {
      connection.close();
    }
  }

  /** Waits until there is something to do. Null: this is over. */
  private synchronized Lane next() {
    while (!done) {
      long now = Timing.now();
      long next = Long.MAX_VALUE;
      for (Lane lane : lanes) {
        if (lane.packetId == 0) {
          long due = Math.max(lane.up.due(), lane.notBefore);
          if (due <= now) {
            return lane;
          }
          next = Math.min(next, due);
        }
      }
      if (probeUntil != 0) {
        if (connection.packets() != probedAt) {
          probeUntil = 0;
        } else if (now >= probeUntil) {
          connection.close();
          return null;
        } else if (!probed) {
          probed = true;
          return PING;
        } else {
          next = Math.min(next, probeUntil);
        }
      }
      if (connection.keepAlive() > 0) {
        long every = connection.keepAlive() * 1000L * 9 / 10;
        long ping = Math.min(connection.lastSent(), Math.max(connection.lastHeard(), lastPing)) + every;
        if (ping <= now) {
          lastPing = now;
          return PING;
        }
        next = Math.min(next, ping);
      }
      pause(next - now);
    }
    return null;
  }

  private void pause(long millis) {
    try {
      wait(Math.min(millis, 600_000));
    } catch (InterruptedException e) {
      done = true;
    }
  }

  /** The server's answer to what was published with this identifier. */
  void acknowledged(int packetId, int code, String why) {
    Lane lane = null;
    synchronized (this) {
      for (Lane l : lanes) {
        if (l.packetId == packetId) {
          lane = l;
        }
      }
    }
    if (lane == null) {
      return;
    }
    boolean taken = code < FIRST_REFUSAL;
    boolean refused = code == NOT_AUTHORIZED || code == QUOTA || code == PAYLOAD_INVALID;
    boolean told = false;
    if (taken || refused) {
      told = lane.up.settled(taken);
    } else {
      lane.up.again();
    }
    synchronized (this) {
      lane.failures = taken || refused ? 0 : lane.failures + 1;
      lane.notBefore = lane.failures == 0 ? 0 : Timing.now() + timing.afterFailure(lane.failures, random.nextDouble(), 0);
      lane.packetId = 0;
      notifyAll();
    }
    if (refused && told) {
      listener.onRefused(lane.up.what(), code, why);
    }
  }
}
