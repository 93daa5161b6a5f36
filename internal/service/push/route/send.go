package route

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"golang.org/x/sync/errgroup"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
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
	// putOffPause is how long a part waits that could not be taken up.
	putOffPause = 5 * time.Second
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
	fact := find(facts, key.name)
	creds, denied, err := s.usable(ctx, key.app, key.name)
	if err != nil {
		return false, err
	}
	var (
		tasks []*task
		errs  []error
	)
	for _, p := range parts {
		t, err := s.claim(ctx, parent, p, fact)
		if err != nil {
			errs = append(errs, fmt.Errorf("route: take up part %d: %w", p.id, err), s.putOff(ctx, p))
			continue
		}
		if t != nil {
			tasks = append(tasks, t)
		}
	}
	var group errgroup.Group
	for _, t := range tasks {
		group.Go(func() error { t.call(ctx, creds, denied); return nil })
	}
	_ = group.Wait() // outcomes say what went wrong
	if ctx.Err() != nil {
		return false, nil //nolint:nilerr // the node stops; the parts stay claimed
	}
	for _, t := range tasks { // all of them: what is not written down is sent again
		errs = append(errs, t.finish(ctx))
	}
	err = errors.Join(errs...)
	return err == nil, err
}

// putOff lets the other parts of a line go on when one cannot be taken up.
func (s *Service) putOff(ctx context.Context, p *part) error {
	until := s.now() + putOffPause.Milliseconds()
	return s.owned(ctx, p.app, func(ctx context.Context, tx *db.Tx) error { return delayPart(ctx, tx, p.id, until) })
}

// call makes the call; denied is the outcome without credentials.
func (t *task) call(ctx context.Context, creds wire.Credentials, denied wire.Outcome) {
	ctx, cancel := context.WithTimeout(ctx, sendTimeout)
	defer cancel()
	n := len(t.ordinals)
	switch {
	case n == 0:
	case creds == nil:
		t.outcomes = wire.All(n, denied)
	case t.part.why == whyWithdraw:
		t.outcomes = t.s.Dispatcher.Retract(ctx, t.part.app, t.part.name, creds, t.tokens, strconv.FormatInt(t.root, 10))
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

// finish writes down what became of a part.
func (t *task) finish(ctx context.Context) error {
	p, out := t.part, t.sort()
	moved, err := t.next(ctx, out.onward)
	if err != nil {
		return err
	}
	if err := t.tell(ctx, out, &moved); err != nil {
		return err
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
	t.s.metrics.sent(p, out)
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

// tell marks the devices that a part ends for, or that come back to our own connections.
func (t *task) tell(ctx context.Context, out *sorted, moved *moves) error {
	if t.part.beside() {
		return nil
	}
	if !out.accepted.IsEmpty() {
		if err := t.parent.Mark(ctx, t.part.app, t.part.msg, Accepted, out.accepted, t.s.now()); err != nil {
			return err
		}
	}
	return t.mark(ctx, moved)
}

// write keeps the end of a part, or of one try, with all that follows from it.
func (t *task) write(ctx context.Context, out *sorted, moved []*part, refused *roaring.Bitmap) error {
	p := t.part
	var back []*part // in case that the message was withdrawn while the vendor took it over
	if !p.beside() && !out.accepted.IsEmpty() {
		var err error
		if back, err = t.s.retraction(ctx, p.app, p.msg, havingKey{p.name, p.platform}, out.accepted); err != nil {
			return err
		}
	}
	drop := t.s.Devices.DropTokens
	if t.live() {
		drop = t.s.Devices.DropLiveTokens
	}
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
		if len(back) > 0 {
			withdrawn, err := queryWithdrawn(ctx, tx, p.msg)
			if err == nil && withdrawn {
				err = insertParts(ctx, tx, back)
			}
			if err != nil {
				return err
			}
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
		after := t.outcomes[0].After
		if after <= 0 {
			after = wire.UntilHour(t.s.Clock.Now(), 0)
		}
		until := t.s.now() + after.Milliseconds()
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
