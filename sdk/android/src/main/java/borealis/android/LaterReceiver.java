package borealis.android;

import android.content.BroadcastReceiver;
import android.content.Context;
import android.content.Intent;
import borealis.device.Message;

/** Told by an alarm that a notification's time has come. */
public final class LaterReceiver extends BroadcastReceiver {
  @Override
  public void onReceive(Context context, Intent intent) {
    final Message message = Intents.message(intent);
    if (message == null) {
      return;
    }
    final Push push = Push.of(context);
    final PendingResult result = goAsync();
    // Pictures are fetched, which the main thread must not do.
    push.background(new Runnable() {
      @Override
      public void run() {
        try {
          push.show(message);
        } finally {
          if (result != null) {
            result.finish();
          }
        }
      }
    });
  }
}
