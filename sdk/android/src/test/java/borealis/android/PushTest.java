package borealis.android;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertSame;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.Activity;
import android.app.Application;
import android.app.NotificationManager;
import android.content.Context;
import android.content.Intent;
import android.content.pm.ActivityInfo;
import android.content.pm.ApplicationInfo;
import android.net.ConnectivityManager;
import android.os.Build;
import android.os.Bundle;
import borealis.device.FileStorage;
import borealis.device.Message;
import java.io.File;
import java.io.IOException;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.TimeZone;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.Robolectric;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.android.controller.ActivityController;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowBuild;

@RunWith(RobolectricTestRunner.class)
@Config(sdk = {23, 34})
public class PushTest {
  private static final List<String> heard = Collections.synchronizedList(new ArrayList<>());
  private static boolean own;

  /** The app. */
  public static final class Handler extends PushHandler {
    @Override
    public boolean onNotification(Context context, Message notification) {
      heard.add("notification " + notification.id());
      return own;
    }

    @Override
    public void onForeground(Context context, Message notification) {
      heard.add("foreground " + notification.id());
    }

    @Override
    public void onMessage(Context context, Message message) {
      heard.add("message " + message.id());
    }

    @Override
    public void onInApp(Context context, Message message) {
      heard.add("inapp " + message.id());
    }

    @Override
    public void onWithdrawn(Context context, String id) {
      heard.add("withdrawn " + id);
    }

    @Override
    public boolean onClicked(Context context, Message notification, String button) {
      heard.add("clicked " + notification.id() + " " + button);
      return own;
    }

    @Override
    public void onDismissed(Context context, String id) {
      heard.add("dismissed " + id);
    }
  }

  private final Application context = RuntimeEnvironment.getApplication();
  private final NotificationManager manager = (NotificationManager) context.getSystemService(Context.NOTIFICATION_SERVICE);
  private final File folder = new File(context.getNoBackupFilesDir(), "borealis");
  private TimeZone zone;

  @Before
  public void manifest() {
    zone = TimeZone.getDefault();
    ApplicationInfo info = shadowOf(context.getPackageManager()).getInternalMutablePackageInfo(context.getPackageName()).applicationInfo;
    info.metaData = new Bundle();
    info.metaData.putString("borealis.server", "http://127.0.0.1:9");
    info.metaData.putString("borealis.app_key", "key");
    info.metaData.putString("borealis.handler", Handler.class.getName());
    for (Class<?> c : new Class<?>[] {ClickActivity.class, Front.class}) {
      ActivityInfo activity = new ActivityInfo();
      activity.name = c.getName();
      activity.packageName = context.getPackageName();
      activity.theme = c == ClickActivity.class ? android.R.style.Theme_NoDisplay : android.R.style.Theme_Light;
      shadowOf(context.getPackageManager()).addOrUpdateActivity(activity);
    }
    heard.clear();
    own = false;
    Maker.reset();
    ShadowBuild.setManufacturer("Xiaomi");
    Push.forget();
  }

  @After
  public void stop() {
    Push.of(context).stop();
    Push.forget();
    TimeZone.setDefault(zone);
  }

  /** An activity of the app. */
  public static final class Front extends Activity {}

  private String kept(String name) throws IOException {
    String text = new FileStorage(folder).read(name);
    return text == null ? "" : text;
  }

  private static Message notification(String id, String more) {
    return Message.parse(("{'id':'" + id + "','type':'notification','alert':'Text'" + more + "}").replace('\'', '"'));
  }

  private Dispatcher dispatcher(Foreground foreground) {
    Badge badge = new Badge(context, context.getSharedPreferences("borealis", 0));
    return new Dispatcher(context, new Handler(), new Notifier(context, new Settings(null), badge, id -> heard.add("shown " + id)), foreground);
  }

  @Test
  public void thereIsOneMadeFromTheManifest() {
    Push push = Push.of(context);
    assertSame(push, Push.of(new android.content.ContextWrapper(context)));
    assertThrows(IllegalStateException.class, () -> Push.configure(context, null, null));
    Push.forget();
    shadowOf(context.getPackageManager()).getInternalMutablePackageInfo(context.getPackageName()).applicationInfo.metaData.remove("borealis.server");
    assertTrue(assertThrows(IllegalStateException.class, () -> Push.of(context)).getMessage().contains("borealis.server"));
    manifest();
    shadowOf(context.getPackageManager()).getInternalMutablePackageInfo(context.getPackageName()).applicationInfo.metaData.putString("borealis.handler", "no.Such");
    assertThrows(IllegalStateException.class, () -> Push.of(context));
    manifest();
  }

  @Test
  public void beforeConsentNoMakerIsAskedAndNoIdentifierMade() throws IOException {
    Maker.token = "tok";
    Push push = Push.of(context);
    push.start();
    push.collectTokens();
    assertEquals(List.of(), Maker.calls);
    assertFalse(kept("identity").contains("install_id"));
    push.consent("1", List.of("push"));
    until(() -> kept("tokens").contains("\"channel\":\"fcm\",\"token\":\"tok\""));
  }

  @Test
  public void whoWasStartedIsStartedByTheSystem() {
    Push.of(context).resume();
    assertFalse("never started", running());
    new SystemReceiver().onReceive(context, new Intent(Intent.ACTION_BOOT_COMPLETED));
    assertFalse(running());
    Push.of(context).start();
    assertTrue(running());
    Push.of(context).client().stop(); // as if the process had died
    Push.forget();
    new SystemReceiver().onReceive(context, new Intent(Intent.ACTION_MY_PACKAGE_REPLACED));
    assertTrue(running());
    Push.of(context).stop();
    Push.forget();
    new SystemReceiver().onReceive(context, new Intent(Intent.ACTION_BOOT_COMPLETED));
    assertFalse("stopped stays stopped", running());
  }

  @Test
  public void onlyTheMainProcessConnects() {
    ApplicationInfo info = context.getApplicationInfo();
    String before = info.processName;
    info.processName = "another";
    try {
      Push.of(context).start();
      assertFalse(running());
    } finally {
      info.processName = before;
    }
  }

  private static boolean running() {
    for (Thread t : Thread.getAllStackTraces().keySet()) {
      if (t.getName().equals("borealis-device")) {
        return true;
      }
    }
    return false;
  }

  @Test
  public void theNetworkIsWatchedWhileStarted() {
    ConnectivityManager networks = (ConnectivityManager) context.getSystemService(Context.CONNECTIVITY_SERVICE);
    Push.of(context).start();
    Push.of(context).start();
    assertEquals(1, shadowOf(networks).getNetworkCallbacks().size());
    shadowOf(networks).getNetworkCallbacks().iterator().next().onAvailable(null);
    Push.of(context).stop();
    Push.of(context).stop();
    assertEquals(0, shadowOf(networks).getNetworkCallbacks().size());
  }

  @Test
  public void whatTheUserChangesInTheSettingsIsSaid() throws IOException {
    Push push = Push.of(context);
    push.start();
    assertTrue(kept("profile"), kept("profile").contains("\"notifications_enabled\":true"));
    assertFalse("the registration says it", kept("profile").contains("timezone"));
    if (Build.VERSION.SDK_INT >= 24) {
      shadowOf(manager).setNotificationsEnabled(false);
    }
    ActivityController<Front> activity = Robolectric.buildActivity(Front.class).create().start();
    assertEquals(Build.VERSION.SDK_INT >= 24, kept("profile").contains("\"notifications_enabled\":false"));
    activity.stop();
    TimeZone.setDefault(TimeZone.getTimeZone("Asia/Urumqi"));
    new SystemReceiver().onReceive(context, new Intent(Intent.ACTION_TIMEZONE_CHANGED));
    assertTrue(kept("profile").contains("\"timezone\":\"Asia/Urumqi\""));
  }

  @Test
  public void whatCameGoesWhereItBelongs() throws Exception {
    Dispatcher d = dispatcher(new Foreground(() -> {}));
    d.onMessage(notification("1", ""));
    d.onMessage(Message.parse("{\"id\":\"2\",\"type\":\"message\",\"message\":{\"content\":\"c\"}}"));
    d.onMessage(Message.parse("{\"id\":\"3\",\"type\":\"inapp\",\"inapp\":{}}"));
    d.onMessage(notification("4", ",'message':{'content':'beside'}"));
    d.onMessage(notification("5", ",'override':'1'"));
    assertNull("replaced", shadowOf(manager).getNotification("1", Notifier.ID));
    assertNotNull(shadowOf(manager).getNotification("5", Notifier.ID));
    d.onWithdrawn("5");
    assertNull(shadowOf(manager).getNotification("5", Notifier.ID));
    own = true;
    d.onMessage(notification("6", ""));
    assertNull("the app's own", shadowOf(manager).getNotification("6", Notifier.ID));
    assertEquals(List.of("notification 1", "shown 1", "message 2", "inapp 3", "notification 4", "shown 4", "message 4", "notification 5", "shown 5",
        "withdrawn 5", "notification 6"), heard);
  }

  @Test
  public void inFrontItIsShownUnlessThePushSaysNo() throws Exception {
    Foreground foreground = new Foreground(() -> heard.add("came"));
    Dispatcher d = dispatcher(foreground);
    String no = ",'options':{'display_foreground':'0'}";
    d.onMessage(notification("1", no));
    context.registerActivityLifecycleCallbacks(foreground);
    ActivityController<Front> first = Robolectric.buildActivity(Front.class).create().start().resume();
    ActivityController<Front> second = Robolectric.buildActivity(Front.class).create().start().resume();
    first.pause().stop();
    assertTrue(foreground.isInFront());
    d.onMessage(notification("2", no));
    d.onMessage(notification("3", ",'options':{'display_foreground':'1'}"));
    d.onMessage(notification("4", ""));
    second.pause().stop();
    assertFalse(foreground.isInFront());
    d.onMessage(notification("5", no));
    assertEquals(List.of("notification 1", "shown 1", "came", "notification 2", "foreground 2", "notification 3", "shown 3", "notification 4", "shown 4",
        "notification 5", "shown 5"), heard);
  }

  @Test
  public void aTapIsReportedAndOpensWhatThePushNames() throws IOException {
    Push push = Push.of(context);
    push.show(notification("9", ",'options':{'uri_activity':'" + Front.class.getName() + "','custom_buttons':[{'name':'Go','action_type':3}]}"));
    Intent tap = shadowOf(shadowOf(manager).getNotification("9", Notifier.ID).contentIntent).getSavedIntent();
    ClickActivity clicked = Robolectric.buildActivity(ClickActivity.class, tap).create().start().resume().get();
    assertTrue(clicked.isFinishing());
    assertEquals(Front.class.getName(), shadowOf(clicked).getNextStartedActivity().getComponent().getClassName());
    assertTrue(kept("receipts"), kept("receipts").contains("\"event\":\"displayed\"") && kept("receipts").contains("\"event\":\"clicked\""));

    own = true;
    Intent button = shadowOf(shadowOf(manager).getNotification("9", Notifier.ID).actions[0].actionIntent).getSavedIntent();
    ClickActivity second = Robolectric.buildActivity(ClickActivity.class, button).create().get();
    assertNull("the app opens what it wants", shadowOf(second).getNextStartedActivity());
    assertNull("a button removes the notification", shadowOf(manager).getNotification("9", Notifier.ID));

    ClickActivity again = Robolectric.buildActivity(ClickActivity.class, tap).create(new Bundle()).get();
    assertTrue("made anew by the system, it is no tap", again.isFinishing());
    assertTrue(Robolectric.buildActivity(ClickActivity.class, new Intent()).create().get().isFinishing());
    assertEquals(List.of("clicked 9 null", "clicked 9 Go"), heard);
  }

  @Test
  public void aSwipeIsReported() throws IOException {
    Push.of(context).show(notification("9", ""));
    Intent swipe = shadowOf(shadowOf(manager).getNotification("9", Notifier.ID).deleteIntent).getSavedIntent();
    new DismissReceiver().onReceive(context, swipe);
    new DismissReceiver().onReceive(context, new Intent());
    assertTrue(kept("receipts").contains("\"event\":\"dismissed\""));
    assertEquals(List.of("dismissed 9"), heard);
  }

  @Test
  public void anAlarmShowsWhatWaited() throws IOException {
    Intent alarm = shadowOf(Intents.later(context, "9", notification("9", "").json())).getSavedIntent();
    new LaterReceiver().onReceive(context, alarm);
    new LaterReceiver().onReceive(context, new Intent().putExtra(Intents.MESSAGE, "not a message"));
    until(() -> shadowOf(manager).getNotification("9", Notifier.ID) != null && kept("receipts").contains("displayed"));
  }

  @Test
  public void badge() {
    Push.of(context).setBadge(1000);
    assertEquals(99, context.getSharedPreferences("borealis", 0).getInt("badge", 0));
    Push.of(context).setBadge(-1);
    assertEquals(0, context.getSharedPreferences("borealis", 0).getInt("badge", 1));
  }

  private interface Fact {
    boolean holds() throws IOException;
  }

  private static void until(Fact fact) throws IOException {
    for (int i = 0; i < 1000 && !fact.holds(); i++) {
      try {
        Thread.sleep(10);
      } catch (InterruptedException e) {
        throw new AssertionError(e);
      }
    }
    assertTrue(fact.holds());
  }
}
