package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;
import java.util.TreeMap;
import java.util.TreeSet;
import org.junit.Test;

public class ProfileTest {
  private final MemoryStorage storage = new MemoryStorage();
  private Profile profile = new Profile(new Drawer(storage));

  private void say(String change) throws IOException {
    profile.change(Json.parseObject(change));
  }

  private void nextLife() {
    profile = new Profile(new Drawer(storage));
  }

  @Test
  public void theLastWordAboutEachThingIsSent() throws IOException {
    assertEquals(Long.MAX_VALUE, profile.due());
    say("{\"alias\":\"a\"}");
    say("{\"tags\":{\"add\":[\"x\",\"y\"]}}");
    say("{\"tags\":{\"remove\":[\"x\"]}}");
    say("{\"attributes\":{\"k\":\"1\",\"l\":\"2\"}}");
    say("{\"attributes\":{\"k\":null}}");
    say("{\"alias\":\"b\"}");
    nextLife();
    assertEquals("{\"alias\":\"b\",\"tags\":{\"add\":[\"y\"],\"remove\":[\"x\"]},\"attributes\":{\"k\":null,\"l\":\"2\"}}", profile.take());
    assertNull(profile.take());
  }

  @Test
  public void laterTagsChangeTheSet() throws IOException {
    say("{\"tags\":{\"add\":[\"old\"]}}");
    say("{\"tags\":{\"set\":[\"a\",\"b\"]}}");
    say("{\"tags\":{\"remove\":[\"a\"]}}");
    say("{\"tags\":{\"add\":[\"c\"]}}");
    assertEquals("{\"tags\":{\"set\":[\"b\",\"c\"]}}", profile.take());
  }

  @Test
  public void whatIsUnderWayIsSentAgainUnlessItIsSettled() throws IOException {
    say("{\"alias\":\"a\",\"timezone\":\"UTC\"}");
    profile.take();
    say("{\"alias\":\"b\"}");
    nextLife();
    assertEquals("{\"alias\":\"b\",\"timezone\":\"UTC\"}", profile.take());
    say("{\"alias\":\"c\"}");
    profile.settled(true);
    nextLife();
    assertEquals("{\"alias\":\"c\"}", profile.take());
    profile.again();
    assertEquals("{\"alias\":\"c\"}", profile.take());
    profile.settled(false);
    nextLife();
    assertNull(profile.take());
  }

  @Test
  public void ofARefusedDocumentOnlyTheMemberAtFaultIsLost() throws IOException {
    say("{\"alias\":\"no\",\"tags\":{\"add\":[\"a\"]},\"timezone\":\"UTC\"}");
    profile.take();
    assertFalse(profile.settled(false));
    say("{\"alias\":\"later\"}");
    assertEquals("{\"alias\":\"no\"}", profile.take());
    assertTrue(profile.settled(false));
    assertEquals("{\"tags\":{\"add\":[\"a\"]}}", profile.take());
    nextLife();
    assertEquals("{\"tags\":{\"add\":[\"a\"]},\"timezone\":\"UTC\",\"alias\":\"later\"}", profile.take());
    profile.settled(false);
    profile.take();
    profile.again();
    assertEquals("what is lost is sent again as a whole", "{\"tags\":{\"add\":[\"a\"]},\"timezone\":\"UTC\",\"alias\":\"later\"}", profile.take());
  }

  @Test
  public void aServerThatKnowsNothingIsToldEverythingThatWasTaken() throws IOException {
    say("{\"alias\":\"a\",\"tags\":{\"set\":[\"t\"]}}");
    profile.take();
    profile.settled(true);
    say("{\"alias\":\"refused\"}");
    profile.take();
    profile.settled(false);
    say("{\"tags\":{\"add\":[\"u\"]}}");
    nextLife();
    profile.anew();
    nextLife();
    assertEquals("{\"alias\":\"a\",\"tags\":{\"set\":[\"t\",\"u\"]}}", profile.take());
  }

  @Test
  public void theDeviceObeysAtOnce() throws IOException {
    assertFalse(profile.pushOff());
    assertNull(profile.silence());
    say("{\"push_enabled\":false}");
    say("{\"silence\":{\"from\":\"22:00\",\"to\":\"08:00\"}}");
    nextLife();
    assertTrue(profile.pushOff());
    assertNotNull(profile.silence());
    say("{\"push_enabled\":true}");
    say("{\"silence\":null}");
    assertFalse(profile.pushOff());
    assertNull(profile.silence());
    assertEquals("{\"push_enabled\":true,\"silence\":null}", profile.take());
  }

  @Test
  public void whatIsNotKeptIsNotSaid() throws IOException {
    storage.failing = true;
    assertThrows(IOException.class, () -> say("{\"alias\":\"a\"}"));
    assertEquals(Long.MAX_VALUE, profile.due());
  }

  @Test
  public void tooMuchIsRefused() throws IOException {
    say("{\"alias\":\"a\"}");
    StringBuilder tags = new StringBuilder("\"t0\"");
    for (int i = 1; i < 20_000; i++) {
      tags.append(",\"t").append(i).append('"');
    }
    assertThrows(IllegalArgumentException.class, () -> say("{\"tags\":{\"add\":[" + tags + "]}}"));
    assertEquals("{\"alias\":\"a\"}", profile.take());
  }

  /** Merged or one by one, whatever is lost on the way and repeated: the server ends with the same. */
  @Test
  public void mergingChangesNothing() throws IOException {
    Random random = new Random(7);
    for (int round = 0; round < 2000; round++) {
      storage.texts.clear();
      nextLife();
      Model said = new Model();
      Model server = new Model();
      for (int step = random.nextInt(20); step > 0; step--) {
        switch (random.nextInt(5)) {
          case 0: // sent and taken
            server.apply(profile.take());
            profile.settled(true);
            break;
          case 1: // sent and taken, but the answer is lost
            server.apply(profile.take());
            profile.again();
            break;
          case 2: // the process dies, perhaps with something under way
            if (random.nextBoolean()) {
              server.apply(profile.take());
            }
            nextLife();
            break;
          default:
            String change = change(random);
            said.apply(change);
            profile.change(Json.parseObject(change));
        }
      }
      server.apply(profile.take());
      profile.settled(true);
      assertEquals(said, server);
      // And a server that lost the device gets to the same.
      profile.anew();
      Model fresh = new Model();
      fresh.apply(profile.take());
      assertEquals(said, fresh);
    }
  }

  private static String change(Random random) {
    List<Object> tags = new ArrayList<>();
    for (int i = random.nextInt(3); i > 0; i--) {
      tags.add("t" + random.nextInt(4));
    }
    switch (random.nextInt(5)) {
      case 0:
        return "{\"tags\":{\"set\":" + Json.write(tags) + "}}";
      case 1:
        return "{\"tags\":{\"add\":" + Json.write(tags) + "}}";
      case 2:
        return "{\"tags\":{\"remove\":" + Json.write(tags) + "}}";
      case 3:
        return "{\"attributes\":{\"k" + random.nextInt(3) + "\":" + (random.nextBoolean() ? "null" : "\"v" + random.nextInt(3) + "\"") + "}}";
      default:
        return "{\"alias\":\"" + random.nextInt(5) + "\"}";
    }
  }

  /** What a server makes of profile documents. */
  private static final class Model {
    private final Set<String> tags = new TreeSet<>();
    private final Map<String, Object> attributes = new TreeMap<>();
    private Object alias;

    void apply(String document) {
      if (document == null) {
        return;
      }
      Map<String, Object> members = Json.parseObject(document);
      Map<String, Object> t = Json.object(members.get("tags"));
      if (t != null && t.containsKey("set")) {
        assertEquals("set stands alone", 1, t.size());
        tags.clear();
        tags.addAll(Json.strings(t.get("set")));
      } else if (t != null) {
        tags.removeAll(Json.strings(t.get("remove")));
        tags.addAll(Json.strings(t.get("add")));
      }
      Map<String, Object> a = Json.object(members.get("attributes"));
      if (a != null) {
        for (Map.Entry<String, Object> e : a.entrySet()) {
          if (e.getValue() == null) {
            attributes.remove(e.getKey());
          } else {
            attributes.put(e.getKey(), e.getValue());
          }
        }
      }
      if (members.containsKey("alias")) {
        alias = members.get("alias");
      }
    }

    @Override
    public boolean equals(Object other) {
      return other instanceof Model && toString().equals(other.toString());
    }

    @Override
    public int hashCode() {
      return toString().hashCode();
    }

    @Override
    public String toString() {
      return tags + " " + attributes + " " + alias;
    }
  }
}
