package borealis.device;

import java.io.IOException;

/** The storage failed, so what was said is not kept. */
public final class StorageException extends RuntimeException {
  StorageException(IOException cause) {
    super(cause.getMessage(), cause);
  }
}
