package edge

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

func TestNeverReads(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	fake := clock.NewFake(time.Now())
	e := startEdge(t, c, func(o *Options) { o.Clock = fake })
	witness, _ := connected(t, c, e, mqtt.V5, 2, func(p *mqtt.Connect) { p.KeepAlive = 0 })
	for _, qos := range []byte{0, 1} {
		deaf, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) { p.KeepAlive = 0 })
		deaf.send(mqtt.AppendSubscribe(nil, mqtt.V5, 1, nil, mqtt.Filter{Topic: []byte("push"), QoS: qos}))
		deaf.want(mqtt.SUBACK)
		// More than any kernel takes in, far more than the edge may keep.
		const size, n = 32 << 10, 2000
		text := strings.Repeat("x", size)
		for i := range int64(n) {
			m := message(int64(qos)*n+i+1, text)
			c.publish(edgewire.SubjectDeliver, edgewire.Deliver{App: testApp, Frame: m, Ordinals: []uint32{1}})
		}
		eventually(t, "all handled", func() bool { return e.queued() == 0 && c.delivered() })
		var s sight
		defer func() { t.Logf("%+v", s) }()
		eventually(t, "left behind", func() bool {
			s = e.find(1)
			return s.behind && s.buffered <= e.limits.OutboundHigh+size+1024 && s.pending <= e.limits.Pending
		})
		// It lets go when the deaf device has taken nothing for long enough.
		fake.Advance(e.limits.StallTimeout + time.Second)
		eventually(t, "dropped", func() bool { return e.presence.count() == 1 })
		deaf.conn.Close()
		eventually(t, "closed", func() bool { return e.gate.open.Load() == 1 })
		witness.ping()
	}
}

// delivered reports whether the edge has read everything that was published.
func (c *core) delivered() bool {
	ctx, cancel := context.WithTimeout(c.t.Context(), patience)
	defer cancel()
	return c.bus.Flush(ctx) == nil
}

// sight is what a test sees of a session.
type sight struct {
	behind            bool
	buffered, pending int
}

// find looks at the session of a device.
func (e *Edge) find(ordinal uint32) (out sight) {
	for _, l := range e.loops {
		done := make(chan struct{})
		l.post(func() {
			defer close(done)
			if r := l.rosters[testApp]; r != nil && r.online[ordinal] != nil {
				s := r.online[ordinal]
				out = sight{behind: s.has(behind), buffered: s.sock.OutboundBuffered()}
				if s.more != nil {
					out.pending = len(s.more.pending)
				}
			}
		})
		<-done
	}
	return out
}

func TestFloodOfPingsWithoutReading(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.OutboundMax = 64 << 10 })
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	if err := d.conn.(*net.TCPConn).SetReadBuffer(4 << 10); err != nil {
		t.Fatal(err)
	}
	pings := bytes.Repeat(mqtt.AppendPingreq(nil), 32<<10)
	// The edge answers each ping; the device never reads, so at some point it is dropped and writing fails.
	eventually(t, "dropped", func() bool {
		d.conn.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		_, err := d.conn.Write(pings)
		return err != nil && e.presence.count() == 0
	})
}

func TestSlowReaderGetsEverything(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.owedMax = 50 // what goes into one message of the bus
	e := startEdge(t, c, nil)
	for _, qos := range []byte{0, 1} {
		ordinal := uint32(qos + 1)
		d, _ := connected(t, c, e, mqtt.V311, ordinal, nil)
		d.send(mqtt.AppendSubscribe(nil, mqtt.V311, 1, nil, mqtt.Filter{Topic: []byte("push"), QoS: qos}))
		d.want(mqtt.SUBACK)
		const size, n = 64 << 10, 300
		text := strings.Repeat("x", size)
		base := int64(qos) * n
		for i := range int64(n) {
			c.push(message(base+i+1, fmt.Sprintf("%03d%s", i, text)), ordinal)
		}
		seen := map[string]bool{}
		for len(seen) < n {
			seen[d.text()[:3]] = true
		}
		eventually(t, "all delivered", func() bool {
			for i := range int64(n) {
				if !c.reached(base+i+1, edgewire.Delivered, ordinal) {
					return false
				}
			}
			return true
		})
	}
}
