package webpush

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/kernel/db"
	"borealis/internal/service/push/pushevent"
)

// receiptsOf is a receipt subscription: the number of its last receipt, and its end in Unix milliseconds.
type receiptsOf struct{ last, expires int64 }

// queryReceiptsOf reads one; nil if it has ended.
func queryReceiptsOf(ctx context.Context, d *db.DB, id, now int64) (*receiptsOf, error) {
	of := new(receiptsOf)
	err := d.QueryRow(ctx, `select last_no, expires_at from webpush_receipts where receipts_id = $1 and expires_at > $2`, id, now).Scan(&of.last, &of.expires)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("webpush: read a receipt subscription: %w", err)
	}
	return of, nil
}

// queryLast is the number of the last receipt of each of those that have not ended.
func queryLast(ctx context.Context, d *db.DB, ids []int64, now int64) (map[int64]int64, error) {
	args := make([]any, 0, len(ids)+1)
	args = append(args, now)
	for _, id := range ids {
		args = append(args, id)
	}
	rows, err := d.Query(ctx, `select receipts_id, last_no from webpush_receipts where expires_at > $1 and receipts_id in (`+db.In(2, len(ids))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("webpush: look for receipts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make(map[int64]int64, len(ids))
	for rows.Next() {
		var id, last int64
		if err := rows.Scan(&id, &last); err != nil {
			return nil, fmt.Errorf("webpush: look for receipts: %w", err)
		}
		out[id] = last
	}
	return out, rows.Err()
}

func countReceipts(ctx context.Context, tx *db.Tx, subscription int64) (n int, err error) {
	err = tx.QueryRow(ctx, `select count(*) from webpush_receipts where subscription_id = $1`, subscription).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("webpush: count receipt subscriptions: %w", err)
	}
	return n, nil
}

func insertReceipts(ctx context.Context, tx *db.Tx, id, subscription, expires int64) error {
	_, err := tx.Exec(ctx, `insert into webpush_receipts (receipts_id, subscription_id, last_no, expires_at) values ($1, $2, 0, $3)`, id, subscription, expires)
	if err != nil {
		return fmt.Errorf("webpush: insert a receipt subscription: %w", err)
	}
	return nil
}

// extendReceipts keeps a receipt subscription until a time at least; ok is false if it has ended.
func extendReceipts(ctx context.Context, tx *db.Tx, id, now, until int64) (ok bool, err error) {
	n, err := tx.Exec(ctx, `update webpush_receipts set expires_at = case when expires_at < $3 then cast($3 as bigint) else expires_at end
		where receipts_id = $1 and expires_at > $2`, id, now, until)
	if err != nil {
		return false, fmt.Errorf("webpush: keep a receipt subscription: %w", err)
	}
	return n > 0, nil
}

func deleteReceipts(ctx context.Context, tx *db.Tx, id int64) (found bool, err error) {
	n, err := tx.Exec(ctx, `delete from webpush_receipts where receipts_id = $1`, id)
	if err != nil {
		return false, fmt.Errorf("webpush: delete a receipt subscription: %w", err)
	}
	return n > 0, nil
}

// storeReceipts numbers receipts and stores them. The numbers of one receipt subscription are committed in order, since its row is
// locked: who has read up to one misses none before it. Those of subscriptions that have ended are dropped.
func storeReceipts(ctx context.Context, tx *db.Tx, list []pushevent.FrameEnded) error {
	slices.SortStableFunc(list, func(a, b pushevent.FrameEnded) int { return cmp.Compare(a.Receipt, b.Receipt) })
	for _, f := range list {
		var no int64
		err := tx.QueryRow(ctx, `update webpush_receipts set last_no = last_no + 1 where receipts_id = $1 returning last_no`, f.Receipt).Scan(&no)
		if errors.Is(err, db.ErrNoRows) {
			continue
		}
		if err == nil {
			_, err = tx.Exec(ctx, `insert into webpush_receipt (receipts_id, receipt_no, app_id, subscription_id, msg_id, delivered, ended_at)
				values ($1, $2, $3, $4, $5, $6, $7)`, f.Receipt, no, f.App, f.Group, f.Msg, f.Delivered, f.At)
		}
		if err != nil {
			return fmt.Errorf("webpush: store a receipt: %w", err)
		}
	}
	return nil
}

// stored is a receipt in the database.
type stored struct {
	posted

	no        int64
	delivered bool
	at        int64
}

func queryReceipts(ctx context.Context, d *db.DB, id, after int64, limit int) ([]*stored, error) {
	rows, err := d.Query(ctx, `select receipt_no, app_id, subscription_id, msg_id, delivered, ended_at from webpush_receipt
		where receipts_id = $1 and receipt_no > $2 order by receipt_no limit $3`, id, after, limit)
	if err != nil {
		return nil, fmt.Errorf("webpush: read receipts: %w", err)
	}
	return collect(rows, func(r *stored) []any { return []any{&r.no, &r.app, &r.subscription, &r.msg, &r.delivered, &r.at} })
}

// deleteOldReceipts deletes some of the receipts from before a time, and of the receipt subscriptions that have ended by now. It reports
// whether there may be more.
func deleteOldReceipts(ctx context.Context, tx *db.Tx, before, now int64, limit int) (more bool, err error) {
	n, err := tx.Exec(ctx, `delete from webpush_receipt where (receipts_id, receipt_no) in
		(select receipts_id, receipt_no from webpush_receipt where ended_at < $1 limit $2)`, before, limit)
	if err != nil {
		return false, fmt.Errorf("webpush: delete receipts: %w", err)
	}
	ended, err := tx.Exec(ctx, `delete from webpush_receipts where receipts_id in (select receipts_id from webpush_receipts where expires_at <= $1 limit $2)`, now, limit)
	if err != nil {
		return false, fmt.Errorf("webpush: delete receipt subscriptions: %w", err)
	}
	return n >= int64(limit) || ended >= int64(limit), nil
}
