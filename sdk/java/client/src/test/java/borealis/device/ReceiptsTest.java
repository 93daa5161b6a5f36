package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertTrue;

import java.io.IOException;
import java.util.List;
import org.junit.Test;

public class ReceiptsTest {
  private static final long LINGER = 60_000;
  private final MemoryStorage storage = new MemoryStorage();
  private Receipts receipts = new Receipts(new Drawer(storage), LINGER);

  private static List<Object> events(String payload) {
    return Json.array(Json.parseObject(payload).get("events"));
  }

  @Test
  public void theyLingerAndShareABatch() throws IOException {
    assertEquals(Long.MAX_VALUE, receipts.due());
    receipts.add("1", "displayed", 10);
    long due = receipts.due();
    assertTrue(due > Timing.now() && due <= Timing.now() + LINGER);
    receipts.add("1", "displayed", 11);
    receipts.add("1", "clicked", 12);
    assertEquals("the first decides", due, receipts.due());
    assertEquals("{\"events\":[{\"id\":\"1\",\"event\":\"displayed\",\"at\":10},{\"id\":\"1\",\"event\":\"clicked\",\"at\":12}]}", receipts.take());
    receipts.settled(true);
    assertNull(receipts.take());
    assertEquals("{\"events\":[]}", storage.texts.get("receipts"));
  }

  @Test
  public void aHundredDoNotWait() throws IOException {
    for (int i = 0; i < 250; i++) {
      receipts.add("" + i, "displayed", i);
    }
    assertEquals(0, receipts.due());
    assertEquals(100, events(receipts.take()).size());
    receipts.settled(true);
    assertEquals(100, events(receipts.take()).size());
    receipts.again();
    assertEquals("what was lost is sent at once", 0, receipts.due());
    assertEquals(100, events(receipts.take()).size());
    receipts.settled(false);
    assertEquals(50, events(receipts.take()).size());
  }

  @Test
  public void theyOutliveTheProcessAndTheOldestGiveWay() throws IOException {
    for (int i = 0; i < Receipts.SIZE + 5; i++) {
      receipts.add("" + i, "displayed", i);
      if (i == 150) {
        receipts.take();
      }
    }
    // The five oldest of those under way are gone; the answer must not remove others.
    receipts.settled(true);
    receipts = new Receipts(new Drawer(storage), LINGER);
    assertEquals(0, receipts.due());
    assertEquals("100", Json.object(events(receipts.take()).get(0)).get("id"));
  }
}
