package borealis.android;

import android.content.Context;
import android.os.Build;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.concurrent.Executor;

/**
 * Asks the push library of the phone's maker for the device's token, if the app contains it, and Firebase beside it. The
 * SDK does not depend on any of these libraries: it looks for their classes.
 */
final class VendorTokens {
  /** Takes what the libraries say; from any thread. */
  interface Sink {
    void token(String channel, String token);

    void failed(String channel, String why);
  }

  private final Context context;
  private final Settings settings;
  private final Reflect reflect;
  private final Sink sink;

  VendorTokens(Context context, Settings settings, ClassLoader loader, Sink sink) {
    this.context = context;
    this.settings = settings;
    this.reflect = new Reflect(loader);
    this.sink = sink;
  }

  /** Asks; answers come to the sink. */
  void collect(Executor worker) {
    for (final VendorBridge bridge : bridges()) {
      worker.execute(new Runnable() {
        @Override
        public void run() {
          ask(bridge);
        }
      });
    }
  }

  /** The bridges for this phone whose libraries are there. */
  List<VendorBridge> bridges() {
    List<VendorBridge> out = new ArrayList<>();
    for (VendorBridge bridge : new VendorBridge[] {makers(), new FirebaseBridge(reflect)}) {
      if (bridge != null && reflect.has(bridge.library())) {
        out.add(bridge);
      }
    }
    return out;
  }

  private VendorBridge makers() {
    switch (Build.MANUFACTURER.toLowerCase(Locale.ROOT)) {
      case "huawei":
        return new HuaweiBridge(reflect, context, settings);
      case "honor":
        // Old ones were Huawei's, and have Huawei's services.
        VendorBridge honor = new HonorBridge(reflect, context);
        return reflect.has(honor.library()) ? honor : new HuaweiBridge(reflect, context, settings);
      case "xiaomi":
      case "redmi":
      case "blackshark":
        return new XiaomiBridge(reflect, context, settings);
      case "oppo":
      case "realme":
      case "oneplus":
        return new OppoBridge(reflect, context, settings);
      case "vivo":
        return new VivoBridge(reflect, context);
      case "meizu":
        return new MeizuBridge(reflect, context, settings);
      default:
        return null;
    }
  }

  private void ask(final VendorBridge bridge) {
    VendorBridge.Answer answer = new VendorBridge.Answer() {
      @Override
      public void token(String token) {
        if (token != null && !token.isEmpty()) {
          sink.token(bridge.channel(), token);
        }
      }

      @Override
      public void failed(String why) {
        sink.failed(bridge.channel(), why);
      }
    };
    try {
      bridge.ask(answer);
    } catch (ReflectiveOperationException | RuntimeException | LinkageError e) {
      // A library of another version than those known here must not take the app down.
      answer.failed(Reflect.why(e));
    }
  }
}
