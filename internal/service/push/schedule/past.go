package schedule

import (
	"context"
	"fmt"

	"borealis/internal/kernel/db"
)

// maxPast is how many occurrences are shown of one schedule, the newest.
const maxPast = 1000

// occurrence is what became of one time at which a schedule was to fire.
type occurrence struct {
	// DueAt is the time it was to fire, FiredAt when that was settled; Unix ms.
	DueAt, FiredAt int64
	// Msg is the message that was accepted, 0 if none; then Code is not 0 and Message says why.
	Msg     int64
	Code    int
	Message string
	// Retry says that the caller may send the push in its stead.
	Retry bool
}

func insertOccurrence(ctx context.Context, tx *db.Tx, scheduleID string, o *occurrence) error {
	n, err := tx.Exec(ctx, `insert into push_schedule_fire (schedule_id, due_at, fired_at, msg_id, code, message, retry) values ($1, $2, $3, $4, $5, $6, $7)
		on conflict (schedule_id, due_at) do nothing`, scheduleID, o.DueAt, o.FiredAt, o.Msg, o.Code, o.Message, o.Retry)
	if err != nil {
		return fmt.Errorf("push_schedule: record: %w", err)
	}
	if n == 0 {
		return errRepeated
	}
	return nil
}

// queryPast lists what became of the newest occurrences of a schedule, oldest first.
func queryPast(ctx context.Context, d *db.DB, scheduleID string) ([]occurrence, error) {
	rows, err := d.Query(ctx, `select due_at, fired_at, msg_id, code, message, retry from
		(select * from push_schedule_fire where schedule_id = $1 order by due_at desc limit $2) newest order by due_at`, scheduleID, maxPast)
	if err != nil {
		return nil, fmt.Errorf("push_schedule: past: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []occurrence
	for rows.Next() {
		var o occurrence
		if err := rows.Scan(&o.DueAt, &o.FiredAt, &o.Msg, &o.Code, &o.Message, &o.Retry); err != nil {
			return nil, fmt.Errorf("push_schedule: past: %w", err)
		}
		list = append(list, o)
	}
	return list, rows.Err()
}
