package borealis.device;

import java.io.File;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.TimeZone;
import javax.net.ssl.SSLSocketFactory;

/** What a Client is made of. Server, app key and storage are required. The setters return this. */
public final class Options implements Cloneable {
  final String server;
  final String appKey;
  Storage storage;
  String platform = "desktop";
  String packageName = "";
  final Map<String, Object> device = new LinkedHashMap<>();
  String transport = "";
  double scale = 1;
  SSLSocketFactory tls;
  Listener listener = new Listener() {};
  Signer signer;
  Clock clock =
      new Clock() {
        @Override
        public long millis() {
          return System.currentTimeMillis();
        }
      };

  /** Makes the token of apps whose registration is signed; it asks the app's backend. */
  public interface Signer {
    /** The token for this installation. Called from a thread of the SDK; may take its time. */
    String sign(String installId) throws Exception;
  }

  /**
   * @param server base URL of the server, e.g. https://push.example.com
   * @param appKey the app's public key
   * @param storage where the device's state is kept; it belongs to this client alone
   */
  public Options(String server, String appKey, Storage storage) {
    if (server == null || !server.startsWith("http://") && !server.startsWith("https://")) {
      throw new IllegalArgumentException("server must be an http or https URL");
    }
    if (appKey == null || appKey.isEmpty() || storage == null) {
      throw new IllegalArgumentException("app key and storage are required");
    }
    this.server = server.endsWith("/") ? server.substring(0, server.length() - 1) : server;
    this.appKey = appKey;
    this.storage = storage;
    device.put("sdk_version", "java-" + Client.VERSION);
    device.put("timezone", TimeZone.getDefault().getID());
  }

  /** As above, with the state in files of a folder. */
  public Options(String server, String appKey, File folder) {
    this(server, appKey, new FileStorage(folder));
  }

  /** Keeps the device's state elsewhere than was said first. */
  public Options storage(Storage to) {
    storage = to;
    return this;
  }

  /** android, desktop (unless said otherwise) or iot. */
  public Options platform(String name) {
    platform = name;
    return this;
  }

  /** The app's package name. */
  public Options packageName(String name) {
    packageName = name;
    return this;
  }

  /** One of model, os_version, app_version, sdk_version, timezone (IANA), locale (BCP 47); at most 128 bytes. */
  public Options device(String member, String value) {
    if (value == null || value.isEmpty()) {
      device.remove(member);
    } else {
      device.put(member, value);
    }
    return this;
  }

  /** "tcp" (plain or TLS) or "ws" uses only such addresses; "" (unless said otherwise) any, the server's preferred first. */
  public Options transport(String kind) {
    transport = kind;
    return this;
  }

  /** Who hears of messages and of the connection. */
  public Options listener(Listener to) {
    listener = to;
    return this;
  }

  /** For apps whose registration is signed. */
  public Options signer(Signer by) {
    signer = by;
    return this;
  }

  /** Makes the TLS sockets of https, mqtts and wss; null is the system's. */
  public Options tls(SSLSocketFactory factory) {
    tls = factory;
    return this;
  }

  /** The device's clock. */
  public Options clock(Clock c) {
    clock = c;
    return this;
  }

  /** Multiplies every delay of the SDK; for tests. */
  public Options scale(double factor) {
    scale = factor;
    return this;
  }

  Options copy() {
    try {
      return (Options) clone();
    } catch (CloneNotSupportedException impossible) {
      throw new AssertionError(impossible);
    }
  }
}
