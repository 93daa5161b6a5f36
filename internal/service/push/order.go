package push

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
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/file"
	"borealis/internal/service/push/payload"
	"borealis/internal/service/push/plan"
	"borealis/internal/service/push/pushevent"
	"borealis/internal/service/push/relay"
)

const (
	// maxWide bounds the live wide messages of an app: each of them is looked at when a device connects.
	maxWide = 1000
	// maxPaced bounds the messages of an app that are being released, as the vendor does.
	maxPaced = 20
)

// Also is what a caller has to write in the transaction that stores its push. It may run more than once and is not run
// when the push repeats a cid.
type Also func(ctx context.Context, tx *db.Tx, msg int64) error

// terms are what comes with a push beside itself.
type terms struct {
	// cid under which a repetition gets the first answer; empty: none.
	cid string
	// also runs in the transaction that stores the push. Optional.
	also Also
	// files is whose files the audience may name.
	files file.Owner
}

// ofCaller are the terms of a push that an app itself sends.
func ofCaller(app *gate.App, p *payload.Push) terms {
	return terms{cid: p.CID, files: file.Owner{App: app.ID}}
}

// order is a push that was found good, to be stored.
type order struct {
	terms
	app *gate.App
	m   *message
	t   *targets
	// unclaimed are the targets that were imported from the vendor and have not moved over, if they are served there.
	unclaimed *roaring.Bitmap
	// routed: channels of vendors may carry it.
	routed bool

	// What commit makes of it.
	accepted Accepted
	repeated bool // the cid was taken; accepted is the first answer
	err      error
}

// prepare builds the message and finds its targets. The result is for commit; a refusal is a *compat.Error.
func (s *Service) prepare(ctx context.Context, app *gate.App, p *payload.Push, now int64, terms terms) (*order, error) {
	msg, err := s.ids.Next(ctx)
	if err != nil {
		return nil, err
	}
	m := &message{
		ID: msg, App: app.ID, SendNo: p.Options.SendNo, Override: p.Options.OverrideID, Raw: p.Raw, push: p,
		Everybody: p.Audience.All, AcceptedAt: now, Callback: p.Callback != nil,
		Pace: int64(p.Options.BigPushDuration) * time.Minute.Milliseconds(),
	}
	m.setEnd(p.Options.TTL)
	if err := s.checkOverride(ctx, m); err != nil {
		return nil, err
	}
	t, err := s.target(ctx, app, m, p, terms.files)
	if err != nil {
		return nil, err
	}
	if m.Targets = t.count(); m.Targets == 0 {
		return nil, compat.Errorf(400, 1011, "cannot find user by this audience")
	}
	if m.Pace > 0 {
		t.widen()
	}
	m.Wide = t.many != nil
	o := &order{terms: terms, app: app, m: m, t: t, accepted: Accepted{m.ID, m.SendNo}}
	if err := s.routed(ctx, o); err != nil {
		return nil, err
	}
	if app.Settings.RelayJPush {
		if o.unclaimed, err = s.devices.Unclaimed(ctx, app.ID); err != nil {
			return nil, err
		}
		o.unclaimed = roaring.And(o.unclaimed, t.all())
	}
	return o, nil
}

// setEnd fixes when the message ends. Each target of a paced one has the whole time to live from its own release.
func (m *message) setEnd(ttl time.Duration) {
	if ttl == 0 {
		m.OnlineOnly, ttl = true, onlineGrace
	}
	m.ExpiresAt = m.AcceptedAt + m.Pace + ttl.Milliseconds()
}

func (s *Service) checkOverride(ctx context.Context, m *message) error {
	if m.Override == 0 {
		return nil
	}
	old, err := queryMessage(ctx, s.db, m.Override)
	if err != nil {
		return err
	}
	if old == nil || old.App != m.App || old.Kind != kindPush || old.AcceptedAt < m.AcceptedAt-overrideLife.Milliseconds() {
		return compat.Errorf(400, 1003, "options: the override id names no push of this app within the last day")
	}
	return nil
}

// ordersPerTx keeps the transaction of a large batch short. Transactions that wait together share a commit.
const ordersPerTx = 32

// commit stores orders in one transaction and hands what was accepted to the edges. Refusals of single orders are left in their err; the
// error is one of all.
func (s *Service) commit(ctx context.Context, orders ...*order) error {
	err := s.db.InTxUrgent(ctx, func(ctx context.Context, tx *db.Tx) error {
		for _, o := range orders {
			o.accepted, o.repeated, o.err = Accepted{o.m.ID, o.m.SendNo}, false, nil
			var refused *compat.Error
			if err := s.store(ctx, tx, o); errors.As(err, &refused) {
				o.err = refused
			} else if err != nil {
				return err
			}
		}
		if err := s.announce(ctx, tx, orders); err != nil {
			return err
		}
		return countPlans(ctx, tx, orders)
	})
	if err != nil {
		return err
	}
	for _, o := range orders {
		if o.err != nil || o.repeated {
			continue
		}
		if o.unclaimed != nil && !o.unclaimed.IsEmpty() {
			s.parts.relay.Wake()
		}
		s.metrics.accepted.Inc()
		// From here the message is safe; what goes wrong below is made good by the owner's rescan.
		if err := s.release(o); err != nil {
			s.log.Warn("message not handed to the edges; the owner will", "message", o.m.ID, "err", err)
		}
	}
	return nil
}

// countPlans counts the plans that the accepted ones of the orders name, in the order of their names: two transactions
// that name the same plans then do not wait for each other in a ring.
func countPlans(ctx context.Context, tx *db.Tx, orders []*order) error {
	type key struct {
		app  int64
		name string
	}
	uses := make(map[key]int)
	for _, o := range orders {
		if code := o.m.push.Options.BusinessOperationCode; code != "" && o.err == nil && !o.repeated {
			uses[key{o.m.App, code}]++
		}
	}
	keys := slices.SortedFunc(maps.Keys(uses), func(a, b key) int { return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.name, b.name)) })
	for _, k := range keys {
		if err := plan.UsedTimes(ctx, tx, k.app, k.name, uses[k], orders[0].m.AcceptedAt); err != nil {
			return err
		}
	}
	return nil
}

// store writes everything of an accepted message. It refuses before it writes.
func (s *Service) store(ctx context.Context, tx *db.Tx, o *order) error {
	m := o.m
	if o.limited() {
		if err := s.checkLimits(ctx, tx, o); err != nil || o.repeated {
			return err
		}
	}
	if o.cid != "" {
		taken, err := insertCID(ctx, tx, m, o.cid, m.AcceptedAt+cidLife.Milliseconds())
		if err == nil && taken {
			return o.repeat(ctx, tx)
		}
		if err != nil {
			return err
		}
	}
	if err := insertMessage(ctx, tx, m); err != nil {
		return err
	}
	if err := o.t.store(ctx, tx, m); err != nil {
		return err
	}
	if err := s.replaceNow(ctx, tx, m); err != nil {
		return err
	}
	heard := s.told()
	if err := heard.accepted(m); err != nil {
		return err
	}
	if err := heard.record(ctx, tx); err != nil {
		return err
	}
	if err := s.relayed(ctx, tx, o); err != nil {
		return err
	}
	if err := s.recordRoute(ctx, tx, o); err != nil {
		return err
	}
	if o.also != nil {
		return o.also(ctx, tx, m.ID)
	}
	return nil
}

// announce publishes the accepted ones of orders, one event for those of an app and a time.
func (s *Service) announce(ctx context.Context, tx *db.Tx, orders []*order) error {
	events := make([]pushevent.Accepted, 0, 1)
	for _, o := range orders {
		m := o.m
		if o.err != nil || o.repeated || m.Kind != kindPush {
			continue
		}
		i := slices.IndexFunc(events, func(e pushevent.Accepted) bool { return e.App == m.App && e.At == m.AcceptedAt })
		if i < 0 {
			events = append(events, pushevent.Accepted{App: m.App, Msg: m.ID, Targets: m.Targets, At: m.AcceptedAt})
			continue
		}
		events[i].Msg = 0
		events[i].Targets += m.Targets
		events[i].More++
	}
	for _, e := range events {
		if err := s.outbox.Publish(ctx, tx, pushevent.TopicAccepted, e); err != nil {
			return err
		}
	}
	return nil
}

// store writes the targets of a message.
func (t *targets) store(ctx context.Context, tx *db.Tx, m *message) error {
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
	if !m.Held || t.many == nil {
		return nil
	}
	all := t.all()
	return storeSet(ctx, tx, m.ID, stageHeld, 0, all, chunks(all))
}

// relayed notes a push for the targets that the vendor still serves.
func (s *Service) relayed(ctx context.Context, tx *db.Tx, o *order) error {
	if o.unclaimed == nil || o.unclaimed.IsEmpty() {
		return nil
	}
	m := o.m
	return s.parts.relay.Record(ctx, tx, relay.Message{
		App: m.App, ID: m.ID, Raw: m.Raw, Override: m.Override, AcceptedAt: m.AcceptedAt, ExpiresAt: m.ExpiresAt, Devices: o.unclaimed,
	})
}

// replaceNow settles what is owed of a replaced message where both are kept as rows; otherwise the owner does (replaceLater).
func (s *Service) replaceNow(ctx context.Context, tx *db.Tx, m *message) error {
	if m.Override == 0 || m.Wide || m.Kind != kindPush {
		return nil
	}
	replaced, err := replaceRows(ctx, tx, m.Override, m.ID)
	if err != nil || len(replaced) == 0 {
		return err
	}
	return s.endedIn(ctx, tx, m.App, map[int64][]uint32{m.Override: replaced}, Replaced, m.AcceptedAt)
}

// repeat answers an order with the first answer to its cid.
func (o *order) repeat(ctx context.Context, tx *db.Tx) error {
	first, err := queryCID(ctx, tx, o.app.ID, o.cid, o.m.AcceptedAt)
	if err == nil && first == nil {
		err = errors.New("push: cid neither free nor taken")
	}
	if err == nil {
		o.accepted, o.repeated = *first, true
	}
	return err
}

// limited tells whether messages of this kind are counted before one more is taken.
func (o *order) limited() bool {
	return o.m.Kind == kindPush && (o.m.Wide || o.m.Everybody && o.app.Settings.BroadcastCap > 0)
}

// checkLimits counts under a lock of the app, so that parallel pushes do not pass a limit together.
func (s *Service) checkLimits(ctx context.Context, tx *db.Tx, o *order) error {
	m := o.m
	if o.cid != "" { // a repetition gets its first answer, whatever has been used up since
		if first, err := queryCID(ctx, tx, m.App, o.cid, m.AcceptedAt); err != nil {
			return err
		} else if first != nil {
			o.accepted, o.repeated = *first, true
			return nil
		}
	}
	_, err := tx.Exec(ctx, `insert into push_app (app_id) values ($1) on conflict (app_id) do update set app_id = excluded.app_id`, m.App)
	if err != nil {
		return fmt.Errorf("push: lock app: %w", err)
	}
	return s.countLimits(ctx, tx, o)
}

// countLimits refuses what is beyond the app's numbers.
func (s *Service) countLimits(ctx context.Context, d queryer, o *order) error {
	m := o.m
	if limit := o.app.Settings.BroadcastCap; m.Everybody && limit > 0 {
		zone := o.app.Settings.Location()
		y, month, day := clock.FromMillis(m.AcceptedAt).In(zone).Date()
		switch n, err := countBroadcasts(ctx, d, m.App, clock.Millis(time.Date(y, month, day, 0, 0, 0, 0, zone))); {
		case err != nil:
			return fmt.Errorf("push: count broadcasts: %w", err)
		case n >= limit:
			return compat.Errorf(403, 2008, "the app has used its %d pushes to everybody of this day", limit)
		}
	}
	if m.Pace > 0 {
		switch n, err := countPaced(ctx, d, m.App, m.AcceptedAt); {
		case err != nil:
			return fmt.Errorf("push: count paced messages: %w", err)
		case n >= maxPaced:
			return compat.Errorf(400, 1012, "%d pushes of the app with big_push_duration are still being sent", n)
		}
	}
	if m.Wide {
		switch n, err := countWide(ctx, d, m.App); {
		case err != nil:
			return fmt.Errorf("push: count live messages: %w", err)
		case n >= maxWide:
			return compat.Errorf(400, 1012, "%d messages to more than %d devices each are still alive", n, s.maxRows)
		}
	}
	return nil
}
