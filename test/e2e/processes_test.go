package e2e

import (
	"fmt"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"borealis/internal/app"
	"borealis/internal/kernel/bus/bustest"
)

// Core and edge are two processes with a NATS server between them. The core is killed again and again with pushes in
// flight; the devices stay connected to the edge the whole time, and every accepted push reaches its targets.
func TestCoreDiesWhileDevicesStayConnected(t *testing.T) {
	const rounds, connected = 5, 10
	nats, data := bustest.Server(t), t.TempDir()
	core := NewProcess(t, data, "--target", "core", "--nats-url", nats)
	core.Start(t)
	edge := NewProcess(t, t.TempDir(), "--target", "edge", "--nats-url", nats, "--key-file", filepath.Join(data, "keys.json"))
	edge.Start(t)

	c := &crash{p: core, app: core.NewApp(t, app.AdminChange{Name: "offline_messages", Value: "0"}), got: map[string]map[string]bool{}}
	for i := range connected {
		d := core.Register(t, c.app, "android")
		c.devices = append(c.devices, d)
		c.listen(t, edge.MQTT, d)
		if i%2 == 0 {
			core.Call(t, c.app, http.MethodPost, "/v3/devices/"+d.RegistrationID, map[string]any{"tags": map[string]any{"add": []string{"even"}}}, nil)
		}
	}
	for round := range rounds {
		accepted, moment := c.killAmid(300, 200*time.Millisecond)
		core.Start(t)
		Eventually(t, fmt.Sprintf("round %d, killed after %s, %d accepted", round, moment, len(accepted)), func() error { return c.missing(accepted) })
	}
	edge.Terminate(t)
	core.Terminate(t)
}
