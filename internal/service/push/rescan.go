package push

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	rescanTick = 5 * time.Second
	// rescanSlack is how much later than its time of acceptance a message may be committed, clock differences between
	// nodes included.
	rescanSlack = 10 * time.Second
	// rescanLimit bounds one look.
	rescanLimit = 20_000
)

// rescan looks in each owned partition for messages that no node released, because it died or lost the bus between
// committing and telling, and remembers up to when everything is released.
func (s *Service) rescan(ctx context.Context) error {
	s.mu.RLock()
	owned := make(map[int]*ownership, len(s.owned))
	maps.Copy(owned, s.owned)
	s.mu.RUnlock()
	// With SQLite all messages are accepted by this process, which tells itself: looking would find nothing.
	look := s.db.Engine() != db.SQLite
	for p, own := range owned {
		if err := s.rescanPartition(ctx, p, own, look); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) rescanPartition(ctx context.Context, partition int, own *ownership, look bool) error {
	until := clock.Millis(s.clock.Now())
	if look {
		var err error
		if until, err = s.releaseUnnoticed(ctx, partition, own.releasedTo.Load()-rescanSlack.Milliseconds(), until); err != nil {
			return err
		}
	}
	if until <= own.releasedTo.Load() || own.noticed.Swap(0) == 0 && !look {
		return nil
	}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.leases.Check(ctx, tx, partition); err != nil {
			return err
		}
		return storeReleasedTo(ctx, tx, partition, until)
	})
	if err != nil {
		return fmt.Errorf("push: remember release: %w", err)
	}
	own.releasedTo.Store(until)
	return nil
}

// releaseUnnoticed releases what was accepted in (after, until] and is unknown here, and returns up to when that is done.
func (s *Service) releaseUnnoticed(ctx context.Context, partition int, after, until int64) (int64, error) {
	rows, err := s.db.Query(ctx, `select msg_id, app_id, wide, accepted_at from push_message
		where accepted_at > $1 and accepted_at <= $2 and app_id % $3 = $4 order by accepted_at limit $5`,
		after, until, edgewire.Partitions, partition, rescanLimit)
	if err != nil {
		return 0, fmt.Errorf("push: rescan: %w", err)
	}
	found, err := collect(rows, func(m *message, scan func(...any) error) error { return scan(&m.ID, &m.App, &m.Wide, &m.AcceptedAt) })
	if err != nil {
		return 0, err
	}
	if len(found) == rescanLimit {
		until = found[len(found)-1].AcceptedAt
	}
	byApp := make(map[int64][]int64)
	for _, m := range found {
		switch {
		case s.known(m.ID):
		case m.Wide:
			w, err := s.wideOf(ctx, m.ID)
			if err == nil && w != nil {
				err = s.rebroadcast(w)
			}
			if err != nil {
				return 0, err
			}
		default:
			byApp[m.App] = append(byApp[m.App], m.ID)
		}
	}
	for app, ids := range byApp {
		if err := s.offerMessages(ctx, app, ids); err != nil {
			return 0, err
		}
	}
	return until, nil
}

func (s *Service) known(msg int64) bool {
	s.mu.RLock()
	_, wide := s.wides[msg]
	s.mu.RUnlock()
	return wide || s.rows.has(msg)
}

// offerMessages offers to all edges the devices that are still owed one of the messages.
func (s *Service) offerMessages(ctx context.Context, app int64, ids []int64) error {
	const batch = 500
	var errs []error
	for len(ids) > 0 {
		n := min(len(ids), batch)
		ordinals, err := queryOwedOrdinals(ctx, s.db, ids[:n])
		if err != nil {
			return err
		}
		errs = append(errs, s.publishOffer(app, ordinals))
		for _, id := range ids[:n] {
			s.rows.add(id)
		}
		ids = ids[n:]
	}
	return errors.Join(errs...)
}

// rowCache remembers which messages are kept as rows and have been noticed. It is bounded: two generations.
type rowCache struct {
	mu       sync.Mutex
	new, old map[int64]struct{}
}

const rowGeneration = 100_000

func (c *rowCache) add(msg int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.new == nil || len(c.new) >= rowGeneration {
		c.old, c.new = c.new, make(map[int64]struct{})
	}
	c.new[msg] = struct{}{}
}

func (c *rowCache) has(msg int64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.new[msg]; ok {
		return true
	}
	_, ok := c.old[msg]
	return ok
}
