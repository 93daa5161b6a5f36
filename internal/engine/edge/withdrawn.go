package edge

import (
	"maps"
	"sync"
	"sync/atomic"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
)

// maxWithdrawn bounds what an edge remembers; an older message has long been written or waits with its device, which
// then asks the core.
const maxWithdrawn = 1024

// withdrawn are messages that must not be written any more. Reading costs one atomic load while there are none.
type withdrawn struct {
	current atomic.Pointer[map[int64]struct{}]

	mu    sync.Mutex // of writers
	order []int64
}

func (w *withdrawn) has(msg int64) bool {
	current := w.current.Load()
	if current == nil {
		return false
	}
	_, in := (*current)[msg]
	return in
}

func (w *withdrawn) add(msg int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.has(msg) {
		return
	}
	next := make(map[int64]struct{}, len(w.order)+1)
	if old := w.current.Load(); old != nil {
		maps.Copy(next, *old)
	}
	if len(w.order) == maxWithdrawn {
		delete(next, w.order[0])
		w.order = append(w.order[:0], w.order[1:]...)
	}
	next[msg] = struct{}{}
	w.order = append(w.order, msg)
	w.current.Store(&next)
}

func (e *Edge) onWithdraw(m *bus.Msg) {
	var in edgewire.Withdraw
	if !e.read(m, &in) {
		return
	}
	e.withdrawn.add(in.Msg)
}
