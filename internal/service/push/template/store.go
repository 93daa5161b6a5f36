package template

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
)

// lock makes the creations in one app follow each other.
func lock(ctx context.Context, tx *db.Tx, app int64) error {
	_, err := tx.Exec(ctx, `insert into push_template_app (app_id) values ($1) on conflict (app_id) do update set app_id = excluded.app_id`, app)
	if err != nil {
		return fmt.Errorf("template: lock: %w", err)
	}
	return nil
}

func count(ctx context.Context, tx *db.Tx, app int64) (n int, err error) {
	if err = tx.QueryRow(ctx, `select count(*) from push_template where app_id = $1`, app).Scan(&n); err != nil {
		return 0, fmt.Errorf("template: count: %w", err)
	}
	return n, nil
}

const columns = `id, name, push, samples, version, created_at, updated_at`

func (t *Template) scan(scan func(...any) error) error {
	var push, samples string
	if err := scan(&t.ID, &t.Name, &push, &samples, &t.Version, &t.CreatedAt, &t.UpdatedAt); err != nil {
		return err
	}
	t.Push = json.RawMessage(push)
	return json.Unmarshal([]byte(samples), &t.Samples)
}

func insert(ctx context.Context, tx *db.Tx, app int64, t *Template) error {
	samples, err := encodeSamples(t)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into push_template (app_id, `+columns+`) values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		app, t.ID, t.Name, string(t.Push), samples, t.Version, t.CreatedAt, t.UpdatedAt)
	if err != nil {
		return fmt.Errorf("template: insert: %w", err)
	}
	return nil
}

func encodeSamples(t *Template) (string, error) {
	if t.Samples == nil {
		return "{}", nil
	}
	b, err := json.Marshal(t.Samples)
	return string(b), err
}

// update returns when the template was created. t.Version is the one that is replaced; the next number follows it.
func update(ctx context.Context, tx *db.Tx, app int64, t *Template) (created int64, err error) {
	samples, err := encodeSamples(t)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `update push_template set name = $4, push = $5, samples = $6, version = version + 1, updated_at = $7
		where app_id = $1 and id = $2 and version = $3 returning created_at`,
		app, t.ID, t.Version, t.Name, string(t.Push), samples, t.UpdatedAt).Scan(&created)
	if !errors.Is(err, db.ErrNoRows) {
		return created, err
	}
	var version int64
	switch err := tx.QueryRow(ctx, `select version from push_template where app_id = $1 and id = $2`, app, t.ID).Scan(&version); {
	case errors.Is(err, db.ErrNoRows):
		return 0, ErrNotFound
	case err != nil:
		return 0, fmt.Errorf("template: update: %w", err)
	}
	return 0, ErrConflict
}

func remove(ctx context.Context, tx *db.Tx, app int64, id string) error {
	n, err := tx.Exec(ctx, `delete from push_template where app_id = $1 and id = $2`, app, id)
	switch {
	case err != nil:
		return fmt.Errorf("template: delete: %w", err)
	case n == 0:
		return ErrNotFound
	}
	return nil
}

func query(ctx context.Context, d *db.DB, app int64, id string) (*Template, error) {
	var t Template
	err := t.scan(d.QueryRow(ctx, `select `+columns+` from push_template where app_id = $1 and id = $2`, app, id).Scan)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("template: read: %w", err)
	}
	return &t, nil
}

func queryAfter(ctx context.Context, d *db.DB, app int64, after string, limit int) ([]*Template, error) {
	rows, err := d.Query(ctx, `select `+columns+` from push_template where app_id = $1 and id > $2 order by id limit $3`, app, after, limit)
	if err != nil {
		return nil, fmt.Errorf("template: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*Template
	for rows.Next() {
		var t Template
		if err := t.scan(rows.Scan); err != nil {
			return nil, fmt.Errorf("template: list: %w", err)
		}
		out = append(out, &t)
	}
	return out, rows.Err()
}
