package borealis.android;

import android.content.Context;

/** vivo Push: PushClient, in its older form (getRegId answers) and its newer one (getRegId calls back). */
final class VivoBridge implements VendorBridge {
  private static final String CLIENT = "com.vivo.push.PushClient";
  private static final String ACTION = "com.vivo.push.IPushActionListener";
  private static final String QUERY = "com.vivo.push.listener.IPushQueryActionListener";
  private static final String CONFIG = "com.vivo.push.PushConfig";
  private static final String BUILDER = "com.vivo.push.PushConfig$Builder";

  private final Reflect reflect;
  private final Context context;

  VivoBridge(Reflect reflect, Context context) {
    this.reflect = reflect;
    this.context = context;
  }

  @Override
  public String channel() {
    return "vivo";
  }

  @Override
  public String library() {
    return CLIENT;
  }

  @Override
  public void ask(final Answer answer) throws ReflectiveOperationException {
    final Object client = reflect.onClass(CLIENT, "getInstance", Context.class, context);
    if (!Boolean.TRUE.equals(reflect.on(CLIENT, client, "isSupport"))) {
      answer.failed("this phone does not support it");
      return;
    }
    initialize(client);
    Class<?> action = reflect.find(ACTION);
    reflect.on(CLIENT, client, "turnOnPush", action, reflect.listener(action, new Reflect.Calls() {
      @Override
      public void called(String method, Object[] args) throws ReflectiveOperationException {
        if (!method.equals("onStateChanged") || args.length == 0) {
          return;
        }
        // 1, as far as is known: it was on already. Asking does no harm.
        if (Integer.valueOf(0).equals(args[0]) || Integer.valueOf(1).equals(args[0])) {
          query(client, answer);
        } else {
          answer.failed("turnOnPush " + args[0]);
        }
      }
    }));
  }

  private void initialize(Object client) throws ReflectiveOperationException {
    if (!reflect.has(BUILDER)) {
      reflect.on(CLIENT, client, "initialize");
      return;
    }
    Object builder = reflect.find(BUILDER).getConstructor().newInstance();
    // The user has agreed before any of this is called.
    builder = reflect.on(BUILDER, builder, "agreePrivacyStatement", boolean.class, true);
    reflect.on(CLIENT, client, "initialize", reflect.find(CONFIG), reflect.on(BUILDER, builder, "build"));
  }

  private void query(Object client, final Answer answer) throws ReflectiveOperationException {
    if (!reflect.has(QUERY)) {
      answer.token((String) reflect.on(CLIENT, client, "getRegId"));
      return;
    }
    Class<?> query = reflect.find(QUERY);
    reflect.on(CLIENT, client, "getRegId", query, reflect.listener(query, new Reflect.Calls() {
      @Override
      public void called(String method, Object[] args) {
        if (method.equals("onSuccess") && args.length > 0) {
          answer.token((String) args[0]);
        } else if (method.equals("onFail")) {
          answer.failed("getRegId " + (args.length > 0 ? args[0] : ""));
        }
      }
    }));
  }
}
