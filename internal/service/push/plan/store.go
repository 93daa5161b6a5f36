package plan

import (
	"context"
	"fmt"

	"borealis/internal/kernel/db"
)

// lock makes the creations in one app follow each other.
func lock(ctx context.Context, tx *db.Tx, app int64) error {
	_, err := tx.Exec(ctx, `insert into push_plan_app (app_id) values ($1) on conflict (app_id) do update set app_id = excluded.app_id`, app)
	if err != nil {
		return fmt.Errorf("plan: lock: %w", err)
	}
	return nil
}

// count counts the plans of an app and tells whether one has the name.
func count(ctx context.Context, tx *db.Tx, app int64, name string) (n int, taken bool, err error) {
	var same int
	err = tx.QueryRow(ctx, `select count(*), count(case when name = $2 then 1 end) from push_plan where app_id = $1`, app, name).Scan(&n, &same)
	if err != nil {
		return 0, false, fmt.Errorf("plan: count: %w", err)
	}
	return n, same > 0, nil
}

func insert(ctx context.Context, tx *db.Tx, app int64, p Plan) error {
	_, err := tx.Exec(ctx, `insert into push_plan (app_id, name, description, source, created_at) values ($1, $2, $3, $4, $5)`,
		app, p.Name, p.Description, int64(p.Source), p.CreatedAt)
	if err != nil {
		return fmt.Errorf("plan: insert: %w", err)
	}
	return nil
}

func update(ctx context.Context, tx *db.Tx, app int64, name, description string) (int64, error) {
	n, err := tx.Exec(ctx, `update push_plan set description = $3 where app_id = $1 and name = $2`, app, name, description)
	if err != nil {
		return 0, fmt.Errorf("plan: update: %w", err)
	}
	return n, nil
}

// useSlots is over how many rows the uses of a plan spread.
const useSlots = 16

// Used counts an accepted push of the app that names a plan, in the transaction that accepts it; at is when, in Unix
// milliseconds. A name that no plan has counts for nothing.
//
// On PostgreSQL a row that is changed stays locked until the commit is durable. One counter per plan would therefore let
// one push of a plan commit at a time; the time spreads them over slots instead.
func Used(ctx context.Context, tx *db.Tx, app int64, name string, at int64) error {
	return UsedTimes(ctx, tx, app, name, 1, at)
}

// UsedTimes is Used for several pushes that are accepted in one transaction and name the same plan: one statement counts
// them all. A transaction that counts several plans does so in the order of their names, so that two cannot lock each
// other out.
func UsedTimes(ctx context.Context, tx *db.Tx, app int64, name string, pushes int, at int64) error {
	_, err := tx.Exec(ctx, `insert into push_plan_use (plan_id, slot, pushes, last_at)
		select id, cast($3 as bigint), cast($5 as bigint), cast($4 as bigint) from push_plan where app_id = $1 and name = $2
		on conflict (plan_id, slot) do update set pushes = push_plan_use.pushes + excluded.pushes,
			last_at = case when push_plan_use.last_at > excluded.last_at then push_plan_use.last_at else excluded.last_at end`,
		app, name, at%useSlots, at, pushes)
	if err != nil {
		return fmt.Errorf("plan: count use: %w", err)
	}
	return nil
}

// filter selects part of an app's plans. replace takes a text out of another: if that changes it, it was in there. It is
// the one test of substrings that is the same on both engines.
const filter = `app_id = $1 and ($2 = '' or replace(name, $2, '') <> name or replace(description, $2, '') <> description)
	and (cast($3 as bigint) < 0 or source = $3)`

// queryPage reads a page of the plans whose name or description contains info ("" is all) and, unless it is negative,
// from that source, in order of creation.
func queryPage(ctx context.Context, d *db.DB, app int64, info string, source Source, limit, offset int) (total int, page []Plan, err error) {
	if err := d.QueryRow(ctx, `select count(*) from push_plan where `+filter, app, info, int64(source)).Scan(&total); err != nil {
		return 0, nil, fmt.Errorf("plan: list: %w", err)
	}
	rows, err := d.Query(ctx, `select p.name, p.description, p.source, p.created_at, cast(coalesce(sum(u.pushes), 0) as bigint), coalesce(max(u.last_at), 0)
		from (select id, name, description, source, created_at from push_plan where `+filter+` order by id limit $4 offset $5) p
		left join push_plan_use u on u.plan_id = p.id
		group by p.id, p.name, p.description, p.source, p.created_at order by p.id`, app, info, int64(source), limit, offset)
	if err != nil {
		return 0, nil, fmt.Errorf("plan: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var p Plan
		if err := rows.Scan(&p.Name, &p.Description, &p.Source, &p.CreatedAt, &p.Pushes, &p.UsedAt); err != nil {
			return 0, nil, fmt.Errorf("plan: list: %w", err)
		}
		page = append(page, p)
	}
	return total, page, rows.Err()
}
