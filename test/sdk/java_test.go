package sdk

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"
)

var (
	javaSource    = filepath.Join("..", "..", "sdk", "java")
	androidSource = filepath.Join("..", "..", "sdk", "android")
)

// haveTools is an error of errNotHere if a program is not there.
func haveTools(programs ...string) error {
	for _, program := range programs {
		if _, err := exec.LookPath(program); err != nil {
			return fmt.Errorf("%w: %s is not installed (build/ensure-test-tools.sh)", errNotHere, program)
		}
	}
	return nil
}

// javaClasses compiles SDK and driver with the compiler alone, because they depend on nothing, and returns the folder.
var javaClasses = sync.OnceValues(func() (string, error) {
	if err := haveTools("java", "javac"); err != nil {
		return "", err
	}
	dir, err := temporaryDir()
	if err != nil {
		return "", err
	}
	args := []string{"-nowarn", "-Xlint:-options", "--release", "8", "-proc:none", "-encoding", "UTF-8", "-d", dir}
	for _, part := range [...]string{"client", "driver"} {
		err := filepath.WalkDir(filepath.Join(javaSource, part, "src", "main"), func(path string, _ fs.DirEntry, err error) error {
			if strings.HasSuffix(path, ".java") {
				args = append(args, path)
			}
			return err
		})
		if err != nil {
			return "", err
		}
	}
	if out, err := exec.Command("javac", args...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("javac: %w\n%s", err, out)
	}
	return dir, nil
})

func buildJava() error {
	_, err := javaClasses()
	return err
}

func javaCommand() *exec.Cmd {
	classes, _ := javaClasses() // built before
	return exec.Command("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xmx128m", "-cp", classes, "borealis.driver.Driver")
}

// unserved is what Maven says when it cannot get a package.
var unserved = regexp.MustCompile(`Could not (find artifact|transfer artifact|resolve)|Cannot access|has not been downloaded`)

// mavenBuilt builds the Java SDK and the one for Android with Maven in a copy, their own tests included, and returns the
// folder with the copies.
var mavenBuilt = sync.OnceValues(func() (string, error) {
	if err := haveTools("java", "javac", "mvn"); err != nil {
		return "", err
	}
	dir, err := temporaryDir()
	if err != nil {
		return "", err
	}
	err = errors.Join(
		copySources(javaSource, filepath.Join(dir, "java")),
		copySources(androidSource, filepath.Join(dir, "android")),
	)
	if err != nil {
		return "", err
	}
	// Without the registry first: what was fetched once is enough.
	out, err := maven(dir, "--offline")
	if err != nil && unserved.MatchString(out) {
		if out, err = maven(dir, "-U"); err != nil && unserved.MatchString(out) {
			return "", fmt.Errorf("%w: %s", errNotHere, unserved.FindString(out))
		}
	}
	if err != nil {
		return "", fmt.Errorf("mvn: %w\n%s", err, out)
	}
	return dir, nil
})

func maven(dir string, more ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "mvn", append([]string{"--batch-mode", "--quiet", "package"}, more...)...)
	cmd.Dir = filepath.Join(dir, "java")
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// copySources copies what belongs to the repository, not what was built.
func copySources(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case entry.IsDir() && entry.Name() == "target":
			return filepath.SkipDir
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, rel), 0o700)
		}
		data, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		return os.WriteFile(filepath.Join(to, rel), data, 0o600)
	})
}

// The SDKs' own tests, which Maven runs: parsers, storage, notifications, the bridges to phone makers' libraries.
func TestJavaSDKs(t *testing.T) {
	t.Parallel()
	_, err := mavenBuilt()
	if errors.Is(err, errNotHere) {
		notRun(t, "tests of the Java SDKs", err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func buildAndroid() error {
	_, err := mavenBuilt()
	return err
}

func androidCommand() *exec.Cmd {
	dir, _ := mavenBuilt() // built before
	target := filepath.Join(dir, "android", "target")
	path, _ := os.ReadFile(filepath.Join(target, "classpath"))
	classes := []string{filepath.Join(target, "test-classes"), filepath.Join(target, "classes"), string(path)}
	for _, archive := range [...]string{"monitor", "idling"} {
		classes = append(classes, filepath.Join(target, "android", archive, "classes.jar"))
	}
	return exec.Command("java", "-XX:TieredStopAtLevel=1", "-Xmx1g", "-Drobolectric.offline=true",
		"-Drobolectric.dependency.dir="+filepath.Join(target, "android"), "-cp", strings.Join(classes, string(filepath.ListSeparator)),
		"borealis.android.AndroidDriver")
}
