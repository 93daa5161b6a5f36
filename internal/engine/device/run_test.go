package device

import (
	"context"
	"slices"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
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

// A device that switches push off leaves the audiences, and is offered what it is owed when it switches it on; one that
// shows no notifications is left out by who asks for that. Both hold for who reads the rows too.
func TestSwitches(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		b := bustest.Open(t, "")
		offers := make(chan edgewire.Offer, 4)
		if _, err := b.Subscribe(edgewire.SubjectOffer, "", func(m *bus.Msg) {
			var o edgewire.Offer
			if err := m.Decode(&o); err != nil {
				t.Error(err)
			}
			offers <- o
		}); err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		n := newNode(t, d)
		n.Bus = b
		dev, other := n.joined(1, audience.IOS), n.joined(1, audience.IOS)
		set := func(c ProfileChange) {
			t.Helper()
			if err := n.SetProfile(ctx, n.app(1), dev.Ordinal, c, ByDevice); err != nil {
				t.Fatal(err)
			}
		}
		check := func(all, unmuted bool) {
			t.Helper()
			for _, who := range []*node{n, n.restart()} {
				for e, in := range map[bool]bool{false: all, true: unmuted} {
					want := []uint32{other.Ordinal}
					if in {
						want = []uint32{dev.Ordinal, other.Ordinal}
					}
					if got := who.who(1, audience.Expr{All: true, Unmuted: e}); !slices.Equal(got, want) {
						t.Errorf("unmuted %v: %v, want %v", e, got, want)
					}
				}
				if who.Audience.Joined(1, dev.Ordinal) != all {
					t.Errorf("in audiences: %v", !all)
				}
			}
		}
		check(true, true)
		set(ProfileChange{NotificationsEnabled: new(false)})
		check(true, false)
		set(ProfileChange{PushEnabled: new(false)})
		check(false, false)
		if ids, err := n.Lookup(ctx, n.app(1), []string{dev.RegistrationID}); err != nil || ids[0] != dev.Ordinal {
			t.Errorf("the device is not known any more: %v, %v", ids, err)
		}
		set(ProfileChange{NotificationsEnabled: new(true), PushEnabled: new(true)})
		check(true, true)
		set(ProfileChange{PushEnabled: new(true)}) // nothing new, no offer
		select {
		case o := <-offers:
			if o.App != 1 || !slices.Equal(o.Ordinals, []uint32{dev.Ordinal}) {
				t.Errorf("offered %+v", o)
			}
		case <-ctx.Done():
			t.Fatal("no offer")
		}
		if err := b.Flush(ctx); err != nil || len(offers) > 0 {
			t.Errorf("%d more offers, %v", len(offers), err)
		}
	})
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
