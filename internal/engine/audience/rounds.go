package audience

import (
	"context"
	"sync"
)

// rounds lets many callers share the reads of a database without any of them seeing less than was committed when it
// called: who arrives during a read waits for the next one, which all who arrived meanwhile share.
type rounds struct {
	mu            sync.Mutex
	current, next *round
}

type round struct {
	done chan struct{}
	err  error
}

// do runs fn, or waits for a run that begins after this call. fn is never run twice at a time.
func (r *rounds) do(ctx context.Context, fn func() error) error {
	r.mu.Lock()
	if next := r.next; next != nil {
		r.mu.Unlock()
		select {
		case <-next.done:
			return next.err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	mine, previous := &round{done: make(chan struct{})}, r.current
	r.next = mine
	r.mu.Unlock()
	if previous != nil {
		<-previous.done // not ctx: others count on this caller to lead
	}
	r.mu.Lock()
	r.current, r.next = mine, nil
	r.mu.Unlock()
	defer close(mine.done)
	mine.err = fn()
	return mine.err
}
