package borealis.device;

import java.util.Collections;
import java.util.Map;

/** What a device received. What the server left out is null, or 0. */
public final class Message {
  /** Types. A notification may carry a custom message, too. */
  public static final String NOTIFICATION = "notification";
  public static final String CUSTOM = "message";
  public static final String IN_APP = "inapp";

  private final Map<String, Object> members;
  private final boolean silent;

  Message(Map<String, Object> members, boolean silent) {
    this.members = Collections.unmodifiableMap(members);
    this.silent = silent;
  }

  /**
   * Reads what json wrote.
   *
   * @throws JsonException if the text is no message
   */
  public static Message parse(String json) {
    Map<String, Object> members = Json.parseObject(json);
    if (Json.string(members.get("id")) == null || Json.string(members.get("type")) == null) {
      throw new JsonException("a message has an id and a type");
    }
    return new Message(members, false);
  }

  /** The message as it came, in JSON. */
  public String json() {
    return Json.write(members);
  }

  /** The message's id, which receipts name. */
  public String id() {
    return Json.string(members.get("id"));
  }

  /** NOTIFICATION, CUSTOM or IN_APP. */
  public String type() {
    return Json.string(members.get("type"));
  }

  /** Title of the notification. */
  public String title() {
    return Json.string(members.get("title"));
  }

  /** Text of the notification; "" means that it is not to be displayed. */
  public String alert() {
    return Json.string(members.get("alert"));
  }

  /** The app's own values beside the notification. */
  public Map<String, Object> extras() {
    return Json.object(members.get("extras"));
  }

  /** How the notification is to be displayed: channel_id, style, badge_add_num and so on, as the push said it. */
  public Map<String, Object> options() {
    return Json.object(members.get("options"));
  }

  /** The custom message: title, content, content_type, extras. */
  public Map<String, Object> custom() {
    return Json.object(members.get("message"));
  }

  /** The in-app message. */
  public Map<String, Object> inApp() {
    return Json.object(members.get("inapp"));
  }

  /** Id of the message that this one replaces on the screen. */
  public String override() {
    return Json.string(members.get("override"));
  }

  /** When it loses its worth, by the server's clock, in Unix milliseconds. */
  public long expiresAt() {
    return Json.number(members.get("expires_at"), 0);
  }

  /** It came in the silence hours: to be shown without sound, vibration or heads-up. */
  public boolean silent() {
    return silent;
  }

  /** Everything the server sent. */
  public Map<String, Object> members() {
    return members;
  }
}
