package borealis.android;

/** Firebase Cloud Messaging: FirebaseMessaging.getToken, whose Task calls back. */
final class FirebaseBridge implements VendorBridge {
  private static final String MESSAGING = "com.google.firebase.messaging.FirebaseMessaging";
  private static final String TASK = "com.google.android.gms.tasks.Task";
  private static final String LISTENER = "com.google.android.gms.tasks.OnCompleteListener";

  private final Reflect reflect;

  FirebaseBridge(Reflect reflect) {
    this.reflect = reflect;
  }

  @Override
  public String channel() {
    return "fcm";
  }

  @Override
  public String library() {
    return MESSAGING;
  }

  @Override
  public void ask(final Answer answer) throws ReflectiveOperationException {
    Object messaging = reflect.onClass(MESSAGING, "getInstance");
    Object task = reflect.on(MESSAGING, messaging, "getToken");
    Class<?> listener = reflect.find(LISTENER);
    reflect.on(TASK, task, "addOnCompleteListener", listener, reflect.listener(listener, new Reflect.Calls() {
      @Override
      public void called(String method, Object[] args) throws ReflectiveOperationException {
        if (!method.equals("onComplete") || args.length == 0) {
          return;
        }
        if (Boolean.TRUE.equals(reflect.on(TASK, args[0], "isSuccessful"))) {
          answer.token((String) reflect.on(TASK, args[0], "getResult"));
        } else {
          answer.failed(String.valueOf(reflect.on(TASK, args[0], "getException")));
        }
      }
    }));
  }
}
