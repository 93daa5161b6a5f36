package borealis.device;

import static org.junit.Assert.assertArrayEquals;
import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.Arrays;
import java.util.Random;
import org.junit.Test;

public class WebSocketTest {
  /** A stream whose bytes are made from what was written before they are read. */
  private abstract static class Answer extends InputStream {
    private ByteArrayInputStream in;

    abstract byte[] bytes() throws IOException;

    @Override
    public int read() throws IOException {
      if (in == null) {
        in = new ByteArrayInputStream(bytes());
      }
      return in.read();
    }
  }

  private final ByteArrayOutputStream sent = new ByteArrayOutputStream();

  /** A WebSocket whose server accepts it and then sends these bytes. */
  private WebSocket open(byte[] frames) throws IOException {
    sent.reset();
    WebSocket socket = WebSocket.upgrade(new Answer() {
      @Override
      byte[] bytes() throws IOException {
        ByteArrayOutputStream out = new ByteArrayOutputStream();
        out.write(("HTTP/1.1 101 Switching Protocols\r\nsec-websocket-accept: " + accept() + "\r\n\r\n").getBytes(StandardCharsets.US_ASCII));
        out.write(frames);
        return out.toByteArray();
      }
    }, sent, Endpoint.parse("ws://host:81/mqtt"));
    sent.reset();
    return socket;
  }

  private String accept() {
    String request = new String(sent.toByteArray(), StandardCharsets.US_ASCII);
    assertTrue(request, request.startsWith("GET /mqtt HTTP/1.1\r\nHost: host:81\r\n") && request.contains("\r\nSec-WebSocket-Protocol: mqtt\r\n"));
    String key = request.split("Sec-WebSocket-Key: ")[1].split("\r\n")[0];
    try {
      byte[] sum = MessageDigest.getInstance("SHA-1").digest((key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").getBytes(StandardCharsets.US_ASCII));
      return java.util.Base64.getEncoder().encodeToString(sum);
    } catch (java.security.GeneralSecurityException e) {
      throw new AssertionError(e);
    }
  }

  private static byte[] frame(int first, int length, byte[] data) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    out.write(first);
    if (length < 126) {
      out.write(length);
    } else if (length < 65_536) {
      out.write(126);
      out.write(length >> 8);
      out.write(length);
    } else {
      out.write(127);
      for (int shift = 56; shift >= 0; shift -= 8) {
        out.write((int) ((long) length >> shift));
      }
    }
    out.write(data, 0, data.length);
    return out.toByteArray();
  }

  private static byte[] join(byte[]... parts) {
    ByteArrayOutputStream out = new ByteArrayOutputStream();
    for (byte[] part : parts) {
      out.write(part, 0, part.length);
    }
    return out.toByteArray();
  }

  @Test
  public void framesOfAllSizesAreOneStream() throws IOException {
    byte[] data = new byte[70_000];
    new Random(1).nextBytes(data);
    byte[] small = Arrays.copyOf(data, 5);
    byte[] middle = Arrays.copyOf(data, 300);
    WebSocket socket = open(join(frame(0x02, 5, small), frame(0x89, 2, new byte[] {7, 8}), frame(0x80, 300, middle), frame(0x82, 0, new byte[0]),
        frame(0x82, 70_000, data), frame(0x88, 0, new byte[0])));
    byte[] got = new byte[5 + 300 + 70_000];
    InputStream in = socket.input();
    new DataInputStream(in).readFully(got);
    assertArrayEquals(join(small, middle, data), got);
    assertEquals("close is the end", -1, in.read());
    byte[] pong = sent.toByteArray();
    assertEquals("a ping is answered", (byte) 0x8A, pong[0]);
    assertArrayEquals(new byte[] {7, 8}, unmask(pong));
  }

  @Test
  public void whatIsWrittenIsMasked() throws IOException {
    for (int length : new int[] {1, 125, 126, 65_535, 65_536}) {
      WebSocket socket = open(new byte[0]);
      byte[] data = new byte[length];
      new Random(length).nextBytes(data);
      socket.output().write(data);
      byte[] frame = sent.toByteArray();
      assertEquals((byte) 0x82, frame[0]);
      assertArrayEquals(data, unmask(frame));
    }
  }

  private static byte[] unmask(byte[] frame) {
    int length = frame[1] & 0x7f;
    assertTrue("masked", frame[1] < 0);
    int at = length < 126 ? 2 : length == 126 ? 4 : 10;
    byte[] out = Arrays.copyOfRange(frame, at + 4, frame.length);
    for (int i = 0; i < out.length; i++) {
      out[i] ^= frame[at + (i & 3)];
    }
    return out;
  }

  @Test
  public void otherServersAreRefused() {
    for (String answer : new String[] {
      "", "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: wrong\r\n\r\n", "HTTP/1.1 404 Not Found\r\n\r\n", "SSH-2.0\r\n\r\n", "\r\n\r\n",
    }) {
      assertThrows(answer, IOException.class, () -> WebSocket.upgrade(
          new ByteArrayInputStream(answer.getBytes(StandardCharsets.US_ASCII)), sent, Endpoint.parse("ws://h/")));
    }
    byte[] endless = new byte[20_000];
    assertThrows(IOException.class, () -> WebSocket.upgrade(new ByteArrayInputStream(endless), sent, Endpoint.parse("ws://h/")));
  }

  @Test
  public void brokenFramesAreRefused() {
    for (byte[] frames : new byte[][] {
      {(byte) 0x82}, {(byte) 0x82, (byte) 0x81, 0, 0, 0, 0, 0}, {(byte) 0xC2, 1, 0}, {(byte) 0x81, 1, 'a'}, {(byte) 0x89, 126, 0, (byte) 200}, {(byte) 0x83, 0},
      {(byte) 0x82, 127, -1, 0, 0, 0, 0, 0, 0, 0}, {(byte) 0x82, 5, 1},
    }) {
      assertThrows(IOException.class, () -> new DataInputStream(open(frames).input()).readFully(new byte[5]));
    }
  }
}
