package borealis.android;

import android.content.Context;

/** OPPO Push, also on realme and OnePlus: HeytapPushManager. */
final class OppoBridge implements VendorBridge {
  private static final String MANAGER = "com.heytap.msp.push.HeytapPushManager";
  private static final String CALLBACK = "com.heytap.msp.push.callback.ICallBackResultService";

  private final Reflect reflect;
  private final Context context;
  private final Settings settings;

  OppoBridge(Reflect reflect, Context context, Settings settings) {
    this.reflect = reflect;
    this.context = context;
    this.settings = settings;
  }

  @Override
  public String channel() {
    return "oppo";
  }

  @Override
  public String library() {
    return MANAGER;
  }

  @Override
  public void ask(final Answer answer) throws ReflectiveOperationException {
    String appKey = settings.text("oppo.app_key");
    String appSecret = settings.text("oppo.app_secret");
    if (appKey.isEmpty() || appSecret.isEmpty()) {
      answer.failed("the manifest has no meta-data borealis.oppo.app_key and borealis.oppo.app_secret");
      return;
    }
    reflect.onClass(MANAGER, "init", Context.class, context, boolean.class, false);
    if (reflect.hasMethod(MANAGER, "isSupportPush", Context.class)
        && !Boolean.TRUE.equals(reflect.onClass(MANAGER, "isSupportPush", Context.class, context))) {
      answer.failed("this phone does not support it");
      return;
    }
    Class<?> callback = reflect.find(CALLBACK);
    Object listener = reflect.listener(callback, new Reflect.Calls() {
      @Override
      public void called(String method, Object[] args) {
        // Versions differ in what follows code and id.
        if (method.equals("onRegister") && args.length > 1) {
          if (Integer.valueOf(0).equals(args[0])) {
            answer.token((String) args[1]);
          } else {
            answer.failed("onRegister " + args[0]);
          }
        }
      }
    });
    reflect.onClass(MANAGER, "register", Context.class, context, String.class, appKey, String.class, appSecret, callback, listener);
  }
}
