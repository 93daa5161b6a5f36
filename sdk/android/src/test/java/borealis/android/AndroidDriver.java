package borealis.android;

import android.content.Context;
import android.os.Bundle;
import borealis.device.Client;
import borealis.device.FileStorage;
import borealis.device.Message;
import borealis.device.Options;
import borealis.device.Storage;
import borealis.driver.Driver;
import borealis.driver.Lines;
import borealis.driver.Reporter;
import java.io.File;
import java.io.FileDescriptor;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.util.List;
import java.util.Map;
import org.junit.Test;
import org.junit.runner.JUnitCore;
import org.junit.runner.Result;
import org.junit.runner.RunWith;
import org.junit.runner.notification.Failure;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;

/**
 * The driver of the shared scenarios through the classes for Android, within Robolectric, which takes seconds to start: one
 * process serves all scenarios. The command kill ends a life without a word, close ends a scenario.
 */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
public class AndroidDriver {
  public static void main(String[] args) {
    System.setOut(System.err); // whatever else prints must not break a line
    Result result = JUnitCore.runClasses(AndroidDriver.class);
    for (Failure failure : result.getFailures()) {
      System.err.println(failure.getTrace());
    }
    System.exit(result.wasSuccessful() ? 0 : 1);
  }

  @Test
  public void serve() throws IOException {
    new Lives(new Lines(new PrintStream(new FileOutputStream(FileDescriptor.out)))).serve(new FileInputStream(FileDescriptor.in));
  }

  /** One life after another in one process. */
  private static final class Lives extends Driver {
    private final Context context = RuntimeEnvironment.getApplication();
    private Life life;
    private File folder;
    private Push push;

    Lives(Lines out) {
      super(out);
    }

    @Override
    protected Lines events() {
      life = new Life(out);
      return life;
    }

    @Override
    protected Client make(Options options, File storage, Reporter reporter) {
      if (!storage.equals(folder)) {
        // Another installation. That the user allows notifications is not said, because the scenarios count.
        context.getSharedPreferences("borealis", Context.MODE_PRIVATE).edit().clear().putBoolean("notifications", true).apply();
        folder = storage;
      }
      life.storage = new FileStorage(storage);
      Options own = options.storage(life);
      push = new Push(context, new Settings(new Bundle()), own, new App(reporter));
      return push.client();
    }

    @Override
    protected void consent(String version, List<String> purposes) {
      push.consent(version, purposes);
    }

    @Override
    protected void start() {
      push.start();
    }

    @Override
    protected void stop() {
      push.stop();
    }

    @Override
    protected void other(String word) throws IOException {
      switch (word) {
        case "kill":
        case "close":
          if (life != null) {
            life.end();
            client.stop();
          }
          return;
        default:
          super.other(word);
      }
    }
  }

  /** What ends with a life: it prints nothing any more, and keeps nothing. */
  private static final class Life extends Lines implements Storage {
    private final Lines out;
    private Storage storage;
    private boolean over;

    Life(Lines out) {
      super(System.err);
      this.out = out;
    }

    synchronized void end() {
      over = true;
    }

    @Override
    public synchronized void print(Map<String, Object> object) {
      if (!over) {
        out.print(object);
      }
    }

    @Override
    public synchronized String read(String name) throws IOException {
      return storage.read(name);
    }

    @Override
    public synchronized void write(String name, String text) throws IOException {
      if (over) {
        throw new IOException("this life is over");
      }
      storage.write(name, text);
    }

    @Override
    public synchronized void delete(String name) throws IOException {
      if (over) {
        throw new IOException("this life is over");
      }
      storage.delete(name);
    }
  }

  /** The app: it shows notifications itself, because the scenarios say when one was displayed. */
  private static final class App extends PushHandler {
    private final Reporter reporter;

    App(Reporter reporter) {
      this.reporter = reporter;
    }

    @Override
    public boolean onNotification(Context context, Message notification) throws Exception {
      reporter.onMessage(notification);
      return true;
    }

    @Override
    public void onMessage(Context context, Message message) throws Exception {
      if (!message.type().equals(Message.NOTIFICATION)) {
        reporter.onMessage(message);
      }
    }

    @Override
    public void onInApp(Context context, Message message) throws Exception {
      reporter.onMessage(message);
    }

    @Override
    public void onWithdrawn(Context context, String id) throws Exception {
      reporter.onWithdrawn(id);
    }

    @Override
    public void onWaitingForConsent(Context context) {
      reporter.onWaitingForConsent();
    }

    @Override
    public void onRegistered(Context context, String registrationId) {
      reporter.onRegistered(registrationId);
    }

    @Override
    public void onConnected(Context context) {
      reporter.onConnected();
    }

    @Override
    public void onDisconnected(Context context, String reason) {
      reporter.onDisconnected(reason);
    }

    @Override
    public void onTakenOver(Context context) {
      reporter.onTakenOver();
    }

    @Override
    public void onRefused(Context context, String what, int code, String why) {
      reporter.onRefused(what, code, why);
    }

    @Override
    public void onError(Context context, String why) {
      reporter.onError(why);
    }
  }
}
