package push

import (
	"context"
	"database/sql"
	"fmt"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
)

// Marks on target rows. Each returns 1 when the mark is new.

const (
	markSentSQL = `update push_target set sent_at = $3 where msg_id = $1 and ordinal = $2 and app_id = $4 and sent_at = 0`
	// A delivery ends the pair as delivered, also when it had been given up before.
	markDeliveredSQL = `update push_target set delivered_at = $3, settled = 1 where msg_id = $1 and ordinal = $2 and app_id = $4 and delivered_at = 0`
	markDisplayedSQL = `update push_target set displayed_at = $3 where msg_id = $1 and ordinal = $2 and app_id = $4 and displayed_at = 0`
	markClickedSQL   = `update push_target set clicked_at = $3 where msg_id = $1 and ordinal = $2 and app_id = $4 and clicked_at = 0`
	// Held: 1, returned: 2. $3 is not used: it is the time, as in the others.
	holdSQL   = `update push_target set held = 1 where msg_id = $1 and ordinal = $2 and app_id = $4 and settled = 0 and held = 0 and cast($3 as bigint) >= 0`
	returnSQL = `update push_target set held = 2 where msg_id = $1 and ordinal = $2 and app_id = $4 and settled = 0 and held = 1 and cast($3 as bigint) >= 0`
	settleSQL = `update push_target set settled = $3 where msg_id = $1 and ordinal = $2 and app_id = $4 and settled = 0`
)

// owedRow is a message owed to a device, found among the rows.
type owedRow struct {
	message
	platform audience.Platform
}

// queryOwedRows returns what the rows of pushes, or of messages of the other kinds, owe a device, newest or oldest first, without
// payload: there may be many more than are sent at once.
func queryOwedRows(ctx context.Context, d *db.DB, app int64, ordinal uint32, pushes bool, now int64, withOnlineOnly, newestFirst bool, limit int) ([]*owedRow, error) {
	order := "asc"
	if newestFirst {
		order = "desc"
	}
	rows, err := d.Query(ctx, `select m.msg_id, m.accepted_at, m.expires_at, m.kind, m.override_id, t.platform
		from push_target t join push_message m on m.msg_id = t.msg_id
		where t.app_id = $1 and t.ordinal = $2 and t.settled = 0 and t.held <> 1 and m.expires_at > $3 and (m.online_only = false or $4) and (m.kind = 0) = $6
		order by m.accepted_at `+order+`, m.msg_id `+order+` limit $5`, app, int64(ordinal), now, withOnlineOnly, limit, pushes)
	if err != nil {
		return nil, fmt.Errorf("push: owed rows: %w", err)
	}
	return collect(rows, func(r *owedRow, scan func(...any) error) error {
		return scan(&r.ID, &r.AcceptedAt, &r.ExpiresAt, &r.Kind, &r.Override, &r.platform)
	})
}

// displaceRows settles what the rows owe a device and was accepted before the given message, and lists the messages.
func displaceRows(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, before *message, now int64) ([]int64, error) {
	rows, err := tx.Query(ctx, `update push_target set settled = $3 where app_id = $1 and ordinal = $2 and settled = 0 and msg_id in
		(select t.msg_id from push_target t join push_message m on m.msg_id = t.msg_id
		 where t.app_id = $1 and t.ordinal = $2 and t.settled = 0 and t.held <> 1 and m.kind = 0 and m.online_only = false and m.expires_at > $6
		   and (m.accepted_at < $4 or (m.accepted_at = $4 and m.msg_id < $5))) returning msg_id`,
		app, int64(ordinal), int64(Overflow), before.AcceptedAt, before.ID, now)
	if err != nil {
		return nil, fmt.Errorf("push: displace: %w", err)
	}
	return collectIDs(rows)
}

// replaceRows settles what is owed of an older message to the targets of the one that replaces it.
func replaceRows(ctx context.Context, tx *db.Tx, old, by int64) ([]uint32, error) {
	rows, err := tx.Query(ctx, `update push_target set settled = $3 where msg_id = $1 and settled = 0
		and ordinal in (select ordinal from push_target where msg_id = $2) returning ordinal`, old, by, int64(Replaced))
	if err != nil {
		return nil, fmt.Errorf("push: replace: %w", err)
	}
	return collectOrdinals(rows)
}

// endRows settles what is owed of one message.
func endRows(ctx context.Context, tx *db.Tx, msg int64, as Outcome) ([]uint32, error) {
	rows, err := tx.Query(ctx, `update push_target set settled = $2 where msg_id = $1 and settled = 0 returning ordinal`, msg, int64(as))
	if err != nil {
		return nil, fmt.Errorf("push: end as %s: %w", as, err)
	}
	return collectOrdinals(rows)
}

// queryOwedOrdinals lists the devices that are owed one of the messages; ours leaves out those that a vendor is to reach.
func queryOwedOrdinals(ctx context.Context, d *db.DB, ids []int64, ours bool) ([]uint32, error) {
	args := []any{ours}
	for _, id := range ids {
		args = append(args, id)
	}
	rows, err := d.Query(ctx, `select distinct ordinal from push_target where msg_id in (`+db.In(2, len(ids))+`) and settled = 0 and ($1 = false or held <> 1)`, args...)
	if err != nil {
		return nil, fmt.Errorf("push: owed devices: %w", err)
	}
	return collectOrdinals(rows)
}

// queryTargets lists the targets of a direct message.
func queryTargets(ctx context.Context, d *db.DB, msg int64) ([]uint32, error) {
	rows, err := d.Query(ctx, `select ordinal from push_target where msg_id = $1`, msg)
	if err != nil {
		return nil, fmt.Errorf("push: targets: %w", err)
	}
	return collectOrdinals(rows)
}

func collectIDs(rows *sql.Rows) ([]int64, error) {
	found, err := collect(rows, func(id *int64, scan func(...any) error) error { return scan(id) })
	ids := make([]int64, len(found))
	for i, id := range found {
		ids[i] = *id
	}
	return ids, err
}

func collectOrdinals(rows *sql.Rows) ([]uint32, error) {
	found, err := collect(rows, func(o *uint32, scan func(...any) error) error { return scan(o) })
	out := make([]uint32, len(found))
	for i, o := range found {
		out[i] = *o
	}
	return out, err
}

// rowCounts are the numbers of one row message on one platform.
type rowCounts struct {
	msg      int64
	platform audience.Platform
	counts   Counts
}

func queryRowCounts(ctx context.Context, d *db.DB, app int64, ids []int64) ([]*rowCounts, error) {
	args := []any{app}
	for _, id := range ids {
		args = append(args, id)
	}
	rows, err := d.Query(ctx, `select msg_id, platform, count(*),
			sum(case when sent_at > 0 then 1 else 0 end), sum(case when delivered_at > 0 then 1 else 0 end),
			sum(case when displayed_at > 0 then 1 else 0 end), sum(case when clicked_at > 0 then 1 else 0 end),
			sum(case when settled = 3 then 1 else 0 end), sum(case when settled = 4 then 1 else 0 end),
			sum(case when settled = 5 then 1 else 0 end), sum(case when settled = 6 then 1 else 0 end),
			sum(case when settled = 7 then 1 else 0 end), sum(case when settled = 8 then 1 else 0 end),
			sum(case when settled = 9 then 1 else 0 end), sum(case when settled = 2 then 1 else 0 end)
		from push_target where app_id = $1 and msg_id in (`+db.In(2, len(ids))+`) group by msg_id, platform`, args...)
	if err != nil {
		return nil, fmt.Errorf("push: count targets: %w", err)
	}
	return collect(rows, func(r *rowCounts, scan func(...any) error) error {
		c := &r.counts
		return scan(&r.msg, &r.platform, &c.Targets, &c.Sent, &c.Delivered, &c.Displayed, &c.Clicked,
			&c.Failed[Suppressed], &c.Failed[Replaced], &c.Failed[Withdrawn], &c.Failed[Expired], &c.Failed[Overflow], &c.Failed[Gone],
			&c.Failed[Unreachable], &c.Vendor)
	})
}

// queryDelivered tells of each of the ordinals that is a target of a row message whether it was delivered.
func queryDelivered(ctx context.Context, d *db.DB, msg int64, ordinals []uint32) (map[uint32]bool, error) {
	args := []any{msg}
	for _, o := range ordinals {
		args = append(args, int64(o))
	}
	rows, err := d.Query(ctx, `select ordinal, delivered_at from push_target where msg_id = $1 and ordinal in (`+db.In(2, len(ordinals))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("push: delivered: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make(map[uint32]bool, len(ordinals))
	for rows.Next() {
		var (
			ordinal uint32
			at      int64
		)
		if err := rows.Scan(&ordinal, &at); err != nil {
			return nil, fmt.Errorf("push: delivered: %w", err)
		}
		out[ordinal] = at > 0
	}
	return out, rows.Err()
}
