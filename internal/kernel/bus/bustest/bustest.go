// Package bustest starts NATS servers for tests.
package bustest

import (
	"context"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"borealis/internal/kernel/bus"
)

// Server starts a NATS server that listens on a free loopback port until the end of the test, and returns its URL.
func Server(t testing.TB) string {
	t.Helper()
	return ServerWithPayload(t, bus.MaxPayload)
}

// ServerWithPayload is Server with another max_payload.
func ServerWithPayload(t testing.TB, maxPayload int32) string {
	t.Helper()
	srv, err := server.NewServer(&server.Options{Host: "127.0.0.1", Port: server.RANDOM_PORT, NoSigs: true, NoLog: true, MaxPayload: maxPayload})
	if err != nil {
		t.Fatal(err)
	}
	srv.Start()
	t.Cleanup(func() {
		srv.Shutdown()
		srv.WaitForShutdown()
	})
	if !srv.ReadyForConnections(10 * time.Second) {
		t.Fatal("the NATS server did not start")
	}
	return srv.ClientURL()
}

// Each runs body as a subtest on an embedded and on an external server.
func Each(t *testing.T, body func(t *testing.T, b *bus.Bus)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { body(t, Open(t, "")) })
	t.Run("external", func(t *testing.T) { body(t, Open(t, Server(t))) })
}

// Open connects to a server, or starts an embedded one when url is empty; it is closed at the end of the test.
func Open(t testing.TB, url string) *bus.Bus {
	t.Helper()
	b, err := bus.Open(context.Background(), bus.Options{URL: url, Name: t.Name()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}
