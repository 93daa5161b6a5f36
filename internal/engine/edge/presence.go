package edge

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
)

// presence is who is online on this edge, by loop, and tells the core nodes about changes.
type presence struct {
	edge string
	run  int64
	bus  *bus.Bus
	log  *slog.Logger
	wake chan struct{}

	mu   sync.Mutex
	apps map[int64]*appPresence
	// dirty are the apps with changes that have not been told.
	dirty map[int64]struct{}
	full  bool // tell everything next
	seq   uint64
}

// appPresence is one app. A device may be in two loops for the moment of a take-over.
type appPresence struct {
	loops []*roaring.Bitmap // by loop index; nil: none
	// on and off are the changes not told; a device is in at most one of them.
	on, off *roaring.Bitmap
}

func newPresence(edge string, run int64, b *bus.Bus, log *slog.Logger) *presence {
	return &presence{
		edge: edge, run: run, bus: b, log: log,
		wake: make(chan struct{}, 1),
		apps: map[int64]*appPresence{}, dirty: map[int64]struct{}{},
	}
}

// enter marks a device online in a loop, and reports whether it is online in another loop too.
func (p *presence) enter(app int64, ordinal uint32, loop int) (elsewhere bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.apps[app]
	if a == nil {
		a = &appPresence{on: roaring.New(), off: roaring.New()}
		p.apps[app] = a
	}
	elsewhere = a.elsewhere(ordinal, loop)
	for len(a.loops) <= loop {
		a.loops = append(a.loops, nil)
	}
	if a.loops[loop] == nil {
		a.loops[loop] = roaring.New()
	}
	if a.loops[loop].CheckedAdd(ordinal) && !elsewhere {
		p.changed(app, ordinal, a.on, a.off)
	}
	return elsewhere
}

// leave marks a device offline in a loop.
func (p *presence) leave(app int64, ordinal uint32, loop int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.apps[app]
	if a == nil || loop >= len(a.loops) || a.loops[loop] == nil || !a.loops[loop].CheckedRemove(ordinal) {
		return
	}
	if a.loops[loop].IsEmpty() {
		a.loops[loop] = nil
	}
	if !a.elsewhere(ordinal, loop) {
		p.changed(app, ordinal, a.off, a.on)
	}
}

func (a *appPresence) elsewhere(ordinal uint32, loop int) bool {
	for i, set := range a.loops {
		if i != loop && set != nil && set.Contains(ordinal) {
			return true
		}
	}
	return false
}

// changed notes a change in its set and takes it out of the opposite one; the core's picture may still have the
// opposite, so telling both ends of a short visit is not saved.
func (p *presence) changed(app int64, ordinal uint32, set, opposite *roaring.Bitmap) {
	opposite.Remove(ordinal)
	set.Add(ordinal)
	p.dirty[app] = struct{}{}
	p.poke()
}

func (p *presence) poke() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// loopsOf gives, by loop, those of the ordinals that are online there, ascending; nil: none.
func (p *presence) loopsOf(app int64, ordinals []uint32) (byLoop [][]uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.apps[app]
	if a == nil {
		return nil
	}
	for i, set := range a.loops {
		if set == nil {
			continue
		}
		for _, ordinal := range ordinals {
			if set.Contains(ordinal) {
				if byLoop == nil {
					byLoop = make([][]uint32, len(a.loops))
				}
				byLoop[i] = append(byLoop[i], ordinal)
			}
		}
	}
	for _, list := range byLoop {
		slices.Sort(list)
	}
	return byLoop
}

// intersect gives, by loop, which of the set is online there; nil: none.
func (p *presence) intersect(app int64, set *roaring.Bitmap) (byLoop []*roaring.Bitmap) {
	p.mu.Lock()
	defer p.mu.Unlock()
	a := p.apps[app]
	if a == nil {
		return nil
	}
	byLoop = make([]*roaring.Bitmap, len(a.loops))
	for i, online := range a.loops {
		if online != nil && online.Intersects(set) {
			byLoop[i] = roaring.And(online, set)
		}
	}
	return byLoop
}

// count is the number of devices online.
func (p *presence) count() (n int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, a := range p.apps {
		for _, set := range a.loops {
			if set != nil {
				n += int(set.GetCardinality())
			}
		}
	}
	return n
}

// sayAll makes the next message a full one.
func (p *presence) sayAll() {
	p.mu.Lock()
	p.full = true
	p.mu.Unlock()
	p.poke()
}

// tell sends changes as they come until ctx ends: gathered for presenceFlush, and every presenceInterval at least.
func (p *presence) tell(ctx context.Context) {
	beat := time.NewTicker(presenceInterval)
	defer beat.Stop()
	gather := time.NewTimer(time.Hour)
	gather.Stop()
	p.publish()
	for {
		select {
		case <-ctx.Done():
			return
		case <-beat.C:
			p.publish()
		case <-p.wake:
			gather.Reset(presenceFlush)
			select {
			case <-ctx.Done():
				return
			case <-gather.C:
			}
			p.publish()
		}
	}
}

// publish sends one message.
func (p *presence) publish() { p.send(p.message()) }

// gone tells that the edge stops.
func (p *presence) gone() {
	p.mu.Lock()
	p.seq++
	m := edgewire.Presence{Edge: p.edge, Run: p.run, Seq: p.seq, Gone: true}
	p.mu.Unlock()
	p.send(m)
}

func (p *presence) send(m edgewire.Presence) {
	if err := p.bus.Publish(edgewire.SubjectPresence, m); err != nil {
		// The sequence shows the gap and a core node asks for everything.
		p.log.Warn("presence not sent", "error", err)
	}
}

// message makes the next message: everything if that was asked for, otherwise the changes.
func (p *presence) message() edgewire.Presence {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.seq++
	m := edgewire.Presence{Edge: p.edge, Run: p.run, Seq: p.seq, Full: p.full}
	if p.full {
		for app, a := range p.apps {
			if set := a.union(); !set.IsEmpty() {
				m.Apps = append(m.Apps, edgewire.AppPresence{App: app, Online: portable(set)})
			}
		}
	}
	for app := range p.dirty {
		a := p.apps[app]
		if !p.full {
			m.Apps = append(m.Apps, edgewire.AppPresence{App: app, Online: portable(a.on), Offline: portable(a.off)})
		}
		a.on, a.off = roaring.New(), roaring.New()
		if a.empty() {
			delete(p.apps, app)
		}
	}
	clear(p.dirty)
	p.full = false
	return m
}

func (a *appPresence) empty() bool {
	for _, set := range a.loops {
		if set != nil {
			return false
		}
	}
	return true
}

func (a *appPresence) union() *roaring.Bitmap {
	all := roaring.New()
	for _, set := range a.loops {
		if set != nil {
			all.Or(set)
		}
	}
	return all
}

// portable writes a set; nil for an empty one.
func portable(set *roaring.Bitmap) []byte {
	if set.IsEmpty() {
		return nil
	}
	data, err := set.ToBytes()
	if err != nil {
		return nil // writing to memory does not fail
	}
	return data
}
