package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.Random;
import java.util.TimeZone;
import org.junit.Test;

public class SmallThingsTest {
  @Test
  public void delaysDoubleUpToTwoMinutesAndAreRandomFromZero() {
    long[] limits = {1000, 2000, 4000, 8000, 16_000, 32_000, 64_000, 120_000, 120_000};
    for (int n = 1; n <= limits.length; n++) {
      assertEquals(0, Client.backoff(n, 0, 0));
      assertEquals(limits[n - 1] / 2, Client.backoff(n, 0.5, 0));
    }
    assertEquals(60_000, Client.backoff(Integer.MAX_VALUE, 0.5, 0));
    assertEquals(30_500, Client.backoff(1, 0.5, 30_000));
    assertEquals("an hour at most", 3_600_500, Client.backoff(1, 0.5, 1L << 40));
  }

  @Test
  public void retryAfterIsSeconds() {
    assertEquals(7000, Api.retryAfter(" 7 "));
    for (String header : new String[] {null, "", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999"}) {
      assertEquals(0, Api.retryAfter(header));
    }
  }

  @Test
  public void endpoints() {
    String[][] cases = {
      {"tcp://h", "tcp://h:1883"}, {"mqtt://h:7", "tcp://h:7"}, {"mqtts://h", "mqtts://h:8883"}, {"ssl://h:1", "mqtts://h:1"},
      {"ws://h/mqtt", "ws://h:80/mqtt"}, {"wss://h:44/mqtt?x=1", "wss://h:44/mqtt?x=1"}, {"ws://h", "ws://h:80/"}, {"tcp://[::1]:5", "tcp://[::1]:5"},
    };
    for (String[] c : cases) {
      assertEquals(c[1], Endpoint.parse(c[0]).toString());
    }
    for (String address : new String[] {"", "h:1883", "http://h", "tcp://", "tcp://:1883", "\0", "quic://h"}) {
      assertNull(address, Endpoint.parse(address));
    }
    assertEquals("wss://other:99/mqtt", Endpoint.parse("wss://h/mqtt").moved("other:99").toString());
    assertEquals("ws://other:80/mqtt", Endpoint.parse("ws://h/mqtt").moved("other").toString());
    assertEquals("tcp://other:1883", Endpoint.parse("tcp://h:7").moved("other").toString());
    assertNull(Endpoint.parse("tcp://h:7").moved("no such thing"));
  }

  @Test
  public void addressesInTurnAndWhereTheServerSendsFirst() throws IOException {
    Identity identity = new Identity(new Drawer(new MemoryStorage()));
    identity.registered(Json.parseObject("{\"registration_id\":\"a\",\"secret\":\"s\",\"mqtt\":[\"tcp://a\",\"quic://q\",\"ws://b/mqtt\",\"tcp://c\"]}"), 0);
    Route any = new Route(identity, "");
    assertEquals("tcp://a:1883", any.next().toString());
    assertEquals("what works is kept", "tcp://a:1883", any.next().toString());
    any.failed();
    assertEquals("ws://b:80/mqtt", any.next().toString());
    any.moved("d:9");
    assertEquals("ws://d:9/mqtt", any.next().toString());
    any.failed();
    assertEquals("tcp://c:1883", any.next().toString());
    any.moved("not an address");
    assertEquals("tcp://c:1883", any.next().toString());
    any.failed();
    assertEquals("tcp://a:1883", any.next().toString());
    assertEquals("ws://b:80/mqtt", new Route(identity, "ws").next().toString());
    identity.forget();
    assertThrows(IOException.class, any::next);
  }

  @Test
  public void silenceHours() {
    TimeZone shanghai = TimeZone.getTimeZone("Asia/Shanghai");
    long nine = 1_767_229_200_000L; // 2026-01-01 09:00 in Shanghai
    long minute = 60_000;
    Silence day = Silence.of("09:00", "17:30");
    assertFalse(day.holds(nine - minute, shanghai));
    assertTrue(day.holds(nine, shanghai));
    assertTrue(day.holds(nine + 510 * minute - 1, shanghai));
    assertFalse(day.holds(nine + 510 * minute, shanghai));
    assertFalse("by the zone", day.holds(nine, TimeZone.getTimeZone("UTC")));
    Silence night = Silence.of("22:00", "09:00");
    assertTrue(night.holds(nine - 1, shanghai));
    assertFalse(night.holds(nine, shanghai));
    assertTrue(night.holds(nine + 780 * minute, shanghai));
    assertTrue(Silence.of("05:00", "05:00").holds(nine, shanghai));
    for (String bad : new String[] {null, "", "9:00", "24:00", "12:60", "12.30", "12:30:00"}) {
      assertThrows(IllegalArgumentException.class, () -> Silence.of(bad, "08:00"));
      assertThrows(IllegalArgumentException.class, () -> Silence.of("08:00", bad));
    }
  }

  @Test
  public void theNewestMessagesAreKnown() throws IOException {
    MemoryStorage storage = new MemoryStorage();
    Known known = new Known(new Drawer(storage));
    for (int i = 0; i < Known.SIZE + 10; i++) {
      known.remember("message/" + i, i % 2 == 0 ? "gone" + i : null);
    }
    known = new Known(new Drawer(storage));
    assertFalse(known.has("message/9"));
    assertTrue(known.has("message/10"));
    assertTrue(known.has("message/" + (Known.SIZE + 9)));
    assertFalse("the type counts", known.has("notification/" + Known.SIZE));
    assertTrue(known.isGone("gone10"));
    assertFalse(known.isGone("gone11"));
    storage.failing = true;
    Known unkept = known;
    assertThrows(IOException.class, () -> unkept.remember("message/x", null));
    assertFalse(known.has("message/x"));
  }

  @Test
  public void brokenStateIsNoState() throws IOException {
    MemoryStorage storage = new MemoryStorage();
    for (String name : new String[] {"identity", "known", "receipts", "profile", "tokens"}) {
      storage.texts.put(name, "{\"half");
    }
    Client client = new Client(new Options("http://localhost", "key", storage));
    assertFalse(client.hasConsent());
    assertNull(client.registrationId());
    client.addTags(java.util.Collections.singleton("a"));
    client.displayed("1");
  }

  @Test
  public void base64() {
    for (byte[] data : new byte[][] {{}, {1}, {1, 2}, {1, 2, 3}, {-1, -2, -3, -4}, "任意 text".getBytes(StandardCharsets.UTF_8)}) {
      assertEquals(java.util.Base64.getEncoder().encodeToString(data), Base64.encode(data));
    }
  }

  @Test
  public void aNewRegistrationIdIsAnotherDevice() throws IOException {
    MemoryStorage storage = new MemoryStorage();
    Identity identity = new Identity(new Drawer(storage));
    String install = identity.installId();
    assertFalse("the first is no other", identity.registered(Json.parseObject("{\"registration_id\":\"a\",\"secret\":\"s\",\"server_time\":5000}"), 1000));
    assertEquals(4000, identity.offset());
    identity.forget();
    identity = new Identity(new Drawer(storage));
    assertNull(identity.registrationId());
    assertEquals(install, identity.installId());
    assertFalse(identity.registered(Json.parseObject("{\"registration_id\":\"a\",\"secret\":\"t\"}"), 1000));
    assertTrue(identity.registered(Json.parseObject("{\"registration_id\":\"b\",\"secret\":\"t\"}"), 1000));
    Identity last = identity;
    assertThrows(IOException.class, () -> last.registered(Json.parseObject("{\"registration_id\":\"b\"}"), 1000));
    assertEquals("b", identity.registrationId());
  }

  @Test
  public void anyBytesAreAPacketOrABrokenOne() {
    Random random = new Random(3);
    for (int i = 0; i < 100_000; i++) {
      byte[] bytes = new byte[random.nextInt(24)];
      random.nextBytes(bytes);
      if (bytes.length > 1 && random.nextBoolean()) {
        bytes[1] = (byte) (bytes.length - 2);
      }
      try {
        Packet p = Packet.read(new java.io.DataInputStream(new java.io.ByteArrayInputStream(bytes)));
        p.text();
        Properties5.read(p);
        p.rest();
      } catch (IOException refused) {
        // As it should be.
      }
    }
  }
}
