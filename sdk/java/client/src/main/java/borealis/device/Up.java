package borealis.device;

/**
 * One kind of thing that the device tells the server. At most one payload of a kind is under way at a time. What is not
 * acknowledged stays in the storage.
 */
interface Up {
  /** Where it is published. */
  String topic();

  /** What it is called when it is refused. */
  String what();

  /** When the next payload should be sent, by Timing.now; Long.MAX_VALUE if there is none. */
  long due();

  /** The next payload; it is under way from now on. Null if there is none. */
  String take();

  /**
   * The payload under way is settled: taken by the server, or refused for good.
   *
   * @return false: what was refused is tried in another way, so that nobody need hear of it
   */
  boolean settled(boolean taken);

  /** The payload under way did not arrive, as far as is known: it is to be sent again. */
  void again();
}
