package simulate

import (
	"context"
	"errors"
	"testing"
	"time"
)

func TestFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.Busy(3)
	var box inbox
	f, err := NewFleet(FleetOptions{
		URL: w.url, AppKey: testKey, Count: 40, Concurrency: 4, Profile: Profile{Tags: &Tags{Set: []string{"a"}}},
		Device: Options{OnMessage: box.take, Backoff: Backoff{Min: time.Millisecond, Max: 2 * time.Millisecond}},
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx) }()
	select {
	case <-f.Ready():
	case err := <-ended:
		t.Fatal(err)
	case <-time.After(10 * time.Second):
		t.Fatalf("%d of 40 online", f.Online())
	}
	if n := len(w.Profiles()); n != 40 {
		t.Errorf("%d profiles set before all were online", n)
	}
	if n := w.Push("", 1, `{"id":"1","type":"message"}`); n != 40 {
		t.Errorf("%d online", n)
	}
	eventually(t, "40 messages", func() bool { return len(box.all()) == 40 })
	w.Drop()
	eventually(t, "all back", func() bool { return len(w.Connects()) == 80 && f.Online() == 40 })
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if f.Online() != 0 {
		t.Errorf("%d online after the end", f.Online())
	}
}

func TestFleetThatIsTurnedAway(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	run := func(o FleetOptions) error {
		f, err := NewFleet(o)
		if err != nil {
			t.Fatal(err)
		}
		return f.Run(t.Context())
	}
	if failure, ok := errors.AsType[*APIError](run(FleetOptions{URL: w.url, AppKey: "nobody", Count: 5})); !ok || failure.Status != 404 {
		t.Errorf("unknown app: %v", failure)
	}
	if err := run(FleetOptions{URL: "http://127.0.0.1:1", AppKey: testKey, Count: 5}); !errors.Is(err, ErrUnreachable) {
		t.Errorf("no server: %v", err)
	}
	w.Refuse(1000, 0x8A)
	if refused, ok := errors.AsType[*RefusedError](run(FleetOptions{URL: w.url, AppKey: testKey, Count: 3})); !ok || refused.Code != 0x8A {
		t.Errorf("banned: %v", refused)
	}
	if _, err := NewFleet(FleetOptions{URL: w.url, AppKey: testKey}); err == nil {
		t.Error("a fleet of none")
	}
}
