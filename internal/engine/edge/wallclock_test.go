package edge

import (
	"sync"
	"testing"
	"time"
	"unsafe"

	"borealis/internal/engine/edge/mqtt"
)

// wallClock is a clock with a monotonic reading whose wall time can be set, as an operator or NTP does.
type wallClock struct {
	base time.Time

	mu      sync.Mutex
	passed  time.Duration
	stepped int64 // seconds
}

func (c *wallClock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.base.Add(c.passed)
	// The first word of a time with a monotonic reading has the seconds of the wall time above 30 bits of nanoseconds.
	wall := (*uint64)(unsafe.Pointer(&now))
	*wall += uint64(c.stepped << 30)
	return now
}

func (c *wallClock) pass(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.passed += d
}

func (c *wallClock) step(seconds int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stepped += seconds
}

// TestKeepAliveWhenTheWallClockIsSet: a step neither ends the connection of a quiet device nor keeps a dead one.
func TestKeepAliveWhenTheWallClockIsSet(t *testing.T) {
	t.Parallel()
	wall := &wallClock{base: time.Now()}
	wall.step(3600)
	if now := wall.Now(); now.Unix()-wall.base.Unix() != 3600 || now.Sub(wall.base) != 0 {
		t.Fatalf("the test clock does not step: %v after %v", now, wall.base)
	}
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Clock = wall })
	quiet, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) { p.KeepAlive = 10 })
	wall.step(3600)
	wall.pass(14 * time.Second)
	awaitSweep(t, e)
	quiet.ping()
	wall.step(-3 * 3600)
	wall.pass(14 * time.Second)
	awaitSweep(t, e)
	quiet.ping()
	wall.pass(16 * time.Second)
	quiet.ended(mqtt.KeepAliveTimeout)
}

// awaitSweep waits until every loop has looked at all its sessions with the present time.
func awaitSweep(t *testing.T, e *Edge) {
	t.Helper()
	eventually(t, "the loops have seen the time", func() bool { return allTicked(e) })
	for _, l := range e.loops {
		look := func() (began time.Time, sweeping bool) {
			done := make(chan struct{})
			l.post(func() { began, sweeping = l.sweepAt, l.sweeping; close(done) })
			<-done
			return began, sweeping
		}
		before, _ := look()
		eventually(t, "a sweep", func() bool {
			began, sweeping := look()
			return began.After(before) && !sweeping
		})
	}
}
