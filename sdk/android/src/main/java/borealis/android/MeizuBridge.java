package borealis.android;

import android.content.Context;

/** Flyme Push: PushManager. Its answer to a first registration comes to the app's MzPushMessageReceiver. */
final class MeizuBridge implements VendorBridge {
  private static final String MANAGER = "com.meizu.cloud.pushsdk.PushManager";

  private final Reflect reflect;
  private final Context context;
  private final Settings settings;

  MeizuBridge(Reflect reflect, Context context, Settings settings) {
    this.reflect = reflect;
    this.context = context;
    this.settings = settings;
  }

  @Override
  public String channel() {
    return "meizu";
  }

  @Override
  public String library() {
    return MANAGER;
  }

  @Override
  public void ask(Answer answer) throws ReflectiveOperationException {
    String appId = settings.text("meizu.app_id");
    String appKey = settings.text("meizu.app_key");
    if (appId.isEmpty() || appKey.isEmpty()) {
      answer.failed("the manifest has no meta-data borealis.meizu.app_id and borealis.meizu.app_key");
      return;
    }
    reflect.onClass(MANAGER, "register", Context.class, context, String.class, appId, String.class, appKey);
    answer.token((String) reflect.onClass(MANAGER, "getPushId", Context.class, context));
  }
}
