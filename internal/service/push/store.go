package push

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strings"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
)

const messageColumns = `msg_id, app_id, wide, everybody, online_only, targets, override_id, send_no, accepted_at, expires_at, payload, kind, pace, callback, withdrawn_at`

func (m *message) fields() []any {
	return []any{&m.ID, &m.App, &m.Wide, &m.Everybody, &m.OnlineOnly, &m.Targets, &m.Override, &m.SendNo, &m.AcceptedAt, &m.ExpiresAt, &m.Raw,
		&m.Kind, &m.Pace, &m.Callback, &m.WithdrawnAt}
}

func insertMessage(ctx context.Context, tx *db.Tx, m *message) error {
	_, err := tx.Exec(ctx, `insert into push_message (`+messageColumns+`, state) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)`,
		m.ID, m.App, m.Wide, m.Everybody, m.OnlineOnly, m.Targets, m.Override, m.SendNo, m.AcceptedAt, m.ExpiresAt, m.Raw,
		int64(m.Kind), m.Pace, m.Callback, m.WithdrawnAt, stateLive)
	if err != nil {
		return fmt.Errorf("push: insert message: %w", err)
	}
	return nil
}

// targetsPerInsert rows go into one statement. Two lengths only, so that both stay prepared.
const targetsPerInsert = 50

func insertTargets(ctx context.Context, tx *db.Tx, m *message, targets []audience.Target) error {
	held := 0
	if m.Held {
		held = 1
	}
	for len(targets) > 0 {
		n := 1
		if len(targets) >= targetsPerInsert {
			n = targetsPerInsert
		}
		args := make([]any, 0, 2*n+3)
		args = append(args, m.ID, m.App, held)
		for _, t := range targets[:n] {
			args = append(args, int64(t.Ordinal), int64(t.Platform))
		}
		if _, err := tx.Exec(ctx, insertTargetsSQL[n], args...); err != nil {
			return fmt.Errorf("push: insert targets: %w", err)
		}
		targets = targets[n:]
	}
	return nil
}

var insertTargetsSQL = map[int]string{1: insertTargetsText(1), targetsPerInsert: insertTargetsText(targetsPerInsert)}

func insertTargetsText(n int) string {
	var b strings.Builder
	b.WriteString(`insert into push_target (msg_id, app_id, held, ordinal, platform) values `)
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "($1,$2,$3,$%d,$%d)", 4+2*i, 5+2*i)
	}
	return b.String()
}

// insertCID takes a cid for a message; taken: another message has it and the cid has not expired.
func insertCID(ctx context.Context, tx *db.Tx, m *message, cid string, expires int64) (taken bool, err error) {
	// An expired cid may be used again before it has been swept.
	n, err := tx.Exec(ctx, `insert into push_cid (app_id, cid, msg_id, send_no, expires_at) values ($1, $2, $3, $4, $5)
		on conflict (app_id, cid) do update set msg_id = excluded.msg_id, send_no = excluded.send_no, expires_at = excluded.expires_at
		where push_cid.expires_at <= $6`, m.App, cid, m.ID, m.SendNo, expires, m.AcceptedAt)
	if err != nil {
		return false, fmt.Errorf("push: insert cid: %w", err)
	}
	return n == 0, nil
}

// queryer reads inside a transaction (*db.Tx) or outside (*db.DB).
type queryer interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// queryCID is the first answer to a cid, nil if there was none.
func queryCID(ctx context.Context, d queryer, app int64, cid string, now int64) (*Accepted, error) {
	var a Accepted
	err := d.QueryRow(ctx, `select msg_id, send_no from push_cid where app_id = $1 and cid = $2 and expires_at > $3`, app, cid, now).Scan(&a.Msg, &a.SendNo)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("push: read cid: %w", err)
	}
	return &a, nil
}

func queryMessage(ctx context.Context, d queryer, id int64) (*message, error) {
	var m message
	err := d.QueryRow(ctx, `select `+messageColumns+` from push_message where msg_id = $1`, id).Scan(m.fields()...)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("push: read message: %w", err)
	}
	return &m, nil
}

func queryMessages(ctx context.Context, d *db.DB, where string, args ...any) ([]*message, error) {
	rows, err := d.Query(ctx, `select `+messageColumns+` from push_message where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("push: list messages: %w", err)
	}
	return collect(rows, func(m *message, scan func(...any) error) error { return scan(m.fields()...) })
}

// collect reads all rows and closes them.
func collect[T any](rows *sql.Rows, scan func(*T, func(...any) error) error) ([]*T, error) {
	defer func() { _ = rows.Close() }()
	var out []*T
	for rows.Next() {
		v := new(T)
		if err := scan(v, rows.Scan); err != nil {
			return nil, fmt.Errorf("push: %w", err)
		}
		out = append(out, v)
	}
	return out, rows.Err()
}

// countBroadcasts counts pushes to everybody since a time.
func countBroadcasts(ctx context.Context, d queryer, app, since int64) (n int, err error) {
	err = d.QueryRow(ctx, `select count(*) from push_message where app_id = $1 and everybody and accepted_at >= $2`, app, since).Scan(&n)
	return n, err
}

// countWide counts the live wide messages of an app.
func countWide(ctx context.Context, d queryer, app int64) (n int, err error) {
	err = d.QueryRow(ctx, `select count(*) from push_message where app_id = $1 and wide and state = 1`, app).Scan(&n)
	return n, err
}

// countPaced counts the messages of an app that are being released at a time.
func countPaced(ctx context.Context, d queryer, app, now int64) (n int, err error) {
	err = d.QueryRow(ctx, `select count(*) from push_message where app_id = $1 and pace > 0 and accepted_at + pace > $2 and withdrawn_at = 0`, app, now).Scan(&n)
	return n, err
}

// queryWidesSince lists the wide messages of an app accepted after a time.
func queryWidesSince(ctx context.Context, d *db.DB, app, since int64) ([]int64, error) {
	rows, err := d.Query(ctx, `select msg_id from push_message where app_id = $1 and accepted_at > $2 and wide`, app, since)
	if err != nil {
		return nil, fmt.Errorf("push: recent wide messages: %w", err)
	}
	return collectIDs(rows)
}

func queryReleasedTo(ctx context.Context, d *db.DB, partition int) (at int64, err error) {
	err = d.QueryRow(ctx, `select released_to from push_partition where partition_no = $1`, partition).Scan(&at)
	if errors.Is(err, db.ErrNoRows) {
		return 0, nil
	}
	return at, err
}

func storeReleasedTo(ctx context.Context, tx *db.Tx, partition int, at int64) error {
	_, err := tx.Exec(ctx, `insert into push_partition (partition_no, released_to) values ($1, $2)
		on conflict (partition_no) do update set released_to = excluded.released_to`, partition, at)
	return err
}

// queryAccepted lists, in order of acceptance, the messages of a partition accepted after (at, id) and up to a time,
// without their payload.
func queryAccepted(ctx context.Context, d *db.DB, partition int, at, id, until int64, limit int) ([]*message, error) {
	rows, err := d.Query(ctx, `select msg_id, app_id, wide, override_id, accepted_at, kind, pace, callback from push_message
		where (accepted_at, msg_id) > ($1, $2) and accepted_at <= $3 and app_id % $4 = $5 order by accepted_at, msg_id limit $6`,
		at, id, until, edgewire.Partitions, partition, limit)
	if err != nil {
		return nil, fmt.Errorf("push: rescan: %w", err)
	}
	return collect(rows, func(m *message, scan func(...any) error) error {
		return scan(&m.ID, &m.App, &m.Wide, &m.Override, &m.AcceptedAt, &m.Kind, &m.Pace, &m.Callback)
	})
}

// queryOwn returns those of the ids that are messages of the app.
func queryOwn(ctx context.Context, d *db.DB, app int64, ids []int64) (map[int64]bool, error) {
	args := []any{app}
	for _, id := range ids {
		args = append(args, id)
	}
	rows, err := d.Query(ctx, `select msg_id from push_message where app_id = $1 and msg_id in (`+db.In(2, len(ids))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("push: messages of the app: %w", err)
	}
	found, err := collect(rows, func(id *int64, scan func(...any) error) error { return scan(id) })
	own := make(map[int64]bool, len(found))
	for _, id := range found {
		own[*id] = true
	}
	return own, err
}
