package borealis.device;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertFalse;
import static org.junit.Assert.assertNull;
import static org.junit.Assert.assertThrows;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.io.FileWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.attribute.PosixFilePermissions;
import org.junit.Rule;
import org.junit.Test;
import org.junit.rules.TemporaryFolder;

public class FileStorageTest {
  @Rule public final TemporaryFolder folder = new TemporaryFolder();

  @Test
  public void textsAreKeptReplacedAndDeleted() throws IOException {
    File in = new File(folder.getRoot(), "a/b");
    Storage storage = new FileStorage(in);
    assertNull(storage.read("identity"));
    storage.delete("identity");
    assertFalse("reading makes no folder", in.exists());
    storage.write("identity", "one 中文");
    storage.write("identity", "two");
    storage.write("known", "three");
    Storage next = new FileStorage(in);
    assertEquals("two", next.read("identity"));
    assertEquals("three", next.read("known"));
    next.delete("identity");
    assertNull(next.read("identity"));
  }

  @Test
  public void onlyTheOwnerMayRead() throws IOException {
    File in = new File(folder.getRoot(), "own");
    new FileStorage(in).write("identity", "secret");
    assertEquals("rwx------", PosixFilePermissions.toString(Files.getPosixFilePermissions(in.toPath())));
    assertEquals("rw-------", PosixFilePermissions.toString(Files.getPosixFilePermissions(new File(in, "identity.json").toPath())));
  }

  @Test
  public void aCrashBetweenTheStepsLosesNothing() throws IOException {
    Storage storage = new FileStorage(folder.getRoot());
    try (FileWriter out = new FileWriter(new File(folder.getRoot(), "known.new"))) {
      out.write("left over");
    }
    assertEquals("left over", storage.read("known"));
    storage.write("known", "newer");
    assertEquals("newer", storage.read("known"));
  }

  @Test
  public void whatCannotBeWrittenIsAnError() throws IOException {
    File file = folder.newFile("file");
    assertThrows(IOException.class, () -> new FileStorage(file).write("a", "b"));
    assertTrue(file.isFile());
  }
}
