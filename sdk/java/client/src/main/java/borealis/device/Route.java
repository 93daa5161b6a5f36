package borealis.device;

import java.io.IOException;
import java.util.ArrayList;
import java.util.List;

/** Which of the told addresses to connect to next. */
final class Route {
  private final Identity identity;
  private final String transport;
  private int at;
  /** Where the server sent to, as host:port; null: nowhere. */
  private String moved;

  /** transport: "tcp", "ws", or "" for both. */
  Route(Identity identity, String transport) {
    this.identity = identity;
    this.transport = transport;
  }

  /** First of all the one that the server sent to, then the told ones in turn. */
  Endpoint next() throws IOException {
    List<Endpoint> list = new ArrayList<>();
    for (String address : identity.addresses()) {
      Endpoint e = Endpoint.parse(address);
      if (e != null && (transport.isEmpty() || e.isWebSocket() == transport.equals("ws"))) {
        list.add(e);
      }
    }
    if (list.isEmpty()) {
      throw new IOException("the server told no address that this device can use");
    }
    Endpoint next = list.get(at % list.size());
    Endpoint there = moved == null ? null : next.moved(moved);
    moved = null;
    return there == null ? next : there;
  }

  /** The last one could not be connected to. */
  void failed() {
    at = at + 1 & Integer.MAX_VALUE;
  }

  /** The server sent to another one, as host or host:port. */
  void moved(String reference) {
    moved = reference;
  }
}
