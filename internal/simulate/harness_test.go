package simulate

import (
	"context"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/simulate/simulatetest"
)

const testKey = "abcdefghijklmnopqrstuvwx"

// world is a device server with its HTTP side.
type world struct {
	*simulatetest.Server
	url string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	s, err := simulatetest.Start(testKey)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	web := httptest.NewServer(s)
	t.Cleanup(web.Close)
	return &world{s, web.URL}
}

// credentials of a device that need not be registered.
func (w *world) credentials(id string) Credentials {
	return Credentials{RegistrationID: id, Secret: simulatetest.SecretOf(id), MQTT: []string{w.Address()}, KeepAlive: time.Minute}
}

// eventually polls a condition.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(5 * time.Second); !ok(); {
		if time.Now().After(deadline) {
			t.Fatalf("did not happen: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// run runs a device until the test ends and returns it.
func run(t *testing.T, o Options) *Device {
	t.Helper()
	d, err := NewDevice(o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("device ended: %v", err)
		}
	})
	return d
}

// inbox collects messages.
type inbox struct {
	mu   sync.Mutex
	list []Message
}

func (i *inbox) take(_ *Device, m Message) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.list = append(i.list, m)
}

func (i *inbox) all() []Message {
	i.mu.Lock()
	defer i.mu.Unlock()
	return append([]Message(nil), i.list...)
}

// silence is a Handler that hears nothing.
type silence struct{}

func (silence) Published(*mqtt.Publish) {}
func (silence) Acked(uint16, mqtt.Code) {}
