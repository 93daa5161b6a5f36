package edge

import (
	"net/netip"
	"sync"
	"sync/atomic"
)

// gate bounds the open connections, and those of each address that have not finished CONNECT.
type gate struct {
	limit, perIP int
	open         atomic.Int64

	mu   sync.Mutex
	half map[netip.Addr]int // connections of an address that have not finished CONNECT; bounded by open
}

func newGate(limits Limits) *gate {
	return &gate{limit: limits.Connections, perIP: limits.HalfOpenPerIP, half: map[netip.Addr]int{}}
}

// full reports whether there is no room for another connection. It is a hint for listeners; enter decides.
func (g *gate) full() bool { return g.open.Load() >= int64(g.limit) }

// enter counts a new connection; false: there is no room for it. A connection that entered leaves once, and in
// between is connected once, or the count of its address would stay.
func (g *gate) enter(address netip.Addr) bool {
	if g.open.Add(1) > int64(g.limit) {
		g.open.Add(-1)
		return false
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.half[address] >= g.perIP {
		g.open.Add(-1)
		return false
	}
	g.half[address]++
	return true
}

// connected takes a connection off the half-open ones of its address.
func (g *gate) connected(address netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.half[address]--; g.half[address] <= 0 {
		delete(g.half, address)
	}
}

// leave takes a connection off the open ones.
func (g *gate) leave() { g.open.Add(-1) }
