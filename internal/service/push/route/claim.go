package route

import (
	"context"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// task is a part that is being sent.
type task struct {
	*plan
	parent Messages
	part   *part
	fact   channelFact
	// quota of the day, nil if the message or the vendor counts none.
	quota *quota
	// ordinals, tokens, broughtAt and outcomes belong together. numbers are those of SMS.
	ordinals []uint32
	tokens   []wire.Token
	// broughtAt is when the device brought its token, Unix milliseconds.
	broughtAt []int64
	numbers   []string
	outcomes  []wire.Outcome
	// root is the id under which the vendor knows a message that is taken back.
	root int64
}

// beside tells whether a part neither holds devices nor ends anything for them.
func (p *part) beside() bool { return p.name == sms || p.why == whyWithdraw }

// claim takes a part up: it leaves out who is no longer owed the message or has got too many today, and holds the others. It returns nil if
// nobody is left.
func (s *Service) claim(ctx context.Context, parent Messages, p *part, fact channelFact) (*task, error) {
	app := s.Gate.AppByID(p.app)
	switch {
	case app == nil, app.State == gate.Deleted, p.expiresAt <= s.now():
		return nil, s.close(ctx, p)
	case p.why == whyWithdraw:
		return s.claimRetraction(ctx, parent, p, fact)
	case p.name == sms && p.state == claimed:
		return nil, s.giveUp(ctx, p)
	}
	m, err := parent.Message(ctx, p.msg)
	if err != nil {
		return nil, err
	}
	if m == nil {
		return nil, s.close(ctx, p)
	}
	pl, err := s.newPlan(ctx, app, m)
	if err != nil {
		return nil, err
	}
	t := &task{plan: pl, parent: parent, part: p, fact: fact}
	if err := t.prepare(ctx); err != nil {
		if t.quota != nil {
			s.forgetQuota(p.app, p.name)
		}
		return nil, err
	}
	if p.devices.IsEmpty() {
		return nil, nil
	}
	return t, nil
}

// prepare finds who is left to be reached and how, counts them, and writes the claim.
func (t *task) prepare(ctx context.Context) (err error) {
	p := t.part
	if p.name != sms || t.policy.sms == nil || t.policy.sms.Delay > 0 {
		if p.devices, err = t.parent.Left(ctx, p.app, p.msg, p.devices); err != nil {
			return err
		}
	}
	over, err := t.count(ctx)
	if err != nil {
		return err
	}
	if err := t.address(ctx); err != nil {
		return err
	}
	return t.take(ctx, over)
}

// giveUp ends a part of SMS whose call was under way when something broke: it may have reached people, and nobody wants to read it twice.
func (s *Service) giveUp(ctx context.Context, p *part) error {
	r := &result{
		part: p.id, msg: p.msg, name: p.name, status: wire.Unknown, code: "interrupted", reason: "what the provider answered was not kept",
		at: s.now(), devices: p.devices.Clone(),
	}
	p.devices, p.state = roaring.New(), done
	return s.owned(ctx, p.app, func(ctx context.Context, tx *db.Tx) error {
		if err := updatePart(ctx, tx, p); err != nil {
			return err
		}
		return insertResults(ctx, tx, p.app, p.id, []*result{r})
	})
}

// count reserves the day's count of each device and takes those off the part whose number is used up.
func (t *task) count(ctx context.Context) (over *roaring.Bitmap, err error) {
	over = roaring.New()
	limit := t.s.marketing(t.fact)
	if limit == 0 || t.part.name == sms || t.policy.class(t.part.name) != wire.Marketing {
		return over, nil
	}
	if t.quota, err = t.s.quotaOf(ctx, t.app.ID, t.part.name); err != nil {
		return nil, err
	}
	if t.part.state == claimed {
		return over, nil // counted when it was claimed
	}
	over = t.quota.over(t.part.devices, limit)
	t.part.devices.AndNot(over)
	t.quota.take(t.part.devices)
	return over, nil
}

// marketing is how many messages of that class a device may get on a day; 0: any number.
func (s *Service) marketing(f channelFact) int {
	if f.marketing > 0 {
		return f.marketing
	}
	if v := s.Dispatcher.Vendor(f.name); v != nil {
		return min(v.Traits().Marketing, maxLevels)
	}
	return 0
}

// codeDaily is the code of results that we counted ourselves.
const codeDaily = "daily"

// take writes the claim, and moves on the devices that are over the day's number.
func (t *task) take(ctx context.Context, over *roaring.Bitmap) error {
	p := t.part
	p.tries++
	if p.state = claimed; p.devices.IsEmpty() {
		p.state = done
	}
	var results []*result
	if !over.IsEmpty() {
		results = append(results, &result{part: p.id, msg: p.msg, name: p.name, status: wire.Quota, code: codeDaily,
			reason: "the device has got its messages of class marketing of the day", at: t.now, devices: over})
	}
	moved, err := t.next(ctx, over)
	if err != nil {
		return err
	}
	if err := t.mark(ctx, &moved); err != nil {
		return err
	}
	err = t.s.owned(ctx, p.app, func(ctx context.Context, tx *db.Tx) error {
		if err := updatePart(ctx, tx, p); err != nil {
			return err
		}
		if err := insertResults(ctx, tx, p.app, p.id, results); err != nil {
			return err
		}
		if err := insertParts(ctx, tx, moved.parts); err != nil {
			return err
		}
		if t.quota == nil || p.devices.IsEmpty() {
			return nil
		}
		return t.quota.store(ctx, tx, p.app, p.name, p.devices)
	})
	if err != nil || p.name == sms || p.devices.IsEmpty() {
		return err
	}
	return t.parent.Mark(ctx, p.app, p.msg, Held, p.devices, t.now)
}

// address finds the tokens, or numbers, of the devices. Those without one have no place in ordinals.
func (t *task) address(ctx context.Context) error {
	p := t.part
	if p.name == sms {
		numbers, err := t.s.Devices.MobilesOf(ctx, p.app, p.devices.ToArray())
		if err != nil {
			return err
		}
		for it := p.devices.Iterator(); it.HasNext(); {
			if o := it.Next(); numbers[o] != "" {
				t.ordinals, t.numbers = append(t.ordinals, o), append(t.numbers, numbers[o])
			}
		}
		return nil
	}
	tokens, err := t.deviceTokens(ctx)
	if err != nil {
		return err
	}
	t.use(tokens)
	return nil
}

// use sends to tokens.
func (t *task) use(tokens []device.DeviceToken) {
	for _, d := range tokens {
		t.ordinals, t.broughtAt = append(t.ordinals, d.Ordinal), append(t.broughtAt, d.UpdatedAt)
		t.tokens = append(t.tokens, wire.Token{Value: d.Token.Token, Sandbox: d.Sandbox()})
	}
}

// close ends a part without a word: its message has ended.
func (s *Service) close(ctx context.Context, p *part) error {
	p.state = done
	return s.owned(ctx, p.app, func(ctx context.Context, tx *db.Tx) error { return updatePart(ctx, tx, p) })
}

// moves are what becomes of devices that a channel did not reach.
type moves struct {
	parts    []*part
	returned *roaring.Bitmap
	lost     *roaring.Bitmap
}

// next finds for devices the channel after this one.
func (t *task) next(ctx context.Context, devices *roaring.Bitmap) (moves, error) {
	out := moves{returned: roaring.New(), lost: roaring.New()}
	if devices.IsEmpty() || t.part.beside() {
		return out, nil
	}
	reaches, err := t.s.Devices.ReachesOf(ctx, t.app.ID, devices.ToArray())
	if err != nil {
		return out, err
	}
	groups := make(map[wire.Name]*roaring.Bitmap)
	rest := devices.Clone()
	for ordinal, have := range eachDevice(reaches) {
		if later := t.policy.after(t.part.name, t.configured, have); len(later) > 0 {
			if groups[later[0]] == nil {
				groups[later[0]] = roaring.New()
			}
			groups[later[0]].Add(ordinal)
			rest.Remove(ordinal)
		}
	}
	for _, name := range order {
		if groups[name] == nil {
			continue
		}
		key := partKey{due: t.s.now(), name: name, platform: t.part.platform, why: whyAfter + string(t.part.name)}
		parts, err := t.s.newParts(ctx, t.partOf(key), groups[name])
		if err != nil {
			return out, err
		}
		out.parts = append(out.parts, parts...)
	}
	if t.policy.mode(t.part.name) == only {
		out.lost = rest
	} else {
		out.returned = rest
	}
	return out, nil
}

// mark tells the push service of devices that have no channel left.
func (t *task) mark(ctx context.Context, m *moves) error {
	for step, set := range map[Step]*roaring.Bitmap{Returned: m.returned, Unreachable: m.lost} {
		if set.IsEmpty() {
			continue
		}
		if err := t.parent.Mark(ctx, t.app.ID, t.m.ID, step, set, t.s.now()); err != nil {
			return fmt.Errorf("route: mark devices of message %d: %w", t.m.ID, err)
		}
	}
	return nil
}

// deviceTokens are the tokens of the part's devices: those of a live activity for its events.
func (t *task) deviceTokens(ctx context.Context) ([]device.DeviceToken, error) {
	p, push := t.part, t.m.Push
	if live := push.Audience.LiveActivityID; live != "" && p.name == wire.APNs {
		return t.s.Devices.LiveTokens(ctx, p.app, live, p.devices.ToArray())
	}
	if kind := attributesType(push); kind != "" && p.name == wire.APNs {
		return t.s.Devices.StartTokens(ctx, p.app, kind, p.devices.ToArray())
	}
	return t.s.Devices.TokensOf(ctx, p.app, string(p.name), p.devices.ToArray())
}
