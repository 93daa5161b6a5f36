package borealis.device;

import java.util.Calendar;
import java.util.TimeZone;

/** Hours of the day, by the device's clock. */
final class Silence {
  private final int from;
  private final int to;

  private Silence(int from, int to) {
    this.from = from;
    this.to = to;
  }

  /** From is within, to is not; from after to passes midnight; equal is always. Both are HH:MM. */
  static Silence of(String from, String to) {
    return new Silence(minutes("from", from), minutes("to", to));
  }

  boolean holds(long millis, TimeZone zone) {
    Calendar now = Calendar.getInstance(zone);
    now.setTimeInMillis(millis);
    int minute = now.get(Calendar.HOUR_OF_DAY) * 60 + now.get(Calendar.MINUTE);
    if (from == to) {
      return true;
    }
    return from < to ? minute >= from && minute < to : minute >= from || minute < to;
  }

  private static int minutes(String name, String text) {
    if (text != null && text.matches("([01][0-9]|2[0-3]):[0-5][0-9]")) {
      return Integer.parseInt(text.substring(0, 2)) * 60 + Integer.parseInt(text.substring(3));
    }
    throw new IllegalArgumentException(name + " must be a time of day such as 22:00");
  }
}
