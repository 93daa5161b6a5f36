package push

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	rescanTick = 5 * time.Second
	// rescanSlack is how much later than its time of acceptance a message may be committed, clock differences between
	// nodes included.
	rescanSlack = 10 * time.Second
	// rescanLimit bounds one page of a look.
	rescanLimit = 20_000
	// maxID is above all message ids.
	maxID = 1 << 53
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
		if err := s.releaseUnnoticed(ctx, partition, own.releasedTo.Load()-rescanSlack.Milliseconds(), until); err != nil {
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

// releaseUnnoticed releases what was accepted in (after, until] and nobody is known to have released.
func (s *Service) releaseUnnoticed(ctx context.Context, partition int, after, until int64) error {
	last := message{AcceptedAt: after, ID: maxID}
	for {
		found, err := queryAccepted(ctx, s.db, partition, last.AcceptedAt, last.ID, until, rescanLimit)
		if err != nil {
			return err
		}
		if err := s.releaseAgain(ctx, found); err != nil {
			return err
		}
		if len(found) < rescanLimit {
			return nil
		}
		last = *found[len(found)-1]
	}
}

func (s *Service) releaseAgain(ctx context.Context, found []*message) error {
	byApp := make(map[int64][]*message)
	for _, m := range found {
		switch {
		case s.released.has(m.ID):
		case m.Wide:
			w, err := s.wideOf(ctx, m.ID)
			if err == nil && w != nil {
				err = s.rebroadcast(w)
			}
			if err != nil {
				return err
			}
			s.released.add(m.ID, struct{}{})
		default:
			byApp[m.App] = append(byApp[m.App], m)
			if m.Override != 0 {
				s.replaceLater(m)
			}
		}
	}
	for app, messages := range byApp {
		if err := s.offerMessages(ctx, app, messages); err != nil {
			return err
		}
	}
	return nil
}

// offerMessages offers to all edges the devices that are still owed one of the messages.
func (s *Service) offerMessages(ctx context.Context, app int64, messages []*message) error {
	const batch = 500
	var errs []error
	for part := range slices.Chunk(messages, batch) {
		ids := make([]int64, len(part))
		for i, m := range part {
			ids[i] = m.ID
		}
		ordinals, err := queryOwedOrdinals(ctx, s.db, ids, true)
		if err != nil {
			return err
		}
		errs = append(errs, s.publishOffer(app, ordinals))
		for _, m := range part {
			s.rows.add(m.ID, m.fact())
			s.released.add(m.ID, struct{}{})
		}
	}
	return errors.Join(errs...)
}
