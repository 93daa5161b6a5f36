package e2e

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"
)

// binary builds the command once for a test binary.
var binary = sync.OnceValues(func() (string, error) {
	dir, err := os.MkdirTemp("", "borealis-e2e-")
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "borealis")
	out, err := exec.Command("go", "build", "-o", path, "borealis/cmd/borealis").CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("build: %w\n%s", err, out)
	}
	return path, nil
})

// removeBinary is for TestMain.
func removeBinary() {
	if path, err := binary(); err == nil {
		_ = os.RemoveAll(filepath.Dir(path))
	}
}

// Process is a server in a process of its own, on ports that stay the same over restarts.
type Process struct {
	Node
	args []string
	cmd  *exec.Cmd
	exit chan error
}

// NewProcess prepares `borealis serve` with its data in dir and the given further arguments.
func NewProcess(t testing.TB, dir string, args ...string) *Process {
	t.Helper()
	if _, err := binary(); err != nil {
		t.Fatal(err)
	}
	httpAddr, mqttAddr := freeAddr(t), freeAddr(t)
	p := &Process{args: append([]string{"serve", "--data-dir", dir, "--http-addr", httpAddr, "--mqtt-addr", mqttAddr,
		"--internal-addr", "", "--registrations-per-minute", "0", "--log-level", "warn", "--log-format", "text"}, args...)}
	p.dataDir = dir
	p.URL, p.MQTT = "http://"+httpAddr, "tcp://"+mqttAddr
	t.Cleanup(p.Kill)
	return p
}

// Start starts the process and waits until it is ready.
func (p *Process) Start(t testing.TB) {
	t.Helper()
	path, _ := binary()
	p.cmd = exec.Command(path, p.args...)
	p.cmd.Stdout, p.cmd.Stderr = os.Stderr, os.Stderr
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p.exit = make(chan error, 1)
	go func(cmd *exec.Cmd, exit chan<- error) { exit <- cmd.Wait() }(p.cmd, p.exit)
	Eventually(t, "server is ready", func() error {
		resp, err := http.Get(p.URL + "/readyz")
		if err != nil {
			return err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			return fmt.Errorf("readyz: %s", resp.Status)
		}
		return nil
	})
}

// Kill ends the process as a power cut would.
func (p *Process) Kill() {
	if p.exit == nil {
		return
	}
	_ = p.cmd.Process.Kill()
	<-p.exit
	p.exit = nil
}

// Terminate asks the process to drain, and fails the test if it does not end well.
func (p *Process) Terminate(t testing.TB) {
	t.Helper()
	if err := p.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-p.exit:
		if err != nil {
			t.Errorf("the server ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Error("the server did not drain within 30 s")
		p.Kill()
	}
	p.exit = nil
}

func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		t.Fatal(err)
	}
	return l.Addr().String()
}
