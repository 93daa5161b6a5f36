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
	// Only what is named here: proxies or options in the environment would make it another client.
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "NODE_PATH=" + modules, "NO_UPDATE_NOTIFIER=1"}
	return cmd
}

// nodeModules installs the packages of node/package-lock.json once per content of that file, and returns where.
var nodeModules = sync.OnceValues(func() (string, error) {
	sum := sha256.New()
	files := map[string][]byte{}
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("node", name))
		if err != nil {
			return "", err
		}
		files[name] = data
		sum.Write(data)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("no place for Node packages (set XDG_CACHE_HOME): %w", err)
	}
	parent := filepath.Join(cache, "borealis", "conformance")
	final := filepath.Join(parent, hex.EncodeToString(sum.Sum(nil)[:8]))
	modules := filepath.Join(final, "node_modules")
	if _, err := os.Stat(modules); err == nil {
		return modules, nil
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
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(stage, name), data, 0o600); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	ci := exec.CommandContext(ctx, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	ci.Dir = stage
	if out, err := ci.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm ci in test/conformance/node needs a package registry: %w\n%s", err, out)
	}
	if err := os.Rename(stage, final); err != nil {
		if _, done := os.Stat(modules); done != nil {
			return "", err
		}
	}
	return modules, nil
})
