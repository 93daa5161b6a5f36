package borealis.android;

import static org.junit.Assert.assertEquals;
import static org.junit.Assert.assertTrue;

import java.io.File;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.util.Set;
import java.util.TreeSet;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.Test;
import org.w3c.dom.Element;
import org.w3c.dom.NodeList;

/** What the manifest and the rules name exists. */
public class ManifestTest {
  @Test
  public void componentsAreClasses() throws Exception {
    Element root = DocumentBuilderFactory.newInstance().newDocumentBuilder().parse(new File("src/main/AndroidManifest.xml")).getDocumentElement();
    Set<String> components = new TreeSet<>();
    for (String kind : new String[] {"activity", "receiver"}) {
      NodeList list = root.getElementsByTagName(kind);
      for (int i = 0; i < list.getLength(); i++) {
        components.add(((Element) list.item(i)).getAttribute("android:name"));
      }
    }
    Set<String> classes = new TreeSet<>();
    for (String file : new File("src/main/java/borealis/android").list()) {
      if (file.endsWith("Activity.java") || file.endsWith("Receiver.java")) {
        classes.add("borealis.android." + file.replace(".java", ""));
      }
    }
    assertEquals(classes, components);
  }

  @Test
  public void everyClassThatIsReflectedOnIsKept() throws Exception {
    String rules = new String(Files.readAllBytes(new File("src/main/resources/META-INF/proguard/borealis.pro").toPath()), StandardCharsets.UTF_8);
    int found = 0;
    for (File file : new File("src/main/java/borealis/android").listFiles((dir, name) -> name.endsWith("Bridge.java"))) {
      String source = new String(Files.readAllBytes(file.toPath()), StandardCharsets.UTF_8);
      java.util.regex.Matcher names = java.util.regex.Pattern.compile("\"(com\\.[A-Za-z0-9_.$]+)\"").matcher(source);
      while (names.find()) {
        found++;
        assertTrue(names.group(1), rules.contains(" " + names.group(1) + " {"));
      }
    }
    assertTrue(found > 10);
  }
}
