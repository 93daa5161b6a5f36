package borealis.android;

import android.content.Context;
import borealis.device.Message;

/**
 * What an app does with what it receives. Every method does something sensible unless overridden. Calls come from
 * threads of the SDK, except onClicked and onDismissed, which come from the main thread. The class is named in the
 * manifest (borealis.handler) and needs a constructor without parameters, so that it is there when the system starts the
 * process for a click or after a boot.
 */
public abstract class PushHandler {
  /** A notification came. True: the app shows it itself and says displayed; false: the SDK shows it. */
  public boolean onNotification(Context context, Message notification) throws Exception {
    return false;
  }

  /** The SDK did not show a notification because the app is in front and the push asks for that. */
  public void onForeground(Context context, Message notification) throws Exception {}

  /** A custom message, alone or beside a notification. */
  public void onMessage(Context context, Message message) throws Exception {}

  /** An in-app message. */
  public void onInApp(Context context, Message message) throws Exception {}

  /** A message was withdrawn; the SDK has taken its notification off the screen. */
  public void onWithdrawn(Context context, String id) throws Exception {}

  /**
   * A notification was tapped, or one of its buttons.
   *
   * @param button name of the button; null for the notification itself
   * @return true: the app opens what it wants; false: the SDK opens what the push names, or else the app
   */
  public boolean onClicked(Context context, Message notification, String button) {
    return false;
  }

  /** A notification was swiped away. */
  public void onDismissed(Context context, String id) {}

  /** The server gave the device an identity. */
  public void onRegistered(Context context, String registrationId) {}

  /** start was called, and nothing happens before the user agrees. */
  public void onWaitingForConsent(Context context) {}

  /** The server accepted the connection. */
  public void onConnected(Context context) {}

  /** The connection ended, and not because of stop; the SDK connects again by itself. */
  public void onDisconnected(Context context, String reason) {}

  /** Another connection with this identity took over. The SDK stays offline until start is called again. */
  public void onTakenOver(Context context) {}

  /** The server refused for good; see borealis.device.Listener.onRefused. */
  public void onRefused(Context context, String what, int code, String why) {}

  /** Something went wrong that is worth a line in a log. */
  public void onError(Context context, String why) {}
}
