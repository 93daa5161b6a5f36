package borealis.android;

import android.app.Application;
import android.content.Context;
import android.content.SharedPreferences;
import android.content.pm.PackageInfo;
import android.content.pm.PackageManager;
import android.os.Build;
import borealis.device.Client;
import borealis.device.FileStorage;
import borealis.device.Message;
import borealis.device.Options;
import java.io.File;
import java.util.Collection;
import java.util.Locale;
import java.util.TimeZone;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.ThreadFactory;

/**
 * Push for an Android app. Call of in Application.onCreate, so that the SDK sees every activity; then consent when the
 * user has agreed, and start. What the client can do beyond that (tags, alias, …) is at client().
 *
 * <p>The methods write small files; those that wait for the network say so and do not belong into the main thread.
 */
public final class Push {
  private static final String STARTED = "started";
  private static final String NOTIFICATIONS = "notifications";
  private static final String ZONE = "zone";

  // There is one for each process, because the system makes receivers and activities by itself.
  private static Push instance;

  private final Context context;
  private final boolean main;
  private final PushHandler handler;
  private final SharedPreferences kept;
  private final Badge badge;
  private final Notifier notifier;
  private final Client client;
  private final VendorTokens tokens;
  private final NetworkWatch network;
  private final ExecutorService worker = Executors.newSingleThreadExecutor(new ThreadFactory() {
    @Override
    public Thread newThread(Runnable work) {
      Thread thread = new Thread(work, "borealis-work");
      thread.setDaemon(true);
      return thread;
    }
  });

  /** The process's, made at the first call from what the manifest says. */
  public static synchronized Push of(Context context) {
    if (instance == null) {
      Context app = context.getApplicationContext();
      Settings settings = Settings.of(app);
      Options options = new Options(settings.required("server"), settings.required("app_key"),
          new FileStorage(new File(app.getNoBackupFilesDir(), "borealis")));
      instance = new Push(app, settings, options, handler(settings.text("handler")));
    }
    return instance;
  }

  /** Makes the process's with other options than the manifest's; for apps that know their server later. Before of. */
  public static synchronized Push configure(Context context, Options options, PushHandler handler) {
    if (instance != null) {
      throw new IllegalStateException("there is one already");
    }
    Context app = context.getApplicationContext();
    instance = new Push(app, Settings.of(app), options, handler);
    return instance;
  }

  /** The next call of makes another; for tests. */
  static synchronized void forget() {
    instance = null;
  }

  Push(Context context, Settings settings, Options options, PushHandler handler) {
    this.context = context;
    main = Processes.isMain(context);
    this.handler = handler;
    kept = context.getSharedPreferences("borealis", Context.MODE_PRIVATE);
    badge = new Badge(context, kept);
    notifier = new Notifier(context, settings, badge, new Notifier.Shown() {
      @Override
      public void shown(String id) {
        client.displayed(id);
      }
    });
    Foreground foreground = new Foreground(new Runnable() {
      @Override
      public void run() {
        cameToFront();
      }
    });
    if (context instanceof Application) {
      ((Application) context).registerActivityLifecycleCallbacks(foreground);
    }
    network = new NetworkWatch(context, new Runnable() {
      @Override
      public void run() {
        client.networkAvailable();
      }
    });
    client = new Client(describe(context, options).listener(new Dispatcher(context, handler, notifier, foreground)));
    tokens = new VendorTokens(context, settings, Push.class.getClassLoader(), new VendorTokens.Sink() {
      @Override
      public void token(String channel, String token) {
        client.putToken(channel, token, null);
      }

      @Override
      public void failed(String channel, String why) {
        Push.this.handler.onError(Push.this.context, channel + ": " + why);
      }
    });
  }

  private static PushHandler handler(String name) {
    if (name.isEmpty()) {
      return new PushHandler() {};
    }
    try {
      return (PushHandler) Class.forName(name).getDeclaredConstructor().newInstance();
    } catch (ReflectiveOperationException | ClassCastException e) {
      throw new IllegalStateException("borealis.handler in the manifest must name a PushHandler with a constructor without parameters", e);
    }
  }

  @SuppressWarnings("deprecation") // getPackageInfo in the form that every version has
  private static Options describe(Context context, Options options) {
    Locale locale = context.getResources().getConfiguration().locale;
    try {
      PackageInfo app = context.getPackageManager().getPackageInfo(context.getPackageName(), 0);
      options.device("app_version", app.versionName);
    } catch (PackageManager.NameNotFoundException impossible) {
      throw new IllegalStateException(impossible);
    }
    return options.platform("android").packageName(context.getPackageName())
        .device("model", Build.MANUFACTURER + " " + Build.MODEL).device("os_version", Build.VERSION.RELEASE)
        .device("sdk_version", "android-" + Client.VERSION).device("locale", locale == null ? "" : locale.toLanguageTag());
  }

  /** The device itself: tags, alias, attributes, tokens, silence hours and so on. */
  public Client client() {
    return client;
  }

  /** The user agrees; see Client.consent. No library of a phone maker is called before either. */
  public void consent(String version, Collection<String> purposes) {
    client.consent(version, purposes);
    if (isStarted()) {
      collect();
    }
  }

  /**
   * Connects when there is consent, and stays connected as long as the process lives; again after a boot. In other
   * processes of the app than the main one it does nothing.
   */
  public void start() {
    kept.edit().putBoolean(STARTED, true).apply();
    resume();
  }

  /** Disconnects and stays offline, also after a boot. Waits for the end of the connection. */
  public void stop() {
    kept.edit().putBoolean(STARTED, false).apply();
    network.end();
    client.stop();
  }

  /** Asks the libraries of phone makers for their tokens again; start does so, too. */
  public void collectTokens() {
    if (client.hasConsent()) {
      collect();
    }
  }

  /** Sets the number on the app's icon, e.g. 0 when everything was read. */
  public void setBadge(int count) {
    badge.set(Math.max(0, Math.min(99, count)), "");
  }

  /** What was started and not stopped goes on. */
  void resume() {
    if (!isStarted() || !main) {
      return;
    }
    client.start();
    network.begin();
    tellSettings();
    if (client.hasConsent()) {
      collect();
    }
  }

  private boolean isStarted() {
    return kept.getBoolean(STARTED, false);
  }

  private void cameToFront() {
    if (isStarted() && main) {
      client.networkAvailable();
      tellSettings();
    }
  }

  void timezoneChanged() {
    tellSettings();
  }

  /** Tells the server what the user has changed in the phone's settings since it was last told. */
  private synchronized void tellSettings() {
    boolean allowed = notifier.allowed();
    if (!kept.contains(NOTIFICATIONS) || kept.getBoolean(NOTIFICATIONS, true) != allowed) {
      client.setNotificationsEnabled(allowed);
      kept.edit().putBoolean(NOTIFICATIONS, allowed).apply();
    }
    String zone = TimeZone.getDefault().getID();
    String before = kept.getString(ZONE, null);
    if (before != null && !before.equals(zone)) {
      client.setTimezone(zone);
    }
    if (!zone.equals(before)) {
      kept.edit().putString(ZONE, zone).apply();
    }
  }

  private void collect() {
    tokens.collect(worker);
  }

  void background(Runnable work) {
    worker.execute(work);
  }

  /** Shows what had to wait for its time; the silence hours of now count. */
  void show(Message message) {
    notifier.show(message, client.isSilent());
  }

  /** True: the app opens what it wants. */
  boolean clicked(Message message, String button) {
    client.clicked(message.id());
    return handler.onClicked(context, message, button);
  }

  void dismissed(String id) {
    client.dismissed(id);
    handler.onDismissed(context, id);
  }
}
