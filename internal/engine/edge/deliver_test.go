package edge

import (
	"bytes"
	"fmt"
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

// TestTooLargeDoesNotReloadForEver: what the device cannot take stays owed and fills each answer of the core.
func TestTooLargeDoesNotReloadForEver(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.owedMax = 4
	for i := range int64(6) {
		c.owe(message(i+1, strings.Repeat("x", 200)), 1)
	}
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.MaximumPacketSize, 100)
	})
	// New messages still come, and each acknowledgement is a reason to ask once.
	for i := range 20 {
		text := fmt.Sprint("new ", i)
		c.push(message(int64(i)+100, text), 1)
		if got := d.text(); got != text {
			t.Fatalf("got %q, want %q", got, text)
		}
		d.ping()
		want := i + 2
		eventually(t, "asked after the acknowledgement", func() bool { return c.asks(1) >= want })
		eventually(t, "answered", func() bool { return isStuck(e) })
		if asks := c.asks(1); asks != want {
			t.Fatalf("asked %d times after %d messages, want %d", asks, i+1, want)
		}
	}
	// Those that come while it asks are not left out.
	for i := range 20 {
		c.push(message(int64(i)+120, fmt.Sprint("burst ", i)), 1)
	}
	for i := range 20 {
		if got, want := d.text(), fmt.Sprint("burst ", i); got != want {
			t.Fatalf("got %q, want %q", got, want)
		}
	}
	// An offer is a reason too: meanwhile the large ones have ended.
	c.do(func() { c.owed[1] = []edgewire.Frame{message(200, "missed")} })
	c.publish(edgewire.SubjectOffer, edgewire.Offer{App: testApp, Ordinals: []uint32{1}})
	if got := d.text(); got != "missed" {
		t.Fatalf("got %q", got)
	}
}

// isStuck reports whether the only session has given up reloading for now.
func isStuck(e *Edge) bool {
	found := false
	for _, l := range e.loops {
		seen := make(chan bool, 1)
		l.post(func() {
			seen <- slices.ContainsFunc(l.sessions, func(s *session) bool { return s.has(stuck) && !s.has(loading) })
		})
		found = <-seen || found
	}
	return found
}

// TestTooLargeTakesNoPlace: messages that cannot be written do not push out those that can.
func TestTooLargeTakesNoPlace(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	for i := range int64(5) {
		c.owe(message(i+1, strings.Repeat("x", 200)), 1)
	}
	c.owe(message(10, "short"), 1)
	e := startEdge(t, c, func(o *Options) { o.Limits.Pending = 3 })
	d, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.MaximumPacketSize, 100).WithUint(mqtt.ReceiveMaximum, 1)
	})
	if got := d.text(); got != "short" {
		t.Fatalf("got %q", got)
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

// A message that waits for its device when it is withdrawn is not written.
func TestWithdrawnIsNotWritten(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.ReceiveMaximum, 1)
	})
	for i, text := range []string{"first", "withdrawn", "last"} {
		c.push(message(int64(i+1), text), 1)
	}
	p := d.publish()
	waitPending(t, e, 2)
	if err := c.bus.Publish(edgewire.SubjectWithdraw, edgewire.Withdraw{Msg: 2}); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the edge has heard", func() bool { return e.withdrawn.has(2) })
	d.ack(p.PacketID)
	if got := d.text(); got != "last" {
		t.Fatalf("got %q", got)
	}
}

func TestWithdrawnIsBounded(t *testing.T) {
	t.Parallel()
	var w withdrawn
	for i := range int64(maxWithdrawn + 10) {
		w.add(i)
		w.add(i)
	}
	if w.has(9) || !w.has(10) || !w.has(maxWithdrawn+9) || len(*w.current.Load()) != maxWithdrawn {
		t.Errorf("%d are remembered", len(*w.current.Load()))
	}
}
