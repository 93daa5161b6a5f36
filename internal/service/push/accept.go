package push

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
	"borealis/internal/service/push/pushevent"
)

const (
	// cidLife is how long an idempotency key answers with its first result.
	cidLife = 24 * time.Hour
	// overrideLife is how old a message may be that another one replaces.
	overrideLife = 24 * time.Hour
	// acceptTimeout is well below rescanSlack: a message is committed soon after the time it carries, or not at all.
	acceptTimeout = rescanSlack / 2
	// maxWide bounds the live wide messages of an app: each of them is looked at when a device connects.
	maxWide = 1000
)

// Accepted is the answer to a push.
type Accepted struct {
	Msg    int64
	SendNo int64
}

// targets are the devices of a message: few as a list, many as sets.
type targets struct {
	few  []audience.Target
	many map[audience.Platform]*roaring.Bitmap
}

func (t *targets) count() (n int64) {
	for _, set := range t.many {
		n += int64(set.GetCardinality())
	}
	return n + int64(len(t.few))
}

// Parse reads a push object under the rules of the app. The error is a *compat.Error.
func (s *Service) Parse(app *gate.App, body []byte) (*payload.Push, error) {
	return payload.Parse(body, payload.Rules{
		StrictKeys: app.Settings.StrictKeys, AppKey: app.Key,
		MaxTTL: time.Duration(app.Settings.MaxTTL) * time.Second, DefaultTTL: time.Duration(app.Settings.DefaultTTL) * time.Second,
	})
}

// Accept takes a push: it finds the targets and commits message, targets, cid and event in one transaction before it
// returns, then hands the message to the edges. Refusals are *compat.Error with the vendor's code.
func (s *Service) Accept(ctx context.Context, app *gate.App, p *payload.Push) (Accepted, error) {
	ctx, cancel := context.WithTimeout(ctx, acceptTimeout)
	defer cancel()
	now := clock.Millis(s.clock.Now())
	if p.CID != "" {
		if first, err := queryCID(ctx, s.db, app.ID, p.CID, now); err != nil {
			return Accepted{}, err
		} else if first != nil {
			return Accepted{first.msg, first.sendNo}, nil
		}
	}
	m, t, err := s.prepare(ctx, app, p, now)
	if err != nil {
		return Accepted{}, err
	}
	err = s.db.InTxUrgent(ctx, func(ctx context.Context, tx *db.Tx) error { return s.store(ctx, tx, m, t, p.CID) })
	if errors.Is(err, errCIDTaken) {
		first, err := queryCID(ctx, s.db, app.ID, p.CID, now)
		if err == nil && first == nil {
			err = errors.New("push: cid neither free nor taken")
		}
		if err != nil {
			return Accepted{}, err
		}
		return Accepted{first.msg, first.sendNo}, nil
	}
	if err != nil {
		return Accepted{}, err
	}
	s.metrics.accepted.Inc()
	// From here the message is safe; what goes wrong below is made good by the owner's rescan.
	if err := s.release(m, t); err != nil {
		s.log.Warn("message not handed to the edges; the owner will", "message", m.ID, "err", err)
	}
	return Accepted{m.ID, m.SendNo}, nil
}

// Validate does everything Accept does, short of keeping and sending.
func (s *Service) Validate(ctx context.Context, app *gate.App, p *payload.Push) (Accepted, error) {
	m, _, err := s.prepare(ctx, app, p, clock.Millis(s.clock.Now()))
	if err != nil {
		return Accepted{}, err
	}
	return Accepted{m.ID, m.SendNo}, nil
}

// prepare builds the message and finds its targets.
func (s *Service) prepare(ctx context.Context, app *gate.App, p *payload.Push, now int64) (*message, *targets, error) {
	msg, err := s.ids.Next(ctx)
	if err != nil {
		return nil, nil, err
	}
	m := &message{
		ID: msg, App: app.ID, SendNo: p.Options.SendNo, Override: p.Options.OverrideID, Raw: p.Raw, push: p,
		Everybody: p.Audience.All, AcceptedAt: now, ExpiresAt: now + p.Options.TTL.Milliseconds(),
	}
	if p.Options.TTL == 0 {
		m.OnlineOnly, m.ExpiresAt = true, now+onlineGrace.Milliseconds()
	}
	if err := s.checkOverride(ctx, m); err != nil {
		return nil, nil, err
	}
	if err := s.checkBroadcasts(ctx, app, m); err != nil {
		return nil, nil, err
	}
	t, err := s.target(ctx, app, m, p)
	if err != nil {
		return nil, nil, err
	}
	if m.Targets = t.count(); m.Targets == 0 {
		return nil, nil, compat.Errorf(400, 1011, "cannot find user by this audience")
	}
	if m.Wide = t.many != nil; m.Wide {
		n, err := countWide(ctx, s.db, app.ID)
		if err != nil {
			return nil, nil, fmt.Errorf("push: count live messages: %w", err)
		}
		if n >= maxWide {
			return nil, nil, compat.Errorf(400, 1012, "%d messages to more than %d devices each are still alive", n, s.maxRows)
		}
	}
	return m, t, nil
}

func (s *Service) checkOverride(ctx context.Context, m *message) error {
	if m.Override == 0 {
		return nil
	}
	old, err := queryMessage(ctx, s.db, m.Override)
	if err != nil {
		return err
	}
	if old == nil || old.App != m.App || old.AcceptedAt < m.AcceptedAt-overrideLife.Milliseconds() {
		return compat.Errorf(400, 1003, "options: the override id names no push of this app within the last day")
	}
	return nil
}

func (s *Service) checkBroadcasts(ctx context.Context, app *gate.App, m *message) error {
	limit := app.Settings.BroadcastCap
	if !m.Everybody || limit == 0 {
		return nil
	}
	y, month, day := clock.FromMillis(m.AcceptedAt).In(s.zone).Date()
	n, err := countBroadcasts(ctx, s.db, m.App, clock.Millis(time.Date(y, month, day, 0, 0, 0, 0, s.zone)))
	if err != nil {
		return fmt.Errorf("push: count broadcasts: %w", err)
	}
	if n >= limit {
		return compat.Errorf(403, 2008, "the app has used its %d pushes to everybody of this day", limit)
	}
	return nil
}

// target evaluates the audience and drops devices of platforms for which the push has no content.
func (s *Service) target(ctx context.Context, app *gate.App, m *message, p *payload.Push) (*targets, error) {
	a := p.Audience
	devices := len(a.Tag) + len(a.TagAnd) + len(a.TagNot) + len(a.Alias) + len(a.RegistrationID)
	if len(a.Segment) > 0 || len(a.ABTest) > 0 || a.LiveActivityID != "" || a.FileID != "" || !a.All && devices == 0 {
		// Nothing of the kind exists yet, so nobody matches it.
		return &targets{}, nil
	}
	if err := s.audience.Sync(ctx, app.ID); err != nil {
		return nil, fmt.Errorf("push: audience: %w", err)
	}
	expr := audience.Expr{All: a.All, Tag: a.Tag, TagAnd: a.TagAnd, TagNot: a.TagNot, Alias: a.Alias, Platforms: p.Platforms}
	if len(a.RegistrationID) > 0 {
		// Unknown ids match nobody; a malformed single one is the caller's mistake.
		ordinals, unknown := s.devices.Resolve(app, a.RegistrationID)
		if len(unknown) == 1 && len(a.RegistrationID) == 1 && len(unknown[0]) != deviceid.Len {
			return nil, compat.Errorf(400, 1003, "audience.registration_id: %q is not a registration id", unknown[0])
		}
		expr.Ordinals, expr.HasOrdinals = ordinals, true
	}
	if few, ok := s.audience.EvaluateSmall(app.ID, expr, nil, s.maxRows); ok {
		few, err := withContent(m, few)
		return &targets{few: few}, err
	}
	set, err := s.audience.Evaluate(app.ID, expr)
	if err != nil {
		return nil, fmt.Errorf("push: audience: %w", err)
	}
	return s.split(app.ID, m, set)
}

// split keeps a small set as a list and a large one by platform.
func (s *Service) split(app int64, m *message, set *roaring.Bitmap) (*targets, error) {
	t := &targets{many: make(map[audience.Platform]*roaring.Bitmap)}
	for p, part := range s.audience.SplitPlatforms(app, set) {
		if part.IsEmpty() {
			continue
		}
		frame, err := m.content(p)
		if err != nil {
			return nil, err
		}
		if frame != nil {
			part.RunOptimize()
			t.many[p] = part
		}
	}
	if t.count() > int64(s.maxRows) {
		return t, nil
	}
	few := &targets{}
	for p, part := range t.many {
		for it := part.Iterator(); it.HasNext(); {
			few.few = append(few.few, audience.Target{Ordinal: it.Next(), Platform: p})
		}
	}
	return few, nil
}

func withContent(m *message, few []audience.Target) ([]audience.Target, error) {
	known := make(map[audience.Platform]bool, 2)
	kept := few[:0]
	for _, t := range few {
		has, seen := known[t.Platform]
		if !seen {
			frame, err := m.content(t.Platform)
			if err != nil {
				return nil, err
			}
			has = frame != nil
			known[t.Platform] = has
		}
		if has {
			kept = append(kept, t)
		}
	}
	return kept, nil
}

// store writes everything of an accepted message.
func (s *Service) store(ctx context.Context, tx *db.Tx, m *message, t *targets, cid string) error {
	if cid != "" {
		if err := insertCID(ctx, tx, m, cid, m.AcceptedAt+cidLife.Milliseconds()); err != nil {
			return err
		}
	}
	if err := insertMessage(ctx, tx, m); err != nil {
		return err
	}
	if err := insertTargets(ctx, tx, m, t.few); err != nil {
		return err
	}
	for p := range audience.AllPlatforms.Each {
		if set := t.many[p]; set != nil {
			if err := storeSet(ctx, tx, m.ID, stageTarget, p, set, chunks(set)); err != nil {
				return err
			}
		}
	}
	if m.Override != 0 && !m.Wide {
		n, err := replaceRows(ctx, tx, m.Override, m.ID)
		if err != nil {
			return err
		}
		if n > 0 {
			err = s.outbox.Publish(ctx, tx, pushevent.TopicProgress, pushevent.Progress{App: m.App, At: m.AcceptedAt, Failed: n})
		}
		if err != nil {
			return err
		}
	}
	return s.outbox.Publish(ctx, tx, pushevent.TopicAccepted, pushevent.Accepted{App: m.App, Msg: m.ID, Targets: m.Targets, At: m.AcceptedAt})
}

// notice is what the owner of the partition learns of a new message.
type notice struct {
	App      int64    `cbor:"1,keyasint"`
	Msg      int64    `cbor:"2,keyasint"`
	Wide     bool     `cbor:"3,keyasint"`
	Ordinals []uint32 `cbor:"4,keyasint,omitempty"`
	Expires  int64    `cbor:"5,keyasint"`
	Override int64    `cbor:"6,keyasint,omitempty"`
}

// subjectAccepted is where the owner of the app's partition listens for notices.
func subjectAccepted(app int64) string {
	return fmt.Sprintf("push.accepted.%d", edgewire.Partition(app))
}
