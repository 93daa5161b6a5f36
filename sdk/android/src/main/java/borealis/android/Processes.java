package borealis.android;

import android.app.ActivityManager;
import android.app.Application;
import android.content.Context;
import android.os.Build;
import android.os.Process;
import java.util.List;

/** An app may have several processes: makers' libraries like to run in one of their own, where the Application is made, too. */
final class Processes {
  private Processes() {}

  /** Whether this is the app's main process, the only one that may be the device. What cannot be told is. */
  static boolean isMain(Context context) {
    String name = Build.VERSION.SDK_INT >= 28 ? name28() : name(context);
    return name == null || name.equals(context.getApplicationInfo().processName);
  }

  @Since(28)
  private static String name28() {
    return Application.getProcessName();
  }

  private static String name(Context context) {
    ActivityManager manager = (ActivityManager) context.getSystemService(Context.ACTIVITY_SERVICE);
    List<ActivityManager.RunningAppProcessInfo> all = manager == null ? null : manager.getRunningAppProcesses();
    if (all != null) {
      for (ActivityManager.RunningAppProcessInfo one : all) {
        if (one.pid == Process.myPid()) {
          return one.processName;
        }
      }
    }
    return null;
  }
}
