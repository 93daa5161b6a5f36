package file

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/google/uuid"

	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const columns = `file_id, kind, name, blob_id, size, lines, ttl_given, created_at, expires_at`

type scanner interface{ Scan(into ...any) error }

func scan(row scanner) (f file, err error) {
	err = row.Scan(&f.id, &f.kind, &f.name, &f.blob, &f.size, &f.lines, &f.ttlGiven, &f.createdAt, &f.expiresAt)
	return f, err
}

// list returns the files of an owner that live, the oldest first.
func (s *Service) list(ctx context.Context, o Owner) ([]file, error) {
	rows, err := s.DB.Query(ctx, `select `+columns+` from push_file where app_id = $1 and developer_id = $2 and expires_at > $3 order by created_at, file_id`,
		o.App, o.Developer, s.now())
	if err != nil {
		return nil, fmt.Errorf("file: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var files []file
	for rows.Next() {
		f, err := scan(rows)
		if err != nil {
			return nil, fmt.Errorf("file: list: %w", err)
		}
		files = append(files, f)
	}
	return files, rows.Err()
}

// find returns a file of an owner that lives. Errors: *compat.Error 1003.
func (s *Service) find(ctx context.Context, o Owner, id string) (file, error) {
	if !isID(id) {
		return file{}, errUnknown()
	}
	f, err := scan(s.DB.QueryRow(ctx, `select `+columns+` from push_file where file_id = $1 and app_id = $2 and developer_id = $3 and expires_at > $4`,
		id, o.App, o.Developer, s.now()))
	switch {
	case errors.Is(err, db.ErrNoRows):
		return file{}, errUnknown()
	case err != nil:
		return file{}, fmt.Errorf("file: find: %w", err)
	}
	return f, nil
}

// live counts the files of an owner that live.
func (s *Service) live(ctx context.Context, o Owner) (n int, err error) {
	err = s.DB.QueryRow(ctx, countLive, o.App, o.Developer, s.now()).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("file: count: %w", err)
	}
	return n, nil
}

const countLive = `select count(*) from push_file where app_id = $1 and developer_id = $2 and expires_at > $3`

// add stores a file and completes its bytes. Errors: *compat.Error 1003 if the owner has too many.
func (s *Service) add(ctx context.Context, o Owner, f file, draft *blob.Draft) error {
	return s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `insert into push_file_count (app_id, developer_id, uploaded) values ($1, $2, 1)
			on conflict (app_id, developer_id) do update set uploaded = push_file_count.uploaded + 1`, o.App, o.Developer); err != nil {
			return fmt.Errorf("file: lock: %w", err)
		}
		var n int
		if err := tx.QueryRow(ctx, countLive, o.App, o.Developer, s.now()).Scan(&n); err != nil {
			return fmt.Errorf("file: count: %w", err)
		}
		if n >= MaxLive {
			return errFull()
		}
		blobID, err := draft.Commit(ctx, tx)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `insert into push_file (app_id, developer_id, `+columns+`) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)`,
			o.App, o.Developer, f.id, f.kind, f.name, blobID, f.size, f.lines, f.ttlGiven, f.createdAt, f.expiresAt); err != nil {
			return fmt.Errorf("file: add: %w", err)
		}
		return nil
	})
}

// remove deletes a file of an owner. One that does not exist is no error.
func (s *Service) remove(ctx context.Context, o Owner, id string) error {
	if !isID(id) {
		return nil
	}
	_, err := s.deleteWhere(ctx, `file_id = $1 and app_id = $2 and developer_id = $3`, id, o.App, o.Developer)
	return err
}

// deleteExpired deletes up to sweepRows files.
func (s *Service) deleteExpired(ctx context.Context) (int, error) {
	return s.deleteWhere(ctx, `file_id in (select file_id from push_file where expires_at <= $1 order by expires_at limit $2)`, s.now(), sweepRows)
}

func (s *Service) deleteWhere(ctx context.Context, condition string, args ...any) (n int, err error) {
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		blobs, err := deleteRows(ctx, tx, condition, args)
		if err != nil {
			return err
		}
		n = len(blobs)
		for _, id := range blobs {
			if err := s.Blobs.Delete(ctx, tx, id); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("file: delete: %w", err)
	}
	return n, nil
}

// deleteRows returns the blobs of what it deleted, in ascending order.
func deleteRows(ctx context.Context, tx *db.Tx, condition string, args []any) (blobs []int64, err error) {
	rows, err := tx.Query(ctx, `delete from push_file where `+condition+` returning blob_id`, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		blobs = append(blobs, id)
	}
	slices.Sort(blobs)
	return blobs, rows.Err()
}

// isID keeps texts from the database that PostgreSQL does not take, with zero bytes or broken UTF-8.
func isID(id string) bool { return uuid.Validate(id) == nil }

func (s *Service) now() int64 { return clock.Millis(s.Clock.Now()) }
