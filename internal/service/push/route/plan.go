package route

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
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
	// partsPerTx keeps transactions short: what would make more parts is planned in halves.
	partsPerTx = 200
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

// plan plans messages of an app, and says whether there may be more. One that cannot be planned does not hold up the others.
func (s *Service) plan(ctx context.Context, parent Messages, app int64) (more bool, err error) {
	list, err := queryUnplanned(ctx, s.DB, app, messagesAtOnce)
	if err != nil {
		return false, err
	}
	var errs []error
	for _, u := range list {
		work := s.planMessage
		if u.state == retracting {
			work = s.planRetraction
		}
		if err := work(ctx, parent, app, u); err != nil && !errors.Is(err, errOvertaken) {
			errs = append(errs, fmt.Errorf("route: plan message %d: %w", u.msg, err))
		}
	}
	return len(list) == messagesAtOnce && len(errs) == 0, errors.Join(errs...)
}

// plan of a message.
type plan struct {
	s          *Service
	app        *gate.App
	m          *Message
	policy     policy
	configured []wire.Name
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

func (s *Service) planMessage(ctx context.Context, parent Messages, app int64, u unplanned) error {
	end := func(ctx context.Context, tx *db.Tx) error {
		return updatePlan(ctx, tx, u.msg, planning, planned, u.next)
	}
	facts := s.Gate.AppByID(app)
	if u.expiresAt <= s.now() || facts == nil || facts.State == gate.Deleted {
		return s.owned(ctx, app, end)
	}
	m, err := parent.Message(ctx, u.msg)
	if err != nil {
		return err
	}
	if m == nil {
		return s.owned(ctx, app, end)
	}
	p, err := s.newPlan(ctx, facts, m)
	if err != nil {
		return err
	}
	all := roaring.New()
	for _, set := range m.Targets {
		all.Or(set)
	}
	for from := uint64(u.next); ; {
		it := all.Iterator()
		if from < 1<<32 {
			it.AdvanceIfNeeded(uint32(from))
		}
		if from >= 1<<32 || !it.HasNext() {
			break
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
	s.Wake() // parts may be due
	return s.owned(ctx, app, end)
}

// partKey is what the devices of a part have in common.
type partKey struct {
	due      int64
	name     wire.Name
	platform audience.Platform
	why      string
}

// chunk plans some of the targets, with all their parts in one transaction: a device is in no part twice, whatever dies. next is where
// planning goes on.
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
	parts, err := p.parts(ctx, groups)
	if err != nil {
		return err
	}
	if n := targets.GetCardinality(); len(parts) > partsPerTx && n > 1 {
		ordinals := targets.ToArray()
		half := ordinals[n/2]
		if err := p.chunk(ctx, parent, roaring.BitmapOf(ordinals[:n/2]...), int64(half)); err != nil {
			return err
		}
		return p.chunk(ctx, parent, roaring.BitmapOf(ordinals[n/2:]...), next)
	}
	if p.m.Held && !ours.IsEmpty() {
		if err := parent.Mark(ctx, p.app.ID, p.m.ID, Returned, ours, p.now); err != nil {
			return err
		}
	}
	return p.s.owned(ctx, p.app.ID, func(ctx context.Context, tx *db.Tx) error {
		if err := insertParts(ctx, tx, parts); err != nil {
			return err
		}
		return updatePlan(ctx, tx, p.m.ID, planning, planning, next)
	})
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

// parts are those of groups of devices, in the order in which they are due.
func (p *plan) parts(ctx context.Context, groups map[partKey]*roaring.Bitmap) ([]*part, error) {
	keys := slices.SortedFunc(maps.Keys(groups), func(a, b partKey) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.name, b.name), cmp.Compare(a.platform, b.platform), cmp.Compare(a.why, b.why))
	})
	var parts []*part
	for _, k := range keys {
		list, err := p.s.newParts(ctx, p.partOf(k), groups[k])
		if err != nil {
			return nil, err
		}
		parts = append(parts, list...)
	}
	return parts, nil
}

// partOf is a part of the message without devices.
func (p *plan) partOf(k partKey) part {
	return part{msg: p.m.ID, app: p.m.App, name: k.name, platform: k.platform, why: k.why, dueAt: k.due, expiresAt: p.m.ExpiresAt, createdAt: p.s.now()}
}

// newParts divides devices into parts that wait, each of them otherwise like the given one.
func (s *Service) newParts(ctx context.Context, like part, devices *roaring.Bitmap) ([]*part, error) {
	var out []*part
	for ordinals := range slices.Chunk(devices.ToArray(), maxPart) {
		id, err := s.IDs.Next(ctx)
		if err != nil {
			return nil, fmt.Errorf("route: number a part: %w", err)
		}
		p := like
		p.id, p.state, p.devices = id, waiting, roaring.BitmapOf(ordinals...)
		out = append(out, &p)
	}
	return out, nil
}
