package notice

import (
	"context"
	"errors"

	"borealis/internal/kernel/db"
)

// Fact is what is known of the telling of one recipient. It holds no address in full. Times are Unix ms; 0: it has not happened.
type Fact struct {
	// ID of the recipient, by which facts are in order; Notice that they were told, with its code.
	ID           int64
	Notice, Code string
	// User and Account as the caller gave them; Owner of the account.
	User, Account int64
	Owner         bool
	// VisibleAt is when the message came into the in-site box, ReadAt and AckedAt what the user did there (AG-NOT-03).
	VisibleAt, ReadAt, AckedAt int64
	// DeemedAt is the first hand-over on any channel, DeemedDate its date in Shanghai, "2026-11-25"; empty: there was none.
	DeemedAt   int64
	DeemedDate string
	Deliveries []DeliveryFact
}

// DeliveryFact is what is known of one channel.
type DeliveryFact struct {
	Channel string
	State   DeliveryState
	// Fallback: it was begun because another channel failed.
	Fallback bool
	// Address is masked.
	Address  string
	Attempts int
	// LastAt is the last attempt; SentAt stays when BouncedAt follows.
	LastAt, SentAt, SettledAt, BouncedAt int64
	// Code and Reason are the server's or provider's last answer, Bounce what the report said.
	Code, Reason, Bounce string
}

// Summary is a notice with what became of it.
type Summary struct {
	ID, Key, Code, Class, Category, Actor string
	Version                               int64
	// ContentHash is the hexadecimal SHA-256 of the texts as sent.
	ContentHash string
	// Accepted: it is sent, or being sent; AcceptedAt is Unix ms.
	Accepted   bool
	AcceptedAt int64
	Recipients int
	// Deemed recipients have been handed it on some channel; Unreached have not, and nothing waits for them.
	Deemed, Unreached int
	// Deliveries counts by state.
	Deliveries map[DeliveryState]int
}

// Notice sums up a notice. ErrNoNotice.
func (s *Service) Notice(ctx context.Context, id string) (*Summary, error) {
	return s.summary(ctx, `id = $1`, id)
}

// ByKey sums up the notice of a caller's key. ErrNoNotice.
func (s *Service) ByKey(ctx context.Context, key string) (*Summary, error) {
	return s.summary(ctx, `caller_key = $1`, key)
}

func (s *Service) summary(ctx context.Context, where string, arg any) (*Summary, error) {
	m := Summary{Deliveries: map[DeliveryState]int{}}
	var state int64
	err := s.db.QueryRow(ctx, `select id, caller_key, code, class, category, actor, version, content_hash, state, accepted_at, recipients
		from notice_notice where `+where, arg).
		Scan(&m.ID, &m.Key, &m.Code, &m.Class, &m.Category, &m.Actor, &m.Version, &m.ContentHash, &state, &m.AcceptedAt, &m.Recipients)
	if isNoRows(err) {
		return nil, ErrNoNotice
	}
	if err != nil {
		return nil, wrap("notice", err)
	}
	m.Accepted = state != statePreparing
	err = s.db.QueryRow(ctx, `select coalesce(sum(case when deemed_at > 0 then 1 else 0 end), 0),
			coalesce(sum(case when deemed_at = 0 and not exists
				(select 1 from notice_delivery d where d.recipient_id = notice_recipient.id and d.state in (0, 1)) then 1 else 0 end), 0)
		from notice_recipient where notice_id = $1`, m.ID).Scan(&m.Deemed, &m.Unreached)
	if err != nil {
		return nil, wrap("notice", err)
	}
	rows, err := s.db.Query(ctx, `select state, count(*) from notice_delivery where notice_id = $1 group by state`, m.ID)
	if err != nil {
		return nil, wrap("notice", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			st int64
			n  int
		)
		if err := rows.Scan(&st, &n); err != nil {
			return nil, wrap("notice", err)
		}
		m.Deliveries[DeliveryState(st)] = n
	}
	return &m, rows.Err()
}

// Facts lists what became of a notice's recipients, in order, after the one with the given ID; limit as in BoxFilter. With them come the read
// receipts of every member.
func (s *Service) Facts(ctx context.Context, notice string, after int64, limit int) ([]Fact, error) {
	return s.facts(ctx, `r.notice_id = $1`, notice, after, limit)
}

// AccountFacts lists all that an account was told: the attempts to reach it (AG-REG-06).
func (s *Service) AccountFacts(ctx context.Context, account, after int64, limit int) ([]Fact, error) {
	return s.facts(ctx, `r.account_id = $1`, account, after, limit)
}

// UserFacts lists all that a user was told.
func (s *Service) UserFacts(ctx context.Context, user, after int64, limit int) ([]Fact, error) {
	return s.facts(ctx, `r.user_id = $1`, user, after, limit)
}

// AddressFacts lists all that went to an e-mail address.
func (s *Service) AddressFacts(ctx context.Context, email string, after int64, limit int) ([]Fact, error) {
	return s.facts(ctx, `r.email_blind <> '' and r.email_blind = $1`, s.blind(email), after, limit)
}

func (s *Service) facts(ctx context.Context, where string, arg any, after int64, limit int) ([]Fact, error) {
	rows, err := s.db.Query(ctx, `select r.id, r.notice_id, m.code, r.user_id, r.account_id, r.owner, r.visible_at, r.read_at, r.acked_at, r.deemed_at, r.deemed_date,
			r.email_masked, r.mobile_masked
		from notice_recipient r join notice_notice m on m.id = r.notice_id where `+where+` and r.id > $2 and m.state > 1 order by r.id limit $3`, arg, after, pageSize(limit))
	if err != nil {
		return nil, wrap("facts", err)
	}
	defer func() { _ = rows.Close() }()
	var (
		out   []Fact
		index = map[int64]int{}
		masks = map[int64]map[string]string{}
		ids   []any
	)
	for rows.Next() {
		var (
			f             Fact
			email, mobile string
		)
		if err := rows.Scan(&f.ID, &f.Notice, &f.Code, &f.User, &f.Account, &f.Owner, &f.VisibleAt, &f.ReadAt, &f.AckedAt, &f.DeemedAt, &f.DeemedDate,
			&email, &mobile); err != nil {
			return nil, wrap("facts", err)
		}
		index[f.ID], masks[f.ID] = len(out), map[string]string{Email: email, SMS: mobile}
		ids, out = append(ids, f.ID), append(out, f)
	}
	if err := rows.Err(); err != nil || len(out) == 0 {
		return nil, err
	}
	deliveries, err := s.db.Query(ctx, `select recipient_id, channel, state, fallback, attempts, last_at, sent_at, settled_at, bounced_at, code, reason, bounce
		from notice_delivery where recipient_id in (`+db.In(1, len(ids))+`) order by id`, ids...)
	if err != nil {
		return nil, wrap("facts", err)
	}
	defer func() { _ = deliveries.Close() }()
	for deliveries.Next() {
		var (
			d     DeliveryFact
			rid   int64
			state int64
		)
		err := deliveries.Scan(&rid, &d.Channel, &state, &d.Fallback, &d.Attempts, &d.LastAt, &d.SentAt, &d.SettledAt, &d.BouncedAt, &d.Code, &d.Reason, &d.Bounce)
		if err != nil {
			return nil, wrap("facts", err)
		}
		d.State, d.Address = DeliveryState(state), masks[rid][d.Channel]
		out[index[rid]].Deliveries = append(out[index[rid]].Deliveries, d)
	}
	return out, deliveries.Err()
}

func isNoRows(err error) bool { return errors.Is(err, db.ErrNoRows) }
