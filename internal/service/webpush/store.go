package webpush

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
)

const columns = `subscription_id, instance, vapid, base, created_at, used_at`

func (s *Subscription) fields() []any {
	return []any{&s.ID, &s.Instance, &s.VAPID, &s.base, &s.CreatedAt, &s.UsedAt}
}

// querySubscription is the one of an instance, nil if there is none.
func querySubscription(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, instance string) (*Subscription, error) {
	sub := new(Subscription)
	err := tx.QueryRow(ctx, `select `+columns+` from webpush_subscription where app_id = $1 and ordinal = $2 and instance = $3`,
		app, int64(ordinal), instance).Scan(sub.fields()...)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("webpush: read a subscription: %w", err)
	}
	return sub, nil
}

// queryInstance is whom the messages of a subscription are for; ok is false if it has ended.
func queryInstance(ctx context.Context, d *db.DB, e *endpoint) (instance string, ok bool, err error) {
	err = d.QueryRow(ctx, `select instance from webpush_subscription where subscription_id = $1 and app_id = $2 and ordinal = $3`,
		e.subscription, e.app, int64(e.ordinal)).Scan(&instance)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return "", false, nil
	case err != nil:
		return "", false, fmt.Errorf("webpush: read a subscription: %w", err)
	}
	return instance, true, nil
}

func querySubscriptions(ctx context.Context, d *db.DB, app int64, ordinal uint32) ([]*Subscription, error) {
	rows, err := d.Query(ctx, `select `+columns+` from webpush_subscription where app_id = $1 and ordinal = $2 order by subscription_id`, app, int64(ordinal))
	if err != nil {
		return nil, fmt.Errorf("webpush: list subscriptions: %w", err)
	}
	return collect(rows, func(s *Subscription) []any { return s.fields() })
}

func collect[T any](rows *sql.Rows, fields func(*T) []any) ([]*T, error) {
	defer func() { _ = rows.Close() }()
	var out []*T
	for rows.Next() {
		v := new(T)
		if err := rows.Scan(fields(v)...); err != nil {
			return nil, fmt.Errorf("webpush: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

func countSubscriptions(ctx context.Context, tx *db.Tx, app int64, ordinal uint32) (n int, err error) {
	err = tx.QueryRow(ctx, `select count(*) from webpush_subscription where app_id = $1 and ordinal = $2`, app, int64(ordinal)).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("webpush: count subscriptions: %w", err)
	}
	return n, nil
}

// errRaced: another call for the same instance was faster.
var errRaced = errors.New("webpush: the instance has a subscription by now")

// insertSubscription adds one, or fails with errRaced.
func insertSubscription(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, s *Subscription) error {
	n, err := tx.Exec(ctx, `insert into webpush_subscription (app_id, ordinal, `+columns+`) values ($1, $2, $3, $4, $5, $6, $7, $8)
		on conflict (app_id, ordinal, instance) do nothing`,
		app, int64(ordinal), s.ID, s.Instance, s.VAPID, s.base, s.CreatedAt, s.UsedAt)
	if err != nil {
		return fmt.Errorf("webpush: insert a subscription: %w", err)
	}
	if n == 0 {
		return errRaced
	}
	return nil
}

func updateBase(ctx context.Context, tx *db.Tx, s *Subscription) error {
	if _, err := tx.Exec(ctx, `update webpush_subscription set base = $2 where subscription_id = $1 and base <> $2`, s.ID, s.base); err != nil {
		return fmt.Errorf("webpush: update a subscription: %w", err)
	}
	return nil
}

// touch notes a message and keeps the subscription from ending before the transaction has; ok is false if it has ended.
func touch(ctx context.Context, tx *db.Tx, e *endpoint, now int64) (ok bool, err error) {
	n, err := tx.Exec(ctx, `update webpush_subscription set used_at = $4 where subscription_id = $1 and app_id = $2 and ordinal = $3`,
		e.subscription, e.app, int64(e.ordinal), now)
	if err != nil {
		return false, fmt.Errorf("webpush: note a message: %w", err)
	}
	return n > 0, nil
}

func deleteSubscription(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, id int64) (found bool, err error) {
	n, err := tx.Exec(ctx, `delete from webpush_subscription where subscription_id = $1 and app_id = $2 and ordinal = $3`, id, app, int64(ordinal))
	if err != nil {
		return false, fmt.Errorf("webpush: delete a subscription: %w", err)
	}
	return n > 0, nil
}

// owner is whose a subscription is.
type owner struct {
	id, app int64
	ordinal uint32
}

// queryOwners lists them in order of subscriptions, after one.
func queryOwners(ctx context.Context, d *db.DB, after int64, limit int) ([]*owner, error) {
	rows, err := d.Query(ctx, `select subscription_id, app_id, ordinal from webpush_subscription where subscription_id > $1 order by subscription_id limit $2`, after, limit)
	if err != nil {
		return nil, fmt.Errorf("webpush: list subscriptions: %w", err)
	}
	return collect(rows, func(o *owner) []any { return []any{&o.id, &o.app, &o.ordinal} })
}
