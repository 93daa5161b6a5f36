package conformance

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// need is the path of a program the tests run. Without it the test fails: a stock client that is not there proves
// nothing.
func need(t testing.TB, program, debianPackage string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed: run build/ensure-test-tools.sh, or install it yourself (apt-get install %s)", program, debianPackage)
	}
	return path
}

// output runs a program to its end and returns its exit code and what it wrote to both outputs.
func output(t testing.TB, cmd *exec.Cmd) (int, string) {
	t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(patience, func() { _ = cmd.Process.Kill() })
	defer late.Stop()
	err := cmd.Wait()
	if exit, failed := errors.AsType[*exec.ExitError](err); failed && exit.ExitCode() >= 0 {
		return exit.ExitCode(), out.String()
	}
	if err != nil {
		t.Fatalf("%s: %v\n%s", filepath.Base(cmd.Path), err, out.String())
	}
	return 0, out.String()
}

// patience is how long anything that must happen may take.
const patience = 20 * time.Second

// nodeScript prepares a run of a script of node/ by Node, with the locked packages in its reach.
func nodeScript(t testing.TB, script string, args ...string) *exec.Cmd {
	t.Helper()
	node := need(t, "node", "nodejs npm")
	need(t, "npm", "nodejs npm")
	modules, err := nodeModules()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(node, append([]string{filepath.Join("node", script)}, args...)...)
	cmd.Env = onlyEnv("NODE_PATH="+modules, "NO_UPDATE_NOTIFIER=1")
	return cmd
}

// onlyEnv is the environment of a client: proxies or options in ours would make it another client.
func onlyEnv(more ...string) []string { return append([]string{"PATH=" + os.Getenv("PATH")}, more...) }

// nodeModules installs the packages of node/package-lock.json once per content of that file, and returns where.
var nodeModules = sync.OnceValues(func() (string, error) {
	dir, err := installed([]string{"node/package.json", "node/package-lock.json"}, "", func(stage string) error {
		return run(stage, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	})
	return filepath.Join(dir, "node_modules"), err
})

// pythonEnvironment makes a virtual environment with the packages of python/requirements.txt, and returns its Python.
var pythonEnvironment = sync.OnceValues(func() (string, error) {
	release, err := exec.Command("python3", "--version").Output()
	if err != nil {
		return "", err
	}
	dir, err := installed([]string{"python/requirements.txt"}, string(release), func(stage string) error {
		if err := run(stage, "python3", "-m", "venv", "venv"); err != nil {
			return err
		}
		return run(stage, filepath.Join("venv", "bin", "python3"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
			"--require-hashes", "--only-binary", ":all:", "-r", "requirements.txt")
	})
	return filepath.Join(dir, "venv", "bin", "python3"), err
})

// errNotServed says that the registry answered and does not have the library. Not every mirror of Maven Central is whole.
var errNotServed = errors.New("the package registry does not serve this library")

// javaClasses resolves the dependencies of java/<client>/pom.xml with Maven, compiles the driver beside it, and returns
// the class path.
func javaClasses(client string) (string, error) {
	release, err := exec.Command("javac", "-version").Output()
	if err != nil {
		return "", err
	}
	folder := filepath.Join("java", client)
	dir, err := installed([]string{filepath.Join(folder, "pom.xml"), filepath.Join(folder, "Driver.java")}, string(release), func(stage string) error {
		err := run(stage, "mvn", "--batch-mode", "--quiet", "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies",
			"-U", "-DoutputDirectory=lib", "-DincludeScope=runtime")
		if err != nil && strings.Contains(err.Error(), "Could not find artifact") {
			return fmt.Errorf("%w: %w", errNotServed, err)
		}
		if err != nil {
			return err
		}
		return run(stage, "javac", "-nowarn", "-Xlint:none", "-proc:none", "-d", "classes", "-cp", "lib/*", "Driver.java")
	})
	return filepath.Join(dir, "classes") + string(filepath.ListSeparator) + filepath.Join(dir, "lib", "*"), err
}

// installed builds what the files describe once per content of them and of more, in the user's cache directory, and
// returns where. The files are copied into the directory that build is given.
func installed(files []string, more string, build func(stage string) error) (string, error) {
	sum := sha256.New()
	content := map[string][]byte{}
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			return "", err
		}
		content[filepath.Base(name)] = data
		sum.Write(data)
	}
	sum.Write([]byte(more))
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for packages (set XDG_CACHE_HOME): %w", err)
	}
	parent := filepath.Join(cache, "borealis", "conformance")
	final := filepath.Join(parent, hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
	// Installed beside and renamed when complete, so that nobody ever sees half of it.
	stage, err := os.MkdirTemp(parent, "stage-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	for name, data := range content {
		if err := os.WriteFile(filepath.Join(stage, name), data, 0o600); err != nil {
			return "", err
		}
	}
	if err := build(stage); err != nil {
		return "", fmt.Errorf("%s needs a package registry: %w", filepath.Dir(files[0]), err)
	}
	if err := os.Rename(stage, final); err != nil {
		if _, done := os.Stat(final); done != nil {
			return "", err
		}
	}
	return final, nil
}

// run runs a program that installs something.
func run(dir, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %v: %w\n%s", program, args, err, out)
	}
	return nil
}
