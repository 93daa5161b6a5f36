package push

import (
	"context"
	"errors"
	"time"

	"borealis/internal/kernel/clock"
)

// paceTick is the pause between two portions of a paced message.
const paceTick = time.Second

// releasePaced sends the next portion of each paced message of the owned partitions. What has been sent is remembered
// in memory only: a new owner begins with everything that has been released so far and is still owed.
func (s *Service) releasePaced(context.Context) error {
	now := clock.Millis(s.clock.Now())
	var errs []error
	for _, w := range s.pacedWides(now) {
		steps := w.pace().stepAt(now)
		from := w.steps
		if steps <= from {
			continue
		}
		w.mu.RLock()
		portion := w.pace().portion(w.ours(), from, steps)
		w.mu.RUnlock()
		if err := s.broadcastTo(w, portion); err != nil {
			errs = append(errs, err) // the same portion is due again at the next tick
			continue
		}
		w.steps = steps
	}
	return errors.Join(errs...)
}

// pacedWides are the live paced messages in memory of which something is still to be released.
func (s *Service) pacedWides(now int64) []*wide {
	s.mu.RLock()
	defer s.mu.RUnlock()
	var out []*wide
	for _, live := range s.byApp {
		for _, w := range live {
			if w.Pace > 0 && w.ExpiresAt > now && w.steps < paceSteps {
				out = append(out, w)
			}
		}
	}
	return out
}
