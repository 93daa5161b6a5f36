package ratelimit

import (
	"net/netip"
	"time"

	"golang.org/x/time/rate"

	"borealis/internal/kernel/clock"
)

// Buckets limits each key to a steady rate with bursts. It is safe for concurrent use.
type Buckets[K comparable] struct {
	clock clock.Clock
	rate  rate.Limit
	burst int
	table *table[K, *rate.Limiter]
}

// NewBuckets allows each key perMinute calls a minute and burst at once, and remembers at most maxKeys keys. perMinute
// 0 is off.
func NewBuckets[K comparable](c clock.Clock, perMinute, burst, maxKeys int) *Buckets[K] {
	return &Buckets[K]{
		clock: c,
		rate:  rate.Limit(float64(perMinute) / time.Minute.Seconds()),
		burst: max(1, burst),
		table: newTable[K, *rate.Limiter](maxKeys),
	}
}

// Allow takes one token of key, if there is one.
func (b *Buckets[K]) Allow(key K) bool {
	if b.rate <= 0 {
		return true
	}
	now := b.clock.Now()
	s := b.table.lock(key)
	defer s.mu.Unlock()
	e := s.entries[key]
	if e == nil {
		s.evict(b.table.perShard, func(l *rate.Limiter) bool { return l.TokensAt(now) >= float64(b.burst) })
		e = s.put(key, rate.NewLimiter(b.rate, b.burst))
	} else {
		s.touch(e)
	}
	return e.value.AllowN(now, 1)
}

// IPKey is what one party on the internet is counted as: an IPv4 address, or the /64 an IPv6 host chooses from.
func IPKey(ip netip.Addr) netip.Prefix {
	ip = ip.Unmap().WithZone("")
	bits := ip.BitLen()
	if ip.Is6() {
		bits = 64
	}
	p, err := ip.Prefix(bits)
	if err != nil {
		return netip.Prefix{} // only an invalid address: all of these share one key
	}
	return p
}
