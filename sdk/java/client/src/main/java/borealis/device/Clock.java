package borealis.device;

/** The device's clock, as its owner sees it. */
public interface Clock {
  /** Unix milliseconds. */
  long millis();
}
