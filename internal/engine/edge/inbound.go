package edge

import (
	"fmt"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
)

// subscribe begins to listen to the core: on every subject for all edges and on the one for this edge.
func (e *Edge) subscribe() error {
	for subject, handle := range map[string]func(*bus.Msg){
		edgewire.SubjectDeliver:  e.onDeliver,
		edgewire.SubjectKick:     e.onKick,
		edgewire.SubjectOffer:    e.onOffer,
		edgewire.SubjectSync:     e.onSync,
		edgewire.SubjectHello:    e.onHello,
		edgewire.SubjectApps:     e.onApp,
		edgewire.SubjectWithdraw: e.onWithdraw,
	} {
		for _, subject := range [...]string{subject, edgewire.ToEdge(subject, e.id)} {
			sub, err := e.bus.Subscribe(subject, "", handle)
			if err != nil {
				e.unsubscribe()
				return fmt.Errorf("edge: %w", err)
			}
			e.subs = append(e.subs, sub)
		}
	}
	e.bus.OnReconnect(e.onReconnect)
	e.bus.OnDrop(e.onDrop)
	return nil
}

func (e *Edge) unsubscribe() {
	for _, sub := range e.subs {
		if err := sub.Unsubscribe(); err != nil {
			e.log.Debug("unsubscribe", "error", err)
		}
	}
	e.subs = nil
}

// read decodes a message of the bus; false: it is not what the subject carries.
func (e *Edge) read(m *bus.Msg, v any) bool {
	if err := m.Decode(v); err != nil {
		e.log.Error("message from the core not understood", "subject", m.Subject, "error", err)
		return false
	}
	return true
}

func (e *Edge) onDeliver(m *bus.Msg) {
	var in edgewire.Deliver
	if !e.read(m, &in) {
		return
	}
	if in.Seq > 0 && e.sequences.delivered(in.Node, in.App, in.Seq, e.clock.Now()) {
		// This message too is in the answer, if it is not written before.
		e.reloadApp(in.App, reloadGap)
	}
	if err := e.deliver(&in); err != nil {
		e.log.Error("delivery dropped", "app", in.App, "msg", in.Frame.Msg, "error", err)
	}
}

// deliver hands a message to the loops that have targets of it online.
func (e *Edge) deliver(in *edgewire.Deliver) error {
	f := newFrame(in.App, in.Frame)
	if f.expired(e.clock.Now().UnixMilli()) {
		return nil
	}
	if len(in.Set) == 0 {
		for i, ordinals := range e.presence.loopsOf(in.App, in.Ordinals) {
			if len(ordinals) > 0 {
				e.hand(i, newDelivery(f, slices.Compact(ordinals), nil))
			}
		}
		return nil
	}
	set := roaring.New()
	if err := set.UnmarshalBinary(in.Set); err != nil {
		return fmt.Errorf("target set: %w", err)
	}
	if err := set.Validate(); err != nil && !set.IsEmpty() {
		return fmt.Errorf("target set: %w", err)
	}
	for i, targets := range e.presence.intersect(in.App, set) {
		if targets != nil {
			e.hand(i, newDelivery(f, nil, targets))
		}
	}
	return nil
}

// hand gives a delivery to a loop. If the loop's queue is full the devices reload the message later.
func (e *Edge) hand(loop int, d *delivery) {
	l := e.loops[loop]
	if l.deliver(d) {
		return
	}
	e.metrics.queueDropped.Inc()
	l.lose(d.f.app)
}

func (e *Edge) onKick(m *bus.Msg) {
	var in edgewire.Kick
	if e.read(m, &in) {
		e.kick(in)
	}
}

func (e *Edge) kick(in edgewire.Kick) {
	// First those who are about to be online, then those who are: see admissions.
	e.admissions.kick(in)
	if in.All {
		for _, l := range e.loops {
			l.post(func() { l.kick(in) })
		}
		return
	}
	for i, ordinals := range e.presence.loopsOf(in.App, []uint32{in.Ordinal}) {
		if l := e.loops[i]; len(ordinals) > 0 {
			l.post(func() { l.kick(in) })
		}
	}
}

func (e *Edge) onOffer(m *bus.Msg) {
	var in edgewire.Offer
	if !e.read(m, &in) {
		return
	}
	for i, ordinals := range e.presence.loopsOf(in.App, in.Ordinals) {
		if l := e.loops[i]; len(ordinals) > 0 {
			l.post(func() { l.offered(in.App, ordinals) })
		}
	}
}

// offered makes devices reload what they are owed.
func (l *loop) offered(app int64, ordinals []uint32) {
	r := l.rosters[app]
	if r == nil {
		return
	}
	l.edge.metrics.reloadReasons.WithLabelValues(reloadOffer.String()).Inc()
	for _, ordinal := range ordinals {
		if s := r.online[ordinal]; s != nil {
			l.load(s, true)
		}
	}
}

func (e *Edge) onSync(m *bus.Msg) {
	var in edgewire.Sync
	if e.read(m, &in) {
		e.sequences.sync(in, e.clock.Now())
	}
}

func (e *Edge) onHello(m *bus.Msg) {
	var in edgewire.Hello
	if e.read(m, &in) {
		e.presence.sayAll()
	}
}

func (e *Edge) onApp(m *bus.Msg) {
	var in edgewire.AppFacts
	if !e.read(m, &in) {
		return
	}
	e.facts.forget(in.AppKey)
	if !in.Enabled && in.ID != 0 {
		e.kick(edgewire.Kick{App: in.ID, All: true})
	}
}

// onReconnect: everything sent meanwhile is lost.
func (e *Edge) onReconnect() {
	if e.stopping.Load() {
		return
	}
	e.facts.forgetAll()
	e.presence.sayAll()
	e.reloadApp(0, reloadReconnect)
}

// onDrop: a subscription overflowed. Kicks and facts are repeated by nobody, so facts are asked for again.
func (e *Edge) onDrop(subject string) {
	if e.stopping.Load() || !strings.HasPrefix(subject, "edge.") {
		return
	}
	e.log.Warn("messages from the core were dropped", "subject", subject)
	e.facts.forgetAll()
	e.presence.sayAll()
	e.reloadApp(0, reloadOverflow)
}
