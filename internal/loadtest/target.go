package loadtest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"time"
)

// Target is a running server.
type Target struct {
	// HTTP is its base URL, MQTT its address (tcp://…), Internal the base URL of its internal address; empty: unknown.
	HTTP, MQTT, Internal string
	// AppKey and Secret are those of an app without limits.
	AppKey, Secret string
	// PID is its process on this machine.
	PID int
	// DataDir is where it keeps its data, as far as known.
	DataDir string
}

func (t *Target) check() error {
	if t.HTTP == "" || t.MQTT == "" || t.AppKey == "" || t.Secret == "" || t.PID <= 0 {
		return errors.New("a running server needs --url, --mqtt, --app-key, --secret and --pid")
	}
	return nil
}

const (
	// readyTime is how long a server may take to start.
	readyTime = 30 * time.Second
	readyStep = 20 * time.Millisecond
)

// startServer runs a server of our own in dir, with an app.
func startServer(ctx context.Context, binary, dir string) (*process, *Target, error) {
	ports, err := freePorts(ctx, 3)
	if err != nil {
		return nil, nil, err
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return nil, nil, fmt.Errorf("data directory: %w", err)
	}
	p, err := start(ctx, binary, dir, "server", "serve", "--data-dir", data, "--http-addr", ports[0], "--mqtt-addr", ports[1],
		"--internal-addr", ports[2], "--registrations-per-minute", "0", "--log-level", "warn", "--log-format", "json")
	if err != nil {
		return nil, nil, err
	}
	t := &Target{HTTP: "http://" + ports[0], MQTT: "tcp://" + ports[1], Internal: "http://" + ports[2], PID: p.pid(), DataDir: data}
	if err := awaitReady(ctx, p, t.HTTP); err != nil {
		p.stop()
		return nil, nil, err
	}
	if err := t.createApp(ctx); err != nil {
		p.stop()
		return nil, nil, err
	}
	return p, t, nil
}

// freePorts finds n loopback addresses that nobody listens on. Another program may be quicker; the start then fails.
func freePorts(ctx context.Context, n int) ([]string, error) {
	var out []string
	for range n {
		var lc net.ListenConfig
		l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer l.Close()
		out = append(out, l.Addr().String())
	}
	return out, nil
}

func awaitReady(ctx context.Context, p *process, base string) error {
	ctx, cancel := context.WithTimeout(ctx, readyTime)
	defer cancel()
	for {
		if err := get(ctx, base+"/readyz"); err == nil {
			return nil
		}
		select {
		case <-p.done:
			return p.failed("start server")
		case <-ctx.Done():
			return p.failed("wait for /readyz")
		case <-time.After(readyStep):
		}
	}
}

// get makes a request whose answer has no use but its status.
func get(ctx context.Context, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("request: %w", err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(io.Discard, resp.Body); err != nil {
		return fmt.Errorf("read answer of %s: %w", url, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", url, resp.Status)
	}
	return nil
}

// createApp makes an app over the admin socket.
func (t *Target) createApp(ctx context.Context) error {
	socket := filepath.Join(t.DataDir, "admin.sock")
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "unix", socket)
		},
	}}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://admin/apps", bytes.NewReader([]byte(`{"name":"bench"}`)))
	if err != nil {
		return fmt.Errorf("create app: %w", err)
	}
	resp, err := client.Do(req)
	if err != nil {
		return fmt.Errorf("create app: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	var out struct {
		AppKey       string `json:"app_key"`
		MasterSecret string `json:"master_secret"`
	}
	if err := json.NewDecoder(resp.Body).Decode(&out); err != nil || out.AppKey == "" || out.MasterSecret == "" {
		return fmt.Errorf("create app: the server answered %s without keys", resp.Status)
	}
	t.AppKey, t.Secret = out.AppKey, out.MasterSecret
	return nil
}

// collect has the server collect garbage, so that its memory is what it needs.
func (t *Target) collect(ctx context.Context) error {
	if t.Internal == "" {
		return nil
	}
	for range 2 { // the second frees what had to be finalised
		if err := get(ctx, t.Internal+"/debug/pprof/heap?gc=1"); err != nil {
			return fmt.Errorf("garbage collection: %w", err)
		}
	}
	return nil
}
