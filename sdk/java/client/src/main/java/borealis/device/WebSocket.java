package borealis.device;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.security.SecureRandom;

/** A stream of bytes in binary frames of a WebSocket (RFC 6455), the client's side, subprotocol mqtt. */
final class WebSocket {
  private static final String MAGIC = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
  private static final int MAX_HEADER = 8192;
  private static final int CONTINUATION = 0;
  private static final int BINARY = 2;
  private static final int CLOSE = 8;
  private static final int PING = 9;
  private static final int PONG = 10;

  private final DataInputStream in;
  private final OutputStream out;
  private final SecureRandom random = new SecureRandom();
  /** What is left of the frame that is being read. */
  private long left;

  private WebSocket(InputStream in, OutputStream out) {
    this.in = new DataInputStream(in);
    this.out = out;
  }

  /** Asks the server to speak WebSocket on a fresh connection. */
  static WebSocket upgrade(InputStream in, OutputStream out, Endpoint to) throws IOException {
    WebSocket socket = new WebSocket(in, out);
    byte[] nonce = new byte[16];
    socket.random.nextBytes(nonce);
    String key = Base64.encode(nonce);
    String request = "GET " + to.path + " HTTP/1.1\r\nHost: " + to.authority() + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        + "Sec-WebSocket-Key: " + key + "\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n";
    out.write(request.getBytes(StandardCharsets.US_ASCII));
    out.flush();
    socket.checkAnswer(key);
    return socket;
  }

  private void checkAnswer(String key) throws IOException {
    String[] lines = header().split("\r\n", -1);
    String[] status = lines[0].split(" ", 3);
    if (status.length < 2 || !status[0].startsWith("HTTP/1.") || !status[1].equals("101")) {
      throw new IOException("the server does not speak WebSocket there: " + lines[0]);
    }
    for (String line : lines) {
      int colon = line.indexOf(':');
      if (colon > 0 && line.substring(0, colon).trim().equalsIgnoreCase("Sec-WebSocket-Accept")
          && line.substring(colon + 1).trim().equals(accept(key))) {
        return;
      }
    }
    throw new IOException("the answer to the WebSocket handshake is not for this request");
  }

  private String header() throws IOException {
    ByteArrayOutputStream header = new ByteArrayOutputStream();
    int end = 0;
    while (end < 4) {
      int b = in.read();
      if (b < 0) {
        throw new EOFException("closed during the WebSocket handshake");
      }
      header.write(b);
      end = b == (end % 2 == 0 ? '\r' : '\n') ? end + 1 : b == '\r' ? 1 : 0;
      if (header.size() > MAX_HEADER) {
        throw new IOException("the answer to the WebSocket handshake is too long");
      }
    }
    return new String(header.toByteArray(), StandardCharsets.ISO_8859_1);
  }

  private static String accept(String key) {
    try {
      return Base64.encode(MessageDigest.getInstance("SHA-1").digest((key + MAGIC).getBytes(StandardCharsets.US_ASCII)));
    } catch (NoSuchAlgorithmException impossible) {
      throw new AssertionError(impossible);
    }
  }

  InputStream input() {
    return new InputStream() {
      @Override
      public int read() throws IOException {
        byte[] one = new byte[1];
        return read(one, 0, 1) < 0 ? -1 : one[0] & 0xff;
      }

      @Override
      public int read(byte[] to, int offset, int length) throws IOException {
        while (left == 0) {
          if (!nextFrame()) {
            return -1;
          }
        }
        int n = in.read(to, offset, (int) Math.min(length, left));
        if (n < 0) {
          throw new EOFException("closed inside a WebSocket frame");
        }
        left -= n;
        return n;
      }
    };
  }

  /** Reads the head of the next frame with data, and answers control frames. False: the server closed. */
  private boolean nextFrame() throws IOException {
    int first = in.readUnsignedByte();
    int second = in.readUnsignedByte();
    long length = second & 0x7f;
    if (length == 126) {
      length = in.readUnsignedShort();
    } else if (length == 127) {
      length = in.readLong();
    }
    if ((first & 0x70) != 0 || (second & 0x80) != 0 || length < 0) {
      throw new IOException("not a WebSocket frame of a server");
    }
    int kind = first & 0x0f;
    if (kind == BINARY || kind == CONTINUATION) {
      left = length;
      return true;
    }
    if (kind < CLOSE || kind > PONG || length > 125) {
      throw new IOException("a WebSocket frame of kind " + kind + " has no place here");
    }
    byte[] data = new byte[(int) length];
    in.readFully(data);
    if (kind == PING) {
      frame(PONG, data, 0, data.length);
    }
    return kind != CLOSE;
  }

  OutputStream output() {
    return new OutputStream() {
      @Override
      public void write(int b) throws IOException {
        write(new byte[] {(byte) b}, 0, 1);
      }

      @Override
      public void write(byte[] data, int offset, int length) throws IOException {
        frame(BINARY, data, offset, length);
      }

      @Override
      public void flush() throws IOException {
        out.flush();
      }
    };
  }

  private synchronized void frame(int kind, byte[] data, int offset, int length) throws IOException {
    byte[] mask = new byte[4];
    random.nextBytes(mask);
    ByteArrayOutputStream frame = new ByteArrayOutputStream(length + 14);
    frame.write(0x80 | kind);
    if (length < 126) {
      frame.write(0x80 | length);
    } else if (length < 1 << 16) {
      frame.write(0x80 | 126);
      frame.write(length >> 8);
      frame.write(length);
    } else {
      frame.write(0x80 | 127);
      for (int shift = 56; shift >= 0; shift -= 8) {
        frame.write((int) ((long) length >> shift));
      }
    }
    frame.write(mask, 0, 4);
    for (int i = 0; i < length; i++) {
      frame.write(data[offset + i] ^ mask[i & 3]);
    }
    out.write(frame.toByteArray());
    out.flush();
  }
}
