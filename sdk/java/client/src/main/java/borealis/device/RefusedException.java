package borealis.device;

import java.io.IOException;

/** The server answered, and the answer was no. */
final class RefusedException extends IOException {
  /** HTTP status or MQTT code. */
  final int code;
  /** It is a status of HTTP. */
  final boolean http;
  /** The server ended a connection that it had accepted. */
  final boolean accepted;
  /** The server to use instead, as host:port; null if none was named. */
  final String reference;
  /** The server's words, or "". */
  final String why;
  /** Milliseconds that the server asks to wait. */
  final long retryAfter;

  private RefusedException(String message, int code, boolean http, boolean accepted, String reference, String why, long retryAfter) {
    super(message);
    this.code = code;
    this.http = http;
    this.accepted = accepted;
    this.reference = reference;
    this.why = why;
    this.retryAfter = retryAfter;
  }

  static RefusedException http(int status, String why, long retryAfter) {
    return new RefusedException("HTTP " + status + (why.isEmpty() ? "" : ": " + why), status, true, false, null, why, retryAfter);
  }

  static RefusedException mqtt(int code, boolean accepted, String reference, String why) {
    String message = String.format("%s (0x%02X)%s", accepted ? "disconnected by the server" : "connection refused", code, why.isEmpty() ? "" : ": " + why);
    return new RefusedException(message, code, false, accepted, reference, why, 0);
  }

  /** The identity is void: the server does not know it, or its secret is revoked. */
  boolean voidsIdentity() {
    return http ? code == 401 : !accepted && (code == 0x86 || code == 0x85);
  }

  /** Only somebody's decision will change the answer. */
  boolean isFinal() {
    return http ? code >= 400 && code < 500 && code != 408 && code != 425 && code != 429 : !accepted && code == 0x87;
  }

  /** The server sends to another one. */
  boolean moves() {
    return !http && (code == 0x9C || code == 0x9D) && reference != null;
  }

  boolean takenOver() {
    return accepted && code == 0x8E;
  }
}
