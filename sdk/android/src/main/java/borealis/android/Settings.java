package borealis.android;

import android.content.Context;
import android.content.pm.PackageManager;
import android.os.Bundle;

/** What the app's manifest says, as meta-data with names that begin with "borealis.". */
final class Settings {
  private static final String PREFIX = "borealis.";
  /** Keeps Android from reading digits as a number, which would lose some of them. */
  private static final String TEXT = "id:";

  private final Bundle metaData;

  Settings(Bundle metaData) {
    this.metaData = metaData == null ? new Bundle() : metaData;
  }

  static Settings of(Context context) {
    try {
      return new Settings(context.getPackageManager().getApplicationInfo(context.getPackageName(), PackageManager.GET_META_DATA).metaData);
    } catch (PackageManager.NameNotFoundException impossible) {
      throw new IllegalStateException(impossible);
    }
  }

  /** The value of a name; "" if there is none. */
  @SuppressWarnings("deprecation") // a value may be of any type, and only this get tells
  String text(String name) {
    Object value = metaData.get(PREFIX + name);
    String text = value == null ? "" : value.toString();
    return text.startsWith(TEXT) ? text.substring(TEXT.length()) : text;
  }

  /** As text, and must be there. */
  String required(String name) {
    String text = text(name);
    if (text.isEmpty()) {
      throw new IllegalStateException("the manifest has no meta-data " + PREFIX + name);
    }
    return text;
  }

  /** The number of a resource; 0 if there is none. */
  int resource(String name) {
    return metaData.getInt(PREFIX + name, 0);
  }
}
