package borealis.device;

import java.util.Map;

/** The writing half of Json. */
final class JsonWriter {
  private static final String HEX = "0123456789abcdef";

  private JsonWriter() {}

  static void write(StringBuilder out, Object value, int depth) {
    if (depth > Json.MAX_DEPTH) {
      throw new IllegalArgumentException("nested too deep for JSON");
    }
    if (value == null || value instanceof Boolean) {
      out.append(value);
    } else if (value instanceof String) {
      text(out, (String) value);
    } else if (value instanceof Number) {
      number(out, (Number) value);
    } else if (value instanceof Map) {
      object(out, (Map<?, ?>) value, depth);
    } else if (value instanceof Iterable) {
      char before = '[';
      for (Object element : (Iterable<?>) value) {
        out.append(before);
        write(out, element, depth + 1);
        before = ',';
      }
      out.append(before == '[' ? "[]" : "]");
    } else {
      throw new IllegalArgumentException("JSON has no form for " + value.getClass().getName());
    }
  }

  private static void object(StringBuilder out, Map<?, ?> members, int depth) {
    char before = '{';
    for (Map.Entry<?, ?> member : members.entrySet()) {
      if (!(member.getKey() instanceof String)) {
        throw new IllegalArgumentException("names in JSON are strings");
      }
      out.append(before);
      text(out, (String) member.getKey());
      out.append(':');
      write(out, member.getValue(), depth + 1);
      before = ',';
    }
    out.append(before == '{' ? "{}" : "}");
  }

  private static void number(StringBuilder out, Number value) {
    double real = value.doubleValue();
    if (Double.isNaN(real) || Double.isInfinite(real)) {
      throw new IllegalArgumentException("JSON has no form for " + value);
    }
    out.append(value);
  }

  private static void text(StringBuilder out, String value) {
    out.append('"');
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      switch (c) {
        case '"':
        case '\\':
          out.append('\\').append(c);
          break;
        case '\n':
          out.append("\\n");
          break;
        case '\r':
          out.append("\\r");
          break;
        case '\t':
          out.append("\\t");
          break;
        default:
          if (c < ' ' || Character.isSurrogate(c) && !paired(value, i)) {
            // Half a character has no form in UTF-8, only as an escape.
            out.append("\\u").append(HEX.charAt(c >> 12)).append(HEX.charAt(c >> 8 & 15)).append(HEX.charAt(c >> 4 & 15))
                .append(HEX.charAt(c & 15));
          } else {
            out.append(c);
          }
      }
    }
    out.append('"');
  }

  private static boolean paired(String value, int i) {
    return Character.isHighSurrogate(value.charAt(i))
        ? i + 1 < value.length() && Character.isLowSurrogate(value.charAt(i + 1))
        : i > 0 && Character.isHighSurrogate(value.charAt(i - 1));
  }
}
