package edge

import (
	"context"
	"sync"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
)

// facts remembers what the core says about apps, also that one does not exist, for at most factsLife. It is bounded;
// when it is full, arbitrary entries make room.
type facts struct {
	clock clock.Clock
	ask   func(ctx context.Context, appKey string) (edgewire.AppFacts, error)

	mu      sync.Mutex
	known   map[string]fact
	flights map[string]*factFlight
}

type fact struct {
	edgewire.AppFacts
	until time.Time
}

// factFlight is one question that everybody who needs the answer waits for.
type factFlight struct {
	done  chan struct{}
	facts edgewire.AppFacts
	err   error
	stale bool // the facts changed meanwhile: the answer may be older than the change and is not kept
}

func newFacts(c clock.Clock, ask func(context.Context, string) (edgewire.AppFacts, error)) *facts {
	return &facts{clock: c, ask: ask, known: map[string]fact{}, flights: map[string]*factFlight{}}
}

// get gives the facts of an app, from memory or from the core. The error is that of the question.
func (f *facts) get(ctx context.Context, appKey string) (edgewire.AppFacts, error) {
	f.mu.Lock()
	if known, ok := f.known[appKey]; ok && f.clock.Now().Before(known.until) {
		f.mu.Unlock()
		return known.AppFacts, nil
	}
	flight := f.flights[appKey]
	if flight != nil {
		f.mu.Unlock()
		select {
		case <-flight.done:
			return flight.facts, flight.err
		case <-ctx.Done():
			return edgewire.AppFacts{}, ctx.Err()
		}
	}
	flight = &factFlight{done: make(chan struct{})}
	f.flights[appKey] = flight
	f.mu.Unlock()

	flight.facts, flight.err = f.ask(ctx, appKey)

	f.mu.Lock()
	delete(f.flights, appKey)
	if flight.err == nil && !flight.stale {
		f.keep(appKey, flight.facts)
	}
	f.mu.Unlock()
	close(flight.done)
	return flight.facts, flight.err
}

func (f *facts) keep(appKey string, facts edgewire.AppFacts) {
	for key := range f.known {
		if len(f.known) < factsKept {
			break
		}
		delete(f.known, key)
	}
	life := factsLife
	if facts.ID == 0 {
		life = noFactsLife
	}
	f.known[appKey] = fact{facts, f.clock.Now().Add(life)}
}

// forget drops what is known of an app, because it changed.
func (f *facts) forget(appKey string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.known, appKey)
	if flight := f.flights[appKey]; flight != nil {
		flight.stale = true
	}
}

// forgetAll drops everything, because changes may have been missed.
func (f *facts) forgetAll() {
	f.mu.Lock()
	defer f.mu.Unlock()
	clear(f.known)
	for _, flight := range f.flights {
		flight.stale = true
	}
}
