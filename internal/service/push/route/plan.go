package route

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/payload"
)

const (
	// maxPart is the most devices of a part: no vendor takes more in one call.
	maxPart = 1000
	// chunkSize is how many ordinals are planned at a time.
	chunkSize = 1 << 16
	// messagesAtOnce is how many messages of an app are planned in a turn.
	messagesAtOnce = 50
	// partsPerTx keeps transactions short.
	partsPerTx = 50
	// dueGrain joins the devices of a paced message whose turns come about the same time.
	dueGrain = 15 * time.Second
)

// whys: how devices came to a channel.
const (
	whyFirst   = "preferred"
	whyOffline = "offline"
	whySilent  = "unacknowledged"
	whySMS     = "sms"
	// whyAfter is followed by the channel before.
	whyAfter = "after "
)

// Wants says whether channels may carry a push, and whether our own connections are to hold back until they could not.
// The refusal of a push for vendors alone of which one has no quota left is ErrQuota.
func (s *Service) Wants(ctx context.Context, app *gate.App, p *payload.Push) (wants, held bool, err error) {
	facts, err := s.channels.of(ctx, s, app.ID)
	if err != nil || len(facts) == 0 || p.Options.TTL == 0 {
		return false, false, err // a push for devices that are connected now is for those alone
	}
	pol := policyOf(p, app.Settings.VendorDistribution)
	now := s.now()
	for _, f := range facts {
		if pol.vendors[f.name].Distribution == only && f.quotaUntil > now {
			return false, false, &QuotaError{f.name}
		}
	}
	configured := names(facts)
	wants = slices.ContainsFunc(configured, func(n wire.Name) bool { return n != sms && pol.mode(n) != own }) ||
		pol.sms != nil && slices.Contains(configured, sms)
	return wants, wants && pol.before(configured), nil
}

// QuotaError says that a push is for a vendor alone whose quota is used up.
type QuotaError struct{ Channel wire.Name }

// Error makes *QuotaError an error.
func (e *QuotaError) Error() string { return "the quota of " + string(e.Channel) + " is used up" }

// Record notes a message in the transaction that accepts it.
func (s *Service) Record(ctx context.Context, tx *db.Tx, app, msg, acceptedAt, expiresAt int64) error {
	_, err := tx.Exec(ctx, `insert into push_route (msg_id, app_id, state, next_ordinal, accepted_at, expires_at) values ($1, $2, 1, 0, $3, $4)`,
		msg, app, acceptedAt, expiresAt)
	if err != nil {
		return fmt.Errorf("route: record message: %w", err)
	}
	return nil
}

// plan plans messages of an app, and says whether there may be more.
func (s *Service) plan(ctx context.Context, parent Messages, app int64) (more bool, err error) {
	list, err := queryUnplanned(ctx, s.DB, app, messagesAtOnce)
	if err != nil {
		return false, err
	}
	facts := s.Gate.AppByID(app)
	for _, u := range list {
		m, err := parent.Message(ctx, u.msg)
		if err == nil {
			err = s.planMessage(ctx, parent, facts, m, u)
		}
		if err != nil {
			return false, fmt.Errorf("route: plan message %d: %w", u.msg, err)
		}
	}
	if len(list) > 0 {
		s.Wake() // parts may be due
	}
	return len(list) == messagesAtOnce, nil
}

// plan of a message.
type plan struct {
	s          *Service
	app        *gate.App
	m          *Message
	policy     policy
	configured []wire.Name
	held       bool
	now        int64
}

func (s *Service) newPlan(ctx context.Context, app *gate.App, m *Message) (*plan, error) {
	facts, err := s.channels.of(ctx, s, app.ID)
	if err != nil {
		return nil, err
	}
	p := &plan{s: s, app: app, m: m, policy: policyOf(m.Push, app.Settings.VendorDistribution), configured: names(facts), now: s.now()}
	return p, nil
}

func (s *Service) planMessage(ctx context.Context, parent Messages, app *gate.App, m *Message, u unplanned) error {
	end := func(ctx context.Context, tx *db.Tx) error { return updatePlan(ctx, tx, u.msg, planned, u.from) }
	if m == nil || app == nil || m.ExpiresAt <= s.now() {
		if app == nil {
			return s.owned(ctx, u.msg, end)
		}
		return s.owned(ctx, app.ID, end)
	}
	p, err := s.newPlan(ctx, app, m)
	if err != nil {
		return err
	}
	p.held = p.policy.before(p.configured)
	all := roaring.New()
	for _, set := range m.Targets {
		all.Or(set)
	}
	for from := uint64(u.from); ; {
		it := all.Iterator()
		if from < 1<<32 {
			it.AdvanceIfNeeded(uint32(from))
		}
		if from >= 1<<32 || !it.HasNext() {
			return s.owned(ctx, app.ID, end)
		}
		chunk := uint64(it.PeekNext()) / chunkSize
		first, last := max(from, chunk*chunkSize), (chunk+1)*chunkSize-1
		window := roaring.New()
		window.AddRange(first, last+1)
		window.And(all)
		if err := p.chunk(ctx, parent, window, int64(last+1)); err != nil {
			return err
		}
		from = last + 1
	}
}

// partKey is what the devices of a part have in common.
type partKey struct {
	due      int64
	name     wire.Name
	platform audience.Platform
	why      string
}

// chunk plans some of the targets; next is where planning goes on.
func (p *plan) chunk(ctx context.Context, parent Messages, targets *roaring.Bitmap, next int64) error {
	reaches, err := p.reaches(ctx, targets)
	if err != nil {
		return err
	}
	groups := make(map[partKey]*roaring.Bitmap)
	add := func(k partKey, ordinal uint32) {
		if groups[k] == nil {
			groups[k] = roaring.New()
		}
		groups[k].Add(ordinal)
	}
	ours := targets.Clone() // those that our own connections are to reach now
	for ordinal, have := range eachDevice(reaches) {
		if !targets.Contains(ordinal) {
			continue
		}
		candidates := p.policy.candidates(p.configured, have)
		if len(candidates) == 0 {
			continue
		}
		k := p.first(ordinal, candidates)
		if k.why != whySilent { // a connected device that is to get it from us first is not held
			ours.Remove(ordinal)
		}
		add(k, ordinal)
	}
	if p.policy.sms != nil && slices.Contains(p.configured, sms) {
		due := p.m.AcceptedAt + p.policy.sms.Delay.Milliseconds()
		for it := targets.Iterator(); it.HasNext(); {
			o := it.Next()
			add(partKey{due, sms, p.platformOf(o), whySMS}, o)
		}
	}
	if p.held && !ours.IsEmpty() {
		if err := parent.Mark(ctx, p.app.ID, p.m.ID, Returned, ours, p.now); err != nil {
			return err
		}
	}
	return p.store(ctx, groups, next)
}

// live tells whether the message is an event of a live activity. These have tokens of their own, of one vendor.
func (p *plan) live() bool { return p.m != nil && len(p.m.Push.LiveActivity()) > 0 }

// reaches reads the channels of devices.
func (p *plan) reaches(ctx context.Context, targets *roaring.Bitmap) ([]device.Reach, error) {
	if p.live() {
		out := make([]device.Reach, 0, targets.GetCardinality())
		for it := targets.Iterator(); it.HasNext(); {
			out = append(out, device.Reach{Ordinal: it.Next(), Channel: string(wire.APNs)})
		}
		return out, nil
	}
	if targets.GetCardinality() <= maxPart {
		return p.s.Devices.ReachesOf(ctx, p.app.ID, targets.ToArray())
	}
	return p.s.Devices.ReachesBetween(ctx, p.app.ID, targets.Minimum(), targets.Maximum())
}

// eachDevice visits devices with their channels, of a list in order of devices.
func eachDevice(reaches []device.Reach) func(func(uint32, []wire.Name) bool) {
	return func(yield func(uint32, []wire.Name) bool) {
		var have []wire.Name
		for i, r := range reaches {
			have = append(have, wire.Name(r.Channel))
			if i+1 < len(reaches) && reaches[i+1].Ordinal == r.Ordinal {
				continue
			}
			if !yield(r.Ordinal, have) {
				return
			}
			have = have[:0]
		}
	}
}

// first is the part that a device with channels begins in.
func (p *plan) first(ordinal uint32, candidates []wire.Name) partKey {
	k := partKey{due: p.m.ReleasedAt(ordinal), name: candidates[0], platform: p.platformOf(ordinal)}
	if k.due > p.m.AcceptedAt { // paced
		grain := dueGrain.Milliseconds()
		k.due = (k.due + grain - 1) / grain * grain
	}
	switch {
	case p.policy.goesFirst(candidates):
		k.why = whyFirst
	case p.s.Presence.Online(p.app.ID, ordinal):
		k.why = whySilent
		k.due += int64(p.app.Settings.VendorAfter) * time.Second.Milliseconds()
	default:
		k.why = whyOffline
	}
	return k
}

func (p *plan) platformOf(ordinal uint32) audience.Platform {
	for platform, set := range p.m.Targets {
		if set.Contains(ordinal) {
			return platform
		}
	}
	return 0
}

// store writes the parts, the last of them together with the progress: planning goes on from there whatever dies.
func (p *plan) store(ctx context.Context, groups map[partKey]*roaring.Bitmap, next int64) error {
	keys := make([]partKey, 0, len(groups))
	for k := range groups {
		keys = append(keys, k)
	}
	slices.SortFunc(keys, func(a, b partKey) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.name, b.name), cmp.Compare(a.platform, b.platform), cmp.Compare(a.why, b.why))
	})
	var parts []*part
	for _, k := range keys {
		list, err := p.s.newParts(ctx, p.m, k, p.now, groups[k])
		if err != nil {
			return err
		}
		parts = append(parts, list...)
	}
	for {
		batch := parts[:min(len(parts), partsPerTx)]
		parts = parts[len(batch):]
		err := p.s.owned(ctx, p.app.ID, func(ctx context.Context, tx *db.Tx) error {
			if err := insertParts(ctx, tx, batch); err != nil || len(parts) > 0 {
				return err
			}
			return updatePlan(ctx, tx, p.m.ID, planning, next)
		})
		if err != nil || len(parts) == 0 {
			return err
		}
	}
}

// newParts divides devices into parts.
func (s *Service) newParts(ctx context.Context, m *Message, k partKey, now int64, devices *roaring.Bitmap) ([]*part, error) {
	var out []*part
	for ordinals := devices.ToArray(); len(ordinals) > 0; {
		n := min(len(ordinals), maxPart)
		id, err := s.IDs.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("route: number a part: %w", err)
		}
		out = append(out, &part{id: id, msg: m.ID, app: m.App, name: k.name, platform: k.platform, why: k.why, state: waiting,
			dueAt: k.due, expiresAt: m.ExpiresAt, createdAt: now, devices: roaring.BitmapOf(ordinals[:n]...)})
		ordinals = ordinals[n:]
	}
	return out, nil
}
