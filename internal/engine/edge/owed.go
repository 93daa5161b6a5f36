package edge

import (
	"context"
	"slices"
	"time"

	"borealis/internal/engine/edge/edgewire"
)

// load asks the core what the device is owed: reload false right after CONNECT. While it runs, new messages for the
// session wait; they come after what is owed.
func (l *loop) load(s *session, reload bool) {
	if s.state != online {
		return
	}
	if s.has(loading) {
		if reload {
			s.set(again)
		}
		return
	}
	s.set(loading)
	s.clear(moved | stuck)
	e, app, ordinal := l.edge, s.ros.app, s.ordinal
	pool := e.loads
	if reload {
		pool = e.reloads
	}
	accepted := pool.submit(func(ctx context.Context) {
		if s.gone.Load() {
			return
		}
		owed, err := e.askOwed(ctx, edgewire.OwedRequest{Edge: e.id, App: app, Ordinal: ordinal, Reload: reload})
		l.post(func() { l.loaded(s, owed, err, reload) })
	})
	if !accepted {
		l.retryLater(s, reload)
	}
}

// askOwed flushes the app's receipts first, so that nothing acknowledged comes back.
func (e *Edge) askOwed(ctx context.Context, ask edgewire.OwedRequest) (edgewire.Owed, error) {
	var owed edgewire.Owed
	if err := e.receipts.settle(ctx, ask.App, e.limits.CoreWait); err != nil {
		return owed, err
	}
	err := e.ask(ctx, edgewire.SubjectOwed(ask.App), ask, &owed)
	return owed, err
}

func (l *loop) retryLater(s *session, reload bool) {
	l.retries = append(l.retries, retry{s: s, at: l.tick + ticks(reloadRetry), reload: reload})
}

func (l *loop) retryLoads() {
	waiting := l.retries
	l.retries = nil // load may put some back
	for _, r := range waiting {
		switch {
		case r.s.state != online:
		case l.tick < r.at:
			l.retries = append(l.retries, r)
		default:
			r.s.clear(loading)
			l.load(r.s, r.reload)
		}
	}
}

// loaded takes the answer of load: what is owed and not in flight or acknowledged meanwhile goes before everything
// that waits.
func (l *loop) loaded(s *session, owed edgewire.Owed, err error, reload bool) {
	if s.state != online || !s.has(loading) {
		return
	}
	if err != nil {
		// The session stays loading, so that nothing newer overtakes what it is owed.
		l.edge.log.Debug("owed messages not answered", "app", s.ros.app, "ordinal", s.ordinal, "error", err)
		l.retryLater(s, reload)
		return
	}
	l.edge.metrics.loads(reload).Inc()
	s.clear(loading)
	if len(owed.Frames) > 0 || s.more != nil {
		l.merge(s, owed)
	}
	switch {
	case s.has(moved):
		if owed.More {
			s.set(behind)
		}
	default:
		// To ask again now would bring the same answer, again and again; and what is new must not wait for it.
		s.clear(behind)
		if owed.More {
			s.set(stuck)
		}
	}
	if s.has(again) {
		s.clear(again)
		l.load(s, true)
	}
	l.refill(s)
}

// recentKept and recentTime bound what a session remembers of messages written right after it loaded.
const (
	recentKept = 256
	recentTime = 2 * time.Second
)

func (l *loop) merge(s *session, owed edgewire.Owed) {
	x := s.extra()
	frames := make([]*frame, 0, len(owed.Frames)+len(x.pending))
	for _, in := range owed.Frames {
		switch {
		case slices.Contains(x.settled, in.Msg), s.onItsWay(in.Msg):
			s.set(moved)
			l.counts.deliveries[deliveryDuplicate]++
			continue
		case slices.Contains(x.recent, in.Msg):
			l.counts.deliveries[deliveryDuplicate]++
			continue
		}
		// What can never be written takes no place from what can.
		if f := newFrame(s.ros.app, in); l.writable(s, f, s.head()) {
			frames = append(frames, f)
		}
	}
	x.settled = nil
	fresh := len(frames)
	for _, f := range x.pending {
		if !slices.ContainsFunc(frames[:fresh], func(o *frame) bool { return o.msg == f.msg }) {
			frames = append(frames, f)
		}
	}
	if limit := max(l.edge.limits.Pending, int(s.window)); len(frames) > limit {
		clear(frames[limit:])
		frames = frames[:limit]
		s.set(behind)
	}
	if fresh > 0 {
		s.set(moved)
		x.forget = l.tick + ticks(recentTime)
	}
	x.pending = frames
	if len(frames) == 0 {
		x.pending = nil
	}
}

// reloadApp makes the online devices of an app reload what they are owed; app 0: of all apps.
func (e *Edge) reloadApp(app int64, why reloadReason) {
	e.metrics.reloadReasons.WithLabelValues(why.String()).Inc()
	for _, l := range e.loops {
		l.post(func() { l.reloadRoster(app) })
	}
}

func (l *loop) reloadRoster(app int64) {
	var all []*session
	for _, r := range l.rosters {
		if app == 0 || r.app == app {
			for _, s := range r.online {
				all = append(all, s)
			}
		}
	}
	l.eachLater(all, func(s *session) { l.load(s, true) })
}
