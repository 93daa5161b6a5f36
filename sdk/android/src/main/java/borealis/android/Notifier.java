package borealis.android;

import android.app.AlarmManager;
import android.app.Notification;
import android.app.NotificationManager;
import android.app.PendingIntent;
import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.Color;
import android.graphics.drawable.Icon;
import android.net.Uri;
import android.os.Build;
import borealis.device.Message;
import java.util.List;

/** Puts notifications on the screen and takes them off. The tag of each is its message's id. */
final class Notifier {
  /** The number beside the tag, the same for all. */
  static final int ID = 0x626f72;
  private static final int MAX_BUTTONS = 3;

  /** Hears that a notification was shown. */
  interface Shown {
    void shown(String id);
  }

  private final Context context;
  private final NotificationManager manager;
  private final Channels channels;
  private final Pictures pictures;
  private final Badge badge;
  private final int smallIcon;
  private final String appName;
  private final Shown shown;

  Notifier(Context context, Settings settings, Badge badge, Shown shown) {
    this.context = context;
    this.badge = badge;
    this.shown = shown;
    manager = (NotificationManager) context.getSystemService(Context.NOTIFICATION_SERVICE);
    appName = String.valueOf(context.getApplicationInfo().loadLabel(context.getPackageManager()));
    String name = settings.text("channel_name");
    channels = new Channels(context, manager, name.isEmpty() ? appName : name);
    pictures = new Pictures(context);
    int icon = settings.resource("small_icon");
    int own = icon != 0 ? icon : context.getApplicationInfo().icon;
    smallIcon = own != 0 ? own : android.R.drawable.ic_dialog_info;
  }

  /** Whether the user lets the app show notifications. Before Android 7 nobody can ask. */
  boolean allowed() {
    return Build.VERSION.SDK_INT < 24 || allowed24();
  }

  @Since(24)
  private boolean allowed24() {
    return manager.areNotificationsEnabled();
  }

  /**
   * Shows a notification, loud or silent, and says so, unless it has no text, its time is over, or the user does not let the app. One whose
   * time has not come is shown by an alarm.
   */
  void show(Message message, boolean silent) {
    Look look = Look.of(message);
    long now = System.currentTimeMillis();
    if (message.alert() == null || message.alert().isEmpty() || look.end() != 0 && look.end() <= now) {
      return;
    }
    if (look.begin() > now) {
      alarms().set(AlarmManager.RTC_WAKEUP, look.begin(), Intents.later(context, message.id(), message.json()));
      return;
    }
    if (!allowed()) {
      return;
    }
    Notification notification = build(message, look, silent);
    manager.notify(message.id(), ID, notification);
    shown.shown(message.id());
  }

  /** Takes a notification off the screen; one that waits for its time is not shown any more. */
  void withdraw(String id) {
    manager.cancel(id, ID);
    PendingIntent later = Intents.later(context, id, "");
    alarms().cancel(later);
    later.cancel();
  }

  private AlarmManager alarms() {
    return (AlarmManager) context.getSystemService(Context.ALARM_SERVICE);
  }

  private Notification build(Message message, Look look, boolean silent) {
    Notification.Builder b = Build.VERSION.SDK_INT >= 26 ? builder26(look, silent) : builder(look, silent);
    String title = message.title() == null || message.title().isEmpty() ? appName : message.title();
    b.setContentTitle(title).setContentText(message.alert()).setTicker(message.alert());
    b.setAutoCancel(true).setShowWhen(true).setWhen(System.currentTimeMillis());
    b.setContentIntent(Intents.click(context, message, -1)).setDeleteIntent(Intents.dismiss(context, message.id()));
    if (!look.text("category").isEmpty()) {
      b.setCategory(look.text("category"));
    }
    style(b, message, look);
    icons(b, look);
    int count = badge.apply(look);
    if (count > 0) {
      b.setNumber(count);
    }
    buttons(b, message, look);
    return b.build();
  }

  @Since(26)
  private Notification.Builder builder26(Look look, boolean silent) {
    Notification.Builder b = new Notification.Builder(context, channels.pick(look, silent));
    if (look.end() != 0) {
      b.setTimeoutAfter(look.end() - System.currentTimeMillis());
    }
    return b;
  }

  /** Before Android 8 a notification itself says how loud it is. */
  @SuppressWarnings("deprecation")
  private Notification.Builder builder(Look look, boolean silent) {
    Notification.Builder b = new Notification.Builder(context);
    if (silent || look.alerts() == 0) {
      return b.setPriority(Notification.PRIORITY_LOW);
    }
    int alerts = look.alerts() < 0 ? Notification.DEFAULT_ALL : look.alerts() & Notification.DEFAULT_ALL;
    Uri sound = Channels.sound(context, look);
    if (sound != null) {
      alerts &= ~Notification.DEFAULT_SOUND;
      b.setSound(sound);
    }
    return b.setDefaults(alerts).setPriority(look.priority());
  }

  private void style(Notification.Builder b, Message message, Look look) {
    switch (look.style()) {
      case Look.BIG_TEXT:
        String text = look.text("big_text");
        b.setStyle(new Notification.BigTextStyle().bigText(text.isEmpty() ? message.alert() : text));
        return;
      case Look.INBOX:
        Notification.InboxStyle inbox = new Notification.InboxStyle();
        for (String line : look.inbox()) {
          inbox.addLine(line);
        }
        b.setStyle(inbox);
        return;
      case Look.BIG_PICTURE:
        Bitmap picture = pictures.load(look.text("big_pic_path"));
        if (picture != null) {
          b.setStyle(new Notification.BigPictureStyle().bigPicture(picture).setSummaryText(message.alert()));
        }
        return;
      default:
    }
  }

  private void icons(Notification.Builder b, Look look) {
    b.setSmallIcon(smallIcon);
    if (Build.VERSION.SDK_INT >= 23) {
      smallIcon23(b, look);
    }
    Bitmap large = pictures.load(look.text("large_icon"));
    if (large != null) {
      b.setLargeIcon(large);
    }
    if (!look.text("icon_bg_color").isEmpty()) {
      try {
        b.setColor(Color.parseColor(look.text("icon_bg_color")));
      } catch (IllegalArgumentException notAColor) {
        // It keeps the usual one.
      }
    }
  }

  @Since(23)
  private void smallIcon23(Notification.Builder b, Look look) {
    Bitmap small = pictures.load(look.text("small_icon_uri"));
    if (small != null) {
      b.setSmallIcon(Icon.createWithBitmap(small));
    }
  }

  @SuppressWarnings("deprecation") // the form that every version has
  private void buttons(Notification.Builder b, Message message, Look look) {
    List<Look.Button> buttons = look.buttons();
    for (int i = 0; i < buttons.size() && i < MAX_BUTTONS; i++) {
      b.addAction(0, buttons.get(i).name, Intents.click(context, message, i));
    }
  }
}
