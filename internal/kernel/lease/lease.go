// Package lease decides which node owns which partition of the work.
//
// A Keeper tries to hold its fair share of a fixed number of partitions. Ownership is a row with an expiry and a fence
// number that rises with each change of owner. A node that stalls loses its rows when they expire; what it then still
// tries to write fails, because every write of owned work calls Check in its transaction, which locks the lease row
// and compares the fence.
//
// Tables: lease_lease, lease_node. On SQLite there is one process, and it takes everything at once.
package lease

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

// ErrLost says that this node no longer owns the partition.
var ErrLost = errors.New("lease: another node owns this partition now")

const (
	// duration of a lease; a node that is gone is replaced after it.
	duration = 10 * time.Second
	// renewal leaves room for two failed attempts.
	renewal = 2 * time.Second
)

// Events are called by Run when ownership changes, one at a time. They must not block for long.
type Events struct {
	Acquired func(ctx context.Context, partition int, fence int64)
	Lost     func(partition int)
}

// Keeper holds partitions of one kind of work for one node.
type Keeper struct {
	db         *db.DB
	clock      clock.Clock
	log        *slog.Logger
	kind, node string
	partitions int
	events     Events

	mu   sync.RWMutex
	held map[int]holding
}

type holding struct {
	fence int64
	until time.Time
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "lease", migrations) }

// New returns a keeper that holds nothing until Run.
func New(d *db.DB, c clock.Clock, log *slog.Logger, kind, node string, partitions int, events Events) *Keeper {
	return &Keeper{db: d, clock: c, log: log, kind: kind, node: node, partitions: partitions, events: events, held: make(map[int]holding)}
}

// Fence returns the fence number under which this node owns the partition, or ErrLost.
func (k *Keeper) Fence(partition int) (int64, error) {
	k.mu.RLock()
	defer k.mu.RUnlock()
	h, ok := k.held[partition]
	if !ok || !k.clock.Now().Before(h.until) {
		return 0, ErrLost
	}
	return h.fence, nil
}

// Check makes the transaction fail with ErrLost unless this node owns the partition until it commits.
func (k *Keeper) Check(ctx context.Context, tx *db.Tx, partition int) error {
	fence, err := k.Fence(partition)
	if err != nil || k.db.Engine() == db.SQLite { // one process, so nobody can have taken it
		return err
	}
	n, err := tx.Exec(ctx, `update lease_lease set fence = fence where name = $1 and holder = $2 and fence = $3`, k.name(partition), k.node, fence)
	if err != nil {
		return fmt.Errorf("lease: check: %w", err)
	}
	if n == 0 {
		return ErrLost
	}
	return nil
}

// Run takes and renews leases until ctx ends, then gives them back.
func (k *Keeper) Run(ctx context.Context) error {
	ticker := time.NewTicker(renewal)
	defer ticker.Stop()
	for {
		if err := k.Renew(ctx); err != nil && ctx.Err() == nil {
			k.log.Warn("leases not renewed", "kind", k.kind, "err", err)
		}
		select {
		case <-ctx.Done():
			return k.release(context.WithoutCancel(ctx))
		case <-ticker.C:
		}
	}
}

// Renew does one round: renew what is held, take what is free up to the fair share, give back what is above it.
func (k *Keeper) Renew(ctx context.Context) error {
	now := k.clock.Now()
	until := now.Add(duration)
	won := make(map[int]int64)
	err := k.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		clear(won)
		return k.renew(ctx, tx, now, until, won)
	})
	if err != nil {
		k.dropExpired()
		return err
	}
	k.settle(ctx, won, until)
	return nil
}

func (k *Keeper) renew(ctx context.Context, tx *db.Tx, now, until time.Time, won map[int]int64) error {
	share := k.partitions
	single := k.db.Engine() == db.SQLite
	if !single {
		var err error
		if share, err = k.fairShare(ctx, tx, now, until); err != nil {
			return err
		}
	}
	// Held ones first, so that the share is filled with them before anything new is taken.
	order := make([]int, 0, k.partitions)
	for _, wantHeld := range []bool{true, false} {
		for p := range k.partitions {
			if _, err := k.Fence(p); (err == nil) == wantHeld {
				order = append(order, p)
			}
		}
	}
	for _, p := range order {
		if len(won) == share {
			break
		}
		fence, err := k.take(ctx, tx, p, now, until, single)
		if err != nil {
			return err
		}
		if fence > 0 {
			won[p] = fence
		}
	}
	if single {
		return nil
	}
	for p := range k.partitions {
		if _, kept := won[p]; kept {
			continue
		}
		if _, err := tx.Exec(ctx, `update lease_lease set expires_at = 0 where name = $1 and holder = $2`, k.name(p), k.node); err != nil {
			return err
		}
	}
	return nil
}

func (k *Keeper) fairShare(ctx context.Context, tx *db.Tx, now, until time.Time) (int, error) {
	node := k.kind + "/" + k.node
	if _, err := tx.Exec(ctx, `insert into lease_node (node, expires_at) values ($1, $2)
		on conflict (node) do update set expires_at = excluded.expires_at`, node, clock.Millis(until)); err != nil {
		return 0, err
	}
	var nodes int
	if err := tx.QueryRow(ctx, `select count(*) from lease_node where expires_at > $1 and node like $2`, clock.Millis(now), k.kind+"/%").Scan(&nodes); err != nil {
		return 0, err
	}
	return (k.partitions + max(nodes, 1) - 1) / max(nodes, 1), nil
}

// take renews or acquires one lease and returns its fence, or 0 when another node has it.
func (k *Keeper) take(ctx context.Context, tx *db.Tx, p int, now, until time.Time, force bool) (fence int64, err error) {
	freeBefore := clock.Millis(now)
	if force {
		freeBefore = 1<<63 - 1
	}
	err = tx.QueryRow(ctx, `insert into lease_lease (name, holder, fence, expires_at) values ($1, $2, 1, $3)
		on conflict (name) do update set
			fence = case when lease_lease.holder = excluded.holder and $5 then lease_lease.fence else lease_lease.fence + 1 end,
			holder = excluded.holder, expires_at = excluded.expires_at
		where lease_lease.expires_at <= $4 or (lease_lease.holder = excluded.holder and $5)
		returning fence`, k.name(p), k.node, clock.Millis(until), freeBefore, k.holds(p)).Scan(&fence)
	if errors.Is(err, db.ErrNoRows) {
		return 0, nil
	}
	return fence, err
}

// holds: a new process of the same name must not continue its predecessor's fence.
func (k *Keeper) holds(p int) bool {
	_, err := k.Fence(p)
	return err == nil
}

func (k *Keeper) settle(ctx context.Context, won map[int]int64, until time.Time) {
	type gain struct {
		partition int
		fence     int64
	}
	var (
		gains []gain
		lost  []int
	)
	k.mu.Lock()
	for p, h := range k.held {
		if fence, kept := won[p]; !kept || fence != h.fence {
			lost = append(lost, p)
			delete(k.held, p)
		}
	}
	for p, fence := range won {
		if _, had := k.held[p]; !had {
			gains = append(gains, gain{p, fence})
		}
		k.held[p] = holding{fence, until}
	}
	k.mu.Unlock()
	for _, p := range lost {
		k.events.Lost(p)
	}
	for _, g := range gains {
		k.events.Acquired(ctx, g.partition, g.fence)
	}
}

// dropExpired gives up what could not be renewed in time, also without a database.
func (k *Keeper) dropExpired() {
	now := k.clock.Now()
	var lost []int
	k.mu.Lock()
	for p, h := range k.held {
		if !now.Before(h.until) {
			lost = append(lost, p)
			delete(k.held, p)
		}
	}
	k.mu.Unlock()
	for _, p := range lost {
		k.events.Lost(p)
	}
}

func (k *Keeper) release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, renewal)
	defer cancel()
	k.settle(ctx, nil, time.Time{})
	err := k.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `delete from lease_node where node = $1`, k.kind+"/"+k.node); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `update lease_lease set expires_at = 0 where holder = $1 and name like $2`, k.node, k.kind+"/%")
		return err
	})
	if err != nil {
		return fmt.Errorf("lease: release: %w", err)
	}
	return nil
}

func (k *Keeper) name(partition int) string { return fmt.Sprintf("%s/%d", k.kind, partition) }
