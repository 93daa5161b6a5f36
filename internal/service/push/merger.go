package push

import (
	"context"
	"errors"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/pushevent"
)

const (
	// mergeQueue bounds the merges that wait; further callers wait in their call.
	mergeQueue = 4096
	// gather is how long the first merge of a batch waits for company.
	gather = 4 * time.Millisecond
	// batchMarks bounds a transaction.
	batchMarks = 2000
)

// merge is a set of marks of one app whose caller waits until they are committed.
type merge struct {
	app    int64
	marks  []mark
	result chan error
}

// errBusy is returned when a merge could not be queued or finished in time.
var errBusy = errors.New("push: busy")

// Merge records marks and returns when they are durable.
func (s *Service) merge(ctx context.Context, app int64, marks []mark) error {
	m := &merge{app: app, marks: marks, result: make(chan error, 1)}
	select {
	case s.merges <- m:
	case <-ctx.Done():
		return errBusy
	}
	select {
	case err := <-m.result:
		return err
	case <-ctx.Done():
		return errBusy
	}
}

// maxStale bounds the attempts at a batch whose messages keep being replaced in memory.
const maxStale = 3

// runMerger is the one goroutine of a node that writes marks. It also drops old messages from memory, so that none
// goes while marks are written to it.
func (s *Service) runMerger(ctx context.Context) error {
	evict := time.NewTicker(sweepTick)
	defer evict.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-evict.C:
			s.evictWides(clock.Millis(s.clock.Now()))
		case first := <-s.merges:
			s.mergeBatch(ctx, s.gather(ctx, first))
		}
	}
}

func (s *Service) gather(ctx context.Context, first *merge) []*merge {
	batch, n := []*merge{first}, len(first.marks)
	timer := time.NewTimer(gather)
	defer timer.Stop()
	for n < batchMarks {
		select {
		case m := <-s.merges:
			batch = append(batch, m)
			n += len(m.marks)
		case <-timer.C:
			return batch
		case <-ctx.Done():
			return batch
		}
	}
	return batch
}

// mergeBatch commits a batch by partition: a lost lease must fail its own merges only.
func (s *Service) mergeBatch(ctx context.Context, batch []*merge) {
	byPartition := make(map[int][]*merge)
	for _, m := range batch {
		p := edgewire.Partition(m.app)
		byPartition[p] = append(byPartition[p], m)
	}
	for p, merges := range byPartition {
		err := s.commitMerges(context.WithoutCancel(ctx), p, merges)
		for try := 1; errors.Is(err, errStale) && try < maxStale; try++ {
			err = s.commitMerges(context.WithoutCancel(ctx), p, merges)
		}
		if err != nil {
			s.log.Warn("receipts not merged", "partition", p, "err", err)
		}
		for _, m := range merges {
			if err == nil {
				s.acknowledged(m)
			}
			m.result <- err
		}
	}
}

func (s *Service) commitMerges(ctx context.Context, partition int, merges []*merge) error {
	wides, err := s.widesOf(ctx, merges)
	if err != nil {
		return err
	}
	wanted, err := s.wantedOf(ctx, merges, wides)
	if err != nil {
		return err
	}
	var changes []applied
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		takeBack(changes)
		changes = nil
		if err := s.leases.Check(ctx, tx, partition); err != nil {
			return err
		}
		if !s.current(wides) {
			return errStale
		}
		progress := make(map[int64]*pushevent.Progress)
		later := deliveredPairs(merges)
		heard := s.told()
		for _, m := range merges {
			p := progress[m.app]
			if p == nil {
				p = &pushevent.Progress{App: m.app, At: clock.Millis(s.clock.Now())}
				progress[m.app] = p
			}
			fresh, err := s.apply(ctx, tx, m, wides, later, p, wanted, heard)
			changes = append(changes, fresh...)
			if err != nil {
				return err
			}
		}
		if err := storeChanges(ctx, tx, changes); err != nil {
			return err
		}
		if err := heard.record(ctx, tx); err != nil {
			return err
		}
		return s.publish(ctx, tx, progress)
	})
	if err != nil {
		takeBack(changes)
	}
	return err
}

// errStale: a wide message was loaded anew meanwhile, so what is in hand no longer is what will be written next.
var errStale = errors.New("push: wide message replaced in memory")

// current tells whether the wide messages are still the ones in memory.
func (s *Service) current(wides map[int64]*wide) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for id, w := range wides {
		if w != nil && s.wides[id] != w {
			return false
		}
	}
	return true
}

// widesOf finds the wide messages among those the merges mark.
func (s *Service) widesOf(ctx context.Context, merges []*merge) (map[int64]*wide, error) {
	wides := make(map[int64]*wide)
	for _, m := range merges {
		for i := range m.marks {
			id := m.marks[i].msg
			if _, seen := wides[id]; seen {
				continue
			}
			w, err := s.wideOf(ctx, id)
			if err != nil {
				return nil, err
			}
			wides[id] = w
		}
	}
	return wides, nil
}

// apply sets the marks on sets and rows, and returns what changed in memory, also beside an error.
func (s *Service) apply(
	ctx context.Context, tx *db.Tx, m *merge, wides map[int64]*wide, later pairs, p *pushevent.Progress, wanted map[int64]*message, heard *told,
) (changes []applied, err error) {
	for i := range m.marks {
		mk := &m.marks[i]
		w := wides[mk.msg]
		into := p
		known, _ := s.rows.get(mk.msg)
		if known.kind != kindPush || w != nil && w.Kind != kindPush {
			into = &pushevent.Progress{} // nobody counts orders to take a message away, and frames
		}
		switch {
		case w != nil && w.App != m.app: // somebody else's message
		case w != nil:
			fresh := applyWide(w, mk, into)
			changes = append(changes, fresh...)
			if err := heard.sets(fresh, mk, wanted[mk.msg]); err != nil {
				return changes, err
			}
		case !later.cover(mk):
			if err := heard.rows(ctx, tx, m.app, mk, into, wanted[mk.msg]); err != nil {
				return changes, err
			}
			if known.kind == kindFrame && mk.stage >= stageDelivered && mk.stage < stageHeld {
				if err := s.acknowledgeFrame(ctx, tx, m.app, mk); err != nil {
					return changes, err
				}
			}
		}
	}
	return changes, nil
}

// publish tells what was new.
func (s *Service) publish(ctx context.Context, tx *db.Tx, progress map[int64]*pushevent.Progress) error {
	for _, p := range progress {
		if *p == (pushevent.Progress{App: p.App, At: p.At}) {
			continue
		}
		if err := s.outbox.Publish(ctx, tx, pushevent.TopicProgress, *p); err != nil {
			return err
		}
	}
	return nil
}

// pairs is a set of (message, device).
type pairs map[owedPair]struct{}

// deliveredPairs are those with a Delivered mark in the batch: their Sent marks, which usually come along, need no
// statement of their own because a delivery implies them.
func deliveredPairs(merges []*merge) pairs {
	out := make(pairs)
	for _, m := range merges {
		for i := range m.marks {
			if mk := &m.marks[i]; mk.stage == stageDelivered {
				for _, o := range mk.ordinals {
					out[owedPair{mk.msg, o}] = struct{}{}
				}
			}
		}
	}
	return out
}

// cover tells whether the mark is a Sent mark of pairs only that are all in the set.
func (p pairs) cover(m *mark) bool {
	if m.stage != stageSent || m.set != nil {
		return false
	}
	for _, o := range m.ordinals {
		if _, in := p[owedPair{m.msg, o}]; !in {
			return false
		}
	}
	return true
}

// takeBack undoes changes in memory that the database did not keep.
func takeBack(changes []applied) {
	for _, c := range changes {
		c.wide.mu.Lock()
		c.wide.remove(c.stage, c.fresh)
		c.wide.mu.Unlock()
	}
}

// storeChanges writes the chunks of all sets that changed, once each.
func storeChanges(ctx context.Context, tx *db.Tx, changes []applied) error {
	type key struct {
		wide  *wide
		stage stage
	}
	fresh := make(map[key]*roaring.Bitmap)
	var order []key // in order of first change, the same on every run
	for _, c := range changes {
		k := key{c.wide, c.stage}
		if fresh[k] == nil {
			order = append(order, k)
			fresh[k] = c.fresh.Clone()
			continue
		}
		fresh[k].Or(c.fresh)
	}
	for _, k := range order {
		// The merger is the only writer, so reading without the lock is safe here.
		if err := storeSet(ctx, tx, k.wide.ID, k.stage, 0, k.wide.sets[k.stage], chunks(fresh[k])); err != nil {
			return err
		}
	}
	return nil
}

// acknowledged takes delivered devices off the list of those to be offered again.
func (s *Service) acknowledged(m *merge) {
	for i := range m.marks {
		if mk := &m.marks[i]; mk.stage != stageSent && mk.set == nil {
			s.pending.settle(mk.msg, mk.ordinals)
		}
	}
}
