package edge

import (
	"fmt"
	"slices"
	"testing"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

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
