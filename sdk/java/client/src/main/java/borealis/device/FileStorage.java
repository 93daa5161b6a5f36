package borealis.device;

import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.FileOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;

/** Keeps each text in a file of its own. The device's secret is among them, so only the owner may read the files. */
public final class FileStorage implements Storage {
  private final File folder;

  /** Keeps files in the folder, which is made when it is first written to. One folder belongs to one device. */
  public FileStorage(File folder) {
    this.folder = folder;
  }

  @Override
  public String read(String name) throws IOException {
    File file = file(name);
    if (!file.exists()) {
      // A crash between the two steps of replace left only the new one.
      file = fresh(name);
      if (!file.exists()) {
        return null;
      }
    }
    try (InputStream in = new FileInputStream(file)) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      byte[] part = new byte[4096];
      for (int n = in.read(part); n >= 0; n = in.read(part)) {
        out.write(part, 0, n);
      }
      return new String(out.toByteArray(), StandardCharsets.UTF_8);
    }
  }

  @Override
  public void write(String name, String text) throws IOException {
    if (!folder.isDirectory()) {
      if (!folder.mkdirs() && !folder.isDirectory()) {
        throw new IOException("cannot make the folder " + folder);
      }
      ownerOnly(folder, true);
    }
    File fresh = fresh(name);
    try (FileOutputStream out = new FileOutputStream(fresh)) {
      ownerOnly(fresh, false);
      out.write(text.getBytes(StandardCharsets.UTF_8));
      out.getFD().sync();
    }
    replace(fresh, file(name));
  }

  @Override
  public void delete(String name) throws IOException {
    for (File file : new File[] {file(name), fresh(name)}) {
      if (!file.delete() && file.exists()) {
        throw new IOException("cannot delete " + file);
      }
    }
  }

  private static void replace(File from, File to) throws IOException {
    if (from.renameTo(to)) {
      return;
    }
    // Not every system replaces a file in one step.
    if (to.exists() && !to.delete() || !from.renameTo(to)) {
      throw new IOException("cannot replace " + to);
    }
  }

  /** Takes the rights of others away where the system has such rights. */
  private static void ownerOnly(File file, boolean search) {
    file.setReadable(false, false);
    file.setReadable(true, true);
    file.setWritable(false, false);
    file.setWritable(true, true);
    if (search) {
      file.setExecutable(false, false);
      file.setExecutable(true, true);
    }
  }

  private File file(String name) {
    return new File(folder, name + ".json");
  }

  private File fresh(String name) {
    return new File(folder, name + ".new");
  }
}
