package borealis.device;

import java.io.BufferedInputStream;
import java.io.DataInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.Socket;
import java.net.SocketTimeoutException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.atomic.AtomicLong;

/** An MQTT 5 connection that the server has accepted. serve is for one thread, everything else for any. */
final class Connection {
  /** How many unacknowledged messages are wanted at once. */
  static final int RECEIVE_MAXIMUM = 32;

  /** Hears what comes, from the thread that serves. */
  interface Receiver {
    /** A message on a topic; packetId is 0 where it wants no acknowledgement. */
    void published(Connection from, String topic, int packetId, byte[] payload) throws IOException;

    /** The server's answer to what was published with this identifier. */
    void acknowledged(int packetId, int code, String why);
  }

  private final Dialer dialer;
  private final Socket socket;
  private final DataInputStream in;
  private final OutputStream out;
  private final Object writing = new Object();

  /** Seconds; 0 is none. */
  private int keepAlive;
  /** Unix milliseconds from the CONNACK; 0 if the server did not tell. */
  private long serverTime;
  private volatile long lastSent;
  private volatile long lastHeard;
  private final AtomicLong packets = new AtomicLong();
  private volatile boolean closed;

  private Connection(Dialer dialer, Socket socket, InputStream in, OutputStream out) {
    this.dialer = dialer;
    this.socket = socket;
    this.in = new DataInputStream(in);
    this.out = out;
  }

  /**
   * Connects.
   *
   * @param keepAlive in seconds; the server may set another
   * @throws RefusedException if the server says no
   */
  static Connection open(Dialer dialer, Endpoint to, String clientId, String user, String password, int keepAlive) throws IOException {
    Socket socket = dialer.dial(to);
    try {
      InputStream in = new BufferedInputStream(socket.getInputStream());
      OutputStream out = socket.getOutputStream();
      if (to.isWebSocket()) {
        WebSocket ws = WebSocket.upgrade(in, out, to);
        in = ws.input();
        out = ws.output();
      }
      Connection c = new Connection(dialer, socket, in, out);
      c.greet(clientId, user, password, keepAlive);
      return c;
    } catch (IOException | RuntimeException e) {
      dialer.close();
      throw e;
    }
  }

  private void greet(String clientId, String user, String password, int seconds) throws IOException {
    byte[] properties = new Packet.Writer()
        .oneByte(0x11).fourBytes(0xFFFFFFFFL) // Session Expiry Interval: for ever
        .oneByte(0x21).twoBytes(RECEIVE_MAXIMUM)
        .oneByte(0x27).fourBytes(Packet.MAX)
        .body();
    Packet.Writer hello = new Packet.Writer().text("MQTT").oneByte(5)
        .oneByte(0xC0) // user name and password; no clean start
        .twoBytes(seconds).oneByte(properties.length).bytes(properties)
        .text(clientId).text(user).text(password);
    send(hello.packet(Packet.CONNECT, 0));
    Packet answer = Packet.read(in);
    if (answer.type != Packet.CONNACK) {
      throw Packet.broken("packet type " + answer.type + " instead of CONNACK");
    }
    answer.oneByte(); // session present: the server keeps what is owed in any case
    int code = answer.oneByte();
    Properties5 said = Properties5.read(answer);
    if (code != 0) {
      throw RefusedException.mqtt(code, false, said.reference, said.reason);
    }
    keepAlive = said.serverKeepAlive >= 0 ? said.serverKeepAlive : seconds;
    serverTime = said.serverTime;
    lastHeard = Timing.now();
    // Whoever hears nothing for so long is alone.
    socket.setSoTimeout(keepAlive * 1500);
  }

  /** Seconds between signs of life; 0: none are needed. */
  int keepAlive() {
    return keepAlive;
  }

  /** The server's time when it accepted, in Unix milliseconds; 0 if it did not tell. */
  long serverTime() {
    return serverTime;
  }

  /** When something was last sent and heard, by Timing.now. */
  long lastSent() {
    return lastSent;
  }

  long lastHeard() {
    return lastHeard;
  }

  /** How many packets have come. */
  long packets() {
    return packets.get();
  }

  boolean isClosed() {
    return closed;
  }

  /**
   * Reads until the connection ends; it never returns otherwise.
   *
   * @throws RefusedException if the server gave a reason
   */
  void serve(Receiver to) throws IOException {
    try {
      while (true) {
        Packet p = Packet.read(in);
        lastHeard = Timing.now();
        packets.incrementAndGet();
        dispatch(p, to);
      }
    } catch (SocketTimeoutException silence) {
      throw new IOException("the server does not answer", silence);
    } finally {
      close();
    }
  }

  private void dispatch(Packet p, Receiver to) throws IOException {
    switch (p.type) {
      case Packet.PUBLISH:
        published(p, to);
        return;
      case Packet.PUBACK:
        int id = p.twoBytes();
        int code = p.atEnd() ? 0 : p.oneByte();
        to.acknowledged(id, code, Properties5.read(p).reason);
        return;
      case Packet.PINGRESP:
        return;
      case Packet.DISCONNECT:
        int reason = p.atEnd() ? 0 : p.oneByte();
        Properties5 said = Properties5.read(p);
        throw RefusedException.mqtt(reason, true, said.reference, said.reason);
      default:
        throw Packet.broken("packet type " + p.type);
    }
  }

  private void published(Packet p, Receiver to) throws IOException {
    int qos = p.flags >> 1 & 3;
    if (qos > 1) {
      throw Packet.broken("a message at QoS " + qos);
    }
    String topic = p.text();
    int id = qos == 0 ? 0 : p.twoBytes();
    if (qos == 1 && id == 0) {
      throw Packet.broken("packet identifier 0");
    }
    // A PUBLISH has a length of properties even where it has none.
    if (p.atEnd()) {
      throw Packet.broken("a PUBLISH without properties");
    }
    if (Properties5.read(p).topicAlias) {
      throw Packet.broken("a topic alias");
    }
    to.published(this, topic, id, p.rest());
  }

  /** Publishes at QoS 1; packetId is not 0. */
  void publish(String topic, int packetId, String payload) throws IOException {
    send(new Packet.Writer().text(topic).twoBytes(packetId).oneByte(0).bytes(payload.getBytes(StandardCharsets.UTF_8))
        .packet(Packet.PUBLISH, 2));
  }

  /** Acknowledges a message of QoS 1. */
  void acknowledge(int packetId) throws IOException {
    send(new Packet.Writer().twoBytes(packetId).packet(Packet.PUBACK, 0));
  }

  void ping() throws IOException {
    send(new Packet.Writer().packet(Packet.PINGREQ, 0));
  }

  /** Says goodbye and closes. */
  void bye() {
    try {
      send(new Packet.Writer().packet(Packet.DISCONNECT, 0));
    } catch (IOException gone) {
      // There is nobody to say goodbye to.
    }
    close();
  }

  /** Closes as a crash would; serve ends. */
  void close() {
    closed = true;
    try {
      dialer.close();
    } catch (IOException gone) {
      // It is closed all the same.
    }
  }

  private void send(byte[] packet) throws IOException {
    synchronized (writing) {
      out.write(packet);
      out.flush();
    }
    lastSent = Timing.now();
  }
}
