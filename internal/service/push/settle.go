package push

import (
	"context"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/pushevent"
)

const (
	sweepTick = 5 * time.Second
	// sweepBatch bounds the messages that one turn of the sweep ends.
	sweepBatch = 200
	// retention is how long a message can be reported on: the vendor's month and some days.
	retention = 35 * 24 * time.Hour
	// idleWide is how long a wide message stays in memory after its end, for receipts that come late.
	idleWide = 10 * time.Minute
)

// settleRows ends owed rows in a transaction of the partition's owner and counts them as failed.
func (s *Service) settleRows(ctx context.Context, app int64, settle func(context.Context, *db.Tx) (int64, error)) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.leases.Check(ctx, tx, edgewire.Partition(app)); err != nil {
			return err
		}
		n, err := settle(ctx, tx)
		if err != nil || n == 0 {
			return err
		}
		return s.outbox.Publish(ctx, tx, pushevent.TopicProgress, pushevent.Progress{App: app, At: clock.Millis(s.clock.Now()), Failed: n})
	})
}

// sweep ends messages whose time to live has passed and deletes what is too old to be asked for.
func (s *Service) sweep(ctx context.Context) error {
	now := clock.Millis(s.clock.Now())
	expired, err := queryMessages(ctx, s.db, `state = 1 and expires_at <= $1 order by expires_at limit $2`, now, sweepBatch)
	if err != nil {
		return err
	}
	for _, m := range expired {
		if s.ownership(edgewire.Partition(m.App)) == nil {
			continue
		}
		if err := s.expire(ctx, m); err != nil {
			return err
		}
	}
	s.evictWides(now)
	return s.deleteOld(ctx, now)
}

// expire settles what a message still owes and marks it done.
func (s *Service) expire(ctx context.Context, m *message) error {
	if m.Wide {
		w, err := s.wideOf(ctx, m.ID)
		if err != nil {
			return err
		}
		w.mu.RLock()
		owed := w.owed()
		w.mu.RUnlock()
		if !owed.IsEmpty() {
			if err := s.merge(ctx, m.App, []mark{{msg: m.ID, stage: failed(Expired), set: owed}}); err != nil {
				return err
			}
		}
	}
	return s.settleRows(ctx, m.App, func(ctx context.Context, tx *db.Tx) (n int64, err error) {
		if !m.Wide {
			if n, err = expireRows(ctx, tx, m.ID); err != nil {
				return 0, err
			}
		}
		_, err = tx.Exec(ctx, `update push_message set state = $2 where msg_id = $1`, m.ID, stateDone)
		if err != nil {
			err = fmt.Errorf("push: end message: %w", err)
		}
		return n, err
	})
}

// replaceWide settles, for the targets of a wide message, what is owed of the one it replaces.
func (s *Service) replaceWide(ctx context.Context, w *wide) error {
	old, err := s.wideOf(ctx, w.Override)
	if err != nil {
		return err
	}
	targets := w.all.Clone()
	if old != nil {
		old.mu.RLock()
		targets.And(old.owed())
		old.mu.RUnlock()
	}
	if targets.IsEmpty() {
		return nil
	}
	return s.merge(ctx, w.App, []mark{{msg: w.Override, stage: failed(Replaced), set: targets}})
}

// replaceInWide settles what an older message owes to the targets of a direct one. If the older one is direct as well,
// that happened when the new one was accepted.
func (s *Service) replaceInWide(ctx context.Context, app, old int64, ordinals []uint32) error {
	w, err := s.wideOf(ctx, old)
	if err != nil || w == nil {
		return err
	}
	return s.merge(ctx, app, []mark{{msg: old, stage: failed(Replaced), set: roaring.BitmapOf(ordinals...)}})
}

// evictWides drops wide messages that ended from the list of live ones, and some time later from memory.
func (s *Service) evictWides(now int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for app, list := range s.byApp {
		live := make([]*wide, 0, len(list))
		for _, w := range list {
			if w.ExpiresAt > now {
				live = append(live, w)
			}
		}
		if len(live) == 0 {
			delete(s.byApp, app)
		} else if len(live) < len(list) {
			s.byApp[app] = live
		}
	}
	for id, w := range s.wides {
		if w.ExpiresAt+idleWide.Milliseconds() < now {
			delete(s.wides, id)
		}
	}
}

// deleteOld removes messages past retention, and expired cids, a few at a time.
func (s *Service) deleteOld(ctx context.Context, now int64) error {
	old, err := queryMessages(ctx, s.db, `accepted_at < $1 order by accepted_at limit $2`, now-retention.Milliseconds(), sweepBatch)
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, m := range old {
			for _, table := range []string{"push_target", "push_set", "push_message"} {
				if _, err := tx.Exec(ctx, `delete from `+table+` where msg_id = $1`, m.ID); err != nil {
					return fmt.Errorf("push: delete from %s: %w", table, err)
				}
			}
		}
		_, err := tx.Exec(ctx, `delete from push_cid where (app_id, cid) in (select app_id, cid from push_cid where expires_at <= $1 limit 1000)`, now)
		if err != nil {
			return fmt.Errorf("push: delete cids: %w", err)
		}
		return nil
	})
}
