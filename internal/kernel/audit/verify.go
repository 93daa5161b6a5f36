package audit

import (
	"context"
	"crypto/hmac"
	"fmt"
	"math"

	"borealis/internal/kernel/db"
)

// pageSize is how many rows Verify reads at once, and the most List returns.
const pageSize = 500

// Head is the number and hash of the newest row; 0 and "" of an empty log. Kept elsewhere, it proves later that
// nothing was cut off.
func (l *Log) Head(ctx context.Context, d *db.DB) (seq int64, hash string, err error) {
	err = d.QueryRow(ctx, `select seq, hash from audit_head where id = 1`).Scan(&seq, &hash)
	if err != nil {
		return 0, "", fmt.Errorf("audit: head: %w", err)
	}
	return seq, hash, nil
}

// Verify recomputes the chain up to the head as it was when Verify began. broken is the number of the first row that
// is missing or not what was logged, 0 if there is none.
func (l *Log) Verify(ctx context.Context, d *db.DB) (broken int64, err error) {
	end, hash, err := l.Head(ctx, d)
	if err != nil {
		return 0, err
	}
	prev := ""
	for next := int64(1); next <= end; {
		rows, err := page(ctx, d, `select seq, at, actor, action, object, detail, prev, hash from audit_log
			where seq >= $1 and seq <= $2 order by seq limit $3`, next, end, pageSize)
		if err != nil {
			return 0, err
		}
		if len(rows) == 0 {
			return next, nil // cut off
		}
		for i := range rows {
			r := &rows[i]
			if r.Seq != next || r.Prev != prev || !hmac.Equal([]byte(r.Hash), []byte(l.hash(r))) {
				return next, nil
			}
			prev = r.Hash
			next++
		}
	}
	if prev != hash {
		return end, nil
	}
	return 0, nil
}

// List returns rows below the number before (0: from the newest), newest first, at most limit (1 to 500). object
// limits it to the acts on one object, unless it is empty.
func (l *Log) List(ctx context.Context, d *db.DB, object string, before int64, limit int) ([]Row, error) {
	limit = min(max(limit, 1), pageSize)
	if before <= 0 {
		before = math.MaxInt64
	}
	if object == "" {
		return page(ctx, d, `select seq, at, actor, action, object, detail, prev, hash from audit_log
			where seq < $1 order by seq desc limit $2`, before, limit)
	}
	return page(ctx, d, `select seq, at, actor, action, object, detail, prev, hash from audit_log
		where object = $1 and seq < $2 order by seq desc limit $3`, object, before, limit)
}

func page(ctx context.Context, d *db.DB, query string, args ...any) ([]Row, error) {
	rows, err := d.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("audit: read: %w", err)
	}
	defer rows.Close()
	var list []Row
	for rows.Next() {
		var r Row
		if err := rows.Scan(&r.Seq, &r.At, &r.Actor, &r.Action, &r.Object, &r.Detail, &r.Prev, &r.Hash); err != nil {
			return nil, fmt.Errorf("audit: read: %w", err)
		}
		list = append(list, r)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("audit: read: %w", err)
	}
	return list, nil
}
