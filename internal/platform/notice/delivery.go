package notice

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"borealis/internal/kernel/db"
)

// DeliveryState is where the telling of a recipient on a channel is.
type DeliveryState int64

// States. Prepared becomes waiting when the notice is accepted; waiting becomes one of the others, and sent may become bounced.
const (
	Prepared   DeliveryState = iota
	Waiting                  // to be sent, or sent again after a temporary failure
	Sent                     // taken over by the server or the provider
	Failed                   // refused for good, or tried for too long
	Bounced                  // a report said that it did not arrive; it may have been sent before
	Suppressed               // the user does not want it
	Expired                  // it was no use any more
	Unsure                   // a text message that may have been sent, and is not repeated
)

// String is the state's name.
func (s DeliveryState) String() string {
	names := []string{"prepared", "waiting", "sent", "failed", "bounced", "suppressed", "expired", "unsure"}
	if s < 0 || int(s) >= len(names) {
		return fmt.Sprintf("state %d", int64(s))
	}
	return names[s]
}

// Pauses after the first, second … failed attempt; after the last comes the last attempt. Two days in all.
func pauses() []time.Duration {
	return []time.Duration{
		time.Minute, 5 * time.Minute, 15 * time.Minute, time.Hour, 2 * time.Hour, 4 * time.Hour, 8 * time.Hour, 8 * time.Hour, 12 * time.Hour, 12 * time.Hour,
	}
}

// task is a delivery that this node may send until its lease ends.
type task struct {
	id, recipient, fence int64
	notice, channel      string
	attempts             int
	until                int64

	n                    int
	user                 int64
	locale               string
	address, word        string
	mailSealed, moSealed string
	wordSealed           string
	code, class          string
	fallback             []string
	expires              int64
	texts                string
}

// take claims up to limit due deliveries of a channel. The outer conditions repeat the inner ones because PostgreSQL checks only them again
// after it has waited for another node.
func take(ctx context.Context, tx *db.Tx, channel string, now, until int64, limit int) ([]*task, error) {
	rows, err := tx.Query(ctx, `update notice_delivery set leased = true, claims = claims + 1, due_at = $1
		where state = 1 and due_at <= $2 and id in
			(select id from notice_delivery where state = 1 and channel = $3 and due_at <= $2 order by due_at, id limit $4)
		returning id, recipient_id, notice_id, attempts, claims`, until, now, channel, limit)
	if err != nil {
		return nil, wrap("claim", err)
	}
	var list []*task
	for rows.Next() {
		t := &task{channel: channel, until: until}
		if err := rows.Scan(&t.id, &t.recipient, &t.notice, &t.attempts, &t.fence); err != nil {
			_ = rows.Close()
			return nil, wrap("claim", err)
		}
		list = append(list, t)
	}
	if err := rows.Close(); err != nil {
		return nil, wrap("claim", err)
	}
	slices.SortFunc(list, func(a, b *task) int { return int(a.id - b.id) })
	return list, rows.Err()
}

// load fills in whom a task is for, and what they are told.
func (t *task) load(ctx context.Context, q querier) error {
	var fallback string
	err := q.QueryRow(ctx, `select r.n, r.user_id, r.locale, r.email, r.mobile, r.word, m.code, m.class, m.fallback, m.expires_at, m.texts
		from notice_recipient r join notice_notice m on m.id = r.notice_id where r.id = $1`, t.recipient).
		Scan(&t.n, &t.user, &t.locale, &t.mailSealed, &t.moSealed, &t.wordSealed, &t.code, &t.class, &fallback, &t.expires, &t.texts)
	if err != nil {
		return wrap("load", err)
	}
	t.fallback = split(fallback)
	return nil
}

// result is what became of an attempt.
type result struct {
	state DeliveryState
	// retry: state is Waiting and another attempt follows.
	code, reason string
	// cut: the node ended the attempt itself; it counts for nothing.
	cut bool
}

// settle writes what became of an attempt, in a transaction that may run more than once. What failed goes on to the fallback. A delivery that
// somebody else has claimed meanwhile is left alone, except that "sent" always counts: the server has it.
func (s *Service) settle(ctx context.Context, tx *db.Tx, t *task, r result, now int64) error {
	if r.cut {
		_, err := tx.Exec(ctx, `update notice_delivery set leased = false, due_at = $3 where id = $1 and claims = $2 and state = 1`, t.id, t.fence, now)
		return err
	}
	if r.state == Waiting {
		if list := pauses(); t.attempts < len(list) {
			_, err := tx.Exec(ctx, `update notice_delivery set leased = false, attempts = attempts + 1, due_at = $3, last_at = $4, code = $5, reason = $6
				where id = $1 and claims = $2 and state = 1`, t.id, t.fence, now+list[t.attempts].Milliseconds(), now, r.code, r.reason)
			return err
		}
		r.state = Failed
	}
	sent := int64(0)
	if r.state == Sent {
		sent = now
	}
	n, err := tx.Exec(ctx, `update notice_delivery set leased = false, attempts = attempts + 1, state = $3, last_at = $4, settled_at = $4,
			sent_at = cast($5 as bigint), code = $6, reason = $7
		where id = $1 and (claims = $2 or cast($5 as bigint) > 0) and state = 1`, t.id, t.fence, int64(r.state), now, sent, r.code, r.reason)
	if err != nil || n == 0 {
		return err
	}
	switch r.state {
	case Sent:
		return s.deem(ctx, tx, t.recipient, now)
	case Failed, Unsure:
		return s.fallBack(ctx, tx, t.recipient, t.notice, t.class, t.fallback, now)
	}
	return nil
}

// deem writes the date of the first hand-over, once.
func (s *Service) deem(ctx context.Context, tx *db.Tx, recipient, at int64) error {
	_, err := tx.Exec(ctx, `update notice_recipient set deemed_at = $2, deemed_date = $3 where id = $1 and deemed_at = 0`, recipient, at, s.date(at))
	if err != nil {
		return wrap("deemed date", err)
	}
	return nil
}

// fallBack tells a recipient on the next channel of the fallback that they have and that was not tried.
func (s *Service) fallBack(ctx context.Context, tx *db.Tx, recipient int64, notice, class string, chain []string, now int64) error {
	var (
		user, visible int64
		email, mobile string
	)
	if err := tx.QueryRow(ctx, `select user_id, visible_at, email, mobile from notice_recipient where id = $1`, recipient).Scan(&user, &visible, &email, &mobile); err != nil {
		return wrap("fallback", err)
	}
	tried, err := queryTried(ctx, tx, recipient)
	if err != nil {
		return err
	}
	for _, c := range chain {
		switch {
		case slices.Contains(tried, c), c == Email && email == "", c == SMS && mobile == "", c == InSite && (user == 0 || visible > 0):
			continue
		case c != InSite:
			return insertDelivery(ctx, tx, notice, recipient, c, true, Waiting, now)
		}
		wanted, err := wants(ctx, tx, user, class, InSite)
		if err != nil || !wanted {
			return err
		}
		if _, err := tx.Exec(ctx, `update notice_recipient set visible_at = $2 where id = $1 and visible_at = 0`, recipient, now); err != nil {
			return wrap("fallback", err)
		}
		return s.deem(ctx, tx, recipient, now)
	}
	return nil
}

func queryTried(ctx context.Context, q querier, recipient int64) ([]string, error) {
	rows, err := q.Query(ctx, `select channel from notice_delivery where recipient_id = $1`, recipient)
	if err != nil {
		return nil, wrap("fallback", err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			return nil, wrap("fallback", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

func split(list string) []string {
	if list == "" {
		return nil
	}
	return strings.Split(list, ",")
}
