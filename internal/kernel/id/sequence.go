package id

import (
	"context"
	"embed"
	"fmt"
	"sync"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

const (
	// perSecond is how many numbers a second has room for: 2^21 of them, so 2^53 last 136 years from epoch.
	perSecond = 1 << 21
	blockSize = 4096
)

// epoch is when numbers begin: 1 January 2026, UTC.
const epoch = 1767225600

// Sequence gives out numbers below 2^53 (exact in JavaScript) that no other node and no earlier run of this
// database gives out, in about the order of time. Nodes take blocks from the database; a block begins no earlier than
// the present second's share, so a database restored from a backup does not repeat numbers either.
type Sequence struct {
	db    *db.DB
	clock clock.Clock
	name  string

	mu        sync.Mutex
	next, end int64
}

// NewSequence returns the sequence of the given name. Its table must have been migrated.
func NewSequence(d *db.DB, c clock.Clock, name string) *Sequence {
	return &Sequence{db: d, clock: c, name: name}
}

// Migrate brings the package's table forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "id", migrations) }

// Next returns a new number. Once in 4,096 calls it writes to the database.
func (s *Sequence) Next(ctx context.Context) (int64, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == s.end {
		if err := s.refill(ctx); err != nil {
			return 0, fmt.Errorf("id: %w", err)
		}
	}
	n := s.next
	s.next++
	return n, nil
}

func (s *Sequence) refill(ctx context.Context) error {
	floor := max(s.clock.Now().Sub(time.Unix(epoch, 0))/time.Second, 1)
	var start int64
	err := s.db.InTxUrgent(ctx, func(ctx context.Context, tx *db.Tx) error {
		return tx.QueryRow(ctx, `insert into id_block (name, next) values ($1, $2)
			on conflict (name) do update set next = case when id_block.next + $3 > excluded.next then id_block.next + $3 else excluded.next end
			returning next`, s.name, int64(floor)*perSecond, blockSize).Scan(&start)
	})
	if err != nil {
		return err
	}
	s.next, s.end = start, start+blockSize
	return nil
}
