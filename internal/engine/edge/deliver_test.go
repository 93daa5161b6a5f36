package edge

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

func TestOwedComesFirstAndInOrder(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	for i := range int64(5) {
		c.owe(message(i+1, fmt.Sprint("owed ", i)), 1)
	}
	for _, v := range versions {
		d, _ := connected(t, c, e, v, 1, nil)
		for i := range 5 {
			if p := d.publish(); string(p.Payload) != fmt.Sprint("owed ", i) || p.QoS != 1 || string(p.Topic) != "push" || p.Retain || p.Dup {
				t.Fatalf("message %d: %+v %q", i, p, p.Payload)
			}
		}
		d.ping() // and nothing else
		d.conn.Close()
	}
}

func TestSubscribe(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	for _, v := range versions {
		d, _ := connected(t, c, e, v, uint32(v), nil)
		filter := func(topic string, qos byte) mqtt.Filter { return mqtt.Filter{Topic: []byte(topic), QoS: qos} }
		d.send(mqtt.AppendSubscribe(nil, v, 7, nil,
			filter("push", 1), filter("push", 2), filter("#", 1), filter("push/#", 0), filter("up/events", 0), filter("$share/g/push", 1)))
		ack, err := mqtt.ParseSuback(v, mqtt.SUBACK, d.want(mqtt.SUBACK).Body)
		no := byte(0x87)
		if v == mqtt.V311 {
			no = 0x80
		}
		if want := []byte{1, 1, no, no, no, no}; err != nil || ack.PacketID != 7 || !bytes.Equal(ack.Codes, want) {
			t.Fatalf("version %d: %+v %v, want % x", v, ack, err, want)
		}
		d.send(mqtt.AppendUnsubscribe(nil, v, 8, nil, "push", "other"))
		ack, err = mqtt.ParseSuback(v, mqtt.UNSUBACK, d.want(mqtt.UNSUBACK).Body)
		if err != nil || ack.PacketID != 8 || v == mqtt.V5 && !bytes.Equal(ack.Codes, []byte{0, 0x11}) {
			t.Fatalf("version %d: %+v %v", v, ack, err)
		}
		c.push(message(int64(v), "still"), uint32(v))
		if got := d.text(); got != "still" {
			t.Fatalf("got %q", got)
		}
	}
}

func TestQoS0Switch(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	for _, v := range versions {
		ordinal := uint32(v)
		d, _ := connected(t, c, e, v, ordinal, nil)
		subscribe := func(qos byte) {
			d.send(mqtt.AppendSubscribe(nil, v, 1, nil, mqtt.Filter{Topic: []byte("push"), QoS: qos}))
			ack, err := mqtt.ParseSuback(v, mqtt.SUBACK, d.want(mqtt.SUBACK).Body)
			if err != nil || !bytes.Equal(ack.Codes, []byte{qos}) {
				t.Fatalf("%+v %v", ack, err)
			}
		}
		subscribe(0)
		msg := int64(v) * 10
		c.push(message(msg, "zero"), ordinal)
		if p := d.publish(); p.QoS != 0 || string(p.Payload) != "zero" {
			t.Fatalf("%+v", p)
		}
		eventually(t, "settled by the write", func() bool {
			return c.reached(msg, edgewire.Sent, ordinal) && c.reached(msg, edgewire.Delivered, ordinal)
		})
		subscribe(1)
		c.push(message(msg+1, "one"), ordinal)
		p := d.publish()
		if p.QoS != 1 || string(p.Payload) != "one" {
			t.Fatalf("%+v", p)
		}
		eventually(t, "sent", func() bool { return c.reached(msg+1, edgewire.Sent, ordinal) })
		if c.reached(msg+1, edgewire.Delivered, ordinal) {
			t.Fatal("delivered without PUBACK")
		}
		d.ack(p.PacketID)
		eventually(t, "delivered", func() bool { return c.reached(msg+1, edgewire.Delivered, ordinal) })
	}
}

func TestReceiveMaximumOne(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.Pending = 3 })
	d, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.ReceiveMaximum, 1)
	})
	const n = 12
	for i := range int64(n) {
		c.push(message(i+1, fmt.Sprint(i)), 1)
	}
	for i := range n {
		p := d.publish()
		if string(p.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d: %q", i, p.Payload)
		}
		d.ping() // no second one while this one is in flight
		d.ack(p.PacketID)
	}
	d.ping()
	eventually(t, "all delivered", func() bool { return c.reached(n, edgewire.Delivered, 1) })
	if c.asks(1) < 2 {
		t.Fatal("the messages beyond the pending ones were not reloaded")
	}
}

func TestOwedInPortions(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.owedMax = 4
	e := startEdge(t, c, nil)
	const n = 11
	for i := range int64(n) {
		c.owe(message(i+1, fmt.Sprint(i)), 1)
	}
	d, _ := connected(t, c, e, mqtt.V311, 1, nil)
	for i := range n {
		if got := d.text(); got != fmt.Sprint(i) {
			t.Fatalf("message %d: %q", i, got)
		}
	}
	d.ping()
}

func TestMaximumPacketSize(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.MaximumPacketSize, 100)
	})
	c.push(message(1, strings.Repeat("x", 200)), 1)
	c.push(message(2, "short"), 1)
	if got := d.text(); got != "short" {
		t.Fatalf("got %q", got)
	}
	refused := newDevice(t, e, mqtt.V5)
	refused.send(connectAs(c, mqtt.V5, 2, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.MaximumPacketSize, 10)
	}).Append(nil))
	if ack := refused.connack(); ack.Code != mqtt.PacketTooLarge {
		t.Fatalf("%#x", ack.Code)
	}
}

func TestExpiredIsNotWritten(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	fake := clock.NewFake(time.Now())
	e := startEdge(t, c, func(o *Options) { o.Clock = fake })
	d, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.ReceiveMaximum, 1)
		p.KeepAlive = 0
	})
	past := message(1, "past")
	past.Expires = clock.Millis(fake.Now())
	c.push(past, 1)
	c.push(message(2, "first"), 1)
	soon := message(3, "soon")
	soon.Expires = clock.Millis(fake.Now().Add(time.Minute))
	c.push(soon, 1)
	c.push(message(4, "last"), 1)
	p := d.publish()
	if string(p.Payload) != "first" {
		t.Fatalf("got %q", p.Payload)
	}
	waitPending(t, e, 2)
	fake.Advance(2 * time.Minute)
	eventually(t, "the loops have seen the time", func() bool { return allTicked(e) })
	d.ack(p.PacketID)
	if got := d.text(); got != "last" {
		t.Fatalf("got %q", got)
	}
}

// waitPending waits until n messages are pending in all sessions together.
func waitPending(t *testing.T, e *Edge, n int) {
	t.Helper()
	eventually(t, fmt.Sprint(n, " pending"), func() bool {
		total := 0
		for _, l := range e.loops {
			count := make(chan int, 1)
			l.post(func() {
				sum := 0
				for _, s := range l.sessions {
					if s.more != nil {
						sum += len(s.more.pending)
					}
				}
				count <- sum
			})
			total += <-count
		}
		return total == n
	})
}

func TestInFlightIsNotWrittenTwice(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	eventually(t, "owed asked", func() bool { return c.asks(1) == 1 })
	c.push(message(1, "once"), 1)
	p := d.publish()
	c.push(message(1, "once"), 1)
	c.publish(edgewire.SubjectOffer, edgewire.Offer{App: testApp, Ordinals: []uint32{1}})
	eventually(t, "reloaded", func() bool { return c.asks(1) == 2 })
	d.ping()
	d.ack(p.PacketID)
	eventually(t, "delivered", func() bool { return c.reached(1, edgewire.Delivered, 1) })
	d.ping()
}

func TestAcknowledgedWhileLoadingIsNotWrittenAgain(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	eventually(t, "owed asked", func() bool { return c.asks(1) == 1 })
	c.push(message(1, "once"), 1)
	p := d.publish()
	eventually(t, "sent", func() bool { return c.reached(1, edgewire.Sent, 1) })
	// The core answers what is owed while the PUBACK is on its way.
	release := make(chan struct{})
	c.vanish()
	c.listen()
	c.subs[3].Unsubscribe()
	slow, err := c.bus.Subscribe(edgewire.SubjectOwed(testApp), "", c.slowOwed(release))
	if err != nil {
		t.Fatal(err)
	}
	c.subs[3] = slow
	c.publish(edgewire.SubjectOffer, edgewire.Offer{App: testApp, Ordinals: []uint32{1}})
	eventually(t, "reload asked", func() bool { return c.asks(1) == 2 })
	d.ack(p.PacketID)
	d.ping()
	close(release)
	c.push(message(2, "next"), 1)
	if got := d.text(); got != "next" {
		t.Fatalf("got %q", got)
	}
}

func TestGapReloads(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	eventually(t, "owed asked", func() bool { return c.asks(1) == 1 })
	c.broadcast(message(1, "one"), 1)
	if got := d.text(); got != "one" {
		t.Fatalf("got %q", got)
	}
	// The second is lost on the way.
	c.owe(message(2, "two"), 1)
	c.seq++
	c.broadcast(message(3, "three"), 1)
	got := []string{d.text(), d.text()}
	slices.Sort(got)
	if !slices.Equal(got, []string{"three", "two"}) {
		t.Fatalf("got %q", got)
	}
	d.ping()
	asks := c.asks(1)
	c.broadcast(message(4, "four"), 1)
	if got := d.text(); got != "four" || c.asks(1) != asks {
		t.Fatalf("got %q after %d questions", got, c.asks(1)-asks)
	}
}

func TestSyncReloads(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	c.broadcast(message(1, "one"), 1)
	if got := d.text(); got != "one" {
		t.Fatalf("got %q", got)
	}
	// The last of all is lost: only the Sync tells.
	c.owe(message(2, "two"), 1)
	c.publish(edgewire.SubjectSync, edgewire.Sync{Node: "node", Seqs: map[int64]uint64{testApp: 2}})
	if got := d.text(); got != "two" {
		t.Fatalf("got %q", got)
	}
}

func TestLostConnectionToBusReloads(t *testing.T) {
	t.Parallel()
	for name, cause := range map[string]func(*Edge){
		"reconnect": (*Edge).onReconnect,
		"overflow":  func(e *Edge) { e.onDrop(edgewire.SubjectDeliver) },
	} {
		c := newCore(t)
		e := startEdge(t, c, nil)
		d, _ := connected(t, c, e, mqtt.V5, 1, nil)
		eventually(t, "owed asked", func() bool { return c.asks(1) == 1 })
		c.owe(message(1, "missed"), 1)
		cause(e)
		if got := d.text(); got != "missed" {
			t.Fatalf("%s: got %q", name, got)
		}
		eventually(t, "full presence", func() bool {
			c.mu.Lock()
			defer c.mu.Unlock()
			return slices.ContainsFunc(c.messages, func(p edgewire.Presence) bool { return p.Full })
		})
	}
}

func TestFullQueueReloads(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.QueueItems = 1; o.Loops = 1 })
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	eventually(t, "owed asked", func() bool { return c.asks(1) == 1 })
	// The loop is held while more comes than its queue takes.
	hold, held := make(chan struct{}), make(chan struct{})
	e.loops[0].post(func() { close(held); <-hold })
	<-held
	const n = 5
	for i := range int64(n) {
		c.push(message(i+1, fmt.Sprint(i)), 1)
	}
	eventually(t, "lost", func() bool {
		e.loops[0].mu.Lock()
		defer e.loops[0].mu.Unlock()
		return e.loops[0].lost != nil
	})
	close(hold)
	var got []string
	for range n {
		got = append(got, d.text())
	}
	slices.Sort(got)
	if !slices.Equal(got, []string{"0", "1", "2", "3", "4"}) {
		t.Fatalf("got %q", got)
	}
}

func TestReceiptsAreRepeated(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	eventually(t, "owed asked", func() bool { return c.asks(1) == 1 })
	c.do(func() { c.deaf = 2 })
	c.push(message(1, "one"), 1)
	d.text()
	eventually(t, "confirmed at last", func() bool { return c.reached(1, edgewire.Delivered, 1) })
	c.vanish()
	c.push(message(2, "two"), 1)
	d.text()
	eventually(t, "kept", func() bool { return e.receipts.pending() == 2 })
	c.listen()
	eventually(t, "confirmed after the core came back", func() bool {
		return c.reached(2, edgewire.Delivered, 1) && c.reached(2, edgewire.Sent, 1) && e.receipts.pending() == 0
	})
}

func TestReceiptsAreSettledBeforeOwedIsAsked(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	first, _ := connected(t, c, e, mqtt.V5, 1, nil)
	wide := message(1, "wide")
	wide.Wide = true // gathered for long
	c.broadcast(wide, 1)
	first.text()
	first.ping()
	// The device comes back at once: what it has acknowledged must not be owed any more.
	second, _ := connected(t, c, e, mqtt.V5, 1, nil)
	second.ping()
	eventually(t, "owed asked", func() bool { return c.asks(1) == 2 })
	second.ping()
}

func TestWideReceiptsAreSets(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	const n = 100
	var devices []*device
	var ordinals []uint32
	for i := range uint32(n) {
		d, _ := connected(t, c, e, versions[i%2], i+1, nil)
		devices, ordinals = append(devices, d), append(ordinals, i+1)
	}
	wide := message(1, "wide")
	wide.Wide = true
	c.broadcast(wide, ordinals...)
	for _, d := range devices {
		if got := d.text(); got != "wide" {
			t.Fatalf("got %q", got)
		}
	}
	eventually(t, "all delivered", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		stages := c.stages[tallyKey{testApp, 1}]
		return stages != nil && stages[edgewire.Delivered].GetCardinality() == n && stages[edgewire.Sent].GetCardinality() == n
	})
	c.do(func() {
		items := 0
		for _, r := range c.requests {
			items += len(r.Items)
		}
		if items > 10 {
			t.Errorf("%d receipts for one broadcast, want few sets", items)
		}
	})
}

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

func TestBroadcastsReachEveryLoop(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Loops = 3 })
	var devices []*device
	targets := roaring.New()
	for i := range uint32(30) {
		d, _ := connected(t, c, e, versions[i%2], i, nil)
		devices = append(devices, d)
		if i%3 != 0 {
			targets.Add(i)
		}
	}
	targets.Add(4_000_000) // not here
	for n := range 20 {
		c.broadcast(message(int64(n+1), fmt.Sprint(n)), targets.ToArray()...)
	}
	for i, d := range devices {
		if i%3 != 0 {
			for n := range 20 {
				if got := d.text(); got != fmt.Sprint(n) {
					t.Fatalf("device %d, message %d: %q", i, n, got)
				}
			}
		}
		d.ping()
	}
}
