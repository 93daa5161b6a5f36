package borealis.android;

import android.content.Context;

/**
 * Mi Push: MiPushClient. Its answer to a first registration comes to the app's PushMessageReceiver; from then on
 * getRegId has it.
 */
final class XiaomiBridge implements VendorBridge {
  private static final String CLIENT = "com.xiaomi.mipush.sdk.MiPushClient";

  private final Reflect reflect;
  private final Context context;
  private final Settings settings;

  XiaomiBridge(Reflect reflect, Context context, Settings settings) {
    this.reflect = reflect;
    this.context = context;
    this.settings = settings;
  }

  @Override
  public String channel() {
    return "xiaomi";
  }

  @Override
  public String library() {
    return CLIENT;
  }

  @Override
  public void ask(Answer answer) throws ReflectiveOperationException {
    String appId = settings.text("xiaomi.app_id");
    String appKey = settings.text("xiaomi.app_key");
    if (appId.isEmpty() || appKey.isEmpty()) {
      answer.failed("the manifest has no meta-data borealis.xiaomi.app_id and borealis.xiaomi.app_key");
      return;
    }
    reflect.onClass(CLIENT, "registerPush", Context.class, context, String.class, appId, String.class, appKey);
    answer.token((String) reflect.onClass(CLIENT, "getRegId", Context.class, context));
  }
}
