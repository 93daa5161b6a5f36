package testdevice

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
)

// lock makes the transactions that add to an app's list follow each other.
func lock(ctx context.Context, tx *db.Tx, app int64) error {
	_, err := tx.Exec(ctx, `insert into push_testdevice_app (app_id) values ($1) on conflict (app_id) do update set app_id = excluded.app_id`, app)
	if err != nil {
		return fmt.Errorf("testdevice: lock: %w", err)
	}
	return nil
}

const columns = `ordinal, name, created_at`

func (d *Device) fields() []any { return []any{&d.Ordinal, &d.Name, &d.CreatedAt} }

// find returns nil if the device is not on the list.
func find(ctx context.Context, tx *db.Tx, app int64, ordinal uint32) (*Device, error) {
	var d Device
	err := tx.QueryRow(ctx, `select `+columns+` from push_testdevice where app_id = $1 and ordinal = $2`, app, int64(ordinal)).Scan(d.fields()...)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("testdevice: find: %w", err)
	}
	return &d, nil
}

func count(ctx context.Context, tx *db.Tx, app int64) (n int, err error) {
	if err = tx.QueryRow(ctx, `select count(*) from push_testdevice where app_id = $1`, app).Scan(&n); err != nil {
		return 0, fmt.Errorf("testdevice: count: %w", err)
	}
	return n, nil
}

func insert(ctx context.Context, tx *db.Tx, app int64, d Device) error {
	_, err := tx.Exec(ctx, `insert into push_testdevice (app_id, `+columns+`) values ($1, $2, $3, $4)`, app, int64(d.Ordinal), d.Name, d.CreatedAt)
	if err != nil {
		return fmt.Errorf("testdevice: insert: %w", err)
	}
	return nil
}

func rename(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, name string) (int64, error) {
	return tx.Exec(ctx, `update push_testdevice set name = $3 where app_id = $1 and ordinal = $2`, app, int64(ordinal), name)
}

func remove(ctx context.Context, tx *db.Tx, app int64, ordinal uint32) (int64, error) {
	return tx.Exec(ctx, `delete from push_testdevice where app_id = $1 and ordinal = $2`, app, int64(ordinal))
}

func queryOrdinals(ctx context.Context, d *db.DB, app int64) ([]uint32, error) {
	rows, err := d.Query(ctx, `select ordinal from push_testdevice where app_id = $1 order by ordinal`, app)
	if err != nil {
		return nil, fmt.Errorf("testdevice: ordinals: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []uint32
	for rows.Next() {
		var o uint32
		if err := rows.Scan(&o); err != nil {
			return nil, fmt.Errorf("testdevice: ordinals: %w", err)
		}
		out = append(out, o)
	}
	return out, rows.Err()
}

// filter selects part of a list. replace takes the part out of the name: if that changes it, the name contains it. It
// is the one test of substrings that is the same on both engines.
const filter = `app_id = $1 and ($2 = '' or replace(name, $2, '') <> name) and (cast($3 as bigint) < 0 or ordinal = $3)`

// queryPage reads a page of those whose name contains part ("" is all) and, unless it is negative, with that ordinal,
// in the order in which they were added.
func queryPage(ctx context.Context, d *db.DB, app int64, part string, ordinal int64, limit, offset int) (total int, page []Device, err error) {
	if err := d.QueryRow(ctx, `select count(*) from push_testdevice where `+filter, app, part, ordinal).Scan(&total); err != nil {
		return 0, nil, fmt.Errorf("testdevice: list: %w", err)
	}
	rows, err := d.Query(ctx, `select `+columns+` from push_testdevice where `+filter+` order by created_at, ordinal limit $4 offset $5`,
		app, part, ordinal, limit, offset)
	if err != nil {
		return 0, nil, fmt.Errorf("testdevice: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var row Device
		if err := rows.Scan(row.fields()...); err != nil {
			return 0, nil, fmt.Errorf("testdevice: list: %w", err)
		}
		page = append(page, row)
	}
	return total, page, rows.Err()
}
