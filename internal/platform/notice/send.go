package notice

import (
	"context"
	"encoding/binary"
	"strconv"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/mail"
)

const (
	// mailWorkers and textWorkers are how many e-mails and text messages a node sends at once.
	mailWorkers = 4
	textWorkers = 2
	// perClaim is how many deliveries a worker claims in one transaction.
	perClaim = 4
	// pace at which a worker looks for what has become due.
	pace = time.Second
	// textTimeout bounds an attempt at a text message.
	textTimeout = time.Minute
	// margin of a lease: room for transactions, and for clocks of nodes that differ.
	margin = 30 * time.Second
	// drain is how long attempts may go on when the node stops.
	drain = 5 * time.Second
	// settlePause is between tries to store an outcome that the server has already given.
	settlePause = 200 * time.Millisecond
	// settleTries are ten minutes of that: longer than any lease.
	settleTries = 3000
)

// worker sends one delivery after the other. Its session keeps a connection while there is something to send.
type worker struct {
	s       *Service
	channel string
	session *mail.Session
}

func (s *Service) newWorker(channel string) *worker {
	w := &worker{s: s, channel: channel}
	if channel == Email && s.mail != nil {
		w.session = s.mail.Session()
	}
	return w
}

func (w *worker) close() {
	if w.session != nil {
		w.session.Close()
	}
}

// work is a worker's loop.
func (s *Service) work(ctx context.Context, channel string) error {
	w := s.newWorker(channel)
	defer w.close()
	attempts, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(drain)
		defer timer.Stop()
		select {
		case <-timer.C:
			cut()
		case <-attempts.Done():
		}
	})
	defer stop()
	look := time.NewTicker(pace)
	defer look.Stop()
	for ctx.Err() == nil {
		n, err := w.once(ctx, attempts)
		if err != nil && ctx.Err() == nil {
			s.log.Warn("notices not sent; the next look tries again", "channel", channel, "err", err)
		}
		if n > 0 && err == nil {
			continue
		}
		if n == 0 {
			w.close() // no connection is kept for nothing
		}
		select {
		case <-ctx.Done():
		case <-look.C:
		case <-s.wake[channel]:
		}
	}
	return nil
}

// attemptTimeout bounds one attempt.
func (s *Service) attemptTimeout(channel string) time.Duration {
	if channel == Email && s.mail != nil {
		return s.mail.Timeout()
	}
	return textTimeout
}

// once claims and sends a few deliveries, and returns how many there were.
func (w *worker) once(ctx, attempts context.Context) (int, error) {
	s := w.s
	var due int64
	// A claim that finds nothing would be a write for nothing.
	if err := s.db.QueryRow(ctx, `select coalesce(min(due_at), 0) from notice_delivery where state = 1 and channel = $1`, w.channel).Scan(&due); err != nil {
		return 0, wrap("look", err)
	}
	now := s.now()
	if due == 0 || due > now {
		return 0, nil
	}
	each := s.attemptTimeout(w.channel)
	until := now + (perClaim*each + margin).Milliseconds()
	var list []*task
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		list, err = take(ctx, tx, w.channel, now, until, perClaim)
		return err
	})
	if err != nil {
		return 0, err
	}
	for _, t := range list {
		r := result{cut: true}
		// What no time is left for goes back, and so does all when the node stops.
		if ctx.Err() == nil && s.now()+each.Milliseconds() < t.until {
			r, err = w.attempt(attempts, t)
			if err != nil {
				s.log.Warn("notice could not be prepared for sending", "notice", t.notice, "delivery", t.id, "err", err)
				r = result{state: Waiting, code: "internal", reason: "the notice could not be prepared for sending"}
			}
		}
		w.store(attempts, t, r)
	}
	return len(list), nil
}

// store settles an attempt. An outcome that the server has given is tried to be stored until it is, or the node has to go: to lose it would
// mean to send again.
func (w *worker) store(attempts context.Context, t *task, r result) {
	now := w.s.now()
	for try := 0; ; try++ {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(attempts), 10*time.Second)
		err := w.s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return w.s.settle(ctx, tx, t, r, now) })
		cancel()
		if err == nil {
			if r.state != Waiting && !r.cut {
				w.s.waiting.Add(-1)
				if r.state != Sent {
					w.s.poke() // there may be a fallback
				}
			}
			return
		}
		w.s.log.Warn("outcome of a notice not stored", "delivery", t.id, "state", r.state.String(), "err", err)
		if attempts.Err() != nil || try >= settleTries || r.state != Sent && try >= 3 {
			return
		}
		timer := time.NewTimer(settlePause)
		select {
		case <-timer.C:
		case <-attempts.Done():
			timer.Stop()
		}
	}
}

// attempt sends one delivery.
func (w *worker) attempt(ctx context.Context, t *task) (result, error) {
	s := w.s
	if err := t.load(ctx, s.db); err != nil {
		return result{}, err
	}
	if t.expires > 0 && s.now() >= t.expires {
		return result{state: Expired, code: "expired", reason: "it was no use any more"}, nil
	}
	wanted, err := wants(ctx, s.db, t.user, t.class, t.channel)
	if err != nil {
		return result{}, err
	}
	if !wanted {
		return result{state: Suppressed, code: "preference", reason: "the user does not want it"}, nil
	}
	c, err := s.openContent(t.notice, t.texts)
	if err != nil {
		return result{}, err
	}
	field, sealed := "email", t.mailSealed
	if t.channel == SMS {
		field, sealed = "mobile", t.moSealed
	}
	if t.address, err = s.open(field, t.notice, t.n, sealed); err != nil {
		return result{}, err
	}
	if t.address == "" {
		return result{state: Failed, code: "erased", reason: "the address was erased"}, nil
	}
	if t.channel == SMS {
		return s.text(ctx, t, c), nil
	}
	if t.word, err = s.open("word", t.notice, t.n, t.wordSealed); err != nil {
		return result{}, err
	}
	return w.mail(ctx, t, c), nil
}

func (w *worker) mail(ctx context.Context, t *task, c *content) result {
	if w.session == nil {
		return result{state: Failed, code: "no-mail", reason: "this installation sends no e-mail"}
	}
	m := w.s.compose(t, c)
	o := w.session.Send(ctx, m)
	r := result{state: Sent, code: o.Status, reason: o.Reason}
	if r.code == "" && o.Code != 0 {
		r.code = strconv.Itoa(o.Code)
	}
	switch o.Class {
	case mail.Sent:
	case mail.Permanent:
		r.state = Failed
	default:
		r.state = Waiting
		r.cut = ctx.Err() != nil && !o.Unsure
	}
	return r
}

func (s *Service) text(ctx context.Context, t *task, c *content) result {
	if s.texter == nil {
		return result{state: Failed, code: "no-sms", reason: "this installation sends no text messages"}
	}
	body := c.Texts.ZH.Short
	if t.locale == "en" {
		body = c.Texts.EN.Short
	}
	ctx, cancel := context.WithTimeout(ctx, textTimeout)
	defer cancel()
	o := s.texter.Text(ctx, Text{ID: s.token(t.id), Mobile: t.address, Locale: t.locale, Code: t.code, Values: c.Values, Body: body})
	r := result{state: Sent, code: clip(o.Code, 60), reason: clip(o.Reason, 300)}
	switch {
	case o.Class == mail.Sent:
	case o.Unsure:
		r.state = Unsure
	case o.Class == mail.Permanent:
		r.state = Failed
	default:
		r.state = Waiting
	}
	return r
}

const tokenPurpose = "notice/delivery/v1"

// token is a name of a delivery that nobody can guess: a report of a failed delivery proves with it that its sender got the message.
func (s *Service) token(delivery int64) string {
	return s.keys.Token(tokenPurpose, binary.BigEndian.AppendUint64(nil, uint64(delivery)))
}

// byToken is the inverse; false: it is none.
func (s *Service) byToken(token string) (int64, bool) {
	data, err := s.keys.OpenToken(tokenPurpose, token)
	if err != nil || len(data) != 8 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(data)), true
}

// recover makes the deliveries of the process before due. In a cluster they are due when their leases end.
func (s *Service) recover(ctx context.Context) error {
	if s.db.Engine() != db.SQLite {
		return nil
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `update notice_delivery set leased = false, due_at = $1 where state = 1 and leased`, s.now())
		return err
	})
}

// RunDue sends what is due now, and what becomes due by that, one after the other, and returns how many attempts there were: for tests and
// tools that have no time to wait. It needs no Run.
func (s *Service) RunDue(ctx context.Context) (int, error) {
	total := 0
	for {
		if err := s.releaseAll(ctx); err != nil {
			return total, err
		}
		before := total
		for _, channel := range []string{Email, SMS} {
			w := s.newWorker(channel)
			for {
				n, err := w.once(ctx, ctx)
				total += n
				if err != nil {
					w.close()
					return total, err
				}
				if n == 0 {
					break
				}
			}
			w.close()
		}
		if total == before {
			return total, nil
		}
	}
}
