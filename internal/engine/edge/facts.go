package edge

import (
	"context"
	"sync"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
)

// facts remembers what the core says about apps, also that one does not exist, for at most factsLife. It is bounded;
// when it is full, arbitrary entries make room. Apps that do not exist have a bound of their own, because anybody may
// ask for them: they cannot push out those that do.
type facts struct {
	clock clock.Clock
	ask   func(ctx context.Context, appKey string) (edgewire.AppFacts, error)

	mu      sync.Mutex
	known   map[string]fact
	flights map[string]*factFlight
	// none lists the entries of known that say that an app does not exist, in order of time; some may have been
	// replaced or dropped since.
	none []noFact
}

// noFact is an entry of facts.known by its key and its until.
type noFact struct {
	key   string
	until time.Time
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

// appKeyLength is the number of characters of an AppKey.
const appKeyLength = 24

// isAppKey reports whether a user name has the form of an AppKey. What has not is no app, and is neither asked for nor
// remembered: it comes from peers that have not shown any credentials yet.
func isAppKey(name []byte) bool {
	if len(name) != appKeyLength {
		return false
	}
	for _, c := range name {
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return true
}

// get gives the facts of an app, from memory or from the core. The error is that of the question.
func (f *facts) get(ctx context.Context, appKey string) (edgewire.AppFacts, error) {
	f.mu.Lock()
	now := f.clock.Now()
	f.dropNone(now)
	if known, ok := f.known[appKey]; ok && now.Before(known.until) {
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
	now := f.clock.Now()
	if facts.ID != 0 {
		f.known[appKey] = fact{facts, now.Add(factsLife)}
		return
	}
	until := now.Add(noFactsLife)
	f.known[appKey] = fact{facts, until}
	f.none = append(f.none, noFact{appKey, until})
	f.dropNone(now)
}

// dropNone drops entries about apps that do not exist: those that have expired, and the oldest beyond noFactsKept.
func (f *facts) dropNone(now time.Time) {
	for len(f.none) > 0 && (len(f.none) > noFactsKept || !now.Before(f.none[0].until)) {
		oldest := f.none[0]
		if known, ok := f.known[oldest.key]; ok && known.ID == 0 && known.until.Equal(oldest.until) {
			delete(f.known, oldest.key)
		}
		f.none[0] = noFact{}
		f.none = f.none[1:]
	}
	if len(f.none) == 0 {
		f.none = nil
	}
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
	f.none = nil
	for _, flight := range f.flights {
		flight.stale = true
	}
}
