package account

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

type developerRow struct {
	Developer
	sealed string
}

const developerColumns = `id, dev_key, name, secret_hash, secret_sealed, files, revision, created_at`

func (r *developerRow) scan(scan func(...any) error) error {
	var (
		hash []byte
		at   int64
	)
	if err := scan(&r.ID, &r.Key, &r.Name, &hash, &r.sealed, &r.Files, &r.Revision, &at); err != nil {
		return err
	}
	copy(r.SecretHash[:], hash)
	r.CreatedAt = created(at)
	return nil
}

func insertDeveloper(ctx context.Context, tx *db.Tx, d *Developer, sealed string) error {
	return tx.QueryRow(ctx, `insert into account_developer (dev_key, name, secret_hash, secret_sealed, files, revision, created_at)
		values ($1, $2, $3, $4, $5, $6, $7) returning id`,
		d.Key, d.Name, d.SecretHash[:], sealed, d.Files, d.Revision, clock.Millis(d.CreatedAt)).Scan(&d.ID)
}

// updateDeveloper writes what may change of a locked developer.
func updateDeveloper(ctx context.Context, tx *db.Tx, d *Developer) error {
	if _, err := tx.Exec(ctx, `update account_developer set name = $2, files = $3 where id = $1`, d.ID, d.Name, d.Files); err != nil {
		return fmt.Errorf("account: write developer %s: %w", d.Key, err)
	}
	return nil
}

func queryDeveloper(ctx context.Context, r reader, key string) (*developerRow, error) {
	return oneDeveloper(key, r.QueryRow(ctx, `select `+developerColumns+` from account_developer where dev_key = $1`, key))
}

// lockDeveloper reads a developer in order to change them.
func lockDeveloper(ctx context.Context, tx *db.Tx, key string) (*developerRow, error) {
	return oneDeveloper(key, tx.QueryRow(ctx, `update account_developer set revision = revision + 1 where dev_key = $1 returning `+developerColumns, key))
}

func oneDeveloper(key string, r *sql.Row) (*developerRow, error) {
	var row developerRow
	err := row.scan(r.Scan)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNoDeveloper
	case err != nil:
		return nil, fmt.Errorf("account: read developer %s: %w", key, err)
	}
	return &row, nil
}

func queryDevelopers(ctx context.Context, r reader) ([]developerRow, error) {
	rows, err := r.Query(ctx, `select `+developerColumns+` from account_developer order by id`)
	if err != nil {
		return nil, fmt.Errorf("account: list developers: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []developerRow
	for rows.Next() {
		var row developerRow
		if err := row.scan(rows.Scan); err != nil {
			return nil, fmt.Errorf("account: list developers: %w", err)
		}
		out = append(out, row)
	}
	return out, rows.Err()
}
