package account

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

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

const appColumns = `id, app_key, name, secret_hash, secret_sealed, state, settings, revision, created_at`

func (r *appRow) scan(scan func(...any) error) error {
	var (
		hash     []byte
		settings string
		at       int64
	)
	if err := scan(&r.ID, &r.Key, &r.Name, &hash, &r.sealed, &r.State, &settings, &r.Revision, &at); err != nil {
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
		select coalesce(max(id), 0) + 1, $1, $2, $3, $4, $5, $6, cast($7 as bigint), cast($8 as bigint) from account_app returning id`,
		a.Key, a.Name, a.SecretHash[:], sealed, string(a.State), string(settings), a.Revision, clock.Millis(a.CreatedAt)).Scan(&a.ID)
}

func updateApp(ctx context.Context, tx *db.Tx, a *App) error {
	settings, err := json.Marshal(a.Settings)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update account_app set name = $2, state = $3, settings = $4, revision = $5 where id = $1`,
		a.ID, a.Name, string(a.State), string(settings), a.Revision)
	return err
}

func queryApp(ctx context.Context, r reader, key string) (*appRow, error) {
	var row appRow
	err := row.scan(r.QueryRow(ctx, `select `+appColumns+` from account_app where app_key = $1`, key).Scan)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("account: read app %s: %w", key, err)
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
