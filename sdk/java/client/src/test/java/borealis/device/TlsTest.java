package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertThrows;

import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.Socket;
import java.security.KeyStore;
import java.util.Collections;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.SSLException;
import javax.net.ssl.TrustManagerFactory;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class TlsTest {
  private static final char[] PASSWORD = "changeit".toCharArray();

  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  /** Keys and trust of a certificate for a host. */
  private SSLContext context(String host) throws Exception {
    File file = new File(folder.getRoot(), host + ".p12");
    String keytool = System.getProperty("java.home") + "/bin/keytool";
    Process made = new ProcessBuilder(keytool, "-genkeypair", "-keyalg", "EC", "-alias", "a", "-dname", "CN=" + host, "-ext", "san=dns:" + host,
        "-keystore", file.getPath(), "-storetype", "PKCS12", "-storepass", "changeit").redirectErrorStream(true).start();
    assertEquals(0, made.waitFor());
    KeyStore store = KeyStore.getInstance("PKCS12");
    try (InputStream in = new FileInputStream(file)) {
      store.load(in, PASSWORD);
    }
    KeyManagerFactory keys = KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
    keys.init(store, PASSWORD);
    TrustManagerFactory trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
    trust.init(store);
    SSLContext context = SSLContext.getInstance("TLS");
    context.init(keys.getKeyManagers(), trust.getTrustManagers(), null);
    return context;
  }

  @Test
  public void everythingMayGoOverTls() throws Exception {
    SSLContext tls = context("localhost");
    BlockingQueue<String> heard = new LinkedBlockingQueue<>();
    try (FakeServer server = new FakeServer(tls.getServerSocketFactory(), true)) {
      Client client = new Client(new Options(server.http(), "key", new MemoryStorage()).tls(tls.getSocketFactory()).listener(new Listener() {
        @Override
        public void onConnected() {
          heard.add("connected");
        }
      }));
      client.consent("1", Collections.singleton("push"));
      client.start();
      server.register();
      server.accept();
      assertEquals("connected", heard.poll(FakeServer.PATIENCE, TimeUnit.MILLISECONDS));
      client.stop();
    }
  }

  @Test
  public void aCertificateOfAnotherHostIsRefused() throws Exception {
    SSLContext tls = context("elsewhere");
    try (FakeServer server = new FakeServer(tls.getServerSocketFactory(), true)) {
      Endpoint to = Endpoint.parse(server.http().replace("https", "mqtts"));
      Thread answering = new Thread(() -> {
        try (Socket socket = server.take()) {
          socket.getInputStream().read();
        } catch (IOException | InterruptedException refused) {
          // As it should be.
        }
      });
      answering.start();
      assertThrows(SSLException.class, () -> new Dialer(tls.getSocketFactory()).dial(to));
      answering.join();
    }
  }
}
