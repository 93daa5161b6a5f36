package push

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/pushevent"
)

const (
	sweepTick = 5 * time.Second
	// sweepBatch bounds the messages of one transaction of the sweep, sweepRounds the transactions of one turn.
	sweepBatch  = 50
	sweepRounds = 400
	// deleteRows bounds the rows that one transaction deletes, except for a single message of more.
	deleteRows = 500
	// retention is how long a message can be reported on: the vendor's month and some days.
	retention = 35 * 24 * time.Hour
	// idleWide is how long a wide message stays in memory after its end, for receipts that come late.
	idleWide = 10 * time.Minute
)

// asOwner runs a transaction of the owner of the app's partition.
func (s *Service) asOwner(ctx context.Context, app int64, work db.TxFunc) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.leases.Check(ctx, tx, edgewire.Partition(app)); err != nil {
			return err
		}
		return work(ctx, tx)
	})
}

// endedIn counts rows that ended without delivery, by message, and tells who wants to hear of it.
func (s *Service) endedIn(ctx context.Context, tx *db.Tx, app int64, rows map[int64][]uint32, as Outcome, at int64) error {
	heard := s.told()
	n := 0
	for msg, ordinals := range rows {
		n += len(ordinals)
		known, seen := s.rows.get(msg)
		if len(ordinals) == 0 || seen && !s.wanted(app, known.callback) {
			continue
		}
		m, err := queryMessage(ctx, tx, msg)
		if err == nil && m != nil {
			err = heard.ended(m, as, ordinals, at)
		}
		if err != nil {
			return err
		}
	}
	if n == 0 {
		return nil
	}
	if err := heard.record(ctx, tx); err != nil {
		return err
	}
	return s.outbox.Publish(ctx, tx, pushevent.TopicProgress, pushevent.Progress{App: app, At: at, Failed: int64(n)})
}

// sweep ends the messages of owned partitions whose time to live has passed, and deletes what is too old to be asked for.
func (s *Service) sweep(ctx context.Context) error {
	now := clock.Millis(s.clock.Now())
	s.mu.RLock()
	owned := slices.Collect(maps.Keys(s.owned))
	s.mu.RUnlock()
	var errs []error
	for _, p := range owned {
		errs = append(errs, s.sweepPartition(ctx, p, now))
	}
	return errors.Join(append(errs, s.deleteOld(ctx, now))...)
}

func (s *Service) sweepPartition(ctx context.Context, partition int, now int64) error {
	var errs []error
	for range sweepRounds {
		expired, err := queryMessages(ctx, s.db, `state = 1 and expires_at <= $1 and app_id % $2 = $3 order by expires_at limit $4`,
			now, edgewire.Partitions, partition, sweepBatch)
		if err != nil {
			return err
		}
		var rows []*message
		for _, m := range expired {
			if !m.Wide {
				rows = append(rows, m)
				continue
			}
			if err := s.expireWide(ctx, m); err != nil {
				errs = append(errs, fmt.Errorf("push: expire message %d: %w", m.ID, err))
			}
		}
		if err := s.expireRows(ctx, partition, rows); err != nil {
			errs = append(errs, err)
		}
		if len(expired) < sweepBatch || len(errs) > 0 {
			break // one that fails must not be met again and again in one turn
		}
	}
	return errors.Join(errs...)
}

// expireWide settles what a wide message still owes and marks it done.
func (s *Service) expireWide(ctx context.Context, m *message) error {
	w, err := s.wideOf(ctx, m.ID)
	if err != nil {
		return err
	}
	owed, err := s.owedOf(ctx, m.ID, w)
	if err != nil {
		return err
	}
	if !owed.IsEmpty() {
		if err := s.merge(ctx, m.App, []mark{{msg: m.ID, stage: failed(Expired), set: owed}}); err != nil {
			return err
		}
	}
	return s.asOwner(ctx, m.App, func(ctx context.Context, tx *db.Tx) error { return endMessage(ctx, tx, m.ID) })
}

// expireRows does the same for messages kept as rows, in one transaction.
func (s *Service) expireRows(ctx context.Context, partition int, messages []*message) error {
	if len(messages) == 0 {
		return nil
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.leases.Check(ctx, tx, partition); err != nil {
			return err
		}
		progress := make(map[int64]*pushevent.Progress)
		heard := s.told()
		now := clock.Millis(s.clock.Now())
		for _, m := range messages {
			expired, err := endRows(ctx, tx, m.ID, Expired)
			if err == nil {
				err = s.end(ctx, tx, m)
			}
			if err == nil {
				err = heard.ended(m, Expired, expired, now)
			}
			if err != nil {
				return err
			}
			if progress[m.App] == nil {
				progress[m.App] = &pushevent.Progress{App: m.App, At: now}
			}
			if m.Kind == kindPush {
				progress[m.App].Failed += int64(len(expired))
			}
		}
		if err := heard.record(ctx, tx); err != nil {
			return err
		}
		return s.publish(ctx, tx, progress)
	})
}

func endMessage(ctx context.Context, tx *db.Tx, msg int64) error {
	if _, err := tx.Exec(ctx, `update push_message set state = $2 where msg_id = $1`, msg, stateDone); err != nil {
		return fmt.Errorf("push: end message: %w", err)
	}
	return nil
}

// replaceLater settles what is owed of a message that another one replaces, for the targets of that, or withdraws, for
// all, where one of the two is wide; between direct messages that happened when the new one was accepted. Doing it again
// changes nothing, so a node that takes over does.
func (s *Service) replaceLater(m *message) {
	if m.Kind == kindWithdraw {
		s.background("withdraw message", func(ctx context.Context) error {
			w, err := s.wideOf(ctx, m.Override)
			if err != nil || w == nil {
				return err
			}
			owed, err := s.owedOf(ctx, m.Override, w)
			if err != nil || owed.IsEmpty() {
				return err
			}
			return s.merge(ctx, m.App, []mark{{msg: m.Override, stage: failed(Withdrawn), set: owed}})
		})
		return
	}
	s.background("replace message", func(ctx context.Context) error {
		by, err := s.wideOf(ctx, m.ID)
		if err != nil {
			return err
		}
		old, err := s.wideOf(ctx, m.Override)
		if err != nil || old == nil && by == nil {
			return err
		}
		replaced, err := s.owedOf(ctx, m.Override, old)
		if err != nil {
			return err
		}
		if by != nil {
			replaced.And(by.all)
		} else {
			targets, err := queryTargets(ctx, s.db, m.ID)
			if err != nil {
				return err
			}
			replaced.And(roaring.BitmapOf(targets...))
		}
		if replaced.IsEmpty() {
			return nil
		}
		return s.merge(ctx, m.App, []mark{{msg: m.Override, stage: failed(Replaced), set: replaced}})
	})
}

// owedOf is the set of devices a message is owed to; w is nil if it is kept as rows.
func (s *Service) owedOf(ctx context.Context, msg int64, w *wide) (*roaring.Bitmap, error) {
	if w != nil {
		w.mu.RLock()
		defer w.mu.RUnlock()
		return w.owed(), nil
	}
	ordinals, err := queryOwedOrdinals(ctx, s.db, []int64{msg}, false)
	return roaring.BitmapOf(ordinals...), err
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

// deleteOld removes messages past retention, and expired cids, a bounded number of rows in each transaction.
func (s *Service) deleteOld(ctx context.Context, now int64) error {
	for range sweepRounds {
		old, err := queryMessages(ctx, s.db, `accepted_at < $1 order by accepted_at limit $2`, now-retention.Milliseconds(), sweepBatch)
		if err != nil {
			return err
		}
		for len(old) > 0 {
			n, rows := 0, int64(0)
			for n < len(old) && (n == 0 || rows+old[n].Targets <= deleteRows) {
				rows += old[n].Targets
				n++
			}
			if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return deleteMessages(ctx, tx, old[:n]) }); err != nil {
				return err
			}
			old = old[n:]
		}
		if len(old) < sweepBatch {
			break
		}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `delete from push_cid where (app_id, cid) in (select app_id, cid from push_cid where expires_at <= $1 limit 1000)`, now)
		if err != nil {
			return fmt.Errorf("push: delete cids: %w", err)
		}
		return deleteOldGroups(ctx, tx, now-retention.Milliseconds())
	})
}

func deleteMessages(ctx context.Context, tx *db.Tx, messages []*message) error {
	for _, m := range messages {
		for _, table := range []string{"push_target", "push_set", "push_message"} {
			if _, err := tx.Exec(ctx, `delete from `+table+` where msg_id = $1`, m.ID); err != nil {
				return fmt.Errorf("push: delete from %s: %w", table, err)
			}
		}
	}
	return nil
}
