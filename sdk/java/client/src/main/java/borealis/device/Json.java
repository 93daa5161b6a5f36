package borealis.device;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * Reads JSON into Map&lt;String, Object&gt; (in order), List&lt;Object&gt;, String, Long, Double, Boolean and null, and writes
 * these. A number without fraction and exponent that fits is a Long, any other a Double. Of a member named twice the
 * last counts.
 */
public final class Json {
  /** How deep arrays and objects may be nested. */
  static final int MAX_DEPTH = 64;

  private final String text;
  private int at;

  private Json(String text) {
    this.text = text;
  }

  /**
   * Reads a document.
   *
   * @throws JsonException if the text is not one JSON value, or is nested deeper than 64
   */
  public static Object parse(String text) {
    Json in = new Json(text);
    Object value = in.value(0);
    in.space();
    if (in.at < text.length()) {
      throw in.broken("nothing more");
    }
    return value;
  }

  /**
   * Reads an object.
   *
   * @throws JsonException if the text is not one JSON object
   */
  public static Map<String, Object> parseObject(String text) {
    Map<String, Object> object = object(parse(text));
    if (object == null) {
      throw new JsonException("not a JSON object");
    }
    return object;
  }

  /** The value as an object; null if it is none. */
  @SuppressWarnings("unchecked") // every map made here has strings as keys
  public static Map<String, Object> object(Object value) {
    return value instanceof Map ? (Map<String, Object>) value : null;
  }

  /** The value as an array; null if it is none. */
  @SuppressWarnings("unchecked")
  public static List<Object> array(Object value) {
    return value instanceof List ? (List<Object>) value : null;
  }

  /** The value as a string; null if it is none. */
  public static String string(Object value) {
    return value instanceof String ? (String) value : null;
  }

  /** The value as a whole number; otherwise if it is no number. */
  public static long number(Object value, long otherwise) {
    return value instanceof Number ? ((Number) value).longValue() : otherwise;
  }

  /** The strings of an array; what else it holds is left out. Empty if the value is no array. */
  public static List<String> strings(Object value) {
    List<String> out = new ArrayList<>();
    List<Object> list = array(value);
    if (list != null) {
      for (Object element : list) {
        if (element instanceof String) {
          out.add((String) element);
        }
      }
    }
    return out;
  }

  /**
   * Writes a value without spaces.
   *
   * @throws IllegalArgumentException if JSON has no form for it
   */
  public static String write(Object value) {
    StringBuilder out = new StringBuilder();
    JsonWriter.write(out, value, 0);
    return out.toString();
  }

  private Object value(int depth) {
    if (depth > MAX_DEPTH) {
      throw new JsonException("nested too deep");
    }
    space();
    char c = peek();
    switch (c) {
      case '{':
        return members(depth);
      case '[':
        return elements(depth);
      case '"':
        return text();
      case 't':
        return word("true", Boolean.TRUE);
      case 'f':
        return word("false", Boolean.FALSE);
      case 'n':
        return word("null", null);
      default:
        return number();
    }
  }

  private Map<String, Object> members(int depth) {
    Map<String, Object> out = new LinkedHashMap<>();
    at++;
    space();
    if (peek() == '}') {
      at++;
      return out;
    }
    while (true) {
      space();
      if (peek() != '"') {
        throw broken("a name");
      }
      String name = text();
      space();
      expect(':');
      out.put(name, value(depth + 1));
      space();
      if (peek() == '}') {
        at++;
        return out;
      }
      expect(',');
    }
  }

  private List<Object> elements(int depth) {
    List<Object> out = new ArrayList<>();
    at++;
    space();
    if (peek() == ']') {
      at++;
      return out;
    }
    while (true) {
      out.add(value(depth + 1));
      space();
      if (peek() == ']') {
        at++;
        return out;
      }
      expect(',');
    }
  }

  private String text() {
    int begin = ++at;
    while (true) {
      char c = peek();
      if (c == '"') {
        return text.substring(begin, at++);
      }
      if (c == '\\') {
        return escaped(begin);
      }
      if (c < ' ') {
        throw broken("no control character");
      }
      at++;
    }
  }

  private String escaped(int begin) {
    StringBuilder out = new StringBuilder(text.substring(begin, at));
    while (true) {
      char c = peek();
      at++;
      if (c == '"') {
        return out.toString();
      }
      if (c < ' ') {
        throw broken("no control character");
      }
      out.append(c == '\\' ? escape() : c);
    }
  }

  private char escape() {
    char c = peek();
    at++;
    switch (c) {
      case '"':
      case '\\':
      case '/':
        return c;
      case 'b':
        return '\b';
      case 'f':
        return '\f';
      case 'n':
        return '\n';
      case 'r':
        return '\r';
      case 't':
        return '\t';
      case 'u':
        int code = 0;
        for (int i = 0; i < 4; i++) {
          int digit = Character.digit(peek(), 16);
          if (digit < 0 || peek() > 'f') {
            throw broken("a hexadecimal digit");
          }
          code = code << 4 | digit;
          at++;
        }
        return (char) code;
      default:
        throw broken("an escape");
    }
  }

  private Object word(String word, Object value) {
    if (!text.startsWith(word, at)) {
      throw broken("a value");
    }
    at += word.length();
    return value;
  }

  private Object number() {
    int begin = at;
    if (peek() == '-') {
      at++;
    }
    int whole = digits();
    if (whole > 1 && text.charAt(at - whole) == '0') {
      throw broken("no leading zero");
    }
    boolean plain = true;
    if (at < text.length() && text.charAt(at) == '.') {
      at++;
      plain = false;
      digits();
    }
    if (at < text.length() && (text.charAt(at) == 'e' || text.charAt(at) == 'E')) {
      at++;
      plain = false;
      if (at < text.length() && (text.charAt(at) == '+' || text.charAt(at) == '-')) {
        at++;
      }
      digits();
    }
    String digits = text.substring(begin, at);
    if (plain && digits.length() <= 20) {
      try {
        return Long.valueOf(digits);
      } catch (NumberFormatException tooLarge) {
        return Double.valueOf(digits);
      }
    }
    return Double.valueOf(digits);
  }

  private int digits() {
    int begin = at;
    while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
      at++;
    }
    if (at == begin) {
      throw broken("a value");
    }
    return at - begin;
  }

  private void space() {
    while (at < text.length()) {
      char c = text.charAt(at);
      if (c != ' ' && c != '\t' && c != '\n' && c != '\r') {
        return;
      }
      at++;
    }
  }

  private char peek() {
    if (at >= text.length()) {
      throw new JsonException("ends too early");
    }
    return text.charAt(at);
  }

  private void expect(char c) {
    if (peek() != c) {
      throw broken("'" + c + "'");
    }
    at++;
  }

  private JsonException broken(String wanted) {
    return new JsonException("expected " + wanted + " at character " + at);
  }
}
