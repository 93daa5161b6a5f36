package borealis.android;

import android.content.Context;
import java.util.Arrays;

/** Honor Push: HonorPushClient, whose configuration its own build plugin brings. */
final class HonorBridge implements VendorBridge {
  private static final String CLIENT = "com.hihonor.push.sdk.HonorPushClient";
  private static final String CALLBACK = "com.hihonor.push.sdk.HonorPushCallback";

  private final Reflect reflect;
  private final Context context;

  HonorBridge(Reflect reflect, Context context) {
    this.reflect = reflect;
    this.context = context;
  }

  @Override
  public String channel() {
    return "honor";
  }

  @Override
  public String library() {
    return CLIENT;
  }

  @Override
  public void ask(final Answer answer) throws ReflectiveOperationException {
    Object client = reflect.onClass(CLIENT, "getInstance");
    if (!Boolean.TRUE.equals(reflect.on(CLIENT, client, "checkSupportHonorPush", Context.class, context))) {
      answer.failed("this phone does not support it");
      return;
    }
    // false: the token is asked for here, not by the library.
    reflect.on(CLIENT, client, "init", Context.class, context, boolean.class, false);
    Class<?> callback = reflect.find(CALLBACK);
    reflect.on(CLIENT, client, "getPushToken", callback, reflect.listener(callback, new Reflect.Calls() {
      @Override
      public void called(String method, Object[] args) {
        if (method.equals("onSuccess") && args.length > 0) {
          answer.token((String) args[0]);
        } else if (method.equals("onFailure")) {
          answer.failed(Arrays.toString(args));
        }
      }
    }));
  }
}
