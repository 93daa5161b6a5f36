package borealis.device;

/** Standard Base64 with padding. The platform's own came to Android later than the versions this runs on. */
final class Base64 {
  private static final String DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

  private Base64() {}

  static String encode(byte[] data) {
    StringBuilder out = new StringBuilder((data.length + 2) / 3 * 4);
    for (int i = 0; i < data.length; i += 3) {
      int left = data.length - i;
      int group = (data[i] & 0xff) << 16 | (left > 1 ? (data[i + 1] & 0xff) << 8 : 0) | (left > 2 ? data[i + 2] & 0xff : 0);
      out.append(DIGITS.charAt(group >> 18)).append(DIGITS.charAt(group >> 12 & 63));
      out.append(left > 1 ? DIGITS.charAt(group >> 6 & 63) : '=').append(left > 2 ? DIGITS.charAt(group & 63) : '=');
    }
    return out.toString();
  }
}
