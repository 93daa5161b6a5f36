package push

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/route"
)

// channelConnection is the name of our own connections in traces.
const channelConnection = "connection"

// detailAway says why a message waits.
const detailAway = "the device is not connected"

// TraceEvent is one thing that happened with a message for a device.
type TraceEvent struct {
	// At is Unix milliseconds; of what is to come, when it is due; 0 if the time is not known: of messages to many only the fact is kept.
	At int64 `json:"at"`
	// Channel is "connection", a vendor's, "sms", or empty for what concerns all, or may have come by several.
	Channel string `json:"channel,omitempty"`
	// What happened: accepted, not a target, routed, due, claimed, an answer of a vendor, held, sent, delivered, displayed, clicked, or how it ended.
	What   string `json:"what"`
	Code   string `json:"code,omitempty"`
	Detail string `json:"detail,omitempty"`
	// VendorID is the vendor's id of the message.
	VendorID string `json:"vendor_id,omitempty"`
}

// Trace answers why a device got a message or did not: everything that is known, in order of time. It is empty if the app
// has no such message.
func (s *Service) Trace(ctx context.Context, app, msg int64, ordinal uint32) ([]TraceEvent, error) {
	m, err := queryMessage(ctx, s.db, msg)
	if err != nil || m == nil || m.App != app || m.Kind != kindPush {
		return nil, err
	}
	accepted := TraceEvent{At: m.AcceptedAt, What: "accepted"}
	own, err := s.traceOwn(ctx, m, ordinal)
	if err != nil {
		return nil, err
	}
	if own == nil {
		return []TraceEvent{accepted, {At: m.AcceptedAt, What: "not a target", Detail: "the audience did not contain the device, or the push has nothing for its platform"}}, nil
	}
	routes, err := s.parts.route.Trace(ctx, app, msg, ordinal)
	if err != nil {
		return nil, err
	}
	if last := len(own) - 1; len(routes) == 0 && last >= 0 && own[last].Detail == detailAway {
		own[last].Detail += "; no vendor is asked: the device has no token of one for which the app has credentials, or the push goes over our own connections alone"
	}
	out := []TraceEvent{accepted}
	for _, e := range routes {
		out = append(out, TraceEvent{At: e.At, Channel: string(e.Channel), What: e.What, Code: e.Code, Detail: e.Detail, VendorID: e.VendorID})
	}
	out = append(out, broughtBy(routes, own)...)
	if m.WithdrawnAt > 0 {
		out = append(out, TraceEvent{At: m.WithdrawnAt, What: "withdrawn by its sender"})
	}
	slices.SortStableFunc(out, func(a, b TraceEvent) int {
		switch { // what has no time stays at the end
		case a.At == 0 || b.At == 0 || a.At == b.At:
			return 0
		case a.At < b.At:
			return -1
		}
		return 1
	})
	return out, nil
}

// broughtBy names who brought the message to the device in what happened there. If a vendor accepted it, a receipt of the vendor or of the SDK
// says so, and our own connection did not send it, except before the vendor was asked because the device kept silent.
func broughtBy(routes []route.Event, own []TraceEvent) []TraceEvent {
	var (
		vendor string
		at     int64
		silent bool
	)
	for _, e := range routes {
		switch {
		case e.What == "routed":
			silent = silent || e.Detail == route.Unacknowledged
		case e.What == wire.Accepted.String() && e.Channel != "sms":
			vendor, at = string(e.Channel), e.At
		}
	}
	if vendor == "" {
		return own
	}
	out := make([]TraceEvent, 0, len(own))
	for _, e := range own {
		switch {
		case silent && (e.What == "sent" || e.At > 0 && e.At < at):
		case silent:
			e.Channel = "" // either may have been the first
		case e.What == "sent":
			continue // the vendor's answer says it
		default:
			e.Channel = vendor
		}
		out = append(out, e)
	}
	return out
}

// traceOwn is what our own connections did; nil if the device is no target.
func (s *Service) traceOwn(ctx context.Context, m *message, ordinal uint32) ([]TraceEvent, error) {
	look := s.traceRow
	if m.Wide {
		look = s.traceWide
	}
	p, err := look(ctx, m, ordinal)
	if err != nil || p == nil {
		return nil, err
	}
	out := []TraceEvent{}
	for i, what := range []string{"sent", "delivered", "displayed", "clicked"} {
		if p.reached[i] {
			out = append(out, TraceEvent{At: p.at[i], Channel: channelConnection, What: what})
		}
	}
	return append(out, s.traceEnd(m, ordinal, p.outcome, p.held)...), nil
}

// traced is a message and a device, as stored: which stages were reached, when (0: not known), and how it ended.
type traced struct {
	reached [4]bool
	at      [4]int64
	outcome Outcome
	held    bool
}

func (s *Service) traceWide(ctx context.Context, m *message, ordinal uint32) (*traced, error) {
	w, err := s.wideOf(ctx, m.ID)
	if err != nil || w == nil {
		return nil, err
	}
	w.mu.RLock()
	defer w.mu.RUnlock()
	if !w.all.Contains(ordinal) {
		return nil, nil
	}
	p := &traced{held: w.held(ordinal)}
	for i := range p.reached {
		p.reached[i] = w.sets[stageSent+stage(i)].Contains(ordinal)
	}
	for o := VendorAccepted; o < outcomeEnd; o++ {
		if w.sets[failed(o)].Contains(ordinal) {
			p.outcome = o
		}
	}
	if w.sets[stageDelivered].Contains(ordinal) {
		p.outcome = Delivered
	}
	return p, nil
}

func (s *Service) traceRow(ctx context.Context, m *message, ordinal uint32) (*traced, error) {
	var (
		p    traced
		held int64
	)
	err := s.db.QueryRow(ctx, `select settled, held, sent_at, delivered_at, displayed_at, clicked_at from push_target
		where msg_id = $1 and ordinal = $2`, m.ID, int64(ordinal)).Scan(&p.outcome, &held, &p.at[0], &p.at[1], &p.at[2], &p.at[3])
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("push: trace: %w", err)
	}
	p.held = held == 1
	for i, at := range p.at {
		p.reached[i] = at > 0
	}
	return &p, nil
}

// traceEnd says where a pair of message and device stands.
func (s *Service) traceEnd(m *message, ordinal uint32, outcome Outcome, held bool) []TraceEvent {
	now := clock.Millis(s.clock.Now())
	switch {
	case outcome == Delivered, outcome == VendorAccepted:
		return nil // the events before say it
	case outcome != Owed:
		return []TraceEvent{{What: "ended", Code: outcome.String()}}
	case held:
		return []TraceEvent{{Channel: channelConnection, What: "held", Detail: "a vendor's channel is to reach the device"}}
	case m.Pace > 0 && m.pace().at(ordinal) > now:
		return []TraceEvent{{At: m.pace().at(ordinal), Channel: channelConnection, What: "due", Detail: "the push is paced"}}
	case s.presence.Online(m.App, ordinal):
		return []TraceEvent{{Channel: channelConnection, What: "waiting", Detail: "the device is connected and has not acknowledged"}}
	}
	return []TraceEvent{{Channel: channelConnection, What: "waiting", Detail: detailAway}}
}

// ByChannel counts the answers of channels about a message.
func (s *Service) ByChannel(ctx context.Context, app, msg int64) ([]route.Tally, error) {
	return s.parts.route.Tallies(ctx, app, msg)
}
