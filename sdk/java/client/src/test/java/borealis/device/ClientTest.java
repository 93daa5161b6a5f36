package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNotNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.EOFException;
import java.io.IOException;
import java.net.Socket;
import java.util.Collections;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import org.junit.After;
import org.junit.Before;
import org.junit.Test;

/** What the shared scenarios do not reach: threads, the network's comings, keep-alive, listeners that throw. */
public class ClientTest {
  private final MemoryStorage storage = new MemoryStorage();
  private final BlockingQueue<String> heard = new LinkedBlockingQueue<>();
  private FakeServer server;
  private Client client;

  @Before
  public void open() throws IOException {
    server = new FakeServer();
    client = new Client(options());
    client.consent("1", Collections.singleton("push"));
  }

  @After
  public void close() throws IOException {
    client.stop();
    server.close();
    assertEquals("threads of the SDK that are left", Collections.emptySet(), threads());
  }

  private Options options() {
    return new Options(server.http(), "key", storage).listener(new Listener() {
      @Override
      public void onMessage(Message message) {
        heard.add("message " + message.id());
      }

      @Override
      public void onConnected() {
        heard.add("connected");
      }

      @Override
      public void onDisconnected(String reason) {
        heard.add("disconnected");
      }

      @Override
      public void onTakenOver() {
        heard.add("taken over");
        client.start(); // as an app might
      }

      @Override
      public void onRefused(String what, int code, String why) {
        heard.add("refused " + what + " " + code + " " + why);
      }

      @Override
      public void onError(String why) {
        heard.add("error");
      }
    });
  }

  private static Set<String> threads() {
    Set<String> out = new TreeSet<>();
    for (Thread t : Thread.getAllStackTraces().keySet()) {
      if (t.getName().startsWith("borealis-")) {
        out.add(t.getName());
      }
    }
    return out;
  }

  private void hear(String what) throws InterruptedException {
    String next;
    do {
      next = heard.poll(FakeServer.PATIENCE, TimeUnit.MILLISECONDS);
      assertNotNull(what + " was not heard", next);
    } while (!next.equals(what));
  }

  private FakeServer.Device connect() throws Exception {
    client.start();
    if (client.registrationId() == null) {
      server.register();
    }
    FakeServer.Device d = server.accept();
    hear("connected");
    return d;
  }

  @Test
  public void stopSaysGoodbyeAndLeavesNoThread() throws Exception {
    try (FakeServer.Device d = connect()) {
      assertFalse(threads().isEmpty());
      client.stop();
      assertEquals(Collections.emptySet(), threads());
      assertEquals(Packet.DISCONNECT, d.next().type);
      assertThrows(EOFException.class, d::next);
    }
  }

  @Test
  public void stopEndsAnAttemptThatHangs() throws Exception {
    client.start();
    try (Socket silent = server.take()) {
      client.stop();
    }
    client.start();
    server.register();
    try (Socket silent = server.take()) {
      client.stop();
    }
    assertEquals(Collections.emptySet(), threads());
  }

  @Test
  public void theNetworkEndsTheWait() throws Exception {
    client.start();
    for (int i = 0; i < 12; i++) { // so often that the wait would be minutes
      server.answer("503 Service Unavailable", "");
      hear("error");
      client.networkAvailable();
    }
    server.register();
    server.accept().close();
  }

  @Test
  public void theNetworkMakesItAskWhetherTheConnectionIsAlive() throws Exception {
    client = new Client(options().scale(0.01));
    try (FakeServer.Device d = connect()) {
      client.networkAvailable();
      assertEquals(Packet.PINGREQ, d.next().type);
      d.send(new byte[] {(byte) 0xD0, 0});
      d.push(7, "{\"id\":\"1\",\"type\":\"message\"}");
      assertEquals(Packet.PUBACK, d.next().type);
      client.networkAvailable();
      assertEquals(Packet.PINGREQ, d.next().type);
      hear("disconnected"); // no answer
      server.accept().close();
    }
  }

  @Test
  public void whoHearsNothingGivesUp() throws Exception {
    server.keepAlive = 1;
    client = new Client(options().scale(0.01));
    try (FakeServer.Device d = connect()) {
      long began = System.nanoTime();
      assertEquals(Packet.PINGREQ, d.next().type);
      hear("disconnected");
      long millis = (System.nanoTime() - began) / 1_000_000;
      assertTrue(millis + " ms", millis >= 1400 && millis < 10_000);
    }
  }

  @Test
  public void theServersKeepAliveCounts() throws Exception {
    server.keepAlive = 10_000;
    client.start();
    server.register();
    try (FakeServer.Device d = server.accept(new byte[] {0x20, 6, 0, 0, 3, 0x13, 0, 1})) {
      for (int i = 0; i < 2; i++) {
        assertEquals(Packet.PINGREQ, d.next().type);
        d.send(new byte[] {(byte) 0xD0, 0});
      }
    }
  }

  @Test
  public void whoWasReplacedMayStartAgainAtOnce() throws Exception {
    try (FakeServer.Device d = connect()) {
      d.send(new byte[] {(byte) 0xE0, 2, (byte) 0x8E, 0});
      hear("taken over");
      server.accept().close();
    }
  }

  @Test
  public void aListenerThatThrowsHarmsNobody() throws Exception {
    client = new Client(options().listener(new Listener() {
      @Override
      public void onRegistered(String registrationId) {
        throw new IllegalStateException("app");
      }

      @Override
      public void onConnected() {
        heard.add("connected");
        throw new IllegalStateException("app");
      }

      @Override
      public void onError(String why) {
        heard.add("error");
        throw new IllegalStateException("app");
      }

      @Override
      public void onMessage(Message message) {
        heard.add("message " + message.id());
      }
    }));
    try (FakeServer.Device d = connect()) {
      d.push(7, "{\"id\":\"1\",\"type\":\"message\"}");
      hear("message 1");
      assertEquals(7, ack(d));
    }
  }

  private static int ack(FakeServer.Device d) throws IOException {
    Packet p = d.next();
    assertEquals(Packet.PUBACK, p.type);
    return p.twoBytes();
  }

  @Test
  public void stopWithinAHandlerDoesNotWaitForItself() throws Exception {
    CountDownLatch returned = new CountDownLatch(1);
    client = new Client(options().listener(new Listener() {
      @Override
      public void onConnected() {
        heard.add("connected");
      }

      @Override
      public void onMessage(Message message) {
        client.stop();
        returned.countDown();
      }
    }));
    try (FakeServer.Device d = connect()) {
      d.push(7, "{\"id\":\"1\",\"type\":\"message\"}");
      assertTrue(returned.await(FakeServer.PATIENCE, TimeUnit.MILLISECONDS));
    }
    for (int i = 0; i < 1000 && !threads().isEmpty(); i++) {
      Thread.sleep(10);
    }
  }

  @Test
  public void aFullDiskIsNoAcknowledgement() throws Exception {
    try (FakeServer.Device d = connect()) {
      storage.failing = true;
      d.push(7, "{\"id\":\"1\",\"type\":\"message\"}");
      hear("message 1");
      hear("error");
      storage.failing = false;
      d.push(8, "{\"id\":\"2\",\"type\":\"message\"}");
      hear("message 2");
      assertEquals("only of the second", 8, ack(d));
    }
    try (FakeServer.Device d = server.accept()) {
      d.push(9, "{\"id\":\"1\",\"type\":\"message\"}");
      hear("message 1");
      assertEquals(9, ack(d));
    }
  }

  @Test
  public void registrationSaysWhoTheDeviceIs() throws Exception {
    client = new Client(options().platform("iot").packageName("com.x").device("model", "M1").signer(id -> "signed " + id.length()));
    client.start();
    String request = server.register();
    assertTrue(request, request.contains("POST /device/v1/register"));
    Map<String, Object> body = Json.parseObject(request.substring(request.indexOf("\r\n\r\n")));
    assertEquals("iot", body.get("platform"));
    assertEquals("com.x", body.get("package"));
    assertEquals("signed 36", body.get("signature"));
    assertEquals("M1", Json.object(body.get("device")).get("model"));
    assertEquals("{\"version\":\"1\",\"purposes\":[\"push\"]}", Json.write(body.get("consent")));
  }

  @Test
  public void endingSaysWho() throws Exception {
    connect().close();
    client.stop();
    CountDownLatch ended = new CountDownLatch(1);
    new Thread(() -> {
      try {
        client.end();
        ended.countDown();
      } catch (IOException e) {
        throw new AssertionError(e);
      }
    }).start();
    String request = "";
    for (int i = 0; i < 3 && !request.startsWith("DELETE"); i++) { // a connection that stop gave up may come first
      try {
        request = server.answer("204 No Content", "");
      } catch (IOException gaveUp) {
        request = "";
      }
    }
    assertTrue(request, request.startsWith("DELETE /device/v1/registration"));
    assertTrue(request, request.contains("Authorization: Basic MDAwMDAwMDAwMDAwMDAwMDAwMDE6cw=="));
    assertTrue(request, request.contains("X-App-Key: key"));
    assertTrue(ended.await(FakeServer.PATIENCE, TimeUnit.MILLISECONDS));
    assertEquals(Collections.emptySet(), storage.texts.keySet());
  }
}
