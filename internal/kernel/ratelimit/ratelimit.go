// Package ratelimit counts calls in memory: fixed windows per key, as the compatible REST APIs report them in their
// headers, and token buckets against abuse, per IP address.
//
// Both forget: each holds at most the number of keys it was made with and drops the longest unused when a new one
// does not fit. Counts are per node and start from zero with the process; what must be exact over nodes and restarts
// (quotas, balances) does not belong here.
//
// Lock order: one shard at a time, and nothing is called while it is held.
package ratelimit

import (
	"hash/maphash"
	"sync"
)

// Unlimited is the limit that State reports where no limit is set.
const Unlimited = 1_000_000

// shardCount spreads keys over this many locks; a power of two.
const shardCount = 16

// table is a bounded, sharded map whose shards keep their entries in order of use.
type table[K comparable, V any] struct {
	seed     maphash.Seed
	perShard int
	shards   [shardCount]shard[K, V]
}

type shard[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]*entry[K, V]
	// ring is the sentinel of a ring of all entries: ring.next was touched longest ago, ring.prev last.
	ring entry[K, V]
}

type entry[K comparable, V any] struct {
	prev, next *entry[K, V]
	key        K
	value      V
}

func newTable[K comparable, V any](maxKeys int) *table[K, V] {
	t := &table[K, V]{seed: maphash.MakeSeed(), perShard: max(1, (maxKeys+shardCount-1)/shardCount)}
	for i := range t.shards {
		s := &t.shards[i]
		s.entries = map[K]*entry[K, V]{}
		s.ring.prev, s.ring.next = &s.ring, &s.ring
	}
	return t
}

// lock returns the shard of key, locked.
func (t *table[K, V]) lock(key K) *shard[K, V] {
	s := &t.shards[maphash.Comparable(t.seed, key)&(shardCount-1)]
	s.mu.Lock()
	return s
}

// size is the number of keys held.
func (t *table[K, V]) size() int {
	n := 0
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		n += len(s.entries)
		s.mu.Unlock()
	}
	return n
}

// put adds a key that is not there, as the last touched.
func (s *shard[K, V]) put(key K, value V) *entry[K, V] {
	e := &entry[K, V]{key: key, value: value}
	s.entries[key] = e
	s.append(e)
	return e
}

// touch makes e the last touched.
func (s *shard[K, V]) touch(e *entry[K, V]) {
	e.unlink()
	s.append(e)
}

// evict drops the longest untouched entries: those that idle says nothing is lost with, at most two per call so that
// no call pays for many, and always down to room for one more.
func (s *shard[K, V]) evict(limit int, idle func(V) bool) {
	for range 2 {
		if oldest := s.ring.next; oldest != &s.ring && idle(oldest.value) {
			s.drop(oldest)
		}
	}
	for len(s.entries) >= limit {
		s.drop(s.ring.next)
	}
}

func (s *shard[K, V]) drop(e *entry[K, V]) {
	delete(s.entries, e.key)
	e.unlink()
}

func (s *shard[K, V]) append(e *entry[K, V]) {
	e.prev, e.next = s.ring.prev, &s.ring
	e.prev.next, e.next.prev = e, e
}

func (e *entry[K, V]) unlink() { e.prev.next, e.next.prev = e.next, e.prev }
