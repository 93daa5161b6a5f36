package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sync/errgroup"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/kernel/db"
)

const (
	// partsAtOnce is how many parts of a line are sent at the same time.
	partsAtOnce = 8
	// maxTries is how often a part is sent to a vendor that fails before its devices go on to their next channel.
	maxTries = 6
	// firstPause and longestPause bound the time between tries.
	firstPause   = 2 * time.Second
	longestPause = 5 * time.Minute
	// sendTimeout bounds one call with its waiting.
	sendTimeout = time.Minute
	// wholesale is how many tokens of one call are not forgotten when all of them are refused: vendors answer so to credentials of another
	// app.
	wholesale = 10
)

// send sends the parts of a line that are due, and says whether there may be more. Claims and ends are made one after the
// other; only the calls run side by side.
func (s *Service) send(ctx context.Context, parent Messages, key lineKey) (more bool, err error) {
	parts, err := queryParts(ctx, s.DB, `app_id = $1 and channel = $2 and state < 3 and due_at <= $3 order by due_at, part_id limit $4`,
		key.app, string(key.name), s.now(), partsAtOnce)
	if err != nil || len(parts) == 0 {
		return false, err
	}
	facts, err := s.channels.of(ctx, s, key.app)
	if err != nil {
		return false, err
	}
	fact, configured := find(facts, key.name)
	var creds wire.Credentials
	if configured {
		if creds, err = s.credentials(ctx, key.app, key.name); err != nil {
			return false, err
		}
	}
	tasks, failed := s.claimAll(ctx, parent, parts, fact, creds)
	var group errgroup.Group
	for _, t := range tasks {
		group.Go(func() error { t.call(ctx, creds); return nil })
	}
	_ = group.Wait() // outcomes say what went wrong
	if ctx.Err() != nil {
		return false, nil //nolint:nilerr // the node stops; the parts stay claimed
	}
	for _, t := range tasks { // each, since a part that does not end is sent again
		failed = errors.Join(failed, t.finish(ctx))
	}
	return failed == nil, failed
}

// claimAll makes tasks of parts, up to one that it cannot claim. The tasks are to be done whatever the error is: they are claimed.
func (s *Service) claimAll(ctx context.Context, parent Messages, parts []*part, fact channelFact, creds wire.Credentials) (tasks []*task, err error) {
	for _, p := range parts {
		var t *task
		switch {
		case p.why == whyWithdraw:
			err = s.retract(ctx, parent, p, creds)
		case p.name == sms && p.state == claimed:
			err = s.interrupted(ctx, p)
		default:
			t, err = s.claim(ctx, parent, p, fact)
		}
		if err != nil {
			return tasks, err
		}
		if t != nil {
			tasks = append(tasks, t)
		}
	}
	return tasks, nil
}

// call makes the call.
func (t *task) call(ctx context.Context, creds wire.Credentials) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	n := len(t.ordinals)
	switch {
	case n == 0:
	case creds == nil:
		t.outcomes = wire.All(n, wire.NewOutcome(wire.Denied, "", "the app has no credentials for the channel any more"))
	case t.part.name == sms:
		t.outcomes = t.s.SMS.Send(ctx, t.app.ID, creds, t.numbers, t.shortMessage())
	default:
		m := t.m.content(&t.policy, t.part.name, t.part.platform, t.app.Name, t.s.now())
		if m == nil {
			t.outcomes = wire.All(n, wire.NewOutcome(wire.Rejected, "", "the push has nothing for the channel"))
			return
		}
		m.CallbackURL = t.s.ReceiptURL(t.app.Key, t.part.name)
		t.outcomes = t.s.Dispatcher.Send(ctx, t.app.ID, t.part.name, creds, t.tokens, m)
	}
}

func (t *task) shortMessage() smswire.Message {
	o := t.policy.sms
	m := smswire.Message{ID: strconv.FormatInt(t.m.ID, 10), Template: o.TemplateID, Sign: o.SignID, Parameters: make(map[string]string)}
	var params map[string]json.RawMessage
	_ = json.Unmarshal(o.Params, &params) // an object, or nothing
	for k, v := range params {
		text := ""
		if json.Unmarshal(v, &text) != nil {
			text = string(v) // a number, say
		}
		m.Parameters[k] = text
	}
	return m
}

// sorted are the devices of a part by what becomes of them.
type sorted struct {
	accepted, again, onward *roaring.Bitmap
	after                   time.Duration
	failed                  bool // of those that are sent again, some failed; else they were only too fast
	dead                    []device.DeviceToken
	renewed                 map[uint32]device.Token
	results                 []*result
	problem                 string
	news                    bool // the problem was not known before
	quotas                  int
}

func (t *task) sort() *sorted {
	out := &sorted{accepted: roaring.New(), again: roaring.New(), onward: roaring.New(), renewed: make(map[uint32]device.Token)}
	type answer struct {
		status           wire.Status
		code, reason, id string
	}
	byAnswer := make(map[answer]*result)
	now := t.s.now()
	note := func(o wire.Outcome, ordinal uint32) {
		a := answer{o.Status, o.Code, o.Reason, ""}
		if len(t.ordinals) == 1 {
			a.id = o.VendorID // of many, each has its own, and nobody asks for them
		}
		r := byAnswer[a]
		if r == nil {
			r = &result{part: t.part.id, msg: t.part.msg, name: t.part.name, status: o.Status, code: o.Code, reason: o.Reason, vendorID: a.id, at: now, devices: roaring.New()}
			byAnswer[a] = r
			out.results = append(out.results, r)
		}
		r.devices.Add(ordinal)
	}
	missing := t.part.devices.Clone()
	for i, ordinal := range t.ordinals {
		missing.Remove(ordinal)
		o := t.outcomes[i]
		note(o, ordinal)
		if o.Token != "" && t.tokens != nil {
			out.renewed[ordinal] = device.Token{Channel: string(t.part.name), Token: o.Token, Environment: environment(t.tokens[i])}
		}
		switch o.Status {
		case wire.Accepted:
			out.accepted.Add(ordinal)
		case wire.Failed, wire.Unknown, wire.Limited:
			if t.part.name == sms && o.Status == wire.Unknown {
				continue // it may be on its way, and nobody wants to read it twice
			}
			out.failed = out.failed || o.Status != wire.Limited
			out.after = max(out.after, o.After)
			if o.Status != wire.Limited && t.part.tries >= maxTries {
				out.onward.Add(ordinal)
				continue
			}
			out.again.Add(ordinal)
		default:
			switch {
			case o.Status == wire.Invalid && t.tokens != nil && (o.Since == 0 || t.broughtAt[i] <= o.Since):
				out.dead = append(out.dead, device.DeviceToken{Ordinal: ordinal, Token: device.Token{Channel: string(t.part.name), Token: t.tokens[i].Value}})
			case o.Status == wire.Denied:
				out.problem = strings.TrimPrefix(o.Code+": "+o.Reason, ": ")
			case o.Status == wire.Quota:
				out.quotas++
			}
			out.onward.Add(ordinal)
		}
	}
	if len(out.dead) >= wholesale && len(out.dead) == len(t.ordinals) {
		out.problem = out.results[0].code + ": every token of a call was refused: are these the credentials of this app?"
		out.dead = nil
	}
	if !missing.IsEmpty() {
		for it := missing.Iterator(); it.HasNext(); {
			note(wire.Outcome{Status: wire.Silenced, Code: "gone", Reason: "the device has no token or verified number any more"}, it.Next())
		}
		out.onward.Or(missing)
	}
	return out
}

func environment(t wire.Token) string {
	if t.Sandbox {
		return "sandbox"
	}
	return "production"
}

// finish writes down what became of a part.
func (t *task) finish(ctx context.Context) error {
	p, out := t.part, t.sort()
	moved, err := t.next(ctx, out.onward)
	if err != nil {
		return err
	}
	if p.name != sms {
		if !out.accepted.IsEmpty() {
			if err := t.parent.Mark(ctx, p.app, p.msg, Accepted, out.accepted, t.s.now()); err != nil {
				return err
			}
		}
		if err := t.mark(ctx, &moved); err != nil {
			return err
		}
	}
	refused := roaring.AndNot(p.devices, out.accepted)
	p.devices, p.state = out.again, done
	if !out.again.IsEmpty() {
		p.state, p.dueAt = waiting, t.s.now()+max(pause(p.tries), out.after).Milliseconds()
		if !out.failed {
			p.tries-- // nothing was wrong
		}
	}
	if t.quota != nil {
		t.quota.give(refused)
	}
	if err := t.write(ctx, out, moved.parts, refused); err != nil {
		t.s.forgetQuota(p.app, p.name)
		return err
	}
	for _, r := range out.results {
		t.s.answers.WithLabelValues(string(r.name), r.status.String()).Add(float64(r.devices.GetCardinality()))
	}
	if out.news {
		t.s.Log.Warn("a vendor refuses what an app has there", "app_key", t.app.Key, "channel", p.name, "problem", out.problem)
	}
	for ordinal, token := range out.renewed {
		if err := t.s.Devices.PutToken(ctx, t.app, ordinal, token); err != nil {
			t.s.Log.Warn("a token that its vendor renewed was not kept", "app", p.app, "channel", p.name, "err", err)
		}
	}
	if len(moved.parts) > 0 {
		t.s.Wake()
	}
	return nil
}

// write keeps the end of a part, or of one try, with all that follows from it.
func (t *task) write(ctx context.Context, out *sorted, moved []*part, refused *roaring.Bitmap) error {
	p := t.part
	return t.s.owned(ctx, p.app, func(ctx context.Context, tx *db.Tx) error {
		if err := updatePart(ctx, tx, p); err != nil {
			return err
		}
		if err := insertResults(ctx, tx, p.app, p.id, out.results); err != nil {
			return err
		}
		if err := insertParts(ctx, tx, moved); err != nil {
			return err
		}
		drop := t.s.Devices.DropTokens
		if t.live() {
			drop = t.s.Devices.DropLiveTokens
		}
		if err := drop(ctx, tx, p.app, out.dead); err != nil {
			return err
		}
		if err := t.account(ctx, tx, out); err != nil {
			return err
		}
		if t.quota == nil || refused.IsEmpty() {
			return nil
		}
		return t.quota.store(ctx, tx, p.app, p.name, refused)
	})
}

// account keeps what the outcomes say of the app's account at the vendor.
func (t *task) account(ctx context.Context, tx *db.Tx, out *sorted) (err error) {
	switch {
	case out.problem != "":
		out.news, err = t.s.noteAccount(ctx, tx, t.part.app, t.part.name, out.problem, t.fact.quotaUntil)
	case len(t.outcomes) > 0 && out.quotas == len(t.outcomes):
		until := t.s.tomorrow()
		if after := t.outcomes[0].After; after > 0 {
			until = t.s.now() + after.Milliseconds()
		}
		_, err = t.s.noteAccount(ctx, tx, t.part.app, t.part.name, "", until)
	case !out.accepted.IsEmpty():
		_, err = t.s.noteAccount(ctx, tx, t.part.app, t.part.name, "", 0)
	}
	return err
}

// pause before the next try, with some chance in it.
func pause(tries int) time.Duration {
	d := min(firstPause<<min(max(tries-1, 0), 16), longestPause)
	return d - rand.N(d/4)
}

// whyWithdraw marks the parts that take a message back.
const whyWithdraw = "withdraw"

// Withdraw takes a message back from the devices that vendors brought it to, where they can, in the transaction that withdraws it.
func (s *Service) Withdraw(ctx context.Context, tx *db.Tx, app, msg int64) error {
	rows, err := tx.Query(ctx, `select r.channel, p.platform, r.bits from push_route_result r join push_route_part p on p.part_id = r.part_id
		where r.msg_id = $1 and r.app_id = $2 and r.status = $3 and r.channel <> $4 and p.why <> $5 order by r.part_id, r.number`,
		msg, app, int64(wire.Accepted), string(sms), whyWithdraw)
	if err != nil {
		return fmt.Errorf("route: who has the message: %w", err)
	}
	var parts []*part
	scan := func() error {
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var (
				p    = &part{msg: msg, app: app, why: whyWithdraw, state: waiting, devices: roaring.New()}
				bits []byte
			)
			if err := rows.Scan(&p.name, &p.platform, &bits); err != nil {
				return err
			}
			if err := p.devices.UnmarshalBinary(bits); err != nil {
				return err
			}
			if _, can := s.Dispatcher.Vendor(p.name).(wire.Retractor); can {
				parts = append(parts, p)
			}
		}
		return rows.Err()
	}
	if err := scan(); err != nil {
		return fmt.Errorf("route: who has the message: %w", err)
	}
	now := s.now()
	for _, p := range parts {
		if p.id, err = s.IDs.Next(ctx); err != nil {
			return err
		}
		p.dueAt, p.createdAt, p.expiresAt = now, now, now+retractLife.Milliseconds()
	}
	return insertParts(ctx, tx, parts)
}

// retractLife is how long taking a message back is tried.
const retractLife = time.Hour

// retract asks a vendor to take a message back.
func (s *Service) retract(ctx context.Context, parent Messages, p *part, creds wire.Credentials) error {
	if creds == nil || p.expiresAt <= s.now() {
		return s.close(ctx, p)
	}
	found, err := s.Devices.TokensOf(ctx, p.app, string(p.name), p.devices.ToArray())
	if err != nil {
		return err
	}
	t := &task{plan: &plan{s: s}, part: p}
	t.use(found)
	p.devices = roaring.BitmapOf(t.ordinals...)
	first, err := parent.Root(ctx, p.msg)
	if err != nil {
		return err
	}
	t.outcomes = s.Dispatcher.Retract(ctx, p.app, p.name, creds, t.tokens, strconv.FormatInt(first, 10))
	p.tries++
	out := t.sort()
	p.devices, p.state = out.again, done
	if !out.again.IsEmpty() {
		p.state, p.dueAt = waiting, s.now()+max(pause(p.tries), out.after).Milliseconds()
	}
	return s.owned(ctx, p.app, func(ctx context.Context, tx *db.Tx) error {
		if err := updatePart(ctx, tx, p); err != nil {
			return err
		}
		return insertResults(ctx, tx, p.app, p.id, out.results)
	})
}
