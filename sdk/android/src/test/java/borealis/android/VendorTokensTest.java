package borealis.android;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import android.content.Context;
import android.os.Bundle;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import org.junit.Before;
import org.junit.Test;
import org.junit.runner.RunWith;
import org.robolectric.RobolectricTestRunner;
import org.robolectric.RuntimeEnvironment;
import org.robolectric.annotation.Config;
import org.robolectric.shadows.ShadowBuild;

/** With classes of the makers' names and shapes; no phone of any of them has run this. */
@RunWith(RobolectricTestRunner.class)
@Config(sdk = 34)
public class VendorTokensTest implements VendorTokens.Sink {
  private final Context context = RuntimeEnvironment.getApplication();
  private final Bundle manifest = new Bundle();
  private final List<String> said = new ArrayList<>();

  @Before
  public void reset() {
    Maker.reset();
    Maker.token = "tok";
  }

  @Override
  public void token(String channel, String token) {
    said.add(channel + "=" + token);
  }

  @Override
  public void failed(String channel, String why) {
    said.add(channel + " failed: " + why);
  }

  /** What is said on a phone of this maker, Firebase left out. */
  private List<String> on(String maker) {
    ShadowBuild.setManufacturer(maker);
    said.clear();
    for (VendorBridge bridge : tokens(getClass().getClassLoader()).bridges()) {
      if (!bridge.channel().equals("fcm")) {
        Maker.calls.clear();
        collect(bridge);
      }
    }
    return said;
  }

  private VendorTokens tokens(ClassLoader loader) {
    return new VendorTokens(context, new Settings(manifest), loader, this);
  }

  private void collect(VendorBridge only) {
    tokens(new ClassLoader(getClass().getClassLoader()) {
      @Override
      protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        if (name.startsWith("com.google.firebase") && !only.channel().equals("fcm")) {
          throw new ClassNotFoundException(name);
        }
        return super.loadClass(name, resolve);
      }
    }).collect(Runnable::run);
  }

  private static List<String> list(String... of) {
    return Arrays.asList(of);
  }

  @Test
  public void huawei() {
    assertEquals(list("huawei=tok"), on("HUAWEI"));
    assertEquals("from the build plugin's file", list("getToken agc-id HCM"), Maker.calls);
    manifest.putString("borealis.huawei.app_id", "id:123");
    assertEquals(list("huawei=tok"), on("HUAWEI"));
    assertEquals(list("getToken 123 HCM"), Maker.calls);
    Maker.token = "";
    assertEquals("it comes to the app's service later", list(), on("HUAWEI"));
    Maker.failure = 907135000;
    assertEquals(list("huawei failed: java.lang.Exception: ApiException 907135000"), on("HUAWEI"));
  }

  @Test
  public void honor() {
    assertEquals(list("honor=tok"), on("HONOR"));
    assertEquals(list("init false"), Maker.calls);
    Maker.failure = 8001;
    assertEquals(list("honor failed: [8001, no]"), on("HONOR"));
    Maker.supported = false;
    assertEquals(list("honor failed: this phone does not support it"), on("HONOR"));
  }

  @Test
  public void xiaomi() {
    assertTrue(on("Xiaomi").get(0), said.get(0).contains("borealis.xiaomi.app_id"));
    manifest.putString("borealis.xiaomi.app_id", "id:2882303761517");
    manifest.putString("borealis.xiaomi.app_key", "id:5631");
    assertEquals(list("xiaomi=tok"), on("Xiaomi"));
    assertEquals(list("registerPush 2882303761517 5631"), Maker.calls);
    Maker.token = "";
    assertEquals("it comes to the app's receiver", list(), on("Xiaomi"));
  }

  @Test
  public void oppo() {
    assertTrue(on("OPPO").get(0), said.get(0).contains("borealis.oppo.app_key"));
    manifest.putString("borealis.oppo.app_key", "k");
    manifest.putString("borealis.oppo.app_secret", "s");
    for (String maker : new String[] {"OPPO", "realme", "OnePlus"}) {
      assertEquals(list("oppo=tok"), on(maker));
      assertEquals(list("init false", "register k s truetrue"), Maker.calls);
    }
    Maker.failure = 14;
    assertEquals(list("oppo failed: onRegister 14"), on("OPPO"));
    Maker.supported = false;
    assertEquals(list("oppo failed: this phone does not support it"), on("OPPO"));
  }

  @Test
  public void vivo() {
    assertEquals(list("vivo=tok"), on("vivo"));
    assertEquals(list("agree true", "initialize config", "turnOnPush"), Maker.calls);
    Maker.token = "";
    assertEquals(list("vivo failed: getRegId 7"), on("vivo"));
    Maker.failure = 101;
    assertEquals(list("vivo failed: turnOnPush 101"), on("vivo"));
    Maker.supported = false;
    assertEquals(list("vivo failed: this phone does not support it"), on("vivo"));
  }

  @Test
  public void olderVivo() {
    ShadowBuild.setManufacturer("vivo");
    VendorTokens older = tokens(new ClassLoader(getClass().getClassLoader()) {
      @Override
      protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        if (name.contains("PushConfig") || name.contains("IPushQuery") || name.startsWith("com.google.firebase")) {
          throw new ClassNotFoundException(name);
        }
        return super.loadClass(name, resolve);
      }
    });
    older.collect(Runnable::run);
    assertEquals(list("vivo=tok"), said);
    assertEquals(list("initialize", "turnOnPush"), Maker.calls);
  }

  @Test
  public void meizu() {
    assertTrue(on("Meizu").get(0), said.get(0).contains("borealis.meizu.app_id"));
    manifest.putInt("borealis.meizu.app_id", 1000);
    manifest.putString("borealis.meizu.app_key", "k");
    assertEquals(list("meizu=tok"), on("Meizu"));
    assertEquals(list("register 1000 k"), Maker.calls);
  }

  @Test
  public void firebaseOnAnyPhone() {
    ShadowBuild.setManufacturer("Google");
    tokens(getClass().getClassLoader()).collect(Runnable::run);
    assertEquals(list("fcm=tok"), said);
    said.clear();
    Maker.failure = 5;
    tokens(getClass().getClassLoader()).collect(Runnable::run);
    assertEquals(list("fcm failed: java.lang.Exception: code 5"), said);
  }

  @Test
  public void aLibraryThatIsNotThereIsNotCalled() {
    ClassLoader empty = new ClassLoader(null) {};
    for (String maker : new String[] {"HUAWEI", "HONOR", "Xiaomi", "OPPO", "vivo", "Meizu", "Google"}) {
      ShadowBuild.setManufacturer(maker);
      tokens(empty).collect(Runnable::run);
    }
    assertEquals(list(), said);
    assertEquals(list(), Maker.calls);
  }

  @Test
  public void aLibraryOfAnotherShapeIsAFailureAndNoCrash() {
    ShadowBuild.setManufacturer("vivo");
    VendorTokens other = tokens(new ClassLoader(getClass().getClassLoader()) {
      @Override
      protected Class<?> loadClass(String name, boolean resolve) throws ClassNotFoundException {
        if (name.equals("com.vivo.push.IPushActionListener")) {
          throw new ClassNotFoundException(name);
        }
        if (name.startsWith("com.google.firebase")) {
          throw new ClassNotFoundException(name);
        }
        return super.loadClass(name, resolve);
      }
    });
    other.collect(Runnable::run);
    assertEquals(1, said.size());
    assertTrue(said.get(0), said.get(0).startsWith("vivo failed: java.lang.ClassNotFoundException"));
  }
}
