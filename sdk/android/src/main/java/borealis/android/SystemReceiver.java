package borealis.android;

import android.content.BroadcastReceiver;
import android.content.Context;
import android.content.Intent;

/** Told by the system that the phone has started, the app was replaced by a newer one, or the time zone is another. */
public final class SystemReceiver extends BroadcastReceiver {
  @Override
  public void onReceive(Context context, Intent intent) {
    String action = intent.getAction();
    if (Intent.ACTION_TIMEZONE_CHANGED.equals(action)) {
      Push.of(context).timezoneChanged();
    } else if (Intent.ACTION_BOOT_COMPLETED.equals(action) || Intent.ACTION_MY_PACKAGE_REPLACED.equals(action)) {
      Push.of(context).resume();
    }
  }
}
