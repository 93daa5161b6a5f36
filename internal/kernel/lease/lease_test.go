package lease_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/lease"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const partitions = 16

type node struct {
	*lease.Keeper
	owned map[int]int64
}

func newNode(d *db.DB, c clock.Clock, name string) *node {
	n := &node{owned: map[int]int64{}}
	n.Keeper = lease.New(d, c, slog.New(slog.DiscardHandler), "push", name, partitions, lease.Events{
		Acquired: func(_ context.Context, p int, fence int64) { n.owned[p] = fence },
		Lost:     func(p int) { delete(n.owned, p) },
	})
	return n
}

func (n *node) renew(t *testing.T) {
	t.Helper()
	if err := n.Renew(context.Background()); err != nil {
		t.Fatal(err)
	}
}

func migrated(t *testing.T, d *db.DB) {
	t.Helper()
	if err := lease.Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
}

func TestNodesShareAndReplaceEachOther(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	migrated(t, d)
	ctx := context.Background()
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	a, b := newNode(d, fake, "a"), newNode(d, fake, "b")
	a.renew(t)
	if len(a.owned) != partitions {
		t.Fatalf("alone a owns %d", len(a.owned))
	}
	b.renew(t) // sees two nodes, but a has not given anything back yet
	a.renew(t)
	b.renew(t)
	if len(a.owned) != partitions/2 || len(b.owned) != partitions/2 {
		t.Fatalf("a owns %d, b %d", len(a.owned), len(b.owned))
	}
	for p := range b.owned {
		if _, both := a.owned[p]; both {
			t.Errorf("partition %d has two owners", p)
		}
	}
	stale := -1
	for p := range a.owned {
		stale = p
	}
	oldFence := a.owned[stale]
	fake.Advance(11 * time.Second) // a dies silently
	b.renew(t)
	if len(b.owned) != partitions {
		t.Fatalf("b owns %d after a died", len(b.owned))
	}
	if b.owned[stale] <= oldFence {
		t.Errorf("the fence went from %d to %d", oldFence, b.owned[stale])
	}
	if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return a.Check(ctx, tx, stale) }); !errors.Is(err, lease.ErrLost) {
		t.Errorf("a may still write: %v", err)
	}
	if err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return b.Check(ctx, tx, stale) }); err != nil {
		t.Errorf("b may not write: %v", err)
	}
}

// A node that believes in its lease because its clock stands still is stopped by the fence in the database.
func TestFenceStopsAStalledNode(t *testing.T) {
	t.Parallel()
	d := dbtest.Postgres(t)
	migrated(t, d)
	stalled, running := clock.NewFake(time.Unix(1_800_000_000, 0)), clock.NewFake(time.Unix(1_800_000_000, 0))
	a, b := newNode(d, stalled, "a"), newNode(d, running, "b")
	a.renew(t)
	running.Advance(time.Minute)
	b.renew(t)
	if _, err := a.Fence(3); err != nil {
		t.Fatal("a should still believe that it owns partition 3")
	}
	err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return a.Check(ctx, tx, 3) })
	if !errors.Is(err, lease.ErrLost) {
		t.Errorf("a may still write: %v", err)
	}
}

func TestSingleProcessTakesEverythingAtOnce(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	migrated(t, d)
	fake := clock.NewFake(time.Unix(1_800_000_000, 0))
	before := newNode(d, fake, "a")
	before.renew(t)
	after := newNode(d, fake, "a") // killed and started again within the lease
	after.renew(t)
	if len(after.owned) != partitions || after.owned[0] <= before.owned[0] {
		t.Errorf("owned %d, fence %d after %d", len(after.owned), after.owned[0], before.owned[0])
	}
	after.renew(t)
	if len(after.owned) != partitions {
		t.Error("renewal lost partitions")
	}
}
