package id_test

import (
	"context"
	"regexp"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/id"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

func TestKey(t *testing.T) {
	t.Parallel()
	form := regexp.MustCompile(`^[A-Za-z0-9]{24}$`)
	seen, counts := map[string]bool{}, map[rune]int{}
	for range 2000 {
		k := id.NewKey()
		if !form.MatchString(k) || seen[k] {
			t.Fatalf("bad key %q", k)
		}
		seen[k] = true
		for _, r := range k {
			counts[r]++
		}
	}
	// 48,000 characters: 774 of each are expected, with a standard deviation of 28. Without the rejection of the highest
	// bytes the first eight letters would have 941.
	for r, n := range counts {
		if n < 774-5*28 || n > 774+5*28 {
			t.Errorf("%c appears %d times", r, n)
		}
	}
}

// Many nodes, restarts and a clock that stands still: never the same number, always below 2^53.
func TestSequenceNeverRepeats(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if err := id.Migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
		fake := clock.NewFake(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
		var (
			mu   sync.Mutex
			seen = map[int64]bool{}
			wg   sync.WaitGroup
		)
		for range 8 {
			wg.Go(func() {
				node := id.NewSequence(d, fake, "msg")
				for range 5000 {
					n, err := node.Next(ctx)
					if err != nil {
						t.Error(err)
						return
					}
					mu.Lock()
					if seen[n] || n <= 0 || n >= 1<<53 {
						t.Errorf("number %d", n)
					}
					seen[n] = true
					mu.Unlock()
				}
			})
		}
		wg.Wait()
	})
}

// A database restored from a backup holds an older block; time keeps the numbers apart.
func TestSequenceAfterRestore(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	fake := clock.NewFake(time.Date(2026, 11, 23, 0, 0, 0, 0, time.UTC))
	last := int64(0)
	for range 2 { // the second database is empty: the worst backup
		d := dbtest.SQLite(t)
		if err := id.Migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
		node := id.NewSequence(d, fake, "msg")
		for range 10_000 {
			n, err := node.Next(ctx)
			if err != nil {
				t.Fatal(err)
			}
			if n <= last {
				t.Fatalf("%d after %d", n, last)
			}
			last = n
		}
		fake.Advance(time.Second)
	}
}
