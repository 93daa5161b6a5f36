package relay

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strconv"
	"time"

	"golang.org/x/sync/errgroup"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/relay/vendor"
)

const (
	// atOnce is how many messages of an app are sent at the same time.
	atOnce = 8
	// maxSteps bounds a turn, so that other apps get theirs.
	maxSteps = 50
	// cidLife is how long after its issue a key is trusted to be known to the vendor, which keeps it for a day.
	cidLife = 22 * time.Hour
	// cidCount is how many keys one call asks for, and cidFresh how long unused ones are kept.
	cidCount = 50
	cidFresh = time.Hour
	// maxBackoff is the longest pause between attempts.
	maxBackoff = 5 * time.Minute
	// codeNobody is the vendor's "cannot find user by this audience".
	codeNobody = 1011
	// codeNoApp is the vendor's "app_key does not exist", which comes with status 400.
	codeNoApp = 1008
)

// backoff is the pause after so many failures, from a second on, with some chance in it.
func backoff(failures int) time.Duration {
	d := min(time.Second<<min(failures-1, 16), maxBackoff)
	return d - rand.N(d/4)
}

func (s *Service) now() int64 { return clock.Millis(s.Clock.Now()) }

// turn works for an app until nothing is to be done now.
func (s *Service) turn(ctx context.Context, parent Settler, app *gate.App, l *line) error {
	client, err := s.client(ctx, app)
	if err != nil {
		return err
	}
	for range maxSteps {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // the node stops
		}
		if app = s.Gate.AppByID(app.ID); app == nil {
			return nil
		}
		now := s.now()
		quiet := !app.Settings.RelayJPush || app.State != gate.Enabled || l.paused(now)
		due, err := queryDue(ctx, s.DB, app.ID, now, quiet, atOnce)
		if err != nil || len(due) == 0 {
			return err
		}
		var group errgroup.Group
		for _, m := range due {
			t := &task{s: s, parent: parent, app: app, line: l, client: client, m: m}
			group.Go(func() error { return t.step(ctx) })
		}
		if err := group.Wait(); err != nil {
			return err
		}
	}
	s.Wake() // others first
	return nil
}

// task is one message being worked on.
type task struct {
	s      *Service
	parent Settler
	app    *gate.App
	line   *line
	client *vendor.Client
	m      *message
}

// step does the next thing for the message.
func (t *task) step(ctx context.Context) error {
	last, err := queryLast(ctx, t.s.DB, t.m.id)
	if err != nil {
		return err
	}
	expired := t.m.expiresAt <= t.s.now()
	switch {
	case last != nil && last.state == partAccepted:
		return t.settle(ctx, last)
	case last != nil && last.state == partSending && (expired || t.m.state == stateWithdrawing):
		return t.giveUp(ctx, last)
	case expired:
		return t.finish(ctx)
	case t.m.state == stateWithdrawing:
		return t.withdraw(ctx)
	case last != nil && last.state == partSending:
		return t.again(ctx, last)
	}
	number := int64(1)
	if last != nil {
		number = last.number + 1
	}
	return t.begin(ctx, number)
}

// finish ends the message.
func (t *task) finish(ctx context.Context) error {
	left, err := t.s.leftOut(ctx, t.m)
	if err != nil {
		return err
	}
	return t.s.owned(ctx, t.m.app, func(ctx context.Context, tx *db.Tx) error { return endMessage(ctx, tx, t.m, left) })
}

// begin plans the next part and sends it; if there is nobody left, the message is done.
func (t *task) begin(ctx context.Context, number int64) error {
	ordinals, err := t.s.devices(ctx, t.m, t.m.nextOrdinal, math.MaxUint32, maxIDs)
	if err != nil {
		return err
	}
	if len(ordinals) == 0 {
		return t.finish(ctx)
	}
	cid, err := t.cid(ctx)
	if err != nil || cid == "" {
		return err
	}
	p := &part{msg: t.m.id, number: number, state: partSending, tried: true, first: ordinals[0], last: ordinals[len(ordinals)-1],
		devices: len(ordinals), cid: cid, cidAt: t.s.now()}
	t.m.nextOrdinal = int64(p.last) + 1
	err = t.s.owned(ctx, t.m.app, func(ctx context.Context, tx *db.Tx) error {
		if err := insertPart(ctx, tx, p); err != nil {
			return err
		}
		return updateMessage(ctx, tx, t.m, 0, 0, "")
	})
	if err != nil {
		return err
	}
	return t.send(ctx, p, ordinals, false)
}

// again sends a part whose attempts so far had no final answer.
func (t *task) again(ctx context.Context, p *part) error {
	before := p.tried
	old := p.cidAt+cidLife.Milliseconds() <= t.s.now()
	if old && p.tried {
		return t.giveUp(ctx, p)
	}
	ordinals, err := t.s.devices(ctx, t.m, int64(p.first), int64(p.last), maxIDs)
	if err != nil {
		return err
	}
	if len(ordinals) == 0 {
		if p.state = partEmpty; p.tried {
			p.state = partUncertain
		}
		return t.close(ctx, p)
	}
	if old {
		if p.cid, err = t.cid(ctx); err != nil || p.cid == "" {
			return err
		}
		p.cidAt = t.s.now()
	}
	if !p.tried || old {
		p.tried, p.devices = true, len(ordinals)
		if err := t.s.owned(ctx, t.m.app, func(ctx context.Context, tx *db.Tx) error { return updatePart(ctx, tx, p) }); err != nil {
			return err
		}
	}
	return t.send(ctx, p, ordinals, before)
}

// send makes the call and stores what came of it; before says whether an earlier attempt may have reached the vendor, which then
// still holds when this one did not.
func (t *task) send(ctx context.Context, p *part, ordinals []uint32, before bool) error {
	names, err := t.s.Devices.ImportedIDs(ctx, t.m.app, ordinals)
	if err != nil {
		return err
	}
	ids := make([]string, 0, len(ordinals))
	for _, o := range ordinals {
		if id := names[o]; id != "" {
			ids = append(ids, id)
		}
	}
	override, err := t.override(ctx)
	if err != nil {
		return err
	}
	ttl := time.Duration(t.m.expiresAt-t.s.now()) * time.Millisecond
	body, err := rewrite(t.m.payload, ids, p.cid, ttl, override)
	if err != nil {
		return err
	}
	id, a, err := t.client.Push(ctx, body)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the node stops; the key finds out later what became of it
	}
	t.line.heard(t.s.now(), a)
	switch {
	case err != nil:
		return t.retry(ctx, p, true, err.Error())
	case a.OK():
		t.line.succeeded()
		p.state, p.vendorID = partAccepted, id
		if err := t.close(ctx, p); err != nil {
			return err
		}
		return t.settle(ctx, p)
	case a.Status == http.StatusTooManyRequests:
		p.tried = before
		return t.later(ctx, p, 0, t.m.attempts, a.String()) // the line waits
	case a.Status >= http.StatusInternalServerError:
		return t.retry(ctx, p, true, a.String())
	case a.Code == codeNobody:
		t.line.succeeded()
		p.state, p.code, p.message = partNobody, a.Code, a.Message
		return t.close(ctx, p)
	case mendable(a):
		return t.retry(ctx, p, before || a.Status < http.StatusMultipleChoices, a.String())
	}
	t.line.succeeded()
	p.state, p.code, p.message = partRefused, a.Code, a.Message
	if a.Code == 0 {
		p.message = a.String()
	}
	return t.close(ctx, p)
}

// mendable tells whether somebody can end a refusal: credentials, permissions and the address can be set right.
func mendable(a vendor.Answer) bool {
	return a.Status < http.StatusBadRequest || a.Code == codeNoApp ||
		slices.Contains([]int{http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed, http.StatusRequestTimeout}, a.Status)
}

// heard takes the vendor's wish for a pause.
func (l *line) heard(now int64, a vendor.Answer) {
	if d := a.Pause(); d > 0 {
		l.pause(now, d)
	}
}

// retry tries a part again later; tried says whether the vendor may have taken it.
func (t *task) retry(ctx context.Context, p *part, tried bool, failure string) error {
	t.line.failed(t.s.now())
	p.tried = tried
	attempts := t.m.attempts + 1
	t.s.Log.Warn("push not relayed, it will be tried again", "app", t.m.app, "message", t.m.id, "failure", failure)
	return t.later(ctx, p, backoff(attempts), attempts, failure)
}

func (t *task) later(ctx context.Context, p *part, d time.Duration, attempts int, failure string) error {
	return t.s.owned(ctx, t.m.app, func(ctx context.Context, tx *db.Tx) error {
		if err := updatePart(ctx, tx, p); err != nil {
			return err
		}
		return updateMessage(ctx, tx, t.m, t.s.now()+d.Milliseconds(), attempts, failure)
	})
}

// close stores a part that got a state that is not to be sent any more.
func (t *task) close(ctx context.Context, p *part) error {
	return t.s.owned(ctx, t.m.app, func(ctx context.Context, tx *db.Tx) error {
		if err := updatePart(ctx, tx, p); err != nil {
			return err
		}
		return updateMessage(ctx, tx, t.m, 0, 0, "")
	})
}

// giveUp closes a part that was not accepted as far as is known.
func (t *task) giveUp(ctx context.Context, p *part) error {
	switch {
	case p.tried:
		p.state = partUncertain
	case t.m.state == stateWithdrawing:
		p.state = partWithdrawn
	default:
		p.state = partExpired
	}
	return t.close(ctx, p)
}

// settle ends what is owed here to the devices of an accepted part, but for those that were claimed meanwhile: whether the vendor
// reached them before is not known.
func (t *task) settle(ctx context.Context, p *part) error {
	ordinals, err := t.s.devices(ctx, t.m, int64(p.first), int64(p.last), maxIDs)
	if err == nil && len(ordinals) > 0 {
		err = t.parent.Settle(ctx, t.m.app, t.m.id, ordinals)
	}
	if err != nil {
		return err
	}
	p.state = partDone
	return t.close(ctx, p)
}

// withdraw takes one accepted part back; without any the message is done.
func (t *task) withdraw(ctx context.Context) error {
	parts, err := queryParts(ctx, t.s.DB, t.m.id, partDone, 1)
	if err != nil {
		return err
	}
	if len(parts) == 0 {
		return t.finish(ctx)
	}
	p := parts[0]
	a, err := t.client.Withdraw(ctx, p.vendorID)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the node stops; withdrawing again does no harm
	}
	t.line.heard(t.s.now(), a)
	switch {
	case err != nil:
		return t.retry(ctx, p, true, err.Error())
	case a.Status == http.StatusTooManyRequests:
		return t.later(ctx, p, 0, t.m.attempts, a.String())
	case a.Status >= http.StatusInternalServerError, !a.OK() && mendable(a):
		return t.retry(ctx, p, true, a.String())
	}
	t.line.succeeded()
	if p.state = partWithdrawn; !a.OK() {
		p.code, p.message = a.Code, a.Message
	}
	return t.close(ctx, p)
}

// override is the vendor's id of the message that this one replaces, if the vendor has it as one push.
func (t *task) override(ctx context.Context) (string, error) {
	if t.m.override == 0 {
		return "", nil
	}
	parts, err := queryParts(ctx, t.s.DB, t.m.override, partDone, 2)
	if err != nil || len(parts) != 1 {
		return "", err
	}
	if _, err := strconv.ParseInt(parts[0].vendorID, 10, 64); err != nil {
		return "", nil //nolint:nilerr // an id that is no number cannot be named
	}
	return parts[0].vendorID, nil
}

// cid takes an idempotency key of the vendor; "": there is none now, and the line waits or the node stops.
func (t *task) cid(ctx context.Context) (string, error) {
	l := t.line
	l.cidMu.Lock()
	defer l.cidMu.Unlock()
	if now := t.s.now(); len(l.cids) == 0 || l.cidsAt+cidFresh.Milliseconds() <= now {
		if l.paused(now) {
			return "", nil
		}
		l.cids, l.cidsAt = nil, now
		if err := t.fetchCIDs(ctx); err != nil || len(l.cids) == 0 {
			return "", err
		}
	}
	cid := l.cids[0]
	l.cids = l.cids[1:]
	return cid, nil
}

// fetchCIDs asks the vendor for keys. That it gives none is noted and no error.
func (t *task) fetchCIDs(ctx context.Context) error {
	list, a, err := t.client.CIDs(ctx, cidCount)
	if ctx.Err() != nil {
		return nil //nolint:nilerr // the node stops
	}
	t.line.heard(t.s.now(), a)
	if err == nil && a.OK() {
		t.line.cids = list
		return nil
	}
	failure := a.String()
	if err != nil {
		failure = err.Error()
	}
	t.line.failed(t.s.now())
	t.s.Log.Warn("no key from the vendor", "app", t.m.app, "failure", failure)
	return t.note(ctx, failure)
}

// note keeps why a message waits.
func (t *task) note(ctx context.Context, failure string) error {
	return t.s.owned(ctx, t.m.app, func(ctx context.Context, tx *db.Tx) error {
		return updateMessage(ctx, tx, t.m, 0, t.m.attempts, failure)
	})
}
