package borealis.android;

import android.content.ComponentName;
import android.content.Context;
import android.content.Intent;
import android.content.SharedPreferences;
import android.net.Uri;
import android.os.Build;
import android.os.Bundle;
import java.util.Locale;

/** The number on the app's icon. Launchers that have their own way to it are told; others read it off the notification. */
final class Badge {
  private static final String KEY = "badge";
  private static final int MAX = 99;

  private final Context context;
  private final SharedPreferences kept;

  Badge(Context context, SharedPreferences kept) {
    this.context = context;
    this.kept = kept;
  }

  int count() {
    return kept.getInt(KEY, 0);
  }

  /** What a push makes of the number; -1 if it leaves it. */
  synchronized int apply(Look look) {
    long set = look.number("badge_set_num", -1);
    long add = look.number("badge_add_num", 0);
    if (set < 0 && add <= 0) {
      return -1;
    }
    int count = (int) Math.min(MAX, set >= 0 ? set : count() + add);
    set(count, look.text("badge_class"));
    return count;
  }

  /** Shows this number; 0 removes it. activity: the launcher's, or "" for the app's usual one. */
  synchronized void set(int count, String activity) {
    kept.edit().putInt(KEY, count).apply();
    try {
      tell(count, activity);
    } catch (RuntimeException launcherHasNone) {
      // A launcher without badges is no error.
    }
  }

  private void tell(int count, String activity) {
    String name = activity.isEmpty() ? launcherActivity() : activity;
    String maker = Build.MANUFACTURER.toLowerCase(Locale.ROOT);
    if (maker.equals("huawei") || maker.equals("honor")) {
      Bundle extra = new Bundle();
      extra.putString("package", context.getPackageName());
      extra.putString("class", name);
      extra.putInt("badgenumber", count);
      String launcher = maker.equals("honor") ? "com.hihonor.android.launcher" : "com.huawei.android.launcher";
      context.getContentResolver().call(Uri.parse("content://" + launcher + ".settings/badge/"), "change_badge", null, extra);
    } else if (maker.equals("vivo")) {
      context.sendBroadcast(new Intent("launcher.action.CHANGE_APPLICATION_NOTIFICATION_NUM")
          .putExtra("packageName", context.getPackageName()).putExtra("className", name).putExtra("notificationNum", count));
    } else if (maker.equals("samsung")) {
      context.sendBroadcast(new Intent("android.intent.action.BADGE_COUNT_UPDATE")
          .putExtra("badge_count_package_name", context.getPackageName()).putExtra("badge_count_class_name", name).putExtra("badge_count", count));
    }
  }

  private String launcherActivity() {
    Intent launch = context.getPackageManager().getLaunchIntentForPackage(context.getPackageName());
    ComponentName component = launch == null ? null : launch.getComponent();
    return component == null ? "" : component.getClassName();
  }
}
