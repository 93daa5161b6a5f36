package borealis.android;

import android.app.PendingIntent;
import android.content.ComponentName;
import android.content.Context;
import android.content.Intent;
import android.net.Uri;
import android.os.Build;
import borealis.device.Json;
import borealis.device.JsonException;
import borealis.device.Message;
import java.net.URISyntaxException;

/** What a tap, a swipe and an alarm send, and what a tap opens. */
final class Intents {
  /** Extras of what the SDK sends itself, and of what a tap opens. */
  static final String MESSAGE = "borealis.message";
  static final String MESSAGE_ID = "borealis.message_id";
  static final String EXTRAS = "borealis.extras";
  private static final String BUTTON = "borealis.button";

  private Intents() {}

  /** Opened by a tap; button is the place of a button, -1 for the notification itself. */
  static PendingIntent click(Context context, Message message, int button) {
    Intent intent = new Intent(context, ClickActivity.class).setData(uri(message.id(), "click/" + button))
        .putExtra(MESSAGE, message.json()).putExtra(BUTTON, button).addFlags(Intent.FLAG_ACTIVITY_NEW_TASK);
    return PendingIntent.getActivity(context, 0, intent, flags());
  }

  /** Sent by a swipe. */
  static PendingIntent dismiss(Context context, String id) {
    Intent intent = new Intent(context, DismissReceiver.class).setData(uri(id, "dismiss")).putExtra(MESSAGE_ID, id);
    return PendingIntent.getBroadcast(context, 0, intent, flags());
  }

  /** Sent by the alarm that shows a message later. json may be "" to name an alarm that is to be cancelled. */
  static PendingIntent later(Context context, String id, String json) {
    Intent intent = new Intent(context, LaterReceiver.class).setData(uri(id, "later")).putExtra(MESSAGE, json);
    return PendingIntent.getBroadcast(context, 0, intent, flags());
  }

  /** The message that such an intent carries; null if it carries none. */
  static Message message(Intent intent) {
    String json = intent == null ? null : intent.getStringExtra(MESSAGE);
    try {
      return json == null ? null : Message.parse(json);
    } catch (JsonException notOurs) {
      return null;
    }
  }

  /** The button that was tapped; null for the notification itself. */
  static Look.Button button(Intent intent, Message message) {
    int at = intent.getIntExtra(BUTTON, -1);
    return at < 0 || at >= Look.of(message).buttons().size() ? null : Look.of(message).buttons().get(at);
  }

  /** What a tap opens: what the push names, or else the app; null: nothing. */
  static Intent target(Context context, Message message, Look.Button button) {
    Intent intent = named(context, Look.of(message), button);
    if (intent == null) {
      intent = button != null && button.type == Look.Button.DISMISS ? null : home(context);
    }
    if (intent != null) {
      intent.putExtra(MESSAGE_ID, message.id());
      if (message.extras() != null) {
        intent.putExtra(EXTRAS, Json.write(message.extras()));
      }
      intent.addFlags(Intent.FLAG_ACTIVITY_NEW_TASK | Intent.FLAG_ACTIVITY_CLEAR_TOP | Intent.FLAG_ACTIVITY_SINGLE_TOP);
    }
    return intent;
  }

  /** The app's first activity; null if it has none. */
  static Intent home(Context context) {
    return context.getPackageManager().getLaunchIntentForPackage(context.getPackageName());
  }

  private static Intent named(Context context, Look look, Look.Button button) {
    if (button != null) {
      return button.type == Look.Button.INTENT || button.type == Look.Button.LINK ? link(context, button.action) : null;
    }
    if (!look.intent().isEmpty()) {
      return link(context, look.intent());
    }
    if (!look.text("uri_activity").isEmpty()) {
      return new Intent().setComponent(new ComponentName(context.getPackageName(), look.text("uri_activity")));
    }
    return look.text("uri_action").isEmpty() ? null : new Intent(look.text("uri_action")).setPackage(context.getPackageName());
  }

  /** A deep link goes to whoever takes it, this app first; an intent stays within the app. Null if it is neither. */
  private static Intent link(Context context, String url) {
    if (!url.startsWith("intent:") && !url.startsWith("#Intent;")) {
      Intent view = new Intent(Intent.ACTION_VIEW, Uri.parse(url));
      Intent own = new Intent(view).setPackage(context.getPackageName());
      return own.resolveActivity(context.getPackageManager()) != null ? own : view;
    }
    try {
      Intent intent = Intent.parseUri(url, Intent.URI_INTENT_SCHEME);
      intent.setSelector(null);
      intent.setFlags(0);
      if (intent.getComponent() != null && !intent.getComponent().getPackageName().equals(context.getPackageName())) {
        return null;
      }
      return intent.setPackage(context.getPackageName());
    } catch (URISyntaxException notAnIntent) {
      return null;
    }
  }

  private static Uri uri(String id, String what) {
    return new Uri.Builder().scheme("borealis").authority("message").appendPath(id).appendEncodedPath(what).build();
  }

  private static int flags() {
    return PendingIntent.FLAG_UPDATE_CURRENT | (Build.VERSION.SDK_INT >= 23 ? PendingIntent.FLAG_IMMUTABLE : 0);
  }
}
