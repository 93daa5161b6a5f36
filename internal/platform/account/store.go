package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// reader is what *db.DB and *db.Tx have in common.
type reader interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

type appRow struct {
	App
	sealed string
}

const appColumns = `id, app_key, name, secret_hash, secret_sealed, state, settings, revision, created_at, developer_id, package`

func (r *appRow) scan(scan func(...any) error) error {
	var (
		hash     []byte
		settings string
		at       int64
	)
	if err := scan(&r.ID, &r.Key, &r.Name, &hash, &r.sealed, &r.State, &settings, &r.Revision, &at, &r.Developer, &r.Package); err != nil {
		return err
	}
	copy(r.SecretHash[:], hash)
	r.CreatedAt = created(at)
	if err := json.Unmarshal([]byte(settings), &r.Settings); err != nil {
		return fmt.Errorf("settings of app %s: %w", r.Key, err)
	}
	return nil
}

func insertApp(ctx context.Context, tx *db.Tx, a *App, sealed string) error {
	settings, err := json.Marshal(a.Settings)
	if err != nil {
		return err
	}
	return tx.QueryRow(ctx, `insert into account_app (`+appColumns+`)
		select coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, cast($7 as bigint), cast($8 as bigint), cast($9 as bigint), $10
		from account_app returning id`,
		a.Key, a.Name, a.SecretHash[:], sealed, string(a.State), string(settings), a.Revision, clock.Millis(a.CreatedAt), a.Developer, a.Package).Scan(&a.ID)
}

// updateApp writes what may change of a locked app.
func updateApp(ctx context.Context, tx *db.Tx, a *App) error {
	settings, err := json.Marshal(a.Settings)
	if err != nil {
		return err
	}
	if _, err = tx.Exec(ctx, `update account_app set name = $2, state = $3, settings = $4, developer_id = $5 where id = $1`,
		a.ID, a.Name, string(a.State), string(settings), a.Developer); err != nil {
		return fmt.Errorf("account: write app %s: %w", a.Key, err)
	}
	return nil
}

func queryApp(ctx context.Context, r reader, key string) (*appRow, error) {
	return oneApp(key, r.QueryRow(ctx, `select `+appColumns+` from account_app where app_key = $1`, key))
}

// lockApp reads an app that is not deleted in order to change it: its revision rises, and until the transaction ends
// nobody else does.
func lockApp(ctx context.Context, tx *db.Tx, key string) (*appRow, error) {
	return alive(oneApp(key, tx.QueryRow(ctx, `update account_app set revision = revision + 1 where app_key = $1 returning `+appColumns, key)))
}

// holdApp reads an app that is not deleted and keeps it as it is until the transaction ends.
func holdApp(ctx context.Context, tx *db.Tx, key string) (*appRow, error) {
	return alive(oneApp(key, tx.QueryRow(ctx, `update account_app set revision = revision where app_key = $1 returning `+appColumns, key)))
}

func alive(row *appRow, err error) (*appRow, error) {
	if err == nil && row.State == gate.Deleted {
		return nil, ErrDeleted
	}
	return row, err
}

// queryPackage finds the developer's app of a package.
func queryPackage(ctx context.Context, r reader, developer int64, pkg string) (*appRow, error) {
	return oneApp(pkg, r.QueryRow(ctx, `select `+appColumns+` from account_app where developer_id = $1 and package = $2 and state <> 'deleted'`, developer, pkg))
}

func oneApp(name string, r *sql.Row) (*appRow, error) {
	var row appRow
	err := row.scan(r.Scan)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("account: read app %s: %w", name, err)
	}
	return &row, nil
}

func queryApps(ctx context.Context, r reader) ([]appRow, error) {
	rows, err := r.Query(ctx, `select `+appColumns+` from account_app order by id`)
	if err != nil {
		return nil, fmt.Errorf("account: list apps: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []appRow
	for rows.Next() {
		var row appRow
		if err := row.scan(rows.Scan); err != nil {
			return nil, fmt.Errorf("account: list apps: %w", err)
		}
		out = append(out, row)
	}
	return out, rows.Err()
}

// countApps counts the apps of a developer that are not deleted.
func countApps(ctx context.Context, r reader, developer int64) (n int, err error) {
	err = r.QueryRow(ctx, `select count(*) from account_app where developer_id = $1 and state <> 'deleted'`, developer).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("account: count apps: %w", err)
	}
	return n, nil
}
