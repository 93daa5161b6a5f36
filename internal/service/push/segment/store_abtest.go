package segment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"borealis/internal/kernel/db"
)

const testColumns = `id, name, audience, split, version, created_at, updated_at`

func (t *Test) scan(scan func(...any) error) error {
	var raw, groups string
	if err := scan(&t.ID, &t.Name, &raw, &groups, &t.Version, &t.CreatedAt, &t.UpdatedAt); err != nil {
		return err
	}
	t.Audience = json.RawMessage(raw)
	return json.Unmarshal([]byte(groups), &t.Groups)
}

func insertTest(ctx context.Context, tx *db.Tx, app int64, t *Test, a *Audience) error {
	groups, err := json.Marshal(t.Groups)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into push_abtest (app_id, `+testColumns+`, clauses, refs) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)`,
		app, t.ID, t.Name, string(a.raw), string(groups), t.Version, t.CreatedAt, t.UpdatedAt, a.clauses, strings.Join(a.refs, " "))
	if err != nil {
		return fmt.Errorf("segment: insert test: %w", err)
	}
	low := 0
	for _, g := range t.Groups {
		_, err := tx.Exec(ctx, `insert into push_abtest_group (app_id, id, test_id, low, high) values ($1, $2, $3, $4, $5)`, app, g.ID, t.ID, low, low+g.Percent)
		if err != nil {
			return fmt.Errorf("segment: insert group: %w", err)
		}
		low += g.Percent
	}
	return nil
}

func renameTest(ctx context.Context, tx *db.Tx, app int64, id string, version int64, name string, now int64) (*Test, error) {
	n, err := tx.Exec(ctx, `update push_abtest set name = $4, version = version + 1, updated_at = $5 where app_id = $1 and id = $2 and version = $3`,
		app, id, version, name, now)
	if err != nil {
		return nil, fmt.Errorf("segment: rename test: %w", err)
	}
	t, err := scanTest(tx.QueryRow(ctx, selectTest, app, id).Scan)
	if err == nil && n == 0 {
		return nil, ErrConflict
	}
	return t, err
}

func deleteTest(ctx context.Context, tx *db.Tx, app int64, id string) error {
	n, err := tx.Exec(ctx, `delete from push_abtest where app_id = $1 and id = $2`, app, id)
	if err == nil && n == 0 {
		return ErrNotFound
	}
	if err == nil {
		_, err = tx.Exec(ctx, `delete from push_abtest_group where app_id = $1 and test_id = $2`, app, id)
	}
	if err != nil {
		return fmt.Errorf("segment: delete test: %w", err)
	}
	return nil
}

const selectTest = `select ` + testColumns + ` from push_abtest where app_id = $1 and id = $2`

func scanTest(scan func(...any) error) (*Test, error) {
	var t Test
	switch err := t.scan(scan); {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("segment: read test: %w", err)
	}
	return &t, nil
}

func queryTest(ctx context.Context, d *db.DB, app int64, id string) (*Test, error) {
	return scanTest(d.QueryRow(ctx, selectTest, app, id).Scan)
}

func queryTests(ctx context.Context, d *db.DB, app int64, after string, limit int) ([]*Test, error) {
	rows, err := d.Query(ctx, `select `+testColumns+` from push_abtest where app_id = $1 and id > $2 order by id limit $3`, app, after, limit)
	if err != nil {
		return nil, fmt.Errorf("segment: list tests: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*Test
	for rows.Next() {
		var t Test
		if err := t.scan(rows.Scan); err != nil {
			return nil, fmt.Errorf("segment: list tests: %w", err)
		}
		out = append(out, &t)
	}
	return out, rows.Err()
}

// queryGroup reads the test of a group, its audience, and which hundredths the group has. a is nil if there is none.
func queryGroup(ctx context.Context, d *db.DB, app int64, id string) (test string, low, high int, a *Audience, err error) {
	var raw string
	err = d.QueryRow(ctx, `select g.test_id, g.low, g.high, t.audience from push_abtest_group g
		join push_abtest t on t.app_id = g.app_id and t.id = g.test_id where g.app_id = $1 and g.id = $2`, app, id).Scan(&test, &low, &high, &raw)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return "", 0, 0, nil, nil
	case err != nil:
		return "", 0, 0, nil, fmt.Errorf("segment: read group: %w", err)
	}
	if a, err = ParseAudience([]byte(raw)); err != nil {
		return "", 0, 0, nil, fmt.Errorf("segment: stored audience of %s: %w", test, err)
	}
	return test, low, high, a, nil
}
