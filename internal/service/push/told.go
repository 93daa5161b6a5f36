package push

import (
	"cmp"
	"context"
	"maps"
	"slices"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/callback"
	"borealis/internal/service/push/pushevent"
)

// channelOwn is the name of our own channel in receipts, as the vendor names its own.
const channelOwn = "jpush"

// told gathers what callers want to hear of messages (callbacks), to be recorded in the transaction of the facts.
type told struct {
	service *Service
	records []callback.Record
}

func (s *Service) told() *told { return &told{service: s} }

// wanted says whether anybody may want to hear of a message.
func (s *Service) wanted(app int64, ofPush bool) bool {
	a := s.gate.AppByID(app)
	return a != nil && (ofPush || a.Settings.CallbackURL != "")
}

// accepted tells of an accepted push.
func (t *told) accepted(m *message) error {
	if m.Kind != kindPush || !t.service.wanted(m.App, m.Callback) {
		return nil
	}
	return t.add(m, callback.Record{Kind: callback.Accepted, At: m.AcceptedAt})
}

// reached tells of devices that newly reached a stage of a message.
func (t *told) reached(m *message, s stage, ordinals []uint32, at int64, channel string) error {
	r := callback.Record{At: at, Channel: cmp.Or(channel, channelOwn)}
	switch {
	case len(ordinals) == 0 || m.Kind != kindPush:
		return nil
	case s == stageDelivered:
		r.Kind = callback.Delivered
	case s == stageClicked:
		r.Kind = callback.Clicked
	case s == failed(VendorAccepted):
		return nil // no failure; what the vendor tells follows
	case s >= stageFailed:
		r.Kind, r.Reason, r.Channel = callback.NotDelivered, Outcome(s-stageFailed).String(), ""
	default:
		return nil
	}
	byPlatform := make(map[audience.Platform][]uint32, 1)
	for _, o := range ordinals {
		p, _ := t.service.audience.PlatformOf(m.App, o)
		byPlatform[p] = append(byPlatform[p], o)
	}
	for _, p := range slices.Sorted(maps.Keys(byPlatform)) {
		r.Platform, r.Ordinals = p, byPlatform[p]
		if err := t.add(m, r); err != nil {
			return err
		}
	}
	return nil
}

// rows marks target rows and tells of those that are new, if m, the message, is wanted.
func (t *told) rows(ctx context.Context, tx *db.Tx, app int64, mk *mark, progress *pushevent.Progress, m *message) error {
	if m == nil {
		return applyRows(ctx, tx, app, mk, progress, nil)
	}
	fresh := make(map[stage][]uint32)
	if err := applyRows(ctx, tx, app, mk, progress, func(s stage, o uint32) { fresh[s] = append(fresh[s], o) }); err != nil {
		return err
	}
	for _, s := range mk.stage.implies() {
		if err := t.reached(m, s, fresh[s], mk.at, mk.channel); err != nil {
			return err
		}
	}
	return nil
}

// sets tells of what changed in the sets of a wide message, if it is wanted.
func (t *told) sets(changes []applied, mk *mark, m *message) error {
	if m == nil {
		return nil
	}
	for _, c := range changes {
		if err := t.reached(m, c.stage, c.fresh.ToArray(), mk.at, mk.channel); err != nil {
			return err
		}
	}
	return nil
}

// ended is reached for rows that ended without delivery.
func (t *told) ended(m *message, as Outcome, ordinals []uint32, at int64) error {
	if !t.service.wanted(m.App, m.Callback) {
		return nil
	}
	return t.reached(m, failed(as), ordinals, at, "")
}

func (t *told) add(m *message, r callback.Record) error {
	push, err := m.decoded()
	if err != nil {
		return err
	}
	r.App, r.Msg, r.SendNo = m.App, m.ID, m.SendNo
	if c := push.Callback; c != nil {
		r.URL, r.Params, r.Mask = c.URL, c.Params, c.Type
	}
	t.records = append(t.records, r)
	return nil
}

func (t *told) record(ctx context.Context, tx *db.Tx) error {
	if len(t.records) == 0 {
		return nil
	}
	return t.service.callbacks.Record(ctx, tx, t.records...)
}

// wantedOf finds the messages among those the merges mark of which somebody wants to hear.
func (s *Service) wantedOf(ctx context.Context, merges []*merge, wides map[int64]*wide) (map[int64]*message, error) {
	out := make(map[int64]*message)
	for _, m := range merges {
		for i := range m.marks {
			id := m.marks[i].msg
			if _, seen := out[id]; seen || m.marks[i].stage == stageSent {
				continue
			}
			if w := wides[id]; w != nil {
				if s.wanted(w.App, w.Callback) {
					out[id] = &w.message
				}
				continue
			}
			known, _ := s.rows.get(id)
			if !s.wanted(m.app, known.callback) {
				continue
			}
			found, err := queryMessage(ctx, s.db, id)
			if err != nil {
				return nil, err
			}
			if found != nil && found.App == m.app {
				out[id] = found
			}
		}
	}
	return out, nil
}
