package borealis.android;

import android.content.Context;

/** Huawei Push Kit: HmsInstanceId.getToken, which answers at once, or with "" and later in the app's HmsMessageService. */
final class HuaweiBridge implements VendorBridge {
  private static final String INSTANCE = "com.huawei.hms.aaid.HmsInstanceId";
  private static final String CONFIG = "com.huawei.agconnect.config.AGConnectServicesConfig";

  private final Reflect reflect;
  private final Context context;
  private final Settings settings;

  HuaweiBridge(Reflect reflect, Context context, Settings settings) {
    this.reflect = reflect;
    this.context = context;
    this.settings = settings;
  }

  @Override
  public String channel() {
    return "huawei";
  }

  @Override
  public String library() {
    return INSTANCE;
  }

  @Override
  public void ask(Answer answer) throws ReflectiveOperationException {
    String appId = settings.text("huawei.app_id");
    if (appId.isEmpty() && reflect.has(CONFIG)) {
      // What Huawei's build plugin read from agconnect-services.json.
      Object config = reflect.onClass(CONFIG, "fromContext", Context.class, context);
      appId = (String) reflect.on(CONFIG, config, "getString", String.class, "client/app_id");
    }
    if (appId == null || appId.isEmpty()) {
      answer.failed("the manifest has no meta-data borealis.huawei.app_id");
      return;
    }
    Object instance = reflect.onClass(INSTANCE, "getInstance", Context.class, context);
    answer.token((String) reflect.on(INSTANCE, instance, "getToken", String.class, appId, String.class, "HCM"));
  }
}
