package borealis.android;

import java.util.ArrayList;
import java.util.List;

/** What the stand-ins of phone makers' libraries were asked, and are to answer. */
public final class Maker {
  public static final List<String> calls = new ArrayList<>();
  public static String token = "";
  public static boolean supported = true;
  /** Code of a registration or a query that fails; 0: it does not. */
  public static int failure;

  private Maker() {}

  static void reset() {
    calls.clear();
    token = "";
    supported = true;
    failure = 0;
  }
}
