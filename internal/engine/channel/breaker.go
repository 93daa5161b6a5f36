package channel

import (
	"sync"
	"time"

	"borealis/internal/engine/channel/wire"
)

const (
	// tolerated is how many calls in a row may fail before the vendor is left alone.
	tolerated = 3
	// firstPause doubles with each failed try, up to longestPause.
	firstPause   = 2 * time.Second
	longestPause = 5 * time.Minute
	// deniedPause is the first pause after refused credentials: somebody has to act.
	deniedPause = time.Minute
)

// breaker keeps calls away from a vendor that fails for an app. One call tries when a pause is over. It is safe for concurrent use.
type breaker struct {
	mu       sync.Mutex
	failures int
	until    time.Time
	trying   bool
	last     wire.Outcome
}

// open tells whether no call is to be made now, and the outcome for it. The caller of a closed one tells what happened (heard, skipped).
func (b *breaker) open(now time.Time) (wire.Outcome, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.until.IsZero() {
		return wire.Outcome{}, false
	}
	if wait := b.until.Sub(now); wait > 0 || b.trying {
		o := b.last
		o.After = max(wait, time.Second)
		return o, true
	}
	b.trying = true
	return wire.Outcome{}, false
}

// skipped says that the call was not made.
func (b *breaker) skipped() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
}

// heard says what became of a call.
func (b *breaker) heard(now time.Time, outcomes []wire.Outcome) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.trying = false
	bad, denied, told := true, false, false
	for _, o := range outcomes {
		if o.Alone {
			continue
		}
		told = true
		denied = denied || o.Status == wire.Denied
		bad = bad && (o.Status == wire.Failed || o.Status == wire.Unknown || o.Status == wire.Denied)
	}
	if !told {
		return // nothing that speaks of the vendor as a whole
	}
	if !bad {
		b.failures, b.until = 0, time.Time{}
		return
	}
	b.failures++
	pause, steps := firstPause, b.failures-tolerated
	if denied {
		pause, steps = deniedPause, b.failures-1
	}
	if steps < 0 {
		return
	}
	pause = min(pause<<min(steps, 10), longestPause)
	b.last = wire.NewOutcome(wire.Failed, "paused", "the vendor has failed several times in a row")
	for _, o := range outcomes {
		if o.Alone {
			continue
		}
		if denied && b.last.Status != wire.Denied && o.Status == wire.Denied {
			b.last = o
		}
		pause = max(pause, o.After)
	}
	b.until = now.Add(pause)
}
