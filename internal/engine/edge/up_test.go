package edge

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

func TestUpCodes(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	five, _ := connected(t, c, e, mqtt.V5, 1, nil)
	terse, _ := connected(t, c, e, mqtt.V5, 2, func(p *mqtt.Connect) {
		p.Properties = p.Properties.WithUint(mqtt.RequestProblemInfo, 0)
	})
	three, _ := connected(t, c, e, mqtt.V311, 3, nil)
	for i, tt := range []struct {
		code edgewire.UpCode
		want mqtt.Code
	}{
		{edgewire.UpOK, 0x00}, {edgewire.UpInvalid, 0x99}, {edgewire.UpDenied, 0x87}, {edgewire.UpQuota, 0x97}, {edgewire.UpBusy, 0x83},
	} {
		id := uint16(i + 1)
		c.do(func() { c.upReply = edgewire.UpReply{Code: tt.code, Reason: "because"} })
		for _, d := range []*device{five, terse} {
			d.up(topicProfile, 1, id, "{}")
			ack := d.puback()
			reason, _ := ack.Properties.Bytes(mqtt.ReasonString)
			if wantReason := map[bool]string{true: "because"}[d == five]; ack.PacketID != id || ack.Code != tt.want || string(reason) != wantReason {
				t.Errorf("code %d: %+v, reason %q", tt.code, ack, reason)
			}
		}
		three.up(topicTokens, 1, id, "{}")
		if tt.code == edgewire.UpBusy {
			eventually(t, "asked", func() bool {
				c.mu.Lock()
				defer c.mu.Unlock()
				return len(c.ups) == 15
			})
			three.ping() // no acknowledgement
		} else if ack := three.puback(); ack.PacketID != id {
			t.Errorf("code %d at 3.1.1: %+v", tt.code, ack)
		}
	}
	five.up(topicEvents, 0, 0, "qos 0")
	eventually(t, "QoS 0 arrives", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		last := c.ups[len(c.ups)-1]
		return last.Topic == topicEvents && string(last.Payload) == "qos 0" && last.App == testApp && last.Ordinal == 1
	})
	five.ping()
}

func TestUpToAnotherTopic(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	five, _ := connected(t, c, e, mqtt.V5, 1, nil)
	five.up("push", 1, 9, "{}")
	if ack := five.puback(); ack.PacketID != 9 || ack.Code != mqtt.NotAuthorized {
		t.Fatalf("%+v", ack)
	}
	five.ping()
	three, _ := connected(t, c, e, mqtt.V311, 2, nil)
	three.up("push", 1, 9, "{}")
	three.closed()
}

func TestUpsKeepTheirOrder(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.Ups = 4 })
	// A 3.1.1 client knows no limit: it is read on as answers go out.
	d, _ := connected(t, c, e, mqtt.V311, 1, nil)
	const n = 50
	var all []byte
	for i := range n {
		p := mqtt.Publish{Topic: []byte(topicEvents), QoS: 1, PacketID: uint16(i + 1), Payload: []byte(fmt.Sprint(i))}
		all = p.Append(all, mqtt.V311)
	}
	d.send(all)
	for i := range n {
		if ack := d.puback(); ack.PacketID != uint16(i+1) {
			t.Fatalf("acknowledgement %d is for %d", i, ack.PacketID)
		}
	}
	c.do(func() {
		for i, up := range c.ups {
			if string(up.Payload) != fmt.Sprint(i) {
				t.Fatalf("message %d: %q", i, up.Payload)
			}
		}
	})
}

func TestUpsBeyondTheLimit(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	c.upHold = make(chan struct{})
	e := startEdge(t, c, func(o *Options) { o.Limits.Ups, o.Limits.UpPacket = 2, 1024 })
	five, ack := connected(t, c, e, mqtt.V5, 1, nil)
	if limit, _ := ack.Properties.Uint(mqtt.ReceiveMaximum); limit != 2 {
		t.Fatalf("receive maximum %d", limit)
	}
	for i := range uint16(3) {
		five.up(topicEvents, 1, i+1, "{}")
	}
	five.ended(mqtt.ReceiveMaximumExceeded)
	three, _ := connected(t, c, e, mqtt.V311, 2, nil)
	text := string(make([]byte, 900))
	for range 20 {
		p := mqtt.Publish{Topic: []byte(topicEvents), QoS: 0, Payload: []byte(text)}
		if _, err := three.conn.Write(p.Append(nil, mqtt.V311)); err != nil {
			break
		}
	}
	three.closed()
	close(c.upHold)
}

func TestUpWithoutCore(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.CoreWait = 50 * time.Millisecond })
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	c.vanish()
	d.up(topicEvents, 1, 1, "{}")
	if ack := d.puback(); ack.Code != mqtt.ImplementationError {
		t.Fatalf("%+v", ack)
	}
	c.listen()
	d.up(topicEvents, 1, 2, "{}")
	if ack := d.puback(); ack.Code != mqtt.Success {
		t.Fatalf("%+v", ack)
	}
}

func TestPresence(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	var devices []*device
	for i := range uint32(10) {
		d, _ := connected(t, c, e, mqtt.V5, i, nil)
		devices = append(devices, d)
	}
	eventually(t, "all online", func() bool { return onlineIs(c, "edge-1", 10) })
	devices[3].conn.Close()
	eventually(t, "one offline", func() bool { return onlineIs(c, "edge-1", 9) && !c.isOnline("edge-1", 3) })
	c.do(func() { delete(c.online, "edge-1") })
	c.publish(edgewire.ToEdge(edgewire.SubjectHello, "edge-1"), edgewire.Hello{Node: "core"})
	eventually(t, "told in full", func() bool { return onlineIs(c, "edge-1", 9) })
	eventually(t, "empty messages as heartbeat", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		last := c.messages[len(c.messages)-1]
		return !last.Full && len(last.Apps) == 0 && last.Seq > 3
	})
	if err := e.Stop(deadline(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	c.do(func() {
		for i, m := range c.messages {
			if m.Edge != "edge-1" || m.Run != c.messages[0].Run || m.Seq != uint64(i+1) {
				t.Errorf("message %d: %+v", i, m)
			}
		}
	})
	eventually(t, "gone", func() bool {
		c.mu.Lock()
		defer c.mu.Unlock()
		return c.messages[len(c.messages)-1].Gone
	})
}

func onlineIs(c *core, edge string, n uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	set := c.online[edge]
	return set != nil && set.GetCardinality() == n
}

func TestStop(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	address := e.Addr().String()
	five, _ := connected(t, c, e, mqtt.V5, 1, nil)
	three, _ := connected(t, c, e, mqtt.V311, 2, nil)
	wide := message(1, "wide")
	wide.Wide = true
	c.broadcast(wide, 1, 2)
	five.text()
	three.text()
	five.ping()
	three.ping()
	if err := e.Stop(deadline(t, 5*time.Second)); err != nil {
		t.Fatal(err)
	}
	five.ended(mqtt.ServerShuttingDown)
	three.closed()
	// The receipts were still being gathered.
	if !c.reached(1, edgewire.Delivered, 1) || !c.reached(1, edgewire.Delivered, 2) {
		t.Error("receipts were lost")
	}
	if err := e.Stop(t.Context()); !errors.Is(err, errStopped) {
		t.Errorf("second stop: %v", err)
	}
	another := startEdge(t, c, func(o *Options) { o.Addr = address })
	connected(t, c, another, mqtt.V5, 1, nil)
}

func TestStopWithoutCore(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d, _ := connected(t, c, e, mqtt.V5, 1, nil)
	eventually(t, "owed asked", func() bool { return c.asks(1) == 1 })
	c.vanish()
	c.push(message(1, "one"), 1)
	d.text()
	d.ping()
	if err := e.Stop(deadline(t, 300*time.Millisecond)); err == nil {
		t.Fatal("unconfirmed receipts were not reported")
	}
}

func TestOptions(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	good := Options{ID: "e", Codec: c.codec, Bus: c.bus, Clock: clock.System{}, Log: quietLog()}
	for name, change := range map[string]func(*Options){
		"id":    func(o *Options) { o.ID = "a.b" },
		"no id": func(o *Options) { o.ID = "" },
		"codec": func(o *Options) { o.Codec = nil },
		"tls":   func(o *Options) { o.TLSAddr = ":0" },
	} {
		o := good
		change(&o)
		if _, err := New(o); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := New(good); err != nil {
		t.Error(err)
	}
	taken := startEdge(t, c, nil)
	o := good
	o.Addr = taken.Addr().String()
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err == nil {
		t.Error("listening on a taken address succeeded")
	}
}

func TestPoolKeepsOrderAndBounds(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	p := newPool(ctx, 1, 3)
	hold := make(chan struct{})
	var order []int
	accepted := 0
	for i := range 10 {
		if p.submit(func(context.Context) {
			<-hold
			order = append(order, i)
		}) {
			accepted++
		}
		if i == 0 {
			eventually(t, "taken", func() bool { return p.waiting() == 0 })
		}
	}
	close(hold)
	eventually(t, "done", func() bool { return p.waiting() == 0 })
	cancel()
	p.wait()
	if accepted != 5 || !slices.IsSorted(order) {
		t.Errorf("accepted %d, order %v", accepted, order)
	}
	if p.submit(func(context.Context) {}) {
		t.Error("accepted after the end")
	}
}
