package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.fail;

import java.util.Random;
import org.junit.Test;

public class JsonTest {
  @Test
  public void whatIsReadIsWrittenTheSame() {
    for (String text : new String[] {
      "null", "true", "false", "0", "-1", "9223372036854775807", "-9223372036854775808", "1.5", "\"\"", "[]", "{}",
      "{\"b\":1,\"a\":[1,{\"x\":null}]}", "\"quote \\\" backslash \\\\ line \\n tab \\t \\u0001\"", "\"中文 😀\"", "\"half \\ud83d\"",
    }) {
      assertEquals(text, Json.write(Json.parse(text)));
    }
  }

  @Test
  public void otherFormsAreRead() {
    assertEquals("a/b\b\fé😀", Json.parse(" \"a\\/b\\b\\f\\u00e9\\uD83D\\uDE00\" "));
    assertEquals(9.3e18, Json.parse("9300000000000000000"));
    assertEquals(1200.0, Json.parse("1.2e3"));
    assertEquals(0.0012, Json.parse("1.2E-3"));
    assertEquals(2L, Json.parseObject("{\"a\":1,\"a\":2}").get("a"));
  }

  @Test
  public void whatIsNotJsonIsRefused() {
    StringBuilder deep = new StringBuilder();
    for (int i = 0; i < 100_000; i++) {
      deep.append('[');
    }
    for (String text : new String[] {
      "", " ", "nul", "tru", "True", "01", "-", "+1", ".5", "1.", "1e", "1e+", "\"", "\"\\x\"", "\"\\u12g4\"", "\"\\uff１1\"", "\"\n\"", "[", "[1", "[1,", "[,]", "[1 2]",
      "[1,]", "{", "{\"a\"", "{\"a\":", "{\"a\":1", "{\"a\":1,", "{a:1}", "{\"a\":1,}", "1 2", "NaN", deep.toString(),
    }) {
      assertThrows(text, JsonException.class, () -> Json.parse(text));
    }
    assertThrows(JsonException.class, () -> Json.parseObject("[]"));
  }

  @Test
  public void anyTextIsReadOrRefusedAndNothingElse() {
    Random random = new Random(1);
    String alphabet = "{}[]\",:\\u0019ae.-+ntrfl \n\ud83d\u4e2d";
    for (int i = 0; i < 200_000; i++) {
      StringBuilder text = new StringBuilder();
      for (int n = random.nextInt(12); n > 0; n--) {
        text.append(alphabet.charAt(random.nextInt(alphabet.length())));
      }
      try {
        Object value = Json.parse(text.toString());
        assertEquals(value, Json.parse(Json.write(value)));
      } catch (JsonException refused) {
        // As it should be.
      } catch (RuntimeException e) {
        fail(text + ": " + e);
      }
    }
  }

  @Test
  public void whatJsonCannotSayIsRefused() {
    for (Object value : new Object[] {Double.NaN, Double.POSITIVE_INFINITY, new Object(), java.util.Collections.singletonMap(1, 2)}) {
      assertThrows(IllegalArgumentException.class, () -> Json.write(value));
    }
  }
}
