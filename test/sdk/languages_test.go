package sdk

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"borealis/internal/kernel/config"
	"borealis/test/e2e"
)

// language is an SDK with its driver.
type language struct {
	// name as in the scenarios' only.
	name string
	// platform and transport the driver is configured with.
	platform, transport string
	// build prepares the driver, once. An error of errNotHere means that this machine cannot run it.
	build func() error
	// command starts a built driver.
	command func() *exec.Cmd
	// reused: one process serves all scenarios, one after another; it closes with the command close, and begins a new life
	// after the command kill. For drivers that take seconds to start.
	reused bool

	once  sync.Once
	err   error
	turn  sync.Mutex // of the scenarios of a reused one
	alive *driver
}

// errNotHere says that the tools or packages of a language cannot be had on this machine.
var errNotHere = errors.New("cannot be had here")

// enter is a driver for a life of the device.
func (l *language) enter(t testing.TB) *driver {
	t.Helper()
	if l.reused && l.alive != nil {
		return l.alive
	}
	cmd := l.command()
	cmd.Env = append(cmd.Env, "TZ=UTC", "PATH="+os.Getenv("PATH"), "HOME="+os.Getenv("HOME"))
	d, err := startDriver(cmd)
	if err != nil {
		t.Fatal(err)
	}
	if l.reused {
		l.alive = d
	}
	return d
}

// kill ends a life without warning; the driver returned may have none.
func (l *language) kill(t testing.TB, d *driver) *driver {
	t.Helper()
	if !l.reused {
		d.kill()
		if rest := d.leftover(); len(rest) > 0 {
			t.Errorf("nobody expected, before the kill, %s", text(rest))
		}
		return nil
	}
	if a, err := d.ask("kill", nil); err != nil || a["failed"] != nil {
		t.Fatalf("kill: %v %s", err, text(a))
	}
	return d
}

// leave ends a scenario.
func (l *language) leave(t testing.TB, d *driver) {
	t.Helper()
	if !l.reused {
		if d != nil {
			d.quit(t)
		}
		return
	}
	if a, err := d.ask("close", nil); err != nil || a["failed"] != nil || t.Failed() {
		d.kill() // who knows what state it is in
		l.alive = nil
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stream, d.others, d.broken = nil, nil, nil
}

// goDriver builds the Go driver once, with the race detector if the test has it, and returns where.
var goDriver = sync.OnceValues(func() (string, error) {
	dir, err := temporaryDir()
	if err != nil {
		return "", err
	}
	file := filepath.Join(dir, "driver")
	args := append([]string{"build", "-o", file}, raceFlags...)
	if out, err := exec.Command("go", append(args, "./driver/go")...).CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w\n%s", err, out)
	}
	return file, nil
})

func buildGo() error {
	_, err := goDriver()
	return err
}

func goCommand() *exec.Cmd {
	file, _ := goDriver() // built already
	return exec.Command(file)
}

// languages are all SDKs.
var languages = []*language{
	{name: "go", platform: "desktop", transport: "tcp", build: buildGo, command: goCommand},
	{name: "go-websocket", platform: "desktop", transport: "ws", build: buildGo, command: goCommand},
	{name: "node", platform: "desktop", transport: "tcp", build: buildJS, command: nodeCommand},
	{name: "miniprogram", platform: "web", transport: "ws", build: buildJS, command: miniCommand},
	{name: "browser", platform: "web", transport: "ws", build: buildBrowser, command: browserCommand, reused: true},
	{name: "java", platform: "desktop", transport: "tcp", build: buildJava, command: javaCommand},
	{name: "java-websocket", platform: "desktop", transport: "ws", build: buildJava, command: javaCommand},
	{name: "android", platform: "android", transport: "tcp", build: buildAndroid, command: androidCommand, reused: true},
}

// server is a node that scenarios share, or one of a scenario's own.
func server(t testing.TB, dataDir, httpAddr, mqttAddr string) *e2e.Node {
	t.Helper()
	return e2e.Start(t, func(c *config.Config) { c.DataDir, c.HTTPAddr, c.MQTTAddr = dataDir, httpAddr, mqttAddr })
}

func TestScenarios(t *testing.T) {
	t.Parallel()
	list := scenarios(t)
	sharedDir := t.TempDir()
	shared := server(t, sharedDir, "127.0.0.1:0", "127.0.0.1:0")
	for _, l := range languages {
		t.Run(l.name, func(t *testing.T) {
			t.Parallel()
			l.once.Do(func() { l.err = l.build() })
			if errors.Is(l.err, errNotHere) {
				notRun(t, l.name, l.err)
			}
			if l.err != nil {
				t.Fatal(l.err)
			}
			t.Cleanup(func() {
				if l.alive != nil {
					l.alive.quit(t)
					l.alive = nil
				}
			})
			for _, s := range list {
				if len(s.Only) > 0 && !slices.Contains(s.Only, l.name) {
					continue
				}
				t.Run(strings.TrimSuffix(s.file, ".json"), func(t *testing.T) {
					if l.reused {
						l.turn.Lock()
						defer l.turn.Unlock()
					} else {
						t.Parallel()
					}
					w := &walk{t: t, s: s, lang: l, node: shared, dataDir: sharedDir}
					if slices.ContainsFunc(s.Steps, func(step object) bool { return step["server"] == "restart" }) {
						w.dataDir = t.TempDir()
						web, mqtt := e2e.FreeAddr(t), e2e.FreeAddr(t)
						w.restart = func() *e2e.Node { return server(t, w.dataDir, web, mqtt) }
						w.node = w.restart()
					}
					w.run()
				})
			}
		})
	}
}

// note is where `make test` looks for what did not run; TestMain removes the one of the last run.
var note = filepath.Join("..", "..", "bin", "not-run-sdk")

var noteMu sync.Mutex

// notRun ends the test of a language that cannot run here, and notes it where `make test` counts what did not run.
func notRun(t testing.TB, name string, why error) {
	t.Helper()
	noteMu.Lock()
	defer noteMu.Unlock()
	if err := os.MkdirAll(filepath.Dir(note), 0o755); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(note, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		t.Fatal(err)
	}
	line, _, _ := strings.Cut(why.Error(), "\n")
	_, err = fmt.Fprintf(f, "SDK %s: %s\n", name, line)
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
	t.Skipf("the SDK %s DID NOT RUN: %s", name, line)
}
