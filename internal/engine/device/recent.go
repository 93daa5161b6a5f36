package device

import "sync"

// recentLimit is how many entries one of the two generations of a recent has: with ids of 20 bytes both take about 10 MB.
const recentLimit = 1 << 15

// recent remembers entries that were used lately and never change. The zero value is ready; it is safe for concurrent use.
type recent[K comparable, V any] struct {
	mu         sync.Mutex
	young, old map[K]V
}

func (c *recent[K, V]) get(key K) (V, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	v, ok := c.young[key]
	if !ok {
		if v, ok = c.old[key]; ok {
			c.keep(key, v)
		}
	}
	return v, ok
}

func (c *recent[K, V]) put(key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.keep(key, v)
}

func (c *recent[K, V]) keep(key K, v V) {
	if c.young == nil || len(c.young) >= recentLimit {
		c.old, c.young = c.young, make(map[K]V)
	}
	c.young[key] = v
}
