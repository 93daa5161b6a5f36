package borealis.android;

import android.app.NotificationChannel;
import android.app.NotificationManager;
import android.content.Context;
import android.media.AudioAttributes;
import android.net.Uri;

/** The notification channels of Android 8 and later. Those an app makes itself are used by their id. */
final class Channels {
  static final String USUAL = "borealis";
  static final String HIGH = "borealis_high";
  static final String LOW = "borealis_low";
  static final String SILENT = "borealis_silent";
  static final String SOUND = "borealis_sound_";

  private final Context context;
  private final NotificationManager manager;
  private final String name;

  Channels(Context context, NotificationManager manager, String name) {
    this.context = context;
    this.manager = manager;
    this.name = name;
  }

  /** The id of the channel that fits, which exists when this returns. silent: the silence hours hold. */
  @Since(26)
  String pick(Look look, boolean silent) {
    if (silent || look.alerts() == 0) {
      return make(SILENT, NotificationManager.IMPORTANCE_LOW, null);
    }
    String own = look.text("channel_id");
    if (!own.isEmpty() && manager.getNotificationChannel(own) != null) {
      return own;
    }
    Uri sound = sound(context, look);
    if (sound != null) {
      return make(SOUND + look.text("sound"), NotificationManager.IMPORTANCE_DEFAULT, sound);
    }
    if (look.priority() > 0) {
      return make(HIGH, NotificationManager.IMPORTANCE_HIGH, null);
    }
    return look.priority() < 0 ? make(LOW, NotificationManager.IMPORTANCE_LOW, null) : make(USUAL, NotificationManager.IMPORTANCE_DEFAULT, null);
  }

  /** The sound of res/raw that a push names; null if it names none, or one that the app does not have. */
  static Uri sound(Context context, Look look) {
    String sound = look.text("sound");
    int id = sound.isEmpty() ? 0 : context.getResources().getIdentifier(sound, "raw", context.getPackageName());
    return id == 0 ? null : Uri.parse("android.resource://" + context.getPackageName() + "/" + id);
  }

  @Since(26)
  private String make(String id, int importance, Uri sound) {
    // What exists belongs to the user, who may have changed it.
    if (manager.getNotificationChannel(id) == null) {
      NotificationChannel channel = new NotificationChannel(id, name, importance);
      if (id.equals(SILENT)) {
        channel.setSound(null, null);
        channel.enableVibration(false);
      } else if (sound != null) {
        channel.setSound(sound, new AudioAttributes.Builder().setUsage(AudioAttributes.USAGE_NOTIFICATION).build());
      }
      manager.createNotificationChannel(channel);
    }
    return id;
  }
}
