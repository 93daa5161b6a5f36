package ratelimit

import (
	"time"

	"borealis/internal/kernel/clock"
)

// State is what a caller is told about its limit.
type State struct {
	// Allowed reports whether this call is within the limit.
	Allowed bool
	// Limit is the number of calls per window, Unlimited if there is none.
	Limit int
	// Remaining calls in this window.
	Remaining int
	// Reset is the number of whole seconds until the window restarts, rounded up: a fresh one-minute window has 60.
	Reset int
}

// Windows counts calls per key in windows of fixed length. A window starts with its first call. It is safe for
// concurrent use.
type Windows[K comparable] struct {
	clock  clock.Clock
	length time.Duration
	table  *table[K, window]
}

type window struct {
	start time.Time
	used  int
}

// NewWindows returns counters with windows of the given length for at most maxKeys keys.
func NewWindows[K comparable](c clock.Clock, length time.Duration, maxKeys int) *Windows[K] {
	return &Windows[K]{clock: c, length: length, table: newTable[K, window](maxKeys)}
}

// Take counts one call of key against limit. A refused call is not counted. Limit 0 (or less) is off: everything is
// allowed and nothing is counted.
func (w *Windows[K]) Take(key K, limit int) State { return w.look(key, limit, 1) }

// Peek reports the state without counting.
func (w *Windows[K]) Peek(key K, limit int) State { return w.look(key, limit, 0) }

func (w *Windows[K]) look(key K, limit, cost int) State {
	if limit <= 0 {
		return State{Allowed: true, Limit: Unlimited, Remaining: Unlimited, Reset: seconds(w.length)}
	}
	now := w.clock.Now()
	st := State{Allowed: true, Limit: limit, Remaining: limit, Reset: seconds(w.length)}
	s := w.table.lock(key)
	defer s.mu.Unlock()
	e := s.entries[key]
	fresh := e == nil || w.over(e.value, now)
	switch {
	case fresh && cost == 0:
		return st
	case e == nil:
		s.evict(w.table.perShard, func(v window) bool { return w.over(v, now) })
		e = s.put(key, window{start: now})
	case fresh:
		e.value = window{start: now}
		s.touch(e) // the order is by start of window
	}
	if e.value.used+cost > limit {
		st.Allowed = false
	} else {
		e.value.used += cost
	}
	st.Remaining = max(0, limit-e.value.used) // the limit may have been lowered within the window
	st.Reset = seconds(e.value.start.Add(w.length).Sub(now))
	return st
}

// over reports whether a window has ended, or starts in the future because the clock was set back.
func (w *Windows[K]) over(v window, now time.Time) bool {
	age := now.Sub(v.start)
	return age >= w.length || age < 0
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
