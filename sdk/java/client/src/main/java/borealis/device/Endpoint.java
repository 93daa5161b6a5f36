package borealis.device;

import java.net.URI;
import java.net.URISyntaxException;

/** An address that devices connect to: tcp://, mqtt://, mqtts://, ssl://, ws:// or wss://. */
final class Endpoint {
  final String host;
  final int port;
  final boolean tls;
  /** Path of a WebSocket; null where the socket speaks MQTT directly. */
  final String path;

  private Endpoint(String host, int port, boolean tls, String path) {
    this.host = host;
    this.port = port;
    this.tls = tls;
    this.path = path;
  }

  /** Null if the SDK cannot use the address. */
  static Endpoint parse(String address) {
    URI uri;
    try {
      uri = new URI(address);
    } catch (URISyntaxException e) {
      return null;
    }
    String host = uri.getHost();
    if (host == null || uri.getScheme() == null) {
      return null;
    }
    if (host.startsWith("[")) {
      host = host.substring(1, host.length() - 1);
    }
    switch (uri.getScheme()) {
      case "tcp":
      case "mqtt":
        return new Endpoint(host, or(uri.getPort(), 1883), false, null);
      case "mqtts":
      case "ssl":
      case "tls":
        return new Endpoint(host, or(uri.getPort(), 8883), true, null);
      case "ws":
        return new Endpoint(host, or(uri.getPort(), 80), false, path(uri));
      case "wss":
        return new Endpoint(host, or(uri.getPort(), 443), true, path(uri));
      default:
        return null;
    }
  }

  /** The same kind of address at another server, given as host or host:port; null if it is neither. */
  Endpoint moved(String reference) {
    String scheme = path != null ? tls ? "wss" : "ws" : tls ? "mqtts" : "tcp";
    return parse(scheme + "://" + reference + (path == null ? "" : path));
  }

  boolean isWebSocket() {
    return path != null;
  }

  @Override
  public String toString() {
    return (path == null ? tls ? "mqtts" : "tcp" : tls ? "wss" : "ws") + "://" + authority() + (path == null ? "" : path);
  }

  String authority() {
    return (host.indexOf(':') >= 0 ? "[" + host + "]" : host) + ":" + port;
  }

  private static String path(URI uri) {
    String path = uri.getRawPath() == null || uri.getRawPath().isEmpty() ? "/" : uri.getRawPath();
    return uri.getRawQuery() == null ? path : path + "?" + uri.getRawQuery();
  }

  private static int or(int port, int otherwise) {
    return port < 0 ? otherwise : port;
  }
}
