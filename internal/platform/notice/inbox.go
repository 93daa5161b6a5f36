package notice

import (
	"context"
	"fmt"
	"strings"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/notice/wording"
)

// Message is an in-site message in a user's box.
type Message struct {
	// ID is of the message, Notice of what it tells.
	ID     int64
	Notice string
	// Account is the organisation that it concerns; 0: none.
	Account               int64
	Code, Class, Category string
	Texts                 wording.Texts
	// Acknowledge asks for a confirmation. Times are Unix ms; 0: not yet.
	Acknowledge                bool
	VisibleAt, ReadAt, AckedAt int64
}

// BoxFilter chooses messages; zero values choose all.
type BoxFilter struct {
	Category string
	Account  int64
	// Unread, and Unacknowledged: those that ask for a confirmation and have none.
	Unread, Unacknowledged bool
	// Before continues after the last message of a page: its VisibleAt and ID.
	Before   int64
	BeforeID int64
	// Limit is 1 to 100; 0: 20.
	Limit int
}

// MaxPage is the most entries of one page.
const MaxPage = 100

func pageSize(limit int) int {
	if limit <= 0 {
		return 20
	}
	return min(limit, MaxPage)
}

// Box lists a user's messages, the newest first.
func (s *Service) Box(ctx context.Context, user int64, f BoxFilter) ([]Message, error) {
	where, args := []string{"r.user_id = $1", "r.visible_at > 0"}, []any{user}
	add := func(condition string, values ...any) {
		for _, v := range values {
			args = append(args, v)
			condition = strings.Replace(condition, "?", fmt.Sprint("$", len(args)), 1)
		}
		where = append(where, condition)
	}
	if f.Category != "" {
		add("r.category = ?", f.Category)
	}
	if f.Account != 0 {
		add("r.account_id = ?", f.Account)
	}
	if f.Unread {
		add("r.read_at = 0")
	}
	if f.Unacknowledged {
		add("r.acknowledge and r.acked_at = 0")
	}
	if f.Before > 0 {
		add("(r.visible_at < ? or r.visible_at = ? and r.id < ?)", f.Before, f.Before, f.BeforeID)
	}
	args = append(args, pageSize(f.Limit))
	rows, err := s.db.Query(ctx, `select r.id, r.notice_id, r.account_id, m.code, m.class, r.category, m.texts, r.acknowledge, r.visible_at, r.read_at, r.acked_at
		from notice_recipient r join notice_notice m on m.id = r.notice_id where `+strings.Join(where, " and ")+
		fmt.Sprintf(` order by r.visible_at desc, r.id desc limit $%d`, len(args)), args...)
	if err != nil {
		return nil, wrap("box", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Message
	for rows.Next() {
		var (
			m      Message
			sealed string
		)
		if err := rows.Scan(&m.ID, &m.Notice, &m.Account, &m.Code, &m.Class, &m.Category, &sealed, &m.Acknowledge, &m.VisibleAt, &m.ReadAt, &m.AckedAt); err != nil {
			return nil, wrap("box", err)
		}
		c, err := s.openContent(m.Notice, sealed)
		if err != nil {
			return nil, err
		}
		m.Texts = c.Texts
		out = append(out, m)
	}
	return out, rows.Err()
}

// Unread is what a user has not seen.
type Unread struct {
	Total      int
	ByCategory map[string]int
	// Unacknowledged messages ask for a confirmation and have none; they may have been read.
	Unacknowledged int
}

// Unread counts a user's messages that wait to be read or confirmed.
func (s *Service) Unread(ctx context.Context, user int64) (Unread, error) {
	u := Unread{ByCategory: map[string]int{}}
	rows, err := s.db.Query(ctx, `select category, count(*) from notice_recipient where user_id = $1 and visible_at > 0 and read_at = 0 group by category`, user)
	if err != nil {
		return u, wrap("unread", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			category string
			n        int
		)
		if err := rows.Scan(&category, &n); err != nil {
			return u, wrap("unread", err)
		}
		u.ByCategory[category] = n
		u.Total += n
	}
	if err := rows.Err(); err != nil {
		return u, wrap("unread", err)
	}
	err = s.db.QueryRow(ctx, `select count(*) from notice_recipient where user_id = $1 and visible_at > 0 and acknowledge and acked_at = 0`, user).Scan(&u.Unacknowledged)
	if err != nil {
		return u, wrap("unread", err)
	}
	return u, nil
}

// MarkRead marks up to MaxPage messages of a user as read; those that are read keep their first time, those of others are passed over. It
// returns how many it marked.
func (s *Service) MarkRead(ctx context.Context, tx *db.Tx, user int64, messages ...int64) (int, error) {
	if len(messages) == 0 {
		return 0, nil
	}
	if len(messages) > MaxPage {
		return 0, &InvalidError{Field: "messages", Reason: fmt.Sprintf("must be at most %d", MaxPage)}
	}
	args := []any{user, s.now()}
	for _, m := range messages {
		args = append(args, m)
	}
	n, err := tx.Exec(ctx, `update notice_recipient set read_at = $2 where user_id = $1 and visible_at > 0 and read_at = 0 and id in (`+db.In(3, len(messages))+`)`, args...)
	if err != nil {
		return 0, wrap("mark read", err)
	}
	return int(n), nil
}

// MarkAllRead marks all messages of a user as read, or those of a category.
func (s *Service) MarkAllRead(ctx context.Context, tx *db.Tx, user int64, category string) (int, error) {
	n, err := tx.Exec(ctx, `update notice_recipient set read_at = $2 where user_id = $1 and visible_at > 0 and read_at = 0 and ($3 = '' or category = $3)`,
		user, s.now(), category)
	if err != nil {
		return 0, wrap("mark read", err)
	}
	return int(n), nil
}

// Acknowledge is a user's confirmation of a message that asks for one; it reads the message too. The first time counts. Errors: ErrNoMessage,
// and an *InvalidError for a message that does not ask.
func (s *Service) Acknowledge(ctx context.Context, tx *db.Tx, user, message int64) error {
	var asks bool
	err := tx.QueryRow(ctx, `update notice_recipient set acked_at = case when acknowledge and acked_at = 0 then $3 else acked_at end,
			read_at = case when acknowledge and read_at = 0 then $3 else read_at end
		where id = $1 and user_id = $2 and visible_at > 0 returning acknowledge`, message, user, s.now()).Scan(&asks)
	switch {
	case isNoRows(err):
		return ErrNoMessage
	case err != nil:
		return wrap("acknowledge", err)
	case !asks:
		return &InvalidError{Field: "message", Reason: "does not ask for a confirmation"}
	}
	return nil
}
