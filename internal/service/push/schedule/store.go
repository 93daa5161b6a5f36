package schedule

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/db"
)

// row is a schedule as it is stored. Times are Unix milliseconds.
type row struct {
	ID        string
	App, Seq  int64
	Name      string
	Enabled   bool
	Live      bool
	Trigger   Trigger
	Push      []byte
	NextAt    int64
	Revision  int64
	CreatedAt int64
	EndedAt   int64
}

const rowColumns = `schedule_id, app_id, seq, name, enabled, live, trigger_body, zone, push, next_at, revision, created_at, ended_at`

// scan reads rowColumns.
func (r *row) scan(scan func(...any) error) error {
	var trigger, zone string
	err := scan(&r.ID, &r.App, &r.Seq, &r.Name, &r.Enabled, &r.Live, &trigger, &zone, &r.Push, &r.NextAt, &r.Revision, &r.CreatedAt, &r.EndedAt)
	if err != nil {
		return err
	}
	loc, err := time.LoadLocation(zone)
	if err != nil { // the zone data of the machine shrank; better not to fire than at a wrong time
		return fmt.Errorf("push_schedule: %w", err)
	}
	if r.Trigger, err = ParseTrigger([]byte(trigger), loc); err != nil {
		return fmt.Errorf("push_schedule: stored trigger of %s: %w", r.ID, err)
	}
	return nil
}

// one reads a single row, or nil.
func one(scan func(...any) error) (*row, error) {
	r := new(row)
	err := r.scan(scan)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("push_schedule: read: %w", err)
	}
	return r, nil
}

// number gives a new row its place in the order of its app, and returns how many live ones there are with it. It holds
// others of the app off until the transaction ends.
func (r *row) number(ctx context.Context, tx *db.Tx) (live int64, err error) {
	err = tx.QueryRow(ctx, `insert into push_schedule_app (app_id, seq, live) values ($1, 1, 1)
		on conflict (app_id) do update set seq = push_schedule_app.seq + 1, live = push_schedule_app.live + 1
		returning seq, live`, r.App).Scan(&r.Seq, &live)
	if err != nil {
		return 0, fmt.Errorf("push_schedule: count: %w", err)
	}
	return live, nil
}

// countEnded takes n schedules off the live ones of an app.
func countEnded(ctx context.Context, tx *db.Tx, app, n int64) error {
	if _, err := tx.Exec(ctx, `update push_schedule_app set live = live - $2 where app_id = $1`, app, n); err != nil {
		return fmt.Errorf("push_schedule: count: %w", err)
	}
	return nil
}

func (r *row) insert(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `insert into push_schedule (`+rowColumns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)`,
		r.ID, r.App, r.Seq, r.Name, r.Enabled, r.Live, string(r.Trigger.text), r.Trigger.location().String(), r.Push, r.NextAt, r.Revision, r.CreatedAt, r.EndedAt)
	if err != nil {
		return fmt.Errorf("push_schedule: insert: %w", err)
	}
	return nil
}

// lockRow reads a schedule of the app and holds off everybody else until the transaction ends. Its revision rises.
func lockRow(ctx context.Context, tx *db.Tx, app int64, scheduleID string) (*row, error) {
	return one(tx.QueryRow(ctx, `update push_schedule set revision = revision + 1 where schedule_id = $1 and app_id = $2 returning `+rowColumns, scheduleID, app).Scan)
}

// update stores what a change may touch.
func (r *row) update(ctx context.Context, tx *db.Tx) error {
	_, err := tx.Exec(ctx, `update push_schedule set name = $2, enabled = $3, trigger_body = $4, zone = $5, push = $6, next_at = $7 where schedule_id = $1`,
		r.ID, r.Name, r.Enabled, string(r.Trigger.text), r.Trigger.location().String(), r.Push, r.NextAt)
	if err != nil {
		return fmt.Errorf("push_schedule: update: %w", err)
	}
	return nil
}

// advance stores that the schedule goes on at r.NextAt, or that it ended at r.EndedAt, unless it was changed since r was
// read.
func (r *row) advance(ctx context.Context, tx *db.Tx) (unchanged bool, err error) {
	n, err := tx.Exec(ctx, `update push_schedule set revision = revision + 1, next_at = $3, live = $4, ended_at = $5 where schedule_id = $1 and revision = $2`,
		r.ID, r.Revision, r.NextAt, r.Live, r.EndedAt)
	if err != nil {
		return false, fmt.Errorf("push_schedule: advance: %w", err)
	}
	return n > 0, nil
}

func queryRow(ctx context.Context, d *db.DB, scheduleID string) (*row, error) {
	return one(d.QueryRow(ctx, `select `+rowColumns+` from push_schedule where schedule_id = $1`, scheduleID).Scan)
}

// queryLive reads a live schedule of an app, or nil.
func queryLive(ctx context.Context, d *db.DB, app int64, scheduleID string) (*row, error) {
	return one(d.QueryRow(ctx, `select `+rowColumns+` from push_schedule where schedule_id = $1 and app_id = $2 and live`, scheduleID, app).Scan)
}

// countLive is how many live schedules an app has.
func countLive(ctx context.Context, d *db.DB, app int64) (n int, err error) {
	err = d.QueryRow(ctx, `select live from push_schedule_app where app_id = $1`, app).Scan(&n)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return 0, fmt.Errorf("push_schedule: count: %w", err)
	}
	return n, nil
}

// queryPage reads live schedules of an app in the order of creation.
func queryPage(ctx context.Context, d *db.DB, app int64, skip, limit int) ([]*row, error) {
	return queryRows(ctx, d, `app_id = $1 and live order by seq limit $2 offset $3`, app, limit, skip)
}

// queryAfter is queryPage from behind a place in the order.
func queryAfter(ctx context.Context, d *db.DB, app, seq int64, limit int) ([]*row, error) {
	return queryRows(ctx, d, `app_id = $1 and live and seq > $2 order by seq limit $3`, app, seq, limit)
}

func queryRows(ctx context.Context, d *db.DB, where string, args ...any) ([]*row, error) {
	rows, err := d.Query(ctx, `select `+rowColumns+` from push_schedule where `+where, args...)
	if err != nil {
		return nil, fmt.Errorf("push_schedule: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []*row
	for rows.Next() {
		r := new(row)
		if err := r.scan(rows.Scan); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, rows.Err()
}

func deleteLive(ctx context.Context, tx *db.Tx, app int64, scheduleID string) (bool, error) {
	n, err := tx.Exec(ctx, `delete from push_schedule where schedule_id = $1 and app_id = $2 and live`, scheduleID, app)
	if err == nil && n > 0 {
		_, err = tx.Exec(ctx, `delete from push_schedule_fire where schedule_id = $1`, scheduleID)
	}
	if err != nil {
		return false, fmt.Errorf("push_schedule: delete: %w", err)
	}
	return n > 0, nil
}

// errCIDTaken: another call with the same cid was first.
var errCIDTaken = errors.New("push_schedule: cid taken")

// insertCID takes an idempotency key. An expired one may be used again before it has been swept.
func insertCID(ctx context.Context, tx *db.Tx, r *row, cid string, expires, now int64) error {
	n, err := tx.Exec(ctx, `insert into push_schedule_cid (app_id, cid, schedule_id, name, expires_at) values ($1, $2, $3, $4, $5)
		on conflict (app_id, cid) do update set schedule_id = excluded.schedule_id, name = excluded.name, expires_at = excluded.expires_at
		where push_schedule_cid.expires_at <= $6`, r.App, cid, r.ID, r.Name, expires, now)
	if err != nil {
		return fmt.Errorf("push_schedule: insert cid: %w", err)
	}
	if n == 0 {
		return errCIDTaken
	}
	return nil
}

// queryCID is the first answer to a key, or nil.
func queryCID(ctx context.Context, d *db.DB, app int64, cid string, now int64) (*reference, error) {
	var r reference
	err := d.QueryRow(ctx, `select schedule_id, name from push_schedule_cid where app_id = $1 and cid = $2 and expires_at > $3`, app, cid, now).Scan(&r.id, &r.name)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("push_schedule: read cid: %w", err)
	}
	return &r, nil
}
