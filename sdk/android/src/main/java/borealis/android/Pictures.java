package borealis.android;

import android.content.Context;
import android.graphics.Bitmap;
import android.graphics.BitmapFactory;
import java.io.ByteArrayOutputStream;
import java.io.File;
import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.net.HttpURLConnection;
import java.net.URL;

/** Loads the pictures that a push names, in the thread that asks. One that cannot be had is left out. */
final class Pictures {
  private static final int TIMEOUT = 5000;
  /** The largest file that is read, in bytes. */
  private static final int MAX_BYTES = 1 << 20;
  /** Width and height that a picture is scaled down to. */
  private static final int MAX_PIXELS = 1024;

  private final Context context;

  Pictures(Context context) {
    this.context = context;
  }

  /** A picture by its URL, its path or its name in res/drawable; null if there is none. */
  Bitmap load(String source) {
    if (source.isEmpty()) {
      return null;
    }
    try {
      if (source.startsWith("http://") || source.startsWith("https://")) {
        return decode(fetch(source));
      }
      if (source.startsWith("/")) {
        return decode(read(new FileInputStream(new File(source))));
      }
    } catch (IOException | RuntimeException notThere) {
      return null;
    }
    int id = context.getResources().getIdentifier(source, "drawable", context.getPackageName());
    return id == 0 ? null : BitmapFactory.decodeResource(context.getResources(), id);
  }

  private static byte[] fetch(String url) throws IOException {
    HttpURLConnection call = (HttpURLConnection) new URL(url).openConnection();
    try {
      call.setConnectTimeout(TIMEOUT);
      call.setReadTimeout(TIMEOUT);
      if (call.getResponseCode() != HttpURLConnection.HTTP_OK) {
        throw new IOException("HTTP " + call.getResponseCode());
      }
      return read(call.getInputStream());
    } finally {
      call.disconnect();
    }
  }

  private static byte[] read(InputStream in) throws IOException {
    try (InputStream from = in) {
      ByteArrayOutputStream out = new ByteArrayOutputStream();
      byte[] part = new byte[8192];
      for (int n = from.read(part); n >= 0; n = from.read(part)) {
        out.write(part, 0, n);
        if (out.size() > MAX_BYTES) {
          throw new IOException("larger than " + MAX_BYTES + " bytes");
        }
      }
      return out.toByteArray();
    }
  }

  private static Bitmap decode(byte[] data) {
    BitmapFactory.Options options = new BitmapFactory.Options();
    options.inJustDecodeBounds = true;
    BitmapFactory.decodeByteArray(data, 0, data.length, options);
    options.inJustDecodeBounds = false;
    options.inSampleSize = 1;
    while (Math.max(options.outWidth, options.outHeight) / options.inSampleSize > MAX_PIXELS) {
      options.inSampleSize *= 2;
    }
    return BitmapFactory.decodeByteArray(data, 0, data.length, options);
  }
}
