package push

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
)

// loadTimeout bounds reading a wide message from the database.
const loadTimeout = 30 * time.Second

// Acquire prepares for a partition that this node now owns: the live wide messages are loaded, and what was accepted
// since the last known release is released again. Then the caller lets requests in. After an error nothing is owned.
func (s *Service) Acquire(ctx context.Context, partition int) error {
	live, err := queryMessages(ctx, s.db, `wide and state = 1 and expires_at > $1 and app_id % $2 = $3 order by accepted_at, msg_id`,
		clock.Millis(s.clock.Now()), edgewire.Partitions, partition)
	if err != nil {
		return err
	}
	releasedTo, err := queryReleasedTo(ctx, s.db, partition)
	if err != nil {
		return fmt.Errorf("push: %w", err)
	}
	loaded := make([]*wide, 0, len(live))
	for _, m := range live {
		w, err := loadWide(ctx, s.db, m)
		if err != nil {
			return err
		}
		loaded = append(loaded, w)
	}
	own := &ownership{}
	own.releasedTo.Store(releasedTo)
	s.mu.Lock()
	s.owned[partition] = own
	for _, w := range loaded {
		s.wides[w.ID] = w
		s.byApp[w.App] = append(s.byApp[w.App], w)
	}
	s.mu.Unlock()
	for _, w := range loaded {
		if w.Override != 0 {
			s.replaceLater(&w.message)
		}
	}
	if err := s.rescanPartition(ctx, partition, own, true); err != nil {
		s.Lose(partition)
		return err
	}
	return nil
}

// Lose forgets a partition.
func (s *Service) Lose(partition int) {
	ours := func(app int64) bool { return edgewire.Partition(app) == partition }
	s.mu.Lock()
	delete(s.owned, partition)
	for id, w := range s.wides {
		if ours(w.App) {
			delete(s.wides, id)
			delete(s.byApp, w.App)
		}
	}
	s.mu.Unlock()
	s.pending.forget(ours)
}

// Listen subscribes to the notices of a partition.
func (s *Service) Listen(partition int) (*bus.Subscription, error) {
	return s.bus.Subscribe(subjectAccepted(int64(partition)), "", func(m *bus.Msg) {
		var n notice
		if err := m.Decode(&n); err != nil {
			s.log.Warn("notice not understood", "err", err)
			return
		}
		s.noticed(n)
	})
}

func (s *Service) ownership(partition int) *ownership {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.owned[partition]
}

// rebroadcast sends a wide message to those it is still owed to. A paced one is sent by releasePaced.
func (s *Service) rebroadcast(w *wide) error {
	if w.Pace > 0 {
		return nil
	}
	w.mu.RLock()
	owed := w.ours()
	w.mu.RUnlock()
	return s.broadcastTo(w, owed)
}

// broadcastTo sends a wide message to those of its targets that are in a set, and takes those out of it that have switched
// push off since the message was accepted.
func (s *Service) broadcastTo(w *wide, owed *roaring.Bitmap) error {
	if w.Kind == kindPush {
		s.audience.KeepJoined(w.App, owed)
	}
	for p, set := range w.targets {
		part := owed.Clone()
		part.And(set)
		if part.IsEmpty() {
			continue
		}
		if err := s.broadcast(&w.message, w.frames[p], part); err != nil {
			return err
		}
	}
	return nil
}

// wideOf returns the wide message with the id, loading it when it is not in memory, or nil if there is none.
func (s *Service) wideOf(ctx context.Context, msg int64) (*wide, error) {
	s.mu.RLock()
	w := s.wides[msg]
	s.mu.RUnlock()
	if w != nil || s.rows.has(msg) {
		return w, nil
	}
	m, err := queryMessage(ctx, s.db, msg)
	if err != nil || m == nil {
		return nil, err
	}
	if !m.Wide {
		s.rows.add(msg, m.fact())
		return nil, nil
	}
	if w, err = loadWide(ctx, s.db, m); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if first := s.wides[msg]; first != nil {
		return first, nil
	}
	if s.owned[edgewire.Partition(m.App)] == nil {
		return w, nil // a look from outside: nothing is kept
	}
	s.wides[msg] = w
	if m.ExpiresAt > clock.Millis(s.clock.Now()) {
		live := s.byApp[m.App]
		at, _ := slices.BinarySearchFunc(live, w, func(a, b *wide) int {
			if a.older(&b.message) {
				return -1
			}
			return 1
		})
		s.byApp[m.App] = slices.Insert(slices.Clone(live), at, w)
	}
	return w, nil
}

// liveWides returns the live wide messages of an app, oldest first. The slice is never changed.
func (s *Service) liveWides(app int64) []*wide {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.byApp[app]
}
