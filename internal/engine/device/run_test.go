package device

import (
	"context"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db/dbtest"
)

// What was seen is written at the latest when Run ends.
func TestRunWritesAtItsEnd(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	dev := n.joined(1, audience.IOS)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- n.Run(ctx) }()
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got, err := n.lastSeen(context.Background(), 1, []uint32{dev.Ordinal}); err != nil || got[dev.Ordinal] != clock.Millis(start) {
		t.Errorf("last seen %v (%v)", got, err)
	}
}

func TestEndOfDeviceEndsItsConnection(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	b, err := bus.Open(ctx, bus.Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	kicks := make(chan edgewire.Kick, 4)
	if _, err := b.Subscribe(edgewire.SubjectKick, "", func(m *bus.Msg) {
		var k edgewire.Kick
		if err := m.Decode(&k); err != nil {
			t.Error(err)
		}
		kicks <- k
	}); err != nil {
		t.Fatal(err)
	}
	if err := b.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	n := newNode(t, dbtest.SQLite(t))
	n.Bus = b
	one, two := n.joined(1, audience.IOS), n.joined(2, audience.IOS)
	if err := n.Delete(ctx, 1, one.Ordinal); err != nil {
		t.Fatal(err)
	}
	if _, err := n.Revoke(ctx, n.app(2), two.Ordinal); err != nil {
		t.Fatal(err)
	}
	for _, want := range []edgewire.Kick{{App: 1, Ordinal: one.Ordinal}, {App: 2, Ordinal: two.Ordinal}} {
		select {
		case got := <-kicks:
			if got != want {
				t.Errorf("kicked %+v, want %+v", got, want)
			}
		case <-ctx.Done():
			t.Fatal("no order to end the connection")
		}
	}
}

func BenchmarkConnect(b *testing.B) {
	n := newNode(b, dbtest.SQLite(b))
	dev := n.joined(1, audience.IOS)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			if c := n.connect(1, dev); c.Refusal != edgewire.Admitted {
				b.Fatal(c)
			}
		}
	})
}

func BenchmarkRegister(b *testing.B) {
	n := newNode(b, dbtest.SQLite(b))
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			n.register(1, Registration{})
		}
	})
}
