package borealis.device;

import java.io.IOException;
import java.lang.reflect.InvocationTargetException;
import java.lang.reflect.Method;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.net.UnknownHostException;
import javax.net.ssl.HttpsURLConnection;
import javax.net.ssl.SSLParameters;
import javax.net.ssl.SSLSocket;
import javax.net.ssl.SSLSocketFactory;

/** Opens sockets. One attempt; close ends it from another thread. */
final class Dialer {
  /** For connecting and for each answer during the handshakes, in milliseconds. */
  static final int TIMEOUT = 10_000;

  private final SSLSocketFactory factory;
  private Socket raw;
  private boolean closed;

  /** Null is the system's factory. */
  Dialer(SSLSocketFactory factory) {
    this.factory = factory;
  }

  /** A connected socket, secured where the endpoint says so; reads time out after TIMEOUT. */
  Socket dial(Endpoint to) throws IOException {
    Socket socket = new Socket();
    synchronized (this) {
      if (closed) {
        throw new IOException("stopped");
      }
      raw = socket;
    }
    try {
      InetSocketAddress address = new InetSocketAddress(to.host, to.port);
      if (address.isUnresolved()) {
        throw new UnknownHostException(to.host);
      }
      socket.connect(address, TIMEOUT);
      socket.setTcpNoDelay(true);
      socket.setSoTimeout(TIMEOUT);
      return to.tls ? secure(socket, to) : socket;
    } catch (IOException | RuntimeException e) {
      socket.close();
      throw e;
    }
  }

  /** Ends what is under way, and whatever the dialled socket does. */
  synchronized void close() throws IOException {
    closed = true;
    if (raw != null) {
      raw.close();
    }
  }

  private Socket secure(Socket socket, Endpoint to) throws IOException {
    SSLSocketFactory secured = factory != null ? factory : (SSLSocketFactory) SSLSocketFactory.getDefault();
    SSLSocket tls = (SSLSocket) secured.createSocket(socket, to.host, to.port, true);
    boolean verifies = verifyHost(tls);
    tls.startHandshake();
    if (!verifies && !HttpsURLConnection.getDefaultHostnameVerifier().verify(to.host, tls.getSession())) {
      throw new IOException("the certificate is not that of " + to.host);
    }
    return tls;
  }

  /** Has the handshake compare certificate and host. False: this Android (before 7) cannot, so it is compared afterwards. */
  private static boolean verifyHost(SSLSocket tls) {
    try {
      Method identify = SSLParameters.class.getMethod("setEndpointIdentificationAlgorithm", String.class);
      SSLParameters parameters = tls.getSSLParameters();
      identify.invoke(parameters, "HTTPS");
      tls.setSSLParameters(parameters);
      return true;
    } catch (NoSuchMethodException | IllegalAccessException | InvocationTargetException absent) {
      return false;
    }
  }
}
