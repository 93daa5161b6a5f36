package webhook

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// State of a delivery. The numbers are stored; never reuse one.
type State uint8

// States. What was delivered is deleted.
const (
	Pending State = 1 // waits for an attempt
	Dead    State = 2 // given up
)

// String is the name of a state, e.g. "dead".
func (s State) String() string {
	if s == Dead {
		return "dead"
	}
	return "pending"
}

// ErrNotFound says that the owner has no such delivery (any more).
var ErrNotFound = errors.New("no such delivery")

// ErrSending says that a delivery is being sent right now.
var ErrSending = errors.New("the delivery is being sent")

// Entry is a delivery as its owner sees it.
type Entry struct {
	ID, URL string
	State   State
	// Size of the body in bytes.
	Size int
	// Attempts that failed so far.
	Attempts  int
	CreatedAt time.Time
	// DueAt is the next attempt of a pending delivery.
	DueAt time.Time
	// LastAt is the end of the last attempt, zero if there was none; LastStatus the HTTP status it met, 0 if no answer
	// came, and LastError what was wrong.
	LastAt     time.Time
	LastStatus int
	LastError  string
}

// Filter selects deliveries of one owner and kind.
type Filter struct {
	Owner int64
	Kind  string
	State State // 0: any
	// Before is an ID: only older deliveries. Empty: from the newest.
	Before string
	// Limit is at least 1.
	Limit int
}

// newest is above every UUID in every collation.
const newest = "g"

// List lists deliveries, newest first. More tells that the last one is not the last.
func (s *Service) List(ctx context.Context, f Filter) (list []Entry, more bool, err error) {
	before := newest
	if f.Before != "" {
		if before = canonical(f.Before); before == "" {
			return nil, false, ErrNotFound
		}
	}
	rows, err := s.db.Query(ctx, `select id, url, state, size, attempts, created_at, due_at, last_at, last_status, last_error
		from webhook_delivery where owner = $1 and kind = $2 and id < $3 and (cast($4 as bigint) = 0 or state = cast($4 as bigint))
		order by id desc limit $5`, f.Owner, f.Kind, before, int64(f.State), f.Limit+1)
	if err != nil {
		return nil, false, fmt.Errorf("webhook: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			e                    Entry
			created, due, lastAt int64
		)
		if err := rows.Scan(&e.ID, &e.URL, &e.State, &e.Size, &e.Attempts, &created, &due, &lastAt, &e.LastStatus, &e.LastError); err != nil {
			return nil, false, fmt.Errorf("webhook: list: %w", err)
		}
		e.CreatedAt, e.DueAt = clock.FromMillis(created), clock.FromMillis(due)
		if lastAt > 0 {
			e.LastAt = clock.FromMillis(lastAt)
		}
		list = append(list, e)
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("webhook: list: %w", err)
	}
	if more = len(list) > f.Limit; more {
		list = list[:f.Limit]
	}
	return list, more, nil
}

// canonical is the one spelling of a UUID that is stored, or "".
func canonical(id string) string {
	u, err := uuid.Parse(id)
	if err != nil || u.String() != id {
		return ""
	}
	return id
}

// Redeliver makes a dead or waiting delivery due now, with all its attempts before it. Errors: ErrNotFound, ErrSending.
func (s *Service) Redeliver(ctx context.Context, owner int64, kind, id string) error {
	if canonical(id) == "" {
		return ErrNotFound
	}
	now := clock.Millis(s.clock.Now())
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update webhook_delivery set state = 1, attempts = 0, due_at = $4
			where id = $1 and owner = $2 and kind = $3 and not leased`, id, owner, kind, now)
		if err != nil {
			return fmt.Errorf("webhook: redeliver: %w", err)
		}
		if n > 0 {
			return nil
		}
		err = tx.QueryRow(ctx, `select 1 from webhook_delivery where id = $1 and owner = $2 and kind = $3`, id, owner, kind).Scan(new(int))
		switch {
		case errors.Is(err, db.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return fmt.Errorf("webhook: redeliver: %w", err)
		}
		return ErrSending
	})
	if err == nil {
		s.Wake()
	}
	return err
}
