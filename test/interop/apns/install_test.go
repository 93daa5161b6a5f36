package apns

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// need is the path of a program. Without it the test fails: a client that is not there proves nothing.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		t.Fatalf("%s is not installed: run build/ensure-test-tools.sh, or install it yourself (apt-get install nodejs npm)", program)
	}
	return path
}

// modules is the folder with the packages of node/package-lock.json.
func modules(t *testing.T) string {
	t.Helper()
	npm := need(t, "npm")
	content := map[string][]byte{}
	sum := sha256.New()
	for _, name := range []string{"package.json", "package-lock.json"} {
		data, err := os.ReadFile(filepath.Join("node", name))
		if err != nil {
			t.Fatal(err)
		}
		content[name] = data
		sum.Write(data)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatalf("no place for packages (set XDG_CACHE_HOME): %v", err)
	}
	parent := filepath.Join(cache, "borealis", "interop")
	final := filepath.Join(parent, hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(final); err == nil {
		return filepath.Join(final, "node_modules")
	}
	if err := install(npm, parent, final, content); err != nil {
		t.Fatalf("node-apn DID NOT RUN: it needs a package registry of npm: %v", err)
	}
	return filepath.Join(final, "node_modules")
}

// install installs beside the final folder and renames when it is complete, so that nobody ever sees half of it.
func install(npm, parent, final string, content map[string][]byte) error {
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return err
	}
	stage, err := os.MkdirTemp(parent, "stage-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(stage) }()
	for name, data := range content {
		if err := os.WriteFile(filepath.Join(stage, name), data, 0o600); err != nil {
			return err
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
	cmd.Dir = stage
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("npm ci: %w\n%s", err, out)
	}
	if err := os.Rename(stage, final); err != nil {
		if _, done := os.Stat(final); done != nil {
			return err
		}
	}
	return nil
}
