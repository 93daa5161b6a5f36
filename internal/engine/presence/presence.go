// Package presence is the core nodes' picture of who is online: one set of ordinals per edge and app, built from what
// the edges say on the bus (edgewire.Presence).
//
// Each edge numbers what it says from the start of its run. A gap, an unknown edge or a reconnect to the bus makes this
// node ask that edge for everything (edgewire.Hello). An edge not heard of for Silence is taken to be gone. The
// picture may lag a little, so nothing that must not be lost depends on it: it steers, and counts.
//
// Memory only; no table.
package presence

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
)

// Silence after which an edge is taken to be gone.
const Silence = 10 * time.Second

// Presence is safe for concurrent use.
type Presence struct {
	bus   *bus.Bus
	clock clock.Clock
	log   *slog.Logger
	node  string
	left  func(app int64, devices []uint32)

	mu    sync.RWMutex
	edges map[string]*edgeState
	sub   *bus.Subscription
}

type edgeState struct {
	run   int64
	seq   uint64
	heard time.Time
	known bool // a full picture has arrived in this run
	apps  map[int64]*roaring.Bitmap
	// expected are devices this node has just admitted on the edge, which the edge has not had the time to report.
	expected map[connection]time.Time
}

type connection struct {
	app     int64
	ordinal uint32
}

// patience is how long an admitted device is taken to be online without a report of its edge.
const patience = 2 * time.Second

func (e *edgeState) has(app int64, ordinal uint32, now time.Time) bool {
	if set := e.apps[app]; set != nil && set.Contains(ordinal) {
		return true
	}
	if len(e.expected) == 0 {
		return false
	}
	until, ok := e.expected[connection{app, ordinal}]
	return ok && now.Before(until)
}

// New returns a picture in which nobody is online; Run fills it. left, if not nil, is told which devices an edge
// reports as disconnected.
func New(b *bus.Bus, c clock.Clock, log *slog.Logger, node string, left func(app int64, devices []uint32)) *Presence {
	if left == nil {
		left = func(int64, []uint32) {}
	}
	return &Presence{bus: b, clock: c, log: log, node: node, left: left, edges: make(map[string]*edgeState)}
}

// Start subscribes and asks every edge for its full picture.
func (p *Presence) Start(context.Context) error {
	var err error
	p.sub, err = p.bus.Subscribe(edgewire.SubjectPresence, "", func(m *bus.Msg) {
		var msg edgewire.Presence
		if err := m.Decode(&msg); err != nil {
			p.log.Warn("presence not understood", "err", err)
			return
		}
		p.apply(msg)
	})
	if err != nil {
		return fmt.Errorf("presence: %w", err)
	}
	p.bus.OnReconnect(func() { p.hello("") })
	p.hello("")
	return nil
}

// Run forgets edges that fell silent, until ctx ends.
func (p *Presence) Run(ctx context.Context) error {
	ticker := time.NewTicker(Silence / 5)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return p.sub.Unsubscribe()
		case <-ticker.C:
			p.forget()
		}
	}
}

// Expect says that a device was admitted on an edge a moment ago. A push that comes before the edge has reported it
// then finds the way; should the edge not have the device yet, it asks what is owed as soon as it does.
func (p *Presence) Expect(edge string, app int64, ordinal uint32) {
	now := p.clock.Now()
	p.mu.Lock()
	defer p.mu.Unlock()
	if e := p.edges[edge]; e != nil {
		e.expected[connection{app, ordinal}] = now.Add(patience)
	}
}

// Online tells whether a device is connected to any edge.
func (p *Presence) Online(app int64, ordinal uint32) bool {
	now := p.clock.Now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	for _, e := range p.edges {
		if e.has(app, ordinal, now) {
			return true
		}
	}
	return false
}

// Count is the number of devices of the app that are connected. A device seen on two edges during a take-over counts
// twice for that moment.
func (p *Presence) Count(app int64) int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	n := uint64(0)
	for _, e := range p.edges {
		if set := e.apps[app]; set != nil {
			n += set.GetCardinality()
		}
	}
	return int(n)
}

// Devices is the set of devices of the app that are connected. The caller owns it.
func (p *Presence) Devices(app int64) *roaring.Bitmap {
	p.mu.RLock()
	defer p.mu.RUnlock()
	all := roaring.New()
	for _, e := range p.edges {
		if set := e.apps[app]; set != nil {
			all.Or(set)
		}
	}
	return all
}

// Split assigns each of the ordinals to the edges that have it online, in one pass. Offline ones are in no list.
func (p *Presence) Split(app int64, ordinals []uint32) map[string][]uint32 {
	now := p.clock.Now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	out := make(map[string][]uint32, len(p.edges))
	for name, e := range p.edges {
		for _, o := range ordinals {
			if e.has(app, o, now) {
				out[name] = append(out[name], o)
			}
		}
	}
	return out
}

// Others lists the edges, except one, on which the device is online.
func (p *Presence) Others(app int64, ordinal uint32, except string) []string {
	now := p.clock.Now()
	p.mu.RLock()
	defer p.mu.RUnlock()
	var out []string
	for name, e := range p.edges {
		if name != except && e.has(app, ordinal, now) {
			out = append(out, name)
		}
	}
	return out
}

// Edges is the number of edges that are alive.
func (p *Presence) Edges() int {
	p.mu.RLock()
	defer p.mu.RUnlock()
	return len(p.edges)
}

func (p *Presence) hello(edge string) {
	subject := edgewire.SubjectHello
	if edge != "" {
		subject = edgewire.ToEdge(subject, edge)
	}
	if err := p.bus.Publish(subject, edgewire.Hello{Node: p.node}); err != nil {
		p.log.Warn("edges not asked who is online", "err", err)
	}
}

func (p *Presence) apply(msg edgewire.Presence) {
	if ask := p.update(msg); ask {
		p.hello(msg.Edge)
	}
}

func (p *Presence) update(msg edgewire.Presence) (ask bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	e := p.edges[msg.Edge]
	switch {
	case e != nil && msg.Run < e.run:
		return false // an echo of a process that has been replaced
	case msg.Gone:
		delete(p.edges, msg.Edge)
		return false
	case e == nil || msg.Run > e.run:
		e = &edgeState{run: msg.Run, apps: make(map[int64]*roaring.Bitmap), expected: make(map[connection]time.Time)}
		p.edges[msg.Edge] = e
		// The first message of a run begins from nothing, so nothing was missed.
		e.known = msg.Seq == 1
		e.seq = msg.Seq - 1
	}
	e.heard = p.clock.Now()
	gap := msg.Seq != e.seq+1
	e.seq = msg.Seq
	if msg.Full {
		e.known = true
		clear(e.apps)
	} else if gap {
		e.known = false
	}
	for _, a := range msg.Apps {
		if err := e.change(a, p.left); err != nil {
			p.log.Warn("presence not understood", "edge", msg.Edge, "err", err)
			e.known = false
		}
	}
	return !e.known
}

func (e *edgeState) change(a edgewire.AppPresence, left func(int64, []uint32)) error {
	set := e.apps[a.App]
	if set == nil {
		set = roaring.New()
		e.apps[a.App] = set
	}
	for _, part := range []struct {
		data  []byte
		apply func(*roaring.Bitmap)
	}{{a.Offline, func(o *roaring.Bitmap) { set.AndNot(o); left(a.App, o.ToArray()) }}, {a.Online, set.Or}} {
		if len(part.data) == 0 {
			continue
		}
		other := roaring.New()
		if err := other.UnmarshalBinary(part.data); err != nil {
			return fmt.Errorf("set of app %d: %w", a.App, err)
		}
		part.apply(other)
	}
	if set.IsEmpty() {
		delete(e.apps, a.App)
	}
	return nil
}

func (p *Presence) forget() {
	now := p.clock.Now()
	oldest := now.Add(-Silence)
	p.mu.Lock()
	defer p.mu.Unlock()
	for name, e := range p.edges {
		if e.heard.Before(oldest) {
			p.log.Warn("edge fell silent", "edge", name)
			delete(p.edges, name)
			continue
		}
		for c, until := range e.expected {
			if !now.Before(until) {
				delete(e.expected, c)
			}
		}
	}
}
