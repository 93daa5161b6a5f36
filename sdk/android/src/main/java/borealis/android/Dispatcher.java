package borealis.android;

import android.content.Context;
import borealis.device.Listener;
import borealis.device.Message;

/** Shows what is to be shown and tells the app of the rest. */
final class Dispatcher extends Listener {
  private final Context context;
  private final PushHandler handler;
  private final Notifier notifier;
  private final Foreground foreground;

  Dispatcher(Context context, PushHandler handler, Notifier notifier, Foreground foreground) {
    this.context = context;
    this.handler = handler;
    this.notifier = notifier;
    this.foreground = foreground;
  }

  @Override
  public void onMessage(Message message) throws Exception {
    switch (message.type()) {
      case Message.NOTIFICATION:
        notification(message);
        return;
      case Message.IN_APP:
        handler.onInApp(context, message);
        return;
      default:
        handler.onMessage(context, message);
    }
  }

  private void notification(Message message) throws Exception {
    if (message.override() != null) {
      notifier.withdraw(message.override());
    }
    if (!handler.onNotification(context, message)) {
      if (Look.of(message).hiddenInForeground() && foreground.isInFront()) {
        handler.onForeground(context, message);
      } else {
        notifier.show(message, message.silent());
      }
    }
    if (message.custom() != null) {
      handler.onMessage(context, message);
    }
  }

  @Override
  public void onWithdrawn(String id) throws Exception {
    notifier.withdraw(id);
    handler.onWithdrawn(context, id);
  }

  @Override
  public void onWaitingForConsent() {
    handler.onWaitingForConsent(context);
  }

  @Override
  public void onRegistered(String registrationId) {
    handler.onRegistered(context, registrationId);
  }

  @Override
  public void onConnected() {
    handler.onConnected(context);
  }

  @Override
  public void onDisconnected(String reason) {
    handler.onDisconnected(context, reason);
  }

  @Override
  public void onTakenOver() {
    handler.onTakenOver(context);
  }

  @Override
  public void onRefused(String what, int code, String why) {
    handler.onRefused(context, what, code, why);
  }

  @Override
  public void onError(String why) {
    handler.onError(context, why);
  }
}
