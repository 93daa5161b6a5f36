package borealis.device;

/**
 * Hears what a device receives and how its connection is. Every method does nothing unless overridden. Calls come from
 * threads of the SDK; those to onMessage and onWithdrawn come one after another.
 */
public abstract class Listener {
  /**
   * A message, once for each (id, type). It is acknowledged after this returns. If it throws, the message comes again
   * with the next connection; the third time it counts as handed over. stop interrupts it.
   */
  public void onMessage(Message message) throws Exception {}

  /** The message with this id is to be removed from the screen. Throwing means the same as in onMessage. */
  public void onWithdrawn(String id) throws Exception {}

  /** start was called, and nothing happens before the user agrees. */
  public void onWaitingForConsent() {}

  /** The server gave the device an identity. */
  public void onRegistered(String registrationId) {}

  /** The server accepted the connection. */
  public void onConnected() {}

  /** The connection ended, and not because of stop or end; the SDK connects again by itself. */
  public void onDisconnected(String reason) {}

  /** Another connection with this identity took over. The SDK stays offline until start is called again. */
  public void onTakenOver() {}

  /**
   * The server refused for good what it would refuse again.
   *
   * @param what register, connect, events, profile or token; the last three are not sent again
   * @param code HTTP status or MQTT reason code
   * @param why the server's words, or ""
   */
  public void onRefused(String what, int code, String why) {}

  /** Something went wrong that is worth a line in a log. */
  public void onError(String why) {}
}
