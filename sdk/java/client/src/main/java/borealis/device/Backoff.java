package borealis.device;

/**
 * How long to wait between attempts: a random time up to a limit that doubles from base to max. The whole span is random
 * so that devices which lost their server together do not come back together.
 */
final class Backoff {
  private final long base;
  private final long max;

  /** Both in milliseconds. */
  Backoff(long base, long max) {
    this.base = base;
    this.max = Math.max(base, max);
  }

  /** Milliseconds to wait after so many failures in a row (from 1 on); random is in [0, 1). */
  long delay(int failures, double random) {
    return (long) (random * limit(failures));
  }

  /** The longest that delay can be after so many failures. */
  long limit(int failures) {
    long limit = base;
    for (int i = 1; i < failures && limit < max; i++) {
      limit *= 2;
    }
    return Math.min(limit, max);
  }
}
