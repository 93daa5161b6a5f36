package callback

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"borealis/internal/kernel/db"
)

const (
	rowColumns = 15
	// rowsPerInsert is how many rows one statement writes. More save round trips to PostgreSQL, but SQLite's driver takes
	// ever longer for each argument.
	rowsPerInsert = 16
)

// inserts are the two statements that write rows; with no more lengths than these their texts stay prepared.
type inserts struct{ one, many string }

func newInserts() inserts {
	text := func(n int) string {
		var b strings.Builder
		b.WriteString(`insert into push_callback (app_id, url, msg_id, send_no, kind, platform, channel, reason, at, params, devices,
			next_ordinal, waiting, size, created_at) values `)
		for i := range n {
			if i > 0 {
				b.WriteByte(',')
			}
			b.WriteString("(" + db.InFixed(1+i*rowColumns, rowColumns) + ")")
		}
		return b.String()
	}
	return inserts{text(1), text(rowsPerInsert)}
}

func (s *inserts) rows(ctx context.Context, tx *db.Tx, rows []row) error {
	for len(rows) > 0 {
		n, text := 1, s.one
		if len(rows) >= rowsPerInsert {
			n, text = rowsPerInsert, s.many
		}
		args := make([]any, 0, n*rowColumns)
		for i := range rows[:n] {
			r := &rows[i]
			args = append(args, r.app, r.url, r.msg, r.sendNo, int64(r.kind), int64(r.platform), r.channel, r.reason, r.at, r.params, r.devices,
				r.from, r.waiting, r.size, r.createdAt)
		}
		if _, err := tx.Exec(ctx, text, args...); err != nil {
			return fmt.Errorf("push: record callbacks: %w", err)
		}
		rows = rows[n:]
	}
	return nil
}

// queryApps lists the apps with pending rows, in order. It steps from one to the next.
func queryApps(ctx context.Context, d *db.DB) ([]int64, error) {
	var apps []int64
	for after := int64(-1); ; {
		var next sql.NullInt64
		if err := d.QueryRow(ctx, `select min(app_id) from push_callback where app_id > $1`, after).Scan(&next); err != nil {
			return nil, fmt.Errorf("push: apps with callbacks: %w", err)
		}
		if !next.Valid {
			return apps, nil
		}
		after = next.Int64
		apps = append(apps, after)
	}
}

// queryURL is the next address of an app with pending rows, in the database's order of texts; false if there is none.
// The empty one, the app's own, comes first.
func queryURL(ctx context.Context, d *db.DB, app int64, after string, first bool) (url string, ok bool, err error) {
	text := `select url from push_callback where app_id = $1 and url > $2 order by url limit 1`
	args := []any{app, after}
	if first {
		text, args = `select url from push_callback where app_id = $1 order by url limit 1`, args[:1]
	}
	err = d.QueryRow(ctx, text, args...).Scan(&url)
	if errors.Is(err, db.ErrNoRows) {
		return "", false, nil
	}
	if err != nil {
		return "", false, fmt.Errorf("push: addresses of callbacks: %w", err)
	}
	return url, true, nil
}

// inlined is the size up to which a row is read with the others; larger ones are read when their turn comes.
const inlined = 4 << 10

// queryRows reads the oldest rows for an address, at most limit; params and devices of large ones are nil.
func queryRows(ctx context.Context, d *db.DB, app int64, url string, limit int) ([]row, error) {
	rows, err := d.Query(ctx, `select id, msg_id, send_no, kind, platform, channel, reason, at, next_ordinal, waiting, size, created_at,
		case when size <= $3 then params end, case when size <= $3 then devices end
		from push_callback where app_id = $1 and url = $2 order by id limit $4`, app, url, inlined, limit)
	if err != nil {
		return nil, fmt.Errorf("push: read callbacks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []row
	for rows.Next() {
		r := row{app: app, url: url}
		if err := rows.Scan(&r.id, &r.msg, &r.sendNo, &r.kind, &r.platform, &r.channel, &r.reason, &r.at, &r.from, &r.waiting, &r.size, &r.createdAt,
			&r.params, &r.devices); err != nil {
			return nil, fmt.Errorf("push: read callbacks: %w", err)
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

// queryBlobs reads what queryRows left out. errTaken: the row is gone.
func queryBlobs(ctx context.Context, d *db.DB, id int64) (params, devices []byte, err error) {
	err = d.QueryRow(ctx, `select params, devices from push_callback where id = $1`, id).Scan(&params, &devices)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil, errTaken
	}
	if err != nil {
		return nil, nil, fmt.Errorf("push: read a callback: %w", err)
	}
	return params, devices, nil
}

// errTaken: another node told the same records meanwhile, or they were dropped.
var errTaken = errors.New("push: callbacks were taken by another node")

// idsPerDelete bounds the text of a statement.
const idsPerDelete = 256

// deleteTold ends rows of which everything is told. Each must be as it was read.
func deleteTold(ctx context.Context, tx *db.Tx, rows []row) error {
	for len(rows) > 0 {
		n := min(len(rows), idsPerDelete)
		var (
			changed int64
			err     error
		)
		if rows[0].from > 0 { // only the first one can be begun
			n = 1
			changed, err = tx.Exec(ctx, `delete from push_callback where id = $1 and next_ordinal = $2`, rows[0].id, rows[0].from)
		} else {
			ids := make([]any, n)
			for i := range ids {
				ids[i] = rows[i].id
			}
			changed, err = tx.Exec(ctx, `delete from push_callback where next_ordinal = 0 and id in (`+db.In(1, n)+`)`, ids...)
		}
		if err != nil {
			return fmt.Errorf("push: end callbacks: %w", err)
		}
		if changed != int64(n) {
			return errTaken
		}
		rows = rows[n:]
	}
	return nil
}

// updateTold notes how far a row is told. It must be as it was read.
func updateTold(ctx context.Context, tx *db.Tx, r *row, from, waiting int64) error {
	n, err := tx.Exec(ctx, `update push_callback set next_ordinal = $3, waiting = $4 where id = $1 and next_ordinal = $2`, r.id, r.from, from, waiting)
	if err != nil {
		return fmt.Errorf("push: note told callbacks: %w", err)
	}
	if n == 0 {
		return errTaken
	}
	return nil
}

// dropRows deletes rows untold, and returns how many records that were.
func dropRows(ctx context.Context, tx *db.Tx, ids []int64) (records int64, err error) {
	args := make([]any, len(ids))
	for i, id := range ids {
		args[i] = id
	}
	rows, err := tx.Query(ctx, `delete from push_callback where id in (`+db.In(1, len(ids))+`) returning waiting`, args...)
	if err != nil {
		return 0, fmt.Errorf("push: drop callbacks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return 0, fmt.Errorf("push: drop callbacks: %w", err)
		}
		records += n
	}
	return records, rows.Err()
}

// queryPending sums up what waits for an app. The index holds it.
func queryPending(ctx context.Context, d *db.DB, app int64) (rows, bytes int64, err error) {
	err = d.QueryRow(ctx, `select count(*), coalesce(cast(sum(size) as bigint), 0) from push_callback where app_id = $1`, app).Scan(&rows, &bytes)
	if err != nil {
		err = fmt.Errorf("push: count callbacks: %w", err)
	}
	return rows, bytes, err
}

// sized is a row and its size.
type sized struct{ id, size int64 }

func querySized(ctx context.Context, d *db.DB, where string, args ...any) ([]sized, error) {
	rows, err := d.Query(ctx, `select id, size from push_callback where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("push: list callbacks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []sized
	for rows.Next() {
		var s sized
		if err := rows.Scan(&s.id, &s.size); err != nil {
			return nil, fmt.Errorf("push: list callbacks: %w", err)
		}
		list = append(list, s)
	}
	return list, rows.Err()
}
