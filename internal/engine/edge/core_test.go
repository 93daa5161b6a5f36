package edge

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
)

const (
	testApp    = int64(7)
	testAppKey = "abcdefghijklmnopqrstuvwx"
)

// core is a core node that keeps everything in memory: it admits devices, remembers what they are owed and takes
// receipts.
type core struct {
	t     testing.TB
	bus   *bus.Bus
	codec *deviceid.Codec
	subs  []*bus.Subscription

	mu       sync.Mutex
	facts    map[string]edgewire.AppFacts
	asked    int // questions for facts
	refusal  edgewire.Refusal
	conn     uint64
	answer   edgewire.Connected // KeepAlive and Known are used
	connects []edgewire.Connect
	owed     map[uint32][]edgewire.Frame
	owedAsks []edgewire.OwedRequest
	owedMax  int // frames in one answer; 0: all
	stages   map[tallyKey]map[edgewire.Stage]*roaring.Bitmap
	requests []edgewire.Receipts
	deaf     int // receipt requests still to be left unanswered
	ups      []edgewire.Up
	upReply  edgewire.UpReply
	upHold   chan struct{} // ups wait for it
	online   map[string]*roaring.Bitmap
	messages []edgewire.Presence
	seq      uint64
}

func testCodec(t testing.TB) *deviceid.Codec {
	t.Helper()
	codec, err := deviceid.New([]byte("0123456789abcdef0123456789abcdef"))
	if err != nil {
		t.Fatal(err)
	}
	return codec
}

func openBus(t testing.TB) *bus.Bus {
	t.Helper()
	b, err := bus.Open(t.Context(), bus.Options{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

func newCore(t testing.TB) *core {
	t.Helper()
	c := &core{
		t: t, bus: openBus(t), codec: testCodec(t),
		facts:  map[string]edgewire.AppFacts{testAppKey: {AppKey: testAppKey, ID: testApp, Enabled: true}},
		owed:   map[uint32][]edgewire.Frame{},
		stages: map[tallyKey]map[edgewire.Stage]*roaring.Bitmap{},
		online: map[string]*roaring.Bitmap{},
	}
	c.listen()
	return c
}

// listen starts to serve the core's subjects.
func (c *core) listen() {
	c.t.Helper()
	serve := func(subject, queue string, handle func(*bus.Msg)) {
		sub, err := c.bus.Subscribe(subject, queue, handle)
		if err != nil {
			c.t.Fatal(err)
		}
		c.subs = append(c.subs, sub)
	}
	serve(edgewire.SubjectApp, edgewire.QueueCore, c.onApp)
	serve(edgewire.SubjectPresence, "", c.onPresence)
	serve(edgewire.SubjectConnect(testApp), "", c.onConnect)
	serve(edgewire.SubjectOwed(testApp), "", c.onOwed)
	serve(edgewire.SubjectReceipts(testApp), "", c.onReceipts)
	serve(edgewire.SubjectUp(testApp), "", c.onUp)
}

// vanish stops to serve: requests find nobody.
func (c *core) vanish() {
	c.t.Helper()
	for _, sub := range c.subs {
		if err := sub.Unsubscribe(); err != nil {
			c.t.Fatal(err)
		}
	}
	c.subs = nil
}

func (c *core) decode(m *bus.Msg, v any) {
	if err := m.Decode(v); err != nil {
		c.t.Errorf("core: %v", err)
	}
}

func (c *core) respond(m *bus.Msg, v any) {
	if err := m.Respond(v); err != nil {
		c.t.Logf("core: %v", err)
	}
}

func (c *core) onApp(m *bus.Msg) {
	var in edgewire.AppRequest
	c.decode(m, &in)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	facts := c.facts[in.AppKey]
	facts.AppKey = in.AppKey
	c.respond(m, facts)
}

func (c *core) onConnect(m *bus.Msg) {
	var in edgewire.Connect
	c.decode(m, &in)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.connects = append(c.connects, in)
	c.conn++
	out := c.answer
	out.Refusal, out.Conn = c.refusal, c.conn
	c.respond(m, out)
}

func (c *core) onOwed(m *bus.Msg) {
	var in edgewire.OwedRequest
	c.decode(m, &in)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owedAsks = append(c.owedAsks, in)
	out := edgewire.Owed{Frames: c.owed[in.Ordinal]}
	if c.owedMax > 0 && len(out.Frames) > c.owedMax {
		out.Frames, out.More = out.Frames[:c.owedMax], true
	}
	c.respond(m, out)
}

func (c *core) onReceipts(m *bus.Msg) {
	var in edgewire.Receipts
	c.decode(m, &in)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.deaf > 0 {
		c.deaf--
		c.respond(m, edgewire.Ack{OK: false})
		return
	}
	c.requests = append(c.requests, in)
	for _, item := range in.Items {
		set := roaring.BitmapOf(item.Ordinals...)
		if item.Set != nil {
			if err := set.UnmarshalBinary(item.Set); err != nil {
				c.t.Errorf("core: receipt set: %v", err)
			}
		}
		key := tallyKey{in.App, item.Msg}
		if c.stages[key] == nil {
			c.stages[key] = map[edgewire.Stage]*roaring.Bitmap{edgewire.Sent: roaring.New(), edgewire.Delivered: roaring.New()}
		}
		c.stages[key][item.Stage].Or(set)
		if item.Stage == edgewire.Delivered {
			set.Iterate(func(ordinal uint32) bool {
				c.settleLocked(ordinal, item.Msg)
				return true
			})
		}
	}
	c.respond(m, edgewire.Ack{OK: true})
}

func (c *core) settleLocked(ordinal uint32, msg int64) {
	var left []edgewire.Frame
	for _, f := range c.owed[ordinal] {
		if f.Msg != msg {
			left = append(left, f)
		}
	}
	c.owed[ordinal] = left
}

func (c *core) onUp(m *bus.Msg) {
	var in edgewire.Up
	c.decode(m, &in)
	c.mu.Lock()
	c.ups = append(c.ups, in)
	reply, hold := c.upReply, c.upHold
	c.mu.Unlock()
	if hold == nil {
		c.respond(m, reply)
		return
	}
	go func() {
		<-hold
		c.respond(m, reply)
	}()
}

func (c *core) onPresence(m *bus.Msg) {
	var in edgewire.Presence
	c.decode(m, &in)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.messages = append(c.messages, in)
	set := c.online[in.Edge]
	if set == nil || in.Full || in.Gone {
		set = roaring.New()
		c.online[in.Edge] = set
	}
	for _, app := range in.Apps {
		if app.App != testApp {
			continue
		}
		on, off := roaring.New(), roaring.New()
		if app.Online != nil {
			if err := on.UnmarshalBinary(app.Online); err != nil {
				c.t.Errorf("core: presence: %v", err)
			}
		}
		if app.Offline != nil {
			if err := off.UnmarshalBinary(app.Offline); err != nil {
				c.t.Errorf("core: presence: %v", err)
			}
		}
		set.Or(on)
		set.AndNot(off)
	}
}

// owe adds a message to what devices are owed.
func (c *core) owe(f edgewire.Frame, ordinals ...uint32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ordinal := range ordinals {
		c.owed[ordinal] = append(c.owed[ordinal], f)
	}
}

// push owes a message and delivers it to all edges.
func (c *core) push(f edgewire.Frame, ordinals ...uint32) {
	c.t.Helper()
	c.owe(f, ordinals...)
	c.publish(edgewire.SubjectDeliver, edgewire.Deliver{App: testApp, Frame: f, Ordinals: ordinals})
}

// broadcast owes a message and delivers it, numbered, as a set.
func (c *core) broadcast(f edgewire.Frame, ordinals ...uint32) {
	c.t.Helper()
	c.owe(f, ordinals...)
	c.seq++
	c.publish(edgewire.SubjectDeliver, edgewire.Deliver{
		App: testApp, Frame: f, Set: portable(roaring.BitmapOf(ordinals...)), Node: "node", Seq: c.seq,
	})
}

func (c *core) publish(subject string, v any) {
	c.t.Helper()
	if err := c.bus.Publish(subject, v); err != nil {
		c.t.Fatal(err)
	}
}

// reached reports whether the message reached the stage on the device.
func (c *core) reached(msg int64, stage edgewire.Stage, ordinal uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	stages := c.stages[tallyKey{testApp, msg}]
	return stages != nil && stages[stage].Contains(ordinal)
}

// isOnline reports whether the edge has said that the device is online.
func (c *core) isOnline(edge string, ordinal uint32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	set := c.online[edge]
	return set != nil && set.Contains(ordinal)
}

// asks is how often the device's owed messages were asked for.
func (c *core) asks(ordinal uint32) (n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, ask := range c.owedAsks {
		if ask.Ordinal == ordinal {
			n++
		}
	}
	return n
}

// do runs fn with the core's state locked.
func (c *core) do(fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	fn()
}

// identity is what the device with the given ordinal connects with.
func (c *core) identity(ordinal uint32) (id, secret string) {
	ref := deviceid.Ref{Epoch: 1, Ordinal: ordinal}
	return c.codec.ID(testApp, ref), c.codec.Secret(testApp, ref, 1)
}

func quietLog() *slog.Logger { return slog.New(slog.DiscardHandler) }

// startEdge starts an edge against the core; change may adapt its options.
func startEdge(t testing.TB, c *core, change func(*Options)) *Edge {
	t.Helper()
	o := Options{
		ID: "edge-1", Addr: "127.0.0.1:0", Codec: c.codec, Bus: c.bus, Clock: clock.System{}, Log: quietLog(), Loops: 2,
		Limits: Limits{Tick: 10 * time.Millisecond, LingerTime: 200 * time.Millisecond},
	}
	if change != nil {
		change(&o)
	}
	e, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := e.Stop(ctx); err != nil && !errors.Is(err, errStopped) {
			t.Errorf("stop: %v", err)
		}
	})
	return e
}

// eventually waits until the condition holds.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for !condition() {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
		wait := time.NewTimer(time.Millisecond)
		<-wait.C
	}
}

func message(msg int64, text string) edgewire.Frame {
	return edgewire.Frame{Msg: msg, Payload: []byte(text), Expires: time.Now().Add(time.Hour).UnixMilli()}
}

// slowOwed answers as onOwed, with what is owed at the time of the question, after release.
func (c *core) slowOwed(release <-chan struct{}) func(*bus.Msg) {
	return func(m *bus.Msg) {
		var in edgewire.OwedRequest
		c.decode(m, &in)
		c.mu.Lock()
		c.owedAsks = append(c.owedAsks, in)
		out := edgewire.Owed{Frames: c.owed[in.Ordinal]}
		c.mu.Unlock()
		<-release
		c.respond(m, out)
	}
}

// deadline is a context that ends after d.
func deadline(t testing.TB, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	t.Cleanup(cancel)
	return ctx
}
