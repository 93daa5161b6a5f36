package borealis.device;

import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.EOFException;
import java.io.IOException;
import java.nio.charset.StandardCharsets;

/** One MQTT 5 packet: its bytes being read, or being written. */
final class Packet {
  static final int CONNECT = 1;
  static final int CONNACK = 2;
  static final int PUBLISH = 3;
  static final int PUBACK = 4;
  static final int PINGREQ = 12;
  static final int PINGRESP = 13;
  static final int DISCONNECT = 14;

  /** The longest packet taken from a server, in bytes. */
  static final int MAX = 1 << 20;

  final int type;
  final int flags;
  private final byte[] body;
  private int at;

  private Packet(int first, byte[] body) {
    this.type = first >> 4;
    this.flags = first & 15;
    this.body = body;
  }

  /** Waits for the next packet. */
  static Packet read(DataInputStream in) throws IOException {
    int first = in.read();
    if (first < 0) {
      throw new EOFException("closed by the server");
    }
    int length = 0;
    for (int shift = 0; ; shift += 7) {
      int b = in.readUnsignedByte();
      length |= (b & 0x7f) << shift;
      if ((b & 0x80) == 0) {
        break;
      }
      if (shift == 21) {
        throw broken("a length of more than four bytes");
      }
    }
    if (length > MAX) {
      throw broken("longer than " + MAX + " bytes");
    }
    byte[] body = new byte[length];
    in.readFully(body);
    return new Packet(first, body);
  }

  static IOException broken(String how) {
    return new IOException("the server sent what is not MQTT: " + how);
  }

  boolean atEnd() {
    return at == body.length;
  }

  int oneByte() throws IOException {
    return need(1)[at++] & 0xff;
  }

  int twoBytes() throws IOException {
    return oneByte() << 8 | oneByte();
  }

  long fourBytes() throws IOException {
    return (long) twoBytes() << 16 | twoBytes();
  }

  int varint() throws IOException {
    int value = 0;
    for (int shift = 0; shift < 28; shift += 7) {
      int b = oneByte();
      value |= (b & 0x7f) << shift;
      if ((b & 0x80) == 0) {
        return value;
      }
    }
    throw broken("a number of more than four bytes");
  }

  String text() throws IOException {
    int length = twoBytes();
    String out = new String(need(length), at, length, StandardCharsets.UTF_8);
    at += length;
    return out;
  }

  byte[] rest() {
    byte[] out = new byte[body.length - at];
    System.arraycopy(body, at, out, 0, out.length);
    at = body.length;
    return out;
  }

  int position() {
    return at;
  }

  private byte[] need(int n) throws IOException {
    if (body.length - at < n) {
      throw broken("a packet that ends too early");
    }
    return body;
  }

  /** Puts packets together. */
  static final class Writer {
    private final ByteArrayOutputStream body = new ByteArrayOutputStream();

    Writer oneByte(int value) {
      body.write(value);
      return this;
    }

    Writer twoBytes(int value) {
      return oneByte(value >> 8).oneByte(value);
    }

    Writer fourBytes(long value) {
      return twoBytes((int) (value >> 16)).twoBytes((int) value);
    }

    Writer text(String value) {
      byte[] bytes = value.getBytes(StandardCharsets.UTF_8);
      return twoBytes(bytes.length).bytes(bytes);
    }

    Writer bytes(byte[] value) {
      body.write(value, 0, value.length);
      return this;
    }

    byte[] body() {
      return body.toByteArray();
    }

    byte[] packet(int type, int flags) {
      ByteArrayOutputStream out = new ByteArrayOutputStream(body.size() + 5);
      out.write(type << 4 | flags);
      int length = body.size();
      do {
        out.write(length > 127 ? length & 0x7f | 0x80 : length);
        length >>= 7;
      } while (length > 0);
      out.write(body.toByteArray(), 0, body.size());
      return out.toByteArray();
    }
  }
}
