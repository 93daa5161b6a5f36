package borealis.driver;

import borealis.device.Listener;
import borealis.device.Message;
import java.util.LinkedHashMap;
import java.util.Map;

/** The app: prints what it hears, and handles messages as it is told to. */
public final class Reporter extends Listener {
  private final Lines out;
  private String mode = "ok";

  public Reporter(Lines out) {
    this.out = out;
  }

  /** ok, hold or fail. */
  synchronized void mode(String to) {
    if (!to.equals("ok") && !to.equals("hold") && !to.equals("fail")) {
      throw new IllegalArgumentException("no such mode: " + to);
    }
    mode = to;
    notifyAll();
  }

  private synchronized void handle() throws InterruptedException {
    while (mode.equals("hold")) {
      wait();
    }
    if (mode.equals("fail")) {
      throw new IllegalStateException("the handler was told to fail");
    }
  }

  @Override
  public void onMessage(Message message) throws Exception {
    Map<String, Object> event = event("message");
    event.putAll(message.members());
    event.put("silent", message.silent());
    out.print(event);
    handle();
  }

  @Override
  public void onWithdrawn(String id) throws Exception {
    print(event("withdrawn"), "id", id);
    handle();
  }

  @Override
  public void onWaitingForConsent() {
    print(event("waiting"), "for", "consent");
  }

  @Override
  public void onRegistered(String registrationId) {
    print(event("registered"), "registration_id", registrationId);
  }

  @Override
  public void onConnected() {
    out.print(event("connected"));
  }

  @Override
  public void onDisconnected(String reason) {
    print(event("disconnected"), "reason", reason);
  }

  @Override
  public void onTakenOver() {
    out.print(event("taken_over"));
  }

  @Override
  public void onRefused(String what, int code, String why) {
    Map<String, Object> event = event("refused");
    event.put("what", what);
    event.put("why", why);
    print(event, "code", code);
  }

  @Override
  public void onError(String why) {
    print(event("error"), "why", why);
  }

  private static Map<String, Object> event(String name) {
    Map<String, Object> event = new LinkedHashMap<>();
    event.put("event", name);
    return event;
  }

  private void print(Map<String, Object> event, String member, Object value) {
    event.put(member, value);
    out.print(event);
  }
}
