package borealis.android;

import android.app.Activity;
import android.app.NotificationManager;
import android.content.Context;
import android.content.Intent;
import android.os.Bundle;
import borealis.device.Message;

/** Opened by a tap on a notification: reports it and opens what the push names. It shows nothing itself. */
public final class ClickActivity extends Activity {
  @Override
  protected void onCreate(Bundle state) {
    super.onCreate(state);
    Message message = Intents.message(getIntent());
    // After a rotation or a return from the list of recent apps it is no tap.
    if (message != null && state == null) {
      Look.Button button = Intents.button(getIntent(), message);
      if (button != null) {
        // The system removes the notification when it is tapped, not when its button is.
        ((NotificationManager) getSystemService(Context.NOTIFICATION_SERVICE)).cancel(message.id(), Notifier.ID);
      }
      if (!Push.of(this).clicked(message, button == null ? null : button.name)) {
        open(Intents.target(this, message, button));
      }
    }
    finish();
  }

  private void open(Intent target) {
    if (target == null) {
      return;
    }
    try {
      startActivity(target);
    } catch (RuntimeException notFoundOrNotAllowed) {
      Intent home = Intents.home(this);
      if (home != null) {
        startActivity(home.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK));
      }
    }
  }
}
