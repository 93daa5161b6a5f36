package outbox_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type counted struct {
	N int `cbor:"1,keyasint"`
}

var errRefused = errors.New("refused")

// sum is a consumer whose effect is in the database.
func sum(refuse func(int) bool) outbox.Handler {
	return func(ctx context.Context, tx *db.Tx, events []outbox.Event) error {
		total := 0
		for _, e := range events {
			var c counted
			if err := e.Decode(&c); err != nil {
				return err
			}
			if refuse(c.N) {
				return errRefused
			}
			total += c.N
		}
		_, err := tx.Exec(ctx, `update test_sum set n = n + $1`, total)
		return err
	}
}

func total(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	if err := d.QueryRow(context.Background(), `select n from test_sum`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func prepare(t *testing.T, d *db.DB) context.Context {
	t.Helper()
	ctx := context.Background()
	if err := outbox.Migrate(ctx, d); err != nil {
		t.Fatal(err)
	}
	err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `create table test_sum (n bigint not null)`); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `insert into test_sum values (0)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return ctx
}

func publish(t *testing.T, d *db.DB, o *outbox.Outbox, n int, fail error) {
	t.Helper()
	err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		if err := o.Publish(ctx, tx, "test.counted", counted{n}); err != nil {
			return err
		}
		return fail
	})
	if !errors.Is(err, fail) {
		t.Fatal(err)
	}
}

// Several nodes consume at once; every committed event counts once, a rolled back one never.
func TestEffectHappensOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithCancel(prepare(t, d))
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		var nodes []*outbox.Outbox
		for range 3 {
			o := outbox.New(d, clock.System{}, slog.New(slog.DiscardHandler))
			o.Subscribe("sum", []string{"test.counted"}, sum(func(int) bool { return false }))
			nodes = append(nodes, o)
			wg.Go(func() { _ = o.Run(ctx) })
		}
		want := 0
		for i := range 100 {
			if i%5 == 0 {
				publish(t, d, nodes[i%3], i, errRefused)
				continue
			}
			publish(t, d, nodes[i%3], i, nil)
			want += i
		}
		deadline := time.Now().Add(20 * time.Second)
		for {
			waiting, err := nodes[0].Waiting(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if len(waiting) == 0 {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("still waiting: %v", waiting)
			}
		}
		if got := total(t, d); got != want {
			t.Errorf("sum is %d, want %d", got, want)
		}
	})
}

// An event that its consumer cannot handle is put off and holds up nobody.
func TestPoisonedEventIsPutOff(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx, cancel := context.WithCancel(prepare(t, d))
		fake := clock.NewFake(time.Unix(1_800_000_000, 0))
		o := outbox.New(d, fake, slog.New(slog.DiscardHandler))
		var (
			mu     sync.Mutex
			broken = true
		)
		o.Subscribe("sum", []string{"test.counted"}, sum(func(n int) bool {
			mu.Lock()
			defer mu.Unlock()
			return n == 7 && broken
		}))
		for n := range 20 {
			publish(t, d, o, n, nil)
		}
		var wg sync.WaitGroup
		defer wg.Wait()
		defer cancel()
		wg.Go(func() { _ = o.Run(ctx) })
		waitFor(t, func() bool { return total(t, d) == 190-7 })
		mu.Lock()
		broken = false
		mu.Unlock()
		fake.Advance(time.Minute)
		waitFor(t, func() bool { return total(t, d) == 190 })
	})
}

func waitFor(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !done(); {
		if time.Now().After(deadline) {
			t.Fatal("condition not met within 20 s")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

func TestBatchIsBounded(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	ctx := prepare(t, d)
	o := outbox.New(d, clock.System{}, slog.New(slog.DiscardHandler))
	add, most := sum(func(int) bool { return false }), 0
	o.Subscribe("sum", []string{"test.counted"}, func(ctx context.Context, tx *db.Tx, events []outbox.Event) error {
		most = max(most, len(events))
		return add(ctx, tx, events)
	}, outbox.Batch(3))
	for range 10 {
		publish(t, d, o, 1, nil)
	}
	if err := o.Drain(ctx); err != nil {
		t.Fatal(err)
	}
	if got := total(t, d); got != 10 || most != 3 {
		t.Errorf("%d events, %d at once at most", got, most)
	}
}
