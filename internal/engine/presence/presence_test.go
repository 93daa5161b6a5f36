package presence_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"go.uber.org/goleak"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/presence"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// edge plays an edge: it says what the test tells it to, and counts how often it is asked for everything.
type edge struct {
	t      *testing.T
	bus    *bus.Bus
	name   string
	run    int64
	seq    uint64
	hellos chan struct{}
}

func newEdge(t *testing.T, b *bus.Bus, name string) *edge {
	t.Helper()
	e := &edge{t: t, bus: b, name: name, run: 1, hellos: make(chan struct{}, 100)}
	if _, err := b.Subscribe(edgewire.ToEdge(edgewire.SubjectHello, name), "", func(*bus.Msg) { e.hellos <- struct{}{} }); err != nil {
		t.Fatal(err)
	}
	return e
}

func (e *edge) say(full bool, online, offline []uint32) {
	e.t.Helper()
	e.seq++
	msg := edgewire.Presence{Edge: e.name, Run: e.run, Seq: e.seq, Full: full}
	if len(online)+len(offline) > 0 {
		msg.Apps = []edgewire.AppPresence{{App: 1, Online: set(e.t, online), Offline: set(e.t, offline)}}
	}
	if err := e.bus.Publish(edgewire.SubjectPresence, msg); err != nil {
		e.t.Fatal(err)
	}
}

func set(t *testing.T, ordinals []uint32) []byte {
	t.Helper()
	if len(ordinals) == 0 {
		return nil
	}
	data, err := roaring.BitmapOf(ordinals...).ToBytes()
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(10 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		time.Sleep(time.Millisecond)
	}
}

func start(t *testing.T) (*bus.Bus, *presence.Presence, *clock.Fake) {
	t.Helper()
	b := bustest.Open(t, "")
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	p := presence.New(b, fake, slog.New(slog.DiscardHandler), "core", nil)
	if err := p.Start(context.Background()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = p.Run(ctx) }()
	t.Cleanup(func() { cancel(); <-done })
	return b, p, fake
}

func TestChangesAndTakeOver(t *testing.T) {
	t.Parallel()
	b, p, _ := start(t)
	a, other := newEdge(t, b, "a"), newEdge(t, b, "b")
	a.say(false, []uint32{1, 2, 3}, nil)
	other.say(false, []uint32{3}, nil)
	eventually(t, "four connections are seen", func() bool { return p.Count(1) == 4 })
	if got := p.Devices(1).ToArray(); !slices.Equal(got, []uint32{1, 2, 3}) || !p.Devices(2).IsEmpty() {
		t.Errorf("devices %v", got)
	}
	if got := p.Others(1, 3, "b"); len(got) != 1 || got[0] != "a" {
		t.Errorf("device 3 is also on %v", got)
	}
	a.say(false, nil, []uint32{3})
	eventually(t, "three connections are seen", func() bool { return p.Count(1) == 3 })
	split := p.Split(1, []uint32{1, 2, 3, 4})
	if len(split["a"]) != 2 || len(split["b"]) != 1 {
		t.Errorf("split %v", split)
	}
	if p.Online(1, 4) || p.Online(2, 1) || !p.Online(1, 3) {
		t.Error("the wrong devices are online")
	}
}

func TestGapMakesItAsk(t *testing.T) {
	t.Parallel()
	b, p, _ := start(t)
	a := newEdge(t, b, "a")
	a.say(false, []uint32{1}, nil)
	eventually(t, "device 1 is seen", func() bool { return p.Online(1, 1) })
	a.seq++ // this one is lost
	a.say(false, []uint32{5}, nil)
	select {
	case <-a.hellos:
	case <-time.After(10 * time.Second):
		t.Fatal("nobody asked after the gap")
	}
	a.say(true, []uint32{5, 6}, nil)
	eventually(t, "the full picture replaces the old one", func() bool { return p.Count(1) == 2 && !p.Online(1, 1) })
}

func TestNewRunReplacesTheOld(t *testing.T) {
	t.Parallel()
	b, p, _ := start(t)
	a := newEdge(t, b, "a")
	a.say(false, []uint32{1, 2}, nil)
	eventually(t, "two are seen", func() bool { return p.Count(1) == 2 })
	old := *a
	a.run, a.seq = 2, 0
	a.say(false, []uint32{9}, nil)
	eventually(t, "only the new run counts", func() bool { return p.Count(1) == 1 && p.Online(1, 9) })
	old.say(false, []uint32{7}, nil)
	a.say(false, []uint32{10}, nil)
	eventually(t, "the new run goes on", func() bool { return p.Online(1, 10) })
	if p.Online(1, 7) {
		t.Error("an echo of the old run was believed")
	}
}

func TestSilentEdgeIsForgotten(t *testing.T) {
	t.Parallel()
	b, p, fake := start(t)
	newEdge(t, b, "a").say(false, []uint32{1}, nil)
	eventually(t, "device 1 is seen", func() bool { return p.Online(1, 1) })
	fake.Advance(presence.Silence + time.Second)
	eventually(t, "the edge is forgotten", func() bool { return p.Edges() == 0 && !p.Online(1, 1) })
}

func TestExpectedDeviceCountsAsOnlineForAWhile(t *testing.T) {
	t.Parallel()
	b, p, fake := start(t)
	newEdge(t, b, "a").say(false, []uint32{1}, nil)
	eventually(t, "the edge is seen", func() bool { return p.Edges() == 1 })
	p.Expect("a", 1, 4)
	if got := p.Split(1, []uint32{4}); len(got["a"]) != 1 {
		t.Errorf("split %v", got)
	}
	fake.Advance(3 * time.Second)
	if p.Online(1, 4) {
		t.Error("the device never came, and is still expected")
	}
}
