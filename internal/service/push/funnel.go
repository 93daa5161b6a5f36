package push

import (
	"context"
	"slices"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
)

// Funnel is what became of one message, in total and by platform.
type Funnel struct {
	Msg        int64
	AcceptedAt int64 // Unix milliseconds
	Total      Counts
	ByPlatform map[audience.Platform]Counts
	// ByChannel is the part of each vendor's channel: Targets are those it was tried for, Sent those it accepted the message for, the other stages
	// what became of these.
	ByChannel map[wire.Name]Counts
	// Notification: it had one; Live: it was an event of a live activity; otherwise it was a custom message alone.
	Notification, Live bool
	// InApp: devices whose user turned notifications off were to show it inside the app.
	InApp bool
}

func newFunnel(msg int64) *Funnel {
	return &Funnel{Msg: msg, ByPlatform: make(map[audience.Platform]Counts), ByChannel: make(map[wire.Name]Counts)}
}

// include adds the numbers of another message.
func (f *Funnel) include(o *Funnel) {
	f.Total.add(o.Total)
	for p, c := range o.ByPlatform {
		sum := f.ByPlatform[p]
		sum.add(c)
		f.ByPlatform[p] = sum
	}
	for name, c := range o.ByChannel {
		sum := f.ByChannel[name]
		sum.add(c)
		f.ByChannel[name] = sum
	}
	f.Notification = f.Notification || o.Notification
	f.Live = f.Live || o.Live
	f.InApp = f.InApp || o.InApp
}

// Funnels reports on messages of the app, in the order of ids. Ids that are not messages of this app are left out.
func (s *Service) Funnels(ctx context.Context, app int64, ids []int64) ([]Funnel, error) {
	found := make(map[int64]*Funnel, len(ids))
	var asRows []int64
	for _, id := range ids {
		m, err := queryMessage(ctx, s.db, id)
		if err != nil {
			return nil, err
		}
		if m == nil || m.App != app || m.Kind != kindPush || found[id] != nil {
			continue
		}
		push, err := m.decoded()
		if err != nil {
			return nil, err
		}
		f := newFunnel(id)
		f.AcceptedAt, f.Notification, f.InApp, f.Live = m.AcceptedAt, push.HasNotification, push.InApp, push.LiveActivity() != nil
		if f.ByChannel, err = s.byChannel(ctx, m); err != nil {
			return nil, err
		}
		found[id] = f
		if !m.Wide {
			asRows = append(asRows, id)
			continue
		}
		w, err := s.wideOf(ctx, id)
		if err != nil {
			return nil, err
		}
		w.mu.RLock()
		f.ByPlatform = w.counts()
		w.mu.RUnlock()
	}
	if len(asRows) > 0 {
		counts, err := queryRowCounts(ctx, s.db, app, asRows)
		if err != nil {
			return nil, err
		}
		for _, c := range counts {
			found[c.msg].ByPlatform[c.platform] = c.counts
		}
	}
	out := make([]Funnel, 0, len(found))
	for _, id := range ids {
		f := found[id]
		if f == nil || slices.ContainsFunc(out, func(o Funnel) bool { return o.Msg == id }) {
			continue
		}
		for _, c := range f.ByPlatform {
			f.Total.add(c)
		}
		out = append(out, *f)
	}
	return out, nil
}

// TargetStatus is what became of a message on one device.
type TargetStatus uint8

// Statuses, numbered as the vendor's status call answers them.
const (
	StatusDelivered TargetStatus = iota
	StatusNotDelivered
	StatusUnknownDevice
	StatusNotTarget
)

// Status tells of each device whether the message reached it. A message that is not of this app has no targets.
func (s *Service) Status(ctx context.Context, app, msg int64, ordinals []uint32) (map[uint32]TargetStatus, error) {
	out := make(map[uint32]TargetStatus, len(ordinals))
	for _, o := range ordinals {
		out[o] = StatusNotTarget
	}
	m, err := queryMessage(ctx, s.db, msg)
	if err != nil || m == nil || m.App != app || m.Kind != kindPush || len(ordinals) == 0 {
		return out, err
	}
	if m.Wide {
		w, err := s.wideOf(ctx, msg)
		if err != nil {
			return nil, err
		}
		w.mu.RLock()
		defer w.mu.RUnlock()
		for _, o := range ordinals {
			if w.all.Contains(o) {
				out[o] = statusOf(w.sets[stageDelivered].Contains(o))
			}
		}
		return out, nil
	}
	delivered, err := queryDelivered(ctx, s.db, msg, ordinals)
	if err != nil {
		return nil, err
	}
	for o, yes := range delivered {
		out[o] = statusOf(yes)
	}
	return out, nil
}

func statusOf(delivered bool) TargetStatus {
	if delivered {
		return StatusDelivered
	}
	return StatusNotDelivered
}
