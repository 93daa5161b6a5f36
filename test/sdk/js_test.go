package sdk

import (
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

// jsSource is the JavaScript SDK.
var jsSource = filepath.Join("..", "..", "sdk", "js")

// npm runs npm, or a program that it installed, in dir.
func npm(dir, program string, args ...string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s %s: %w\n%s", program, strings.Join(args, " "), err, out)
	}
	return nil
}

// jsModules installs the packages of the SDK's lock file once per content of it, in the user's cache, and returns where.
var jsModules = sync.OnceValues(func() (string, error) {
	for _, program := range [...]string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			return "", fmt.Errorf("%s is not installed: run build/ensure-test-tools.sh", program)
		}
	}
	files := []string{"package.json", "package-lock.json"}
	sum := sha256.New()
	content := map[string][]byte{}
	for _, name := range files {
		data, err := os.ReadFile(filepath.Join(jsSource, name))
		if err != nil {
			return "", err
		}
		content[name] = data
		sum.Write(data)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	parent := filepath.Join(cache, "borealis", "sdk")
	final := filepath.Join(parent, hex.EncodeToString(sum.Sum(nil)[:8]))
	if _, err := os.Stat(final); err == nil {
		return final, nil
	}
	if err := os.MkdirAll(parent, 0o700); err != nil {
		return "", err
	}
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
	if err := npm(stage, "npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"); err != nil {
		return "", fmt.Errorf("%w: no package registry: %w", errNotHere, err)
	}
	if err := os.Rename(stage, final); err != nil {
		if _, done := os.Stat(final); done != nil {
			return "", err
		}
	}
	return final, nil
})

// jsSDK builds the SDK, its bundles and its tests once, and returns the folder.
var jsSDK = sync.OnceValues(func() (string, error) {
	modules, err := jsModules()
	if err != nil {
		return "", err
	}
	dir, err := temporaryDir()
	if err != nil {
		return "", err
	}
	for _, name := range [...]string{"package.json", "tsconfig.json", "tsconfig.test.json", "bundle.mjs"} {
		data, err := os.ReadFile(filepath.Join(jsSource, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), data, 0o600)
		}
		if err != nil {
			return "", err
		}
	}
	err = errors.Join(
		os.CopyFS(filepath.Join(dir, "src"), os.DirFS(filepath.Join(jsSource, "src"))),
		os.CopyFS(filepath.Join(dir, "test"), os.DirFS(filepath.Join(jsSource, "test"))),
		os.Symlink(filepath.Join(modules, "node_modules"), filepath.Join(dir, "node_modules")),
	)
	if err != nil {
		return "", err
	}
	return dir, errors.Join(npm(dir, "npm", "run", "--silent", "build"), npm(dir, filepath.Join("node_modules", ".bin", "tsc"), "-p", "tsconfig.test.json"))
})

func buildJS() error {
	_, err := jsSDK()
	return err
}

func nodeCommand() *exec.Cmd {
	dir, _ := jsSDK() // built already
	return exec.Command("node", filepath.Join("driver", "js", "node.mjs"), filepath.Join(dir, "dist"))
}

func miniCommand() *exec.Cmd {
	dir, _ := jsSDK() // built already
	// Node.js 20 hides its WebSocket behind a flag.
	return exec.Command("node", "--experimental-websocket", "--no-warnings", filepath.Join("driver", "js", "miniprogram.mjs"), filepath.Join(dir, "dist"))
}

// browserPath is the browser that is there.
func browserPath() string {
	for _, name := range [...]string{"chromium", "google-chrome", "/Applications/Chromium.app/Contents/MacOS/Chromium"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	return ""
}

func buildBrowser() error {
	if browserPath() == "" {
		return errors.New("chromium is not installed: run build/ensure-test-tools.sh")
	}
	return buildJS()
}

func browserCommand() *exec.Cmd {
	dir, _ := jsSDK() // built already
	return exec.Command("node", filepath.Join("driver", "js", "browser.mjs"), dir, browserPath())
}

// The SDK's own tests.
func TestJavaScriptUnits(t *testing.T) {
	t.Parallel()
	dir, err := jsSDK()
	if errors.Is(err, errNotHere) {
		notRun(t, "js units", err)
	}
	if err != nil {
		t.Fatal(err)
	}
	if err := npm(dir, "node", "--test", "dist-test/test/"); err != nil {
		t.Error(err)
	}
}
