package borealis.android;

import borealis.device.Json;
import borealis.device.Message;
import java.text.ParseException;
import java.text.SimpleDateFormat;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/** How a notification is to look and sound: the options of its push, read with their defaults. */
final class Look {
  static final int BIG_TEXT = 1;
  static final int INBOX = 2;
  static final int BIG_PICTURE = 3;

  private final Map<String, Object> options;

  private Look(Map<String, Object> options) {
    this.options = options == null ? Collections.<String, Object>emptyMap() : options;
  }

  static Look of(Message message) {
    return new Look(message.options());
  }

  /** "" if there is none. */
  String text(String name) {
    String value = Json.string(options.get(name));
    return value == null ? "" : value;
  }

  long number(String name, long otherwise) {
    return Json.number(options.get(name), otherwise);
  }

  /** 0, BIG_TEXT, INBOX or BIG_PICTURE. */
  int style() {
    return (int) number("style", 0);
  }

  /** Lines of the inbox style, in their order. */
  List<String> inbox() {
    List<String> lines = new ArrayList<>();
    Map<String, Object> inbox = Json.object(options.get("inbox"));
    if (inbox != null) {
      for (Object line : inbox.values()) {
        lines.add(String.valueOf(line));
      }
    }
    return lines;
  }

  /** From -2 to 2. */
  int priority() {
    return (int) Math.max(-2, Math.min(2, number("priority", 0)));
  }

  /** Bits: 1 sound, 2 vibration, 4 lights; -1 is all. */
  int alerts() {
    return (int) number("alert_type", -1);
  }

  /** "0": not to be shown while the app is in front. */
  boolean hiddenInForeground() {
    return text("display_foreground").equals("0");
  }

  /** URL, intent or deep link that a tap opens; "" if there is none. */
  String intent() {
    Map<String, Object> intent = Json.object(options.get("intent"));
    String url = intent == null ? null : Json.string(intent.get("url"));
    return url == null ? "" : url;
  }

  /** Unix milliseconds before which it is not to be shown; 0 if there is no such time. */
  long begin() {
    return time("show_begin_time");
  }

  /** Unix milliseconds from which on it is not to be shown; 0 if there is no such time. */
  long end() {
    return time("show_end_time");
  }

  List<Button> buttons() {
    List<Button> out = new ArrayList<>();
    List<Object> list = Json.array(options.get("custom_buttons"));
    if (list != null) {
      for (Object element : list) {
        Map<String, Object> button = Json.object(element);
        if (button != null && Json.string(button.get("name")) != null) {
          out.add(new Button(button));
        }
      }
    }
    return out;
  }

  private long time(String name) {
    String text = text(name);
    if (text.isEmpty()) {
      return 0;
    }
    try {
      return new SimpleDateFormat("yyyy-MM-dd HH:mm:ss", Locale.US).parse(text).getTime();
    } catch (ParseException notATime) {
      return 0;
    }
  }

  /** A button below a notification. */
  static final class Button {
    static final int INTENT = 1;
    static final int LINK = 2;
    static final int HOME = 3;
    static final int DISMISS = 4;

    final String name;
    final int type;
    final String action;

    private Button(Map<String, Object> members) {
      name = Json.string(members.get("name"));
      type = (int) Json.number(members.get("action_type"), HOME);
      String what = Json.string(members.get("action"));
      action = what == null ? "" : what;
    }
  }
}
