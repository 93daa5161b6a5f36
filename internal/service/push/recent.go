package push

import "sync"

// fact is what a node remembers of a message that is kept as rows.
type fact struct {
	kind kind
	// callback: the push itself says where its receipts go.
	callback bool
}

func (m *message) fact() fact { return fact{m.Kind, m.Callback} }

// recent remembers something of messages by their ids. It is bounded: two generations.
type recent[V any] struct {
	mu       sync.Mutex
	new, old map[int64]V
}

const idGeneration = 100_000

func (c *recent[V]) add(msg int64, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.new == nil || len(c.new) >= idGeneration {
		c.old, c.new = c.new, make(map[int64]V)
	}
	c.new[msg] = v
}

func (c *recent[V]) get(msg int64) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if v, ok := c.new[msg]; ok {
		return v, true
	}
	v, ok := c.old[msg]
	return v, ok
}

func (c *recent[V]) has(msg int64) bool {
	_, ok := c.get(msg)
	return ok
}
