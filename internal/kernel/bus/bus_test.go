package bus_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/bustest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type question struct {
	N int `cbor:"1,keyasint"`
}

type answer struct {
	N     int    `cbor:"1,keyasint"`
	Extra string `cbor:"2,keyasint,omitempty"`
}

func TestRequest(t *testing.T) {
	t.Parallel()
	bustest.Each(t, func(t *testing.T, b *bus.Bus) {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := b.Request(ctx, "double", question{4}, nil); !errors.Is(err, bus.ErrNoResponder) {
			t.Errorf("nobody serves, got %v", err)
		}
		_, err := b.Subscribe("double", "", func(m *bus.Msg) {
			var q question
			if err := m.Decode(&q); err != nil {
				t.Error(err)
			}
			if err := m.Respond(answer{N: 2 * q.N, Extra: "a newer version's member"}); err != nil {
				t.Error(err)
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := b.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		var got question // an older version's struct
		if err := b.Request(ctx, "double", question{4}, &got); err != nil || got.N != 8 {
			t.Errorf("got %+v, %v", got, err)
		}
	})
}

func TestQueueSharesAndPlainSubscribersAllHear(t *testing.T) {
	t.Parallel()
	url := bustest.Server(t)
	a, b := bustest.Open(t, url), bustest.Open(t, url)
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	var shared, all atomic.Int64
	done := make(chan struct{}, 1000)
	for _, node := range []*bus.Bus{a, b} {
		for queue, n := range map[string]*atomic.Int64{"core": &shared, "": &all} {
			if _, err := node.Subscribe("event", queue, func(*bus.Msg) { n.Add(1); done <- struct{}{} }); err != nil {
				t.Fatal(err)
			}
		}
		if err := node.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	const n = 50
	for i := range n {
		if err := a.Publish("event", question{i}); err != nil {
			t.Fatal(err)
		}
	}
	for range 3 * n {
		select {
		case <-done:
		case <-ctx.Done():
			t.Fatalf("shared %d, all %d", shared.Load(), all.Load())
		}
	}
	if shared.Load() != n || all.Load() != 2*n {
		t.Errorf("the queue handled %d of %d, the plain subscribers %d of %d", shared.Load(), n, all.Load(), 2*n)
	}
}

func TestSmallServerIsRefused(t *testing.T) {
	t.Parallel()
	url := bustest.ServerWithPayload(t, 1<<20)
	if _, err := bus.Open(context.Background(), bus.Options{URL: url}); err == nil {
		t.Error("a server with a small max_payload was accepted")
	}
}
