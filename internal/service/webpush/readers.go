package webpush

import (
	"context"
	"net/http"
	"slices"
	"sync"
	"time"

	"borealis/internal/kernel/clock"
)

const (
	// lookTick is how often receipts are looked for that somebody waits for.
	lookTick = 250 * time.Millisecond
	// lookPage is how many receipt subscriptions are looked at in one query.
	lookPage = 500
	// maxReaders is how many requests may wait on a node, maxReadersOf those for one receipt subscription.
	maxReaders   = 5000
	maxReadersOf = 4
)

// reader is a request that waits for receipts.
type reader struct {
	id int64
	// after is the last receipt that it has had; guarded by readers.mu.
	after int64
	// wake tells that there is something to read, or that the receipt subscription has ended.
	wake chan struct{}
}

// readers are the requests of this node that wait. One loop asks the database for all of them: receipts are stored by any node, and the
// bus may lose what it carries.
type readers struct {
	mu      sync.Mutex
	byID    map[int64][]*reader
	count   int
	stop    sync.Once
	stopped chan struct{}
}

func newReaders() *readers {
	return &readers{byID: make(map[int64][]*reader), stopped: make(chan struct{})}
}

// add has a request wait for the receipts after one. The error is a *refusal.
func (l *readers) add(id, after int64) (*reader, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case len(l.byID[id]) >= maxReadersOf:
		return nil, later(http.StatusTooManyRequests, "too many requests wait for receipts of this subscription", 10*time.Second)
	case l.count >= maxReaders:
		return nil, later(http.StatusServiceUnavailable, "too many requests wait for receipts", time.Minute)
	}
	r := &reader{id: id, after: after, wake: make(chan struct{}, 1)}
	l.byID[id] = append(l.byID[id], r)
	l.count++
	return r, nil
}

// wait says that a reader has had everything up to a receipt.
func (l *readers) wait(r *reader, after int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r.after = after
}

func (l *readers) remove(r *reader) {
	l.mu.Lock()
	defer l.mu.Unlock()
	left := slices.DeleteFunc(l.byID[r.id], func(o *reader) bool { return o == r })
	l.count--
	if l.byID[r.id] = left; len(left) == 0 {
		delete(l.byID, r.id)
	}
}

func (l *readers) ids() []int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make([]int64, 0, len(l.byID))
	for id := range l.byID {
		out = append(out, id)
	}
	return out
}

// wakeUp wakes who waits for one of these receipt subscriptions, of which last knows those that have not ended.
func (l *readers) wakeUp(ids []int64, last map[int64]int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		no, known := last[id]
		for _, r := range l.byID[id] {
			if known && no <= r.after {
				continue
			}
			select {
			case r.wake <- struct{}{}:
			default:
			}
		}
	}
}

// look finds out for whom there is something to read.
func (s *Service) look(ctx context.Context) error {
	for ids := range slices.Chunk(s.readers.ids(), lookPage) {
		last, err := queryLast(ctx, s.DB, ids, clock.Millis(s.Clock.Now()))
		if err != nil {
			return err
		}
		s.readers.wakeUp(ids, last)
	}
	return nil
}

// StopWaiting ends the requests that wait for receipts, for a node that stops: clients come again, to another.
func (s *Service) StopWaiting() { s.readers.stop.Do(func() { close(s.readers.stopped) }) }
