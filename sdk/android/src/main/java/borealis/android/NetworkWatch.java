package borealis.android;

import android.content.Context;
import android.net.ConnectivityManager;
import android.net.Network;
import android.net.NetworkCapabilities;
import android.net.NetworkRequest;
import android.os.Build;

/** Says when there is a network, perhaps another one than before. */
final class NetworkWatch extends ConnectivityManager.NetworkCallback {
  private final ConnectivityManager manager;
  private final Runnable available;
  private boolean watching;

  NetworkWatch(Context context, Runnable available) {
    manager = (ConnectivityManager) context.getSystemService(Context.CONNECTIVITY_SERVICE);
    this.available = available;
  }

  synchronized void begin() {
    if (watching || manager == null) {
      return;
    }
    try {
      if (Build.VERSION.SDK_INT >= 24) {
        begin24();
      } else {
        manager.registerNetworkCallback(new NetworkRequest.Builder().addCapability(NetworkCapabilities.NET_CAPABILITY_INTERNET).build(), this);
      }
      watching = true;
    } catch (RuntimeException notAllowed) {
      // Without the permission, or with too many callbacks in the app, the back-off alone finds the network again.
    }
  }

  @Since(24)
  private void begin24() {
    manager.registerDefaultNetworkCallback(this);
  }

  synchronized void end() {
    if (watching) {
      watching = false;
      manager.unregisterNetworkCallback(this);
    }
  }

  @Override
  public void onAvailable(Network network) {
    available.run();
  }
}
