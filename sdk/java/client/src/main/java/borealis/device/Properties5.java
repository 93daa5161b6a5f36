package borealis.device;

import java.io.IOException;

/** The properties of an MQTT 5 packet that the SDK looks at. */
final class Properties5 {
  /** Seconds; -1 if the server does not set it. */
  int serverKeepAlive = -1;
  String reason = "";
  /** Null if there is none. */
  String reference;
  /** The server's time in Unix milliseconds; 0 if it does not tell. */
  long serverTime;
  boolean topicAlias;

  /** Reads the list, of which a packet may leave out even the length. */
  static Properties5 read(Packet in) throws IOException {
    Properties5 out = new Properties5();
    if (in.atEnd()) {
      return out;
    }
    int length = in.varint();
    int end = in.position() + length;
    while (in.position() < end) {
      out.property(in, in.oneByte());
    }
    if (in.position() != end) {
      throw Packet.broken("properties longer than their length");
    }
    return out;
  }

  private void property(Packet in, int id) throws IOException {
    switch (id) {
      case 0x01: // Payload Format Indicator
      case 0x17: // Request Problem Information
      case 0x19: // Request Response Information
      case 0x24: // Maximum QoS
      case 0x25: // Retain Available
      case 0x28: // Wildcard Subscription Available
      case 0x29: // Subscription Identifiers Available
      case 0x2A: // Shared Subscription Available
        in.oneByte();
        return;
      case 0x13:
        serverKeepAlive = in.twoBytes();
        return;
      case 0x23:
        topicAlias = true;
        in.twoBytes();
        return;
      case 0x21: // Receive Maximum
      case 0x22: // Topic Alias Maximum
        in.twoBytes();
        return;
      case 0x02: // Message Expiry Interval
      case 0x11: // Session Expiry Interval
      case 0x18: // Will Delay Interval
      case 0x27: // Maximum Packet Size
        in.fourBytes();
        return;
      case 0x0B: // Subscription Identifier
        in.varint();
        return;
      case 0x1C:
        reference = in.text();
        return;
      case 0x1F:
        reason = in.text();
        return;
      case 0x26:
        userProperty(in.text(), in.text());
        return;
      case 0x03: // Content Type
      case 0x08: // Response Topic
      case 0x09: // Correlation Data, whose form is that of a text
      case 0x12: // Assigned Client Identifier
      case 0x15: // Authentication Method
      case 0x16: // Authentication Data
      case 0x1A: // Response Information
        in.text();
        return;
      default:
        throw Packet.broken("property " + id);
    }
  }

  private void userProperty(String name, String value) {
    if (name.equals("server_time") && value.matches("[0-9]{1,15}")) {
      serverTime = Long.parseLong(value);
    }
  }
}
