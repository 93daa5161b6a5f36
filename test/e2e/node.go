// Package e2e holds tests of whole nodes over real sockets, and what they share.
package e2e

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"borealis/internal/app"
	"borealis/internal/kernel/config"
)

// FreeAddr is a loopback address that nobody listens on. A node tells devices its configured ports, so a test that
// follows what it says configures MQTTAddr and MQTTSAddr with it.
func FreeAddr(t testing.TB) string {
	t.Helper()
	return freeAddr(t)
}

// Node is a running node.
type Node struct {
	*app.App
	// URL of the HTTP surfaces; MQTT of plain MQTT ("tcp://…"), MQTTS of MQTT over TLS ("ssl://…"), empty if not served.
	URL, MQTT, MQTTS string
	// HTTP makes the calls; nil is http.DefaultClient. A node with a certificate of the test's own needs another.
	HTTP *http.Client

	dataDir string
	stop    context.CancelFunc
	done    chan error
}

// Start runs a node on free loopback ports until the end of the test. change adapts the configuration.
func Start(t testing.TB, change func(*config.Config)) *Node {
	t.Helper()
	cfg, err := config.Default()
	if err != nil {
		t.Fatal(err)
	}
	cfg.DataDir = t.TempDir()
	cfg.HTTPAddr, cfg.MQTTAddr, cfg.MQTTSAddr, cfg.InternalAddr = "127.0.0.1:0", "127.0.0.1:0", "", ""
	cfg.RegistrationsPerMinute = 0
	if change != nil {
		change(&cfg)
	}
	log := slog.New(slog.NewTextHandler(testWriter{t}, &slog.HandlerOptions{Level: slog.LevelWarn}))
	ctx, stop := context.WithCancel(context.Background())
	node, err := app.Open(ctx, &cfg, log)
	if err != nil {
		stop()
		t.Fatal(err)
	}
	n := &Node{App: node, dataDir: cfg.DataDir, stop: stop, done: make(chan error, 1)}
	go func() { n.done <- node.Run(ctx) }()
	t.Cleanup(n.Stop)
	Eventually(t, "node is ready", func() error { return node.Ready() })
	n.URL = cfg.LocalHTTP(node.HTTPAddr())
	if addr := node.MQTTAddr(); addr != nil {
		n.MQTT = "tcp://" + addr.String()
	}
	if cfg.RunsEdge() && cfg.TLS() && cfg.MQTTSAddr != "" {
		n.MQTTS = "ssl://" + cfg.MQTTSAddr
	}
	return n
}

// Stop drains the node and waits for it.
func (n *Node) Stop() {
	n.stop()
	if n.done != nil {
		<-n.done
		n.done = nil
	}
}

// database opens the SQLite file of a core node beside the node.
func (n *Node) database(t testing.TB) *sql.DB {
	t.Helper()
	d, err := sql.Open("sqlite", "file:"+filepath.Join(n.dataDir, "borealis.db")+"?_pragma=busy_timeout(10000)")
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// tables are those of the node's database.
func tables(d *sql.DB) ([]string, error) {
	rows, err := d.Query(`select name from sqlite_master where type = 'table' and name not like 'sqlite_%' order by name`)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, rows.Err()
}

// Rows counts what a node with SQLite keeps, by table.
func (n *Node) Rows(t testing.TB) map[string]int {
	t.Helper()
	d := n.database(t)
	defer func() { _ = d.Close() }()
	names, err := tables(d)
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string]int, len(names))
	for _, name := range names {
		var rows int
		if err := d.QueryRow(`select count(*) from "` + name + `"`).Scan(&rows); err != nil {
			t.Fatal(err)
		}
		out[name] = rows
	}
	return out
}

// Damage hides tables of a node with SQLite from it until the end of the test.
func (n *Node) Damage(t testing.TB, names ...string) {
	t.Helper()
	rename := func(from, to string) {
		d := n.database(t)
		defer func() { _ = d.Close() }()
		if _, err := d.Exec(`alter table "` + from + `" rename to "` + to + `"`); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range names {
		rename(name, "hidden_"+name)
		t.Cleanup(func() { rename("hidden_"+name, name) })
	}
}

type testWriter struct{ t testing.TB }

func (w testWriter) Write(p []byte) (int, error) {
	fmt.Fprintf(os.Stderr, "%s: %s", w.t.Name(), p)
	return len(p), nil
}

// Eventually polls until the condition holds, for at most 20 s.
func Eventually(t testing.TB, what string, holds func() error) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for {
		err := holds()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("%s: %v", what, err)
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Credentials of an app.
type Credentials struct{ Key, Secret string }

// CreateApp makes an app on a core node.
func (n *Node) CreateApp(t testing.TB) Credentials {
	t.Helper()
	key, secret, err := n.App.CreateApp(context.Background(), "test")
	if err != nil {
		t.Fatal(err)
	}
	return Credentials{key, secret}
}

// NewApp makes an app with the given settings through the admin socket.
func (n *Node) NewApp(t testing.TB, settings ...app.AdminChange) Credentials {
	t.Helper()
	var made app.AdminApp
	n.Admin(t, http.MethodPost, "/apps", map[string]string{"name": "test"}, &made)
	c := Credentials{made.AppKey, made.MasterSecret}
	if len(settings) > 0 {
		n.SetApp(t, c, settings...)
	}
	return c
}

// SetApp changes settings of an app through the admin socket.
func (n *Node) SetApp(t testing.TB, c Credentials, settings ...app.AdminChange) {
	t.Helper()
	var changed app.AdminApp
	n.Admin(t, http.MethodPatch, "/apps/"+c.Key, settings, &changed)
}

// Admin makes a call on the admin socket of a core node.
func (n *Node) Admin(t testing.TB, method, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequest(method, "http://admin"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "unix", filepath.Join(n.dataDir, app.AdminSocket))
	}}}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK {
		t.Fatalf("admin %s %s: %s %q %v", method, path, resp.Status, data, err)
	}
	if err := json.Unmarshal(data, out); err != nil {
		t.Fatal(err)
	}
}

// Device is a registered device.
type Device struct {
	RegistrationID string   `json:"registration_id"`
	Secret         string   `json:"secret"`
	MQTT           []string `json:"mqtt"`
}

// Register registers a device.
func (n *Node) Register(t testing.TB, c Credentials, platform string) Device {
	t.Helper()
	var d Device
	status := n.Call(t, Credentials{}, http.MethodPost, "/device/v1/register", map[string]any{"app_key": c.Key, "platform": platform}, &d)
	if status != http.StatusOK {
		t.Fatalf("register: status %d", status)
	}
	return d
}

// Call makes an HTTP call; body is JSON-encoded unless it is a string; the answer is decoded into out if not nil.
func (n *Node) Call(t testing.TB, c Credentials, method, path string, body, out any) int {
	t.Helper()
	return n.call(t, c, nil, method, path, body, out)
}

// call is Call with headers.
func (n *Node) call(t testing.TB, c Credentials, header http.Header, method, path string, body, out any) int {
	t.Helper()
	var reader io.Reader
	switch b := body.(type) {
	case nil:
	case string:
		reader = bytes.NewReader([]byte(b))
	default:
		data, err := json.Marshal(b)
		if err != nil {
			t.Fatal(err)
		}
		reader = bytes.NewReader(data)
	}
	req, err := http.NewRequest(method, n.URL+path, reader)
	if err != nil {
		t.Fatal(err)
	}
	if c.Key != "" {
		req.SetBasicAuth(c.Key, c.Secret)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Content-Type", "application/json")
	client := n.HTTP
	if client == nil {
		client = http.DefaultClient
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if out != nil && len(data) > 0 {
		if err := json.Unmarshal(data, out); err != nil {
			t.Fatalf("%s %s: %d %q: %v", method, path, resp.StatusCode, data, err)
		}
	}
	return resp.StatusCode
}
