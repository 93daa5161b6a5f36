package borealis.device;

/** A text is not the JSON that was expected. */
public final class JsonException extends RuntimeException {
  JsonException(String message) {
    super(message);
  }
}
