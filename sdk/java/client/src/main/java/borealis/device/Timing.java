package borealis.device;

/** All delays of the SDK, in milliseconds. */
final class Timing {
  static final long BASE = 1000;
  static final long MAX = 120_000;
  static final long MAX_RETRY_AFTER = 3_600_000;
  private static final long LINGER = 1000;
  private static final long LASTING = 30_000;
  private static final long PROBE = 10_000;
  private static final long START = System.nanoTime();

  private final double scale;
  private final Backoff backoff = new Backoff(BASE, MAX);

  Timing(double scale) {
    this.scale = scale;
  }

  /** Unscaled delay after so many failures in a row, with what the server asked for. */
  static long unscaled(int failures, double random, long retryAfter) {
    return new Backoff(BASE, MAX).delay(failures, random) + Math.max(0, Math.min(retryAfter, MAX_RETRY_AFTER));
  }

  long afterFailure(int failures, double random, long retryAfter) {
    return scaled(backoff.delay(failures, random) + Math.max(0, Math.min(retryAfter, MAX_RETRY_AFTER)));
  }

  /** After a refusal that only somebody's decision will change. */
  long afterRefusal(double random) {
    return scaled((long) (MAX * (0.5 + random / 2)));
  }

  /** How long receipts wait for others to share a batch with. */
  long linger() {
    return scaled(LINGER);
  }

  /** A connection that lasted so long shows that the server is well. */
  long lasting() {
    return scaled(LASTING);
  }

  /** How long the answer to a ping may take that was sent because the network changed. */
  long probe() {
    return Math.max(PROBE / 10, scaled(PROBE));
  }

  private long scaled(long millis) {
    return (long) (millis * scale);
  }

  /** Milliseconds, more than 0, of a clock that nobody sets. */
  static long now() {
    return (System.nanoTime() - START) / 1_000_000 + 1;
  }
}
