package borealis.android;

import android.content.BroadcastReceiver;
import android.content.Context;
import android.content.Intent;

/** Told by the system that a notification was swiped away. */
public final class DismissReceiver extends BroadcastReceiver {
  @Override
  public void onReceive(Context context, Intent intent) {
    String id = intent.getStringExtra(Intents.MESSAGE_ID);
    if (id != null) {
      Push.of(context).dismissed(id);
    }
  }
}
