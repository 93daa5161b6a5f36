package borealis.device;

/** A listener whose mistakes do not end the threads of the SDK. Only what handles messages may fail, which means something. */
final class Guarded extends Listener {
  private final Listener to;

  Guarded(Listener to) {
    this.to = to;
  }

  @Override
  public void onMessage(Message message) throws Exception {
    to.onMessage(message);
  }

  @Override
  public void onWithdrawn(String id) throws Exception {
    to.onWithdrawn(id);
  }

  @Override
  public void onWaitingForConsent() {
    try {
      to.onWaitingForConsent();
    } catch (RuntimeException e) {
      onError("listener: " + e);
    }
  }

  @Override
  public void onRegistered(String registrationId) {
    try {
      to.onRegistered(registrationId);
    } catch (RuntimeException e) {
      onError("listener: " + e);
    }
  }

  @Override
  public void onConnected() {
    try {
      to.onConnected();
    } catch (RuntimeException e) {
      onError("listener: " + e);
    }
  }

  @Override
  public void onDisconnected(String reason) {
    try {
      to.onDisconnected(reason);
    } catch (RuntimeException e) {
      onError("listener: " + e);
    }
  }

  @Override
  public void onTakenOver() {
    try {
      to.onTakenOver();
    } catch (RuntimeException e) {
      onError("listener: " + e);
    }
  }

  @Override
  public void onRefused(String what, int code, String why) {
    try {
      to.onRefused(what, code, why);
    } catch (RuntimeException e) {
      onError("listener: " + e);
    }
  }

  @Override
  public void onError(String why) {
    try {
      to.onError(why);
    } catch (RuntimeException e) {
      // There is nobody left to tell.
    }
  }
}
