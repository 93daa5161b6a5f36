package borealis.android;

import android.app.Activity;
import android.app.Application;
import android.os.Bundle;

/** Knows whether the app is in front, by counting its visible activities. */
final class Foreground implements Application.ActivityLifecycleCallbacks {
  private final Runnable came;
  private int visible;

  /** came runs in the main thread whenever the app comes to the front. */
  Foreground(Runnable came) {
    this.came = came;
  }

  synchronized boolean isInFront() {
    return visible > 0;
  }

  @Override
  public void onActivityStarted(Activity activity) {
    boolean first;
    synchronized (this) {
      first = visible++ == 0;
    }
    // The trampoline of a click comes and goes.
    if (first && !(activity instanceof ClickActivity)) {
      came.run();
    }
  }

  @Override
  public synchronized void onActivityStopped(Activity activity) {
    visible = Math.max(0, visible - 1);
  }

  @Override
  public void onActivityCreated(Activity activity, Bundle state) {}

  @Override
  public void onActivityResumed(Activity activity) {}

  @Override
  public void onActivityPaused(Activity activity) {}

  @Override
  public void onActivitySaveInstanceState(Activity activity, Bundle state) {}

  @Override
  public void onActivityDestroyed(Activity activity) {}
}
