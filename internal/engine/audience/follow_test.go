package audience

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// A node that nobody asks to Sync follows what another announces.
func TestOtherNodeIsWoken(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := Migrate(ctx, d); err != nil {
		t.Fatal(err)
	}
	b, err := bus.Open(ctx, bus.Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	w := &world{db: d, clock: clock.NewFake(time.UnixMilli(1)), model: newModel(), app: lastApp.Add(1)}
	w.model.devices[w.app], w.model.names[w.app] = map[uint32]Device{}, map[uint32]string{}
	writer, follower := New(d, b, w.model, w.clock, slog.New(slog.DiscardHandler)), New(d, b, w.model, w.clock, slog.New(slog.DiscardHandler))
	if err := follower.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- follower.Run(ctx) }()
	// The subscription exists at some time after Run began, so changes go on until one is followed.
	deadline := time.Now().Add(20 * time.Second)
	for n := uint32(1); !follower.Joined(w.app, 1); n++ {
		if time.Now().After(deadline) {
			t.Fatal("the change did not arrive")
		}
		w.change(t, writer, 1, &Device{Platform: IOS, Joined: true, Alias: fmt.Sprint(n)}, nil, false)
		if err := b.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// A reading that began before a call does not answer it; calls during a reading share the next one.
func TestRounds(t *testing.T) {
	t.Parallel()
	var (
		r       rounds
		running atomic.Int32
		begun   = make(chan struct{})
		release = make(chan struct{})
		count   int
		wg      sync.WaitGroup
	)
	wg.Go(func() {
		_ = r.do(context.Background(), func() error { close(begun); <-release; return nil })
	})
	<-begun
	second := func() error {
		if running.Add(1) != 1 {
			t.Error("two runs at a time")
		}
		defer running.Add(-1)
		count++
		return errors.New("shared")
	}
	for range 10 {
		wg.Go(func() {
			if err := r.do(context.Background(), second); err == nil {
				t.Error("the error of the shared run is lost")
			}
		})
	}
	cancelled, cancel := context.WithCancel(context.Background())
	cancel()
	leads := func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return r.next != nil
	}
	for deadline := time.Now().Add(10 * time.Second); !leads(); { // until one of the ten leads
		if time.Now().After(deadline) {
			t.Error("nobody waits for the run that has begun")
			break
		}
	}
	if leads() {
		if err := r.do(cancelled, second); !errors.Is(err, context.Canceled) {
			t.Errorf("a caller whose context ended: %v", err)
		}
	}
	close(release)
	wg.Wait()
	if count < 1 || count > 10 {
		t.Errorf("%d runs", count)
	}
	if err := r.do(context.Background(), func() error { return nil }); err != nil {
		t.Error(err)
	}
}

// What one node committed, another sees after Sync, whatever else is being read at that moment.
func TestSyncSeesWhatWasCommitted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if err := Migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
		app := lastApp.Add(1)
		m := newModel()
		open := func() *Index { return New(d, nil, m, clock.System{}, slog.New(slog.DiscardHandler)) }
		nodes := []*Index{open()}
		if d.Engine() == db.PostgreSQL {
			nodes = append(nodes, open())
		}
		for _, x := range nodes { // loaded before there are rows, which this test leaves out
			if err := x.Sync(ctx, app); err != nil {
				t.Fatal(err)
			}
		}
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				writer, reader := nodes[i%len(nodes)], nodes[(i+1)%len(nodes)]
				for k := range 10 {
					o := uint32(i*100 + k)
					err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
						return writer.Append(ctx, tx, app, Change{After: &Device{Ordinal: o, Platform: Web, Joined: true}})
					})
					if err != nil {
						t.Error(err)
						return
					}
					if k%2 == 0 || writer == reader { // on another node, Sync is enough
						writer.Follow(ctx, app)
					}
					if err := reader.Sync(ctx, app); err != nil {
						t.Error(err)
						return
					}
					if !reader.Joined(app, o) {
						t.Errorf("device %d is committed and not seen", o)
					}
				}
			})
		}
		wg.Wait()
	})
}

// A reading that fails leaves the sets as they are, and the next Sync makes up for it.
func TestFailedReadingIsRepeated(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	ctx := context.Background()
	if err := Migrate(ctx, d); err != nil {
		t.Fatal(err)
	}
	x := New(d, nil, newModel(), clock.System{}, slog.New(slog.DiscardHandler))
	if err := x.Sync(ctx, 1); err != nil {
		t.Fatal(err)
	}
	exec := func(query string, args ...any) {
		t.Helper()
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, query, args...)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return x.Append(ctx, tx, 1, Change{After: &Device{Ordinal: 5, Platform: Web, Joined: true}})
	})
	if err != nil {
		t.Fatal(err)
	}
	var good []byte
	if err := d.QueryRow(ctx, `select change from audience_log`).Scan(&good); err != nil {
		t.Fatal(err)
	}
	exec(`update audience_log set change = $1`, []byte{99})
	x.Follow(ctx, 1)
	if err := x.Sync(ctx, 1); !errors.Is(err, errEntry) {
		t.Errorf("damaged: %v", err)
	}
	exec(`update audience_log set change = $1`, good)
	if err := x.Sync(ctx, 1); err != nil || !x.Joined(1, 5) {
		t.Errorf("repaired: %v", err)
	}
}

func TestMaintainKeepsTheNewest(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if err := Migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
		c := clock.NewFake(time.UnixMilli(1_790_000_000_000))
		x := New(d, nil, newModel(), c, slog.New(slog.DiscardHandler))
		add := func(n int) {
			err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				for i := range n {
					if err := x.Append(ctx, tx, 1, Change{After: &Device{Ordinal: uint32(i), Platform: Web}}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		left := func() (n int, first int64) {
			if err := x.Maintain(ctx); err != nil {
				t.Fatal(err)
			}
			if err := d.QueryRow(ctx, `select count(*), min(pos) from audience_log where app_id = 1`).Scan(&n, &first); err != nil {
				t.Fatal(err)
			}
			return n, first
		}
		add(10)
		c.Advance(30 * time.Minute)
		add(5)
		if n, first := left(); n != 15 || first != 1 {
			t.Errorf("%d entries from %d", n, first)
		}
		c.Advance(31 * time.Minute)
		if n, first := left(); n != 5 || first != 11 {
			t.Errorf("after an hour: %d entries from %d", n, first)
		}
		c.Advance(time.Hour)
		if n, first := left(); n != 1 || first != 15 {
			t.Errorf("after two: %d entries from %d", n, first)
		}
	})
}
