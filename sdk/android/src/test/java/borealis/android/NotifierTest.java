package borealis.android;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotEquals;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;
import static org.robolectric.Shadows.shadowOf;

import android.app.AlarmManager;
import android.app.Notification;
import android.app.NotificationChannel;
import android.app.NotificationManager;
import android.content.Context;
import android.content.Intent;
import android.graphics.Bitmap;
import android.os.Build;
import android.os.Bundle;
import borealis.device.Json;
import borealis.device.Message;
import java.io.File;
import java.io.FileOutputStream;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Date;
import java.util.List;
import java.util.Locale;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowBuild;

@RunWith(RobolectricTestRunner.class)
@Config(sdk = {23, 34})
@SuppressWarnings("deprecation") // old versions are tested, too
public class NotifierTest {
  private final Context context = RuntimeEnvironment.getApplication();
  private final NotificationManager manager = (NotificationManager) context.getSystemService(Context.NOTIFICATION_SERVICE);
  private final AlarmManager alarms = (AlarmManager) context.getSystemService(Context.ALARM_SERVICE);
  private final Badge badge = new Badge(context, context.getSharedPreferences("borealis", Context.MODE_PRIVATE));
  private final List<String> shown = new ArrayList<>();
  private final Notifier notifier = new Notifier(context, new Settings(new Bundle()), badge, shown::add);

  /** A notification with these options; single quotes stand for double ones. */
  private static Message message(String id, String options) {
    return Message.parse(("{'id':'" + id + "','type':'notification','title':'Title','alert':'Text','extras':{'k':'v'},'options':{" + options + "}}").replace('\'', '"'));
  }

  private Notification show(String options) {
    manager.cancelAll();
    notifier.show(message("m", options), false);
    return shadowOf(manager).getNotification("m", Notifier.ID);
  }

  private static String extra(Notification n, String name) {
    CharSequence text = n.extras.getCharSequence(name);
    return text == null ? null : text.toString();
  }

  private static String time(long fromNow) {
    return new SimpleDateFormat("yyyy-MM-dd HH:mm:ss", Locale.US).format(new Date(System.currentTimeMillis() + fromNow));
  }

  @Test
  public void aPlainOne() {
    Notification n = show("");
    assertEquals("Title", extra(n, Notification.EXTRA_TITLE));
    assertEquals("Text", extra(n, Notification.EXTRA_TEXT));
    assertNotEquals(0, n.flags & Notification.FLAG_AUTO_CANCEL);
    assertTrue(shadowOf(n.contentIntent).isActivityIntent());
    assertTrue(shadowOf(n.deleteIntent).isBroadcastIntent());
    assertTrue(Build.VERSION.SDK_INT < 31 || shadowOf(n.contentIntent).isImmutable() && shadowOf(n.deleteIntent).isImmutable());
    assertEquals("m", Intents.message(shadowOf(n.contentIntent).getSavedIntent()).id());
    assertEquals(List.of("m"), shown);
    assertNotNull(n.getSmallIcon());
  }

  @Test
  public void styles() {
    Notification big = show("'style':1,'big_text':'much longer'");
    assertEquals("much longer", extra(big, Notification.EXTRA_BIG_TEXT));
    assertEquals("Text", extra(show("'style':1"), Notification.EXTRA_BIG_TEXT));
    CharSequence[] lines = show("'style':2,'inbox':{'a':'one','b':'two','c':3}").extras.getCharSequenceArray(Notification.EXTRA_TEXT_LINES);
    assertEquals(List.of("one", "two", "3"), List.of(lines[0].toString(), lines[1].toString(), lines[2].toString()));
    assertNull("without its picture it is plain", show("'style':3,'big_pic_path':'/nowhere.png'").extras.get(Notification.EXTRA_PICTURE));
  }

  @Test
  public void pictures() throws Exception {
    File file = new File(context.getFilesDir(), "p.png");
    try (FileOutputStream out = new FileOutputStream(file)) {
      Bitmap.createBitmap(4, 4, Bitmap.Config.ARGB_8888).compress(Bitmap.CompressFormat.PNG, 100, out);
    }
    Notification n = show("'style':3,'big_pic_path':'" + file + "','large_icon':'" + file + "','small_icon_uri':'" + file + "','icon_bg_color':'#ff0000'");
    assertNotNull(n.extras.get(Notification.EXTRA_PICTURE));
    assertNotNull(n.getLargeIcon());
    assertEquals("its own small icon", android.graphics.drawable.Icon.createWithBitmap(Bitmap.createBitmap(1, 1, Bitmap.Config.ARGB_8888)).toString().split(" ")[0],
        n.getSmallIcon().toString().split(" ")[0]);
    assertEquals(0xffff0000, n.color);
    assertNotNull(show("'icon_bg_color':'crimson-ish'"));
  }

  @Test
  public void pictureOfAServer() throws Exception {
    try (java.net.ServerSocket server = new java.net.ServerSocket(0, 5, java.net.InetAddress.getLoopbackAddress())) {
      java.io.ByteArrayOutputStream png = new java.io.ByteArrayOutputStream();
      Bitmap.createBitmap(4, 4, Bitmap.Config.ARGB_8888).compress(Bitmap.CompressFormat.PNG, 100, png);
      Thread answering = new Thread(() -> {
        for (String status : new String[] {"200 OK", "404 Not Found"}) {
          try (java.net.Socket s = server.accept()) {
            s.getInputStream().read(new byte[4096]);
            s.getOutputStream().write(("HTTP/1.1 " + status + "\r\nConnection: close\r\nContent-Length: " + png.size() + "\r\n\r\n").getBytes());
            s.getOutputStream().write(png.toByteArray());
          } catch (java.io.IOException e) {
            throw new AssertionError(e);
          }
        }
      });
      answering.start();
      String url = "http://127.0.0.1:" + server.getLocalPort() + "/p.png";
      assertNotNull(new Pictures(context).load(url));
      assertNull(new Pictures(context).load(url));
      answering.join();
    }
    assertNull(new Pictures(context).load("no_such_drawable"));
  }

  @Test
  public void howLoudBeforeChannels() {
    if (Build.VERSION.SDK_INT >= 26) {
      return;
    }
    assertEquals(Notification.DEFAULT_ALL, show("").defaults);
    assertEquals(Notification.DEFAULT_VIBRATE, show("'alert_type':2").defaults);
    assertEquals(2, show("'priority':2").priority);
    Notification none = show("'alert_type':0,'priority':2");
    assertEquals(0, none.defaults);
    assertEquals(Notification.PRIORITY_LOW, none.priority);
  }

  @Test
  public void channels() {
    if (Build.VERSION.SDK_INT < 26) {
      return;
    }
    assertEquals(Channels.USUAL, show("").getChannelId());
    assertEquals(NotificationManager.IMPORTANCE_DEFAULT, manager.getNotificationChannel(Channels.USUAL).getImportance());
    assertEquals(Channels.HIGH, show("'priority':1").getChannelId());
    assertEquals(NotificationManager.IMPORTANCE_HIGH, manager.getNotificationChannel(Channels.HIGH).getImportance());
    assertEquals(Channels.LOW, show("'priority':-2").getChannelId());
    assertEquals(Channels.SILENT, show("'alert_type':0,'priority':2").getChannelId());
    NotificationChannel silent = manager.getNotificationChannel(Channels.SILENT);
    assertNull(silent.getSound());
    assertFalse(silent.shouldVibrate());
    assertEquals("the app has no such channel", Channels.USUAL, show("'channel_id':'news'").getChannelId());
    manager.createNotificationChannel(new NotificationChannel("news", "News", NotificationManager.IMPORTANCE_MIN));
    assertEquals("news", show("'channel_id':'news'").getChannelId());
    assertEquals("the app has no such sound", Channels.USUAL, show("'sound':'bell'").getChannelId());
  }

  @Test
  public void inTheSilenceHoursNothingIsLoud() {
    notifier.show(message("s", "'priority':2,'sound':'bell','channel_id':'news'"), true);
    Notification n = shadowOf(manager).getNotification("s", Notifier.ID);
    if (Build.VERSION.SDK_INT >= 26) {
      assertEquals(Channels.SILENT, n.getChannelId());
    } else {
      assertEquals(0, n.defaults);
      assertEquals(Notification.PRIORITY_LOW, n.priority);
      assertNull(n.sound);
    }
  }

  @Test
  public void whatIsNotShownIsNotReported() {
    notifier.show(Message.parse("{\"id\":\"e\",\"type\":\"notification\",\"alert\":\"\"}"), false);
    notifier.show(Message.parse("{\"id\":\"n\",\"type\":\"notification\"}"), false);
    notifier.show(message("o", "'show_end_time':'" + time(-60_000) + "'"), false);
    if (Build.VERSION.SDK_INT >= 24) {
      shadowOf(manager).setNotificationsEnabled(false);
      notifier.show(message("d", ""), false);
    }
    assertEquals(List.of(), shown);
    assertEquals(0, shadowOf(manager).size());
  }

  @Test
  public void oneThatHasItsTimeWaitsForIt() {
    notifier.show(message("l", "'show_begin_time':'" + time(3_600_000) + "','show_end_time':'" + time(7_200_000) + "'"), false);
    assertEquals(0, shadowOf(manager).size());
    assertEquals(1, shadowOf(alarms).getScheduledAlarms().size());
    Intent later = shadowOf(shadowOf(alarms).getScheduledAlarms().get(0).operation).getSavedIntent();
    assertEquals("l", Intents.message(later).id());
    notifier.withdraw("l");
    assertEquals(0, shadowOf(alarms).getScheduledAlarms().size());
    Notification soon = show("'show_begin_time':'" + time(-60_000) + "','show_end_time':'" + time(60_000) + "'");
    assertTrue(Build.VERSION.SDK_INT < 26 || soon.getTimeoutAfter() > 0 && soon.getTimeoutAfter() <= 60_000);
    assertNotNull("a time that is none", show("'show_begin_time':'tomorrow'"));
  }

  @Test
  public void withdrawRemovesTheOneOfThatMessage() {
    notifier.show(message("a", ""), false);
    notifier.show(message("b", ""), false);
    notifier.withdraw("a");
    assertNull(shadowOf(manager).getNotification("a", Notifier.ID));
    assertNotNull(shadowOf(manager).getNotification("b", Notifier.ID));
    notifier.withdraw("never seen");
  }

  @Test
  public void badges() {
    ShadowBuild.setManufacturer("vivo");
    assertEquals(0, show("").number);
    assertEquals(3, show("'badge_add_num':3").number);
    assertEquals(5, show("'badge_add_num':2,'badge_class':'com.x.Main'").number);
    List<Intent> sent = shadowOf(RuntimeEnvironment.getApplication()).getBroadcastIntents();
    Intent last = sent.get(sent.size() - 1);
    assertEquals("launcher.action.CHANGE_APPLICATION_NOTIFICATION_NUM", last.getAction());
    assertEquals(5, last.getIntExtra("notificationNum", 0));
    assertEquals("com.x.Main", last.getStringExtra("className"));
    assertEquals(9, show("'badge_set_num':9,'badge_add_num':1").number);
    show("'badge_add_num':99");
    assertEquals("99 at most", 99, badge.count());
    show("'badge_set_num':0");
    assertEquals(0, badge.count());
    for (String maker : new String[] {"HUAWEI", "HONOR", "samsung", "Google"}) {
      ShadowBuild.setManufacturer(maker);
      badge.set(1, "");
      assertEquals(1, badge.count());
    }
  }

  @Test
  public void buttons() {
    Notification n = show("'custom_buttons':[{'name':'Open','action_type':2,'action':'https://e.org/x'},{'name':'No','action_type':4},{'bad':1}]");
    assertEquals(2, n.actions.length);
    assertEquals("Open", n.actions[0].title.toString());
    Intent click = shadowOf(n.actions[0].actionIntent).getSavedIntent();
    Message message = Intents.message(click);
    assertEquals("Open", Intents.button(click, message).name);
    assertEquals("https://e.org/x", Intents.target(context, message, Intents.button(click, message)).getDataString());
    Intent no = shadowOf(n.actions[1].actionIntent).getSavedIntent();
    assertNull("it only removes the notification", Intents.target(context, message, Intents.button(no, message)));
  }

  @Test
  public void whatATapOpens() {
    String own = context.getPackageName();
    assertEquals("https://e.org/a?b=c", target("'intent':{'url':'https://e.org/a?b=c'}").getDataString());
    assertNull("whoever takes it", target("'intent':{'url':'https://e.org/a'}").getPackage());
    Intent inside = target("'intent':{'url':'intent:#Intent;component=" + own + "/com.x.Detail;S.k=v;end'}");
    assertEquals("com.x.Detail", inside.getComponent().getClassName());
    assertEquals("v", inside.getStringExtra("k"));
    assertEquals(own, target("'intent':{'url':'intent:#Intent;action=com.x.OPEN;end'}").getPackage());
    assertNull("not into another app", target("'intent':{'url':'intent:#Intent;component=com.other/.Secret;end'}"));
    Intent flags = target("'intent':{'url':'intent:#Intent;action=a;launchFlags=0x3;SEL;action=b;end'}");
    assertEquals(0, flags.getFlags() & (Intent.FLAG_GRANT_READ_URI_PERMISSION | Intent.FLAG_GRANT_WRITE_URI_PERMISSION));
    assertNull(flags.getSelector());
    assertNull("no intent at all", target("'intent':{'url':'intent:garbage#Intent;x'}"));
    assertEquals("com.x.Old", target("'uri_activity':'com.x.Old'").getComponent().getClassName());
    Intent action = target("'uri_action':'com.x.ACT'");
    assertEquals("com.x.ACT", action.getAction());
    assertEquals(own, action.getPackage());
    assertEquals("m", action.getStringExtra(Intents.MESSAGE_ID));
    assertEquals("v", Json.parseObject(action.getStringExtra(Intents.EXTRAS)).get("k"));
  }

  private Intent target(String options) {
    return Intents.target(context, message("m", options), null);
  }
}
