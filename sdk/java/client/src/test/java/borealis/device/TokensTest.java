package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertNull;

import java.io.IOException;
import org.junit.Test;

public class TokensTest {
  private final MemoryStorage storage = new MemoryStorage();
  private Tokens tokens = new Tokens(new Drawer(storage));

  @Test
  public void oneOfEachChannelWaits() throws IOException {
    tokens.put("fcm", "a", null);
    tokens.put("huawei", "h", "production");
    tokens.put("fcm", "b", null);
    tokens = new Tokens(new Drawer(storage));
    assertEquals("{\"channel\":\"fcm\",\"token\":\"b\"}", tokens.take());
    tokens.settled(true);
    assertEquals("{\"channel\":\"huawei\",\"token\":\"h\",\"environment\":\"production\"}", tokens.take());
    tokens.settled(true);
    assertNull(tokens.take());
  }

  @Test
  public void whatTheServerHasIsNotSentAgain() throws IOException {
    tokens.put("fcm", "a", null);
    tokens.take();
    tokens.put("fcm", "a", null);
    tokens.settled(true);
    tokens.put("fcm", "a", null);
    tokens = new Tokens(new Drawer(storage));
    tokens.put("fcm", "a", null);
    assertNull(tokens.take());
    tokens.put("fcm", "b", null);
    tokens.put("fcm", "a", null);
    assertNull("back to what the server has", tokens.take());
    tokens.put("fcm", "a", "sandbox");
    assertEquals("{\"channel\":\"fcm\",\"token\":\"a\",\"environment\":\"sandbox\"}", tokens.take());
  }

  @Test
  public void aNewerOneBeatsTheOneUnderWay() throws IOException {
    tokens.put("fcm", "a", null);
    tokens.take();
    tokens.put("fcm", "b", null);
    tokens.again();
    assertEquals("{\"channel\":\"fcm\",\"token\":\"b\"}", tokens.take());
    tokens.put("fcm", "a", null);
    tokens.settled(true);
    assertEquals("{\"channel\":\"fcm\",\"token\":\"a\"}", tokens.take());
  }

  @Test
  public void refusedOnesMayBeSaidAgainAndTakenOnesToANewServer() throws IOException {
    tokens.put("fcm", "a", null);
    tokens.take();
    tokens.settled(false);
    tokens.put("fcm", "a", null);
    assertEquals("{\"channel\":\"fcm\",\"token\":\"a\"}", tokens.take());
    tokens.settled(true);
    tokens.anew();
    tokens = new Tokens(new Drawer(storage));
    assertEquals("{\"channel\":\"fcm\",\"token\":\"a\"}", tokens.take());
  }
}
