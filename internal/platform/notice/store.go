package notice

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/mail"
	"borealis/internal/platform/notice/wording"
)

// querier is a database or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// States of a notice.
const (
	statePreparing int64 = iota + 1
	stateAccepted
	stateReleased
)

// known is a notice that a key has already.
type known struct {
	id                         string
	state, fence               int64
	request, audience, content string
}

func queryKnown(ctx context.Context, q querier, key string) (*known, error) {
	var k known
	err := q.QueryRow(ctx, `select id, state, fence, request_hash, audience_hash, content_hash from notice_notice where caller_key = $1`, key).
		Scan(&k.id, &k.state, &k.fence, &k.request, &k.audience, &k.content)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, wrap("look up key", err)
	}
	return &k, nil
}

// content is what is sealed of a notice.
type content struct {
	Texts  wording.Texts     `json:"texts"`
	Values map[string]string `json:"values"`
}

func (s *Service) sealContent(name string, r *request) (string, error) {
	data, err := json.Marshal(content{r.texts, r.Values})
	if err != nil {
		return "", wrap("content", err)
	}
	return s.keys.Seal(data, []byte("notice/texts/"+name))
}

func (s *Service) openContent(name, sealed string) (*content, error) {
	data, err := s.keys.Open(sealed, []byte("notice/texts/"+name))
	if err != nil {
		return nil, wrap("content", err)
	}
	var c content
	if err := json.Unmarshal(data, &c); err != nil {
		return nil, wrap("content", err)
	}
	return &c, nil
}

func (s *Service) insertNotice(ctx context.Context, tx *db.Tx, name string, r *request, state int64) error {
	sealed, err := s.sealContent(name, r)
	if err != nil {
		return err
	}
	t, now := r.template, s.now()
	accepted, released := int64(0), 0
	if state == stateReleased {
		accepted, released = now, len(r.people)
	}
	n, err := tx.Exec(ctx, `insert into notice_notice (id, caller_key, code, version, class, category, channels, fallback, acknowledge, state, fence,
			request_hash, audience_hash, content_hash, texts, recipients, released, actor, created_at, accepted_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 1, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20)
		on conflict (caller_key) do nothing`,
		name, r.Key, t.Code, t.Version, t.Class, t.Category, strings.Join(r.channels, ","), strings.Join(t.chain(), ","), t.Acknowledge, state,
		r.hash, r.audience, r.content, sealed, len(r.people), released, r.Actor, now, accepted, r.Expires)
	if err != nil {
		return wrap("accept", err)
	}
	if n == 0 { // another transaction was first; who asks again gets its answer
		return ErrConflict
	}
	return nil
}

// replaceContent gives a notice that nobody has seen the text and audience of a new request.
func (s *Service) replaceContent(ctx context.Context, tx *db.Tx, name string, r *request) error {
	sealed, err := s.sealContent(name, r)
	if err != nil {
		return err
	}
	t := r.template
	_, err = tx.Exec(ctx, `update notice_notice set audience_hash = $2, content_hash = $3, texts = $4, version = $5, class = $6, category = $7, fallback = $8,
		acknowledge = $9, channels = $10 where id = $1`,
		name, r.audience, r.content, sealed, t.Version, t.Class, t.Category, strings.Join(t.chain(), ","), t.Acknowledge, strings.Join(r.channels, ","))
	if err != nil {
		return wrap("take over", err)
	}
	return nil
}

// deleteSome removes a chunk of what was written of a notice.
func deleteSome(ctx context.Context, tx *db.Tx, name string) error {
	const some = `(select id from notice_recipient where notice_id = $1 order by n limit 500)`
	if _, err := tx.Exec(ctx, `delete from notice_delivery where recipient_id in `+some, name); err != nil {
		return wrap("remove recipients", err)
	}
	if _, err := tx.Exec(ctx, `delete from notice_recipient where id in `+some, name); err != nil {
		return wrap("remove recipients", err)
	}
	return nil
}

// insertPeople writes the recipients from..to of a notice. released: what they get is due at once.
func (s *Service) insertPeople(ctx context.Context, tx *db.Tx, name string, r *request, from, to int, released bool) error {
	t, now := r.template, s.now()
	people := r.people[from:to]
	refused := map[int64]bool{}
	if !Mandatory(t.Class) {
		var err error
		if refused, err = queryRefused(ctx, tx, people, t.Class); err != nil {
			return err
		}
	}
	for i := range people {
		p, n := &people[i], from+i
		insite, channels, _ := r.plan(p, !refused[p.User])
		row, err := s.sealPerson(name, n, p)
		if err != nil {
			return err
		}
		visible, date := int64(0), ""
		if insite && released {
			visible, date = now, s.date(now)
		}
		var rid int64
		err = tx.QueryRow(ctx, `insert into notice_recipient (notice_id, n, user_id, account_id, owner, locale, email, email_blind, email_masked, mobile, mobile_masked,
				word, category, acknowledge, insite, visible_at, read_at, acked_at, deemed_at, deemed_date)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, 0, 0, $16, $17) returning id`,
			name, n, p.User, p.Account, p.Owner, p.Locale, row.email, row.emailBlind, row.emailMasked, row.mobile, row.mobileMasked,
			row.word, t.Category, t.Acknowledge, insite, visible, date).Scan(&rid)
		if err != nil {
			return wrap("write recipients", err)
		}
		state := Prepared
		if released {
			state = Waiting
		}
		for _, c := range channels {
			if err := insertDelivery(ctx, tx, name, rid, c, false, state, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func insertDelivery(ctx context.Context, tx *db.Tx, notice string, recipient int64, channel string, fallback bool, state DeliveryState, now int64) error {
	_, err := tx.Exec(ctx, `insert into notice_delivery (notice_id, recipient_id, channel, fallback, state, leased, claims, attempts, created_at, due_at, last_at,
			sent_at, settled_at, bounced_at, code, reason, bounce)
		values ($1, $2, $3, $4, $5, false, 0, 0, $6, $6, 0, 0, 0, 0, '', '', '')`, notice, recipient, channel, fallback, int64(state), now)
	if err != nil {
		return wrap("write deliveries", err)
	}
	return nil
}

// sealed is the personal data of a recipient as it is stored.
type sealed struct {
	email, emailBlind, emailMasked, mobile, mobileMasked, word string
}

func place(field, name string, n int) []byte {
	return fmt.Appendf(nil, "notice/%s/%s/%d", field, name, n)
}

func (s *Service) sealPerson(name string, n int, p *Recipient) (row sealed, err error) {
	put := func(into *string, field, value string) {
		if value != "" && err == nil {
			*into, err = s.keys.Seal([]byte(value), place(field, name, n))
		}
	}
	put(&row.email, "email", p.Email)
	put(&row.mobile, "mobile", p.Mobile)
	put(&row.word, "word", p.Word)
	if p.Email != "" {
		row.emailBlind, row.emailMasked = s.blind(p.Email), mail.Mask(p.Email)
	}
	row.mobileMasked = maskMobile(p.Mobile)
	return row, err
}

// blind is the index of an address.
func (s *Service) blind(email string) string {
	return s.keys.Blind("notice/email", strings.ToLower(email))
}

func (s *Service) open(field, name string, n int, sealed string) (string, error) {
	if sealed == "" {
		return "", nil
	}
	data, err := s.keys.Open(sealed, place(field, name, n))
	if err != nil {
		return "", wrap("open "+field, err)
	}
	return string(data), nil
}
