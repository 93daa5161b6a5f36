package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

func (s *Service) now() int64 { return clock.Millis(s.Clock.Now()) }

const countLive = `select count(*) from push_image where app_id = $1 and expires_at > $2`

// live counts the images of an app that live.
func (s *Service) live(ctx context.Context, app int64) (n int, err error) {
	if err := s.DB.QueryRow(ctx, countLive, app, s.now()).Scan(&n); err != nil {
		return 0, fmt.Errorf("image: count: %w", err)
	}
	return n, nil
}

// find returns the kind of a living image and its pictures by vendor. Errors: *compat.Error 1003.
func (s *Service) find(ctx context.Context, app int64, mediaID string) (k kind, pictures map[string]picture, err error) {
	if !isMediaID(mediaID) {
		return 0, nil, errUnknown()
	}
	err = s.DB.QueryRow(ctx, `select kind from push_image where media_id = $1 and app_id = $2 and expires_at > $3`, mediaID, app, s.now()).Scan(&k)
	if errors.Is(err, db.ErrNoRows) {
		return 0, nil, errUnknown()
	}
	if err == nil {
		pictures, err = readPictures(s.DB.Query(ctx, selectPictures, mediaID))
	}
	if err != nil {
		return 0, nil, fmt.Errorf("image: find: %w", err)
	}
	return k, pictures, nil
}

const selectPictures = `select vendor, url, picture_id, content_type from push_image_picture where media_id = $1`

// readPictures takes the result of selectPictures.
func readPictures(rows *sql.Rows, err error) (map[string]picture, error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	pictures := make(map[string]picture)
	for rows.Next() {
		var p picture
		if err := rows.Scan(&p.vendor, &p.url, &p.id, &p.contentType); err != nil {
			return nil, err
		}
		pictures[p.vendor] = p
	}
	return pictures, rows.Err()
}

// add stores an image. Errors: *compat.Error 2005 if the app has too many.
func (s *Service) add(ctx context.Context, app int64, mediaID string, k kind, pictures []picture) error {
	return s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `insert into push_image_count (app_id, made) values ($1, 1)
			on conflict (app_id) do update set made = push_image_count.made + 1`, app); err != nil {
			return fmt.Errorf("image: lock: %w", err)
		}
		now, n := s.now(), 0
		if err := tx.QueryRow(ctx, countLive, app, now).Scan(&n); err != nil {
			return fmt.Errorf("image: count: %w", err)
		}
		if n >= s.MaxLive {
			return s.errFull()
		}
		if _, err := tx.Exec(ctx, `insert into push_image (media_id, app_id, kind, revision, created_at, expires_at) values ($1, $2, $3, 1, $4, $5)`,
			mediaID, app, int64(k), now, now+Lifetime.Milliseconds()); err != nil {
			return fmt.Errorf("image: add: %w", err)
		}
		return s.put(ctx, tx, mediaID, pictures)
	})
}

// change replaces pictures of a living image and returns all that are in force then, by vendor. choose tells by the
// kind of the image what to store. Errors: *compat.Error 1003.
func (s *Service) change(ctx context.Context, app int64, mediaID string, choose func(kind) []picture) (pictures map[string]picture, err error) {
	if !isMediaID(mediaID) {
		return nil, errUnknown()
	}
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var k kind
		// The update also makes changes of the same image wait for each other.
		err := tx.QueryRow(ctx, `update push_image set revision = revision + 1 where media_id = $1 and app_id = $2 and expires_at > $3 returning kind`,
			mediaID, app, s.now()).Scan(&k)
		if errors.Is(err, db.ErrNoRows) {
			return errUnknown()
		}
		if err != nil {
			return fmt.Errorf("image: change: %w", err)
		}
		if err := s.put(ctx, tx, mediaID, choose(k)); err != nil {
			return err
		}
		pictures, err = readPictures(tx.Query(ctx, selectPictures, mediaID))
		return err
	})
	return pictures, err
}

// put stores pictures of an image and deletes the bytes of those they replace.
func (s *Service) put(ctx context.Context, tx *db.Tx, mediaID string, pictures []picture) error {
	for _, p := range pictures {
		var old, bytes int64
		err := tx.QueryRow(ctx, `select blob_id from push_image_picture where media_id = $1 and vendor = $2`, mediaID, p.vendor).Scan(&old)
		switch {
		case err != nil && !errors.Is(err, db.ErrNoRows):
			return fmt.Errorf("image: put: %w", err)
		case old != 0:
			if err := s.Blobs.Delete(ctx, tx, old); err != nil {
				return err
			}
		}
		if p.draft != nil {
			if bytes, err = p.draft.Commit(ctx, tx); err != nil {
				return err
			}
		}
		if _, err := tx.Exec(ctx, `insert into push_image_picture (media_id, vendor, url, picture_id, blob_id, content_type) values ($1, $2, $3, $4, $5, $6)
			on conflict (media_id, vendor) do update set url = $3, picture_id = $4, blob_id = $5, content_type = $6`,
			mediaID, p.vendor, p.url, p.id, bytes, p.contentType); err != nil {
			return fmt.Errorf("image: put: %w", err)
		}
	}
	return nil
}

// uploaded finds a picture by its id. Errors: db.ErrNoRows.
func (s *Service) uploaded(ctx context.Context, pictureID string) (blobID int64, contentType string, err error) {
	err = s.DB.QueryRow(ctx, `select p.blob_id, p.content_type from push_image_picture p join push_image i on i.media_id = p.media_id
		where p.picture_id = $1 and p.picture_id <> '' and i.expires_at > $2`, pictureID, s.now()).Scan(&blobID, &contentType)
	return blobID, contentType, err
}

// deleteExpired deletes up to sweepRows images.
func (s *Service) deleteExpired(ctx context.Context) (n int, err error) {
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		ids, err := column[string](tx.Query(ctx, `delete from push_image where media_id in
			(select media_id from push_image where expires_at <= $1 order by expires_at limit $2) returning media_id`, s.now(), sweepRows))
		if err != nil {
			return err
		}
		n = len(ids)
		for _, mediaID := range ids {
			blobs, err := column[int64](tx.Query(ctx, `delete from push_image_picture where media_id = $1 returning blob_id`, mediaID))
			if err != nil {
				return err
			}
			for _, blobID := range blobs {
				if blobID == 0 {
					continue
				}
				if err := s.Blobs.Delete(ctx, tx, blobID); err != nil {
					return err
				}
			}
		}
		return nil
	})
	if err != nil {
		return 0, fmt.Errorf("image: sweep: %w", err)
	}
	return n, nil
}

// column reads the only column of a result.
func column[T any](rows *sql.Rows, err error) (list []T, _ error) {
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var v T
		if err := rows.Scan(&v); err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, rows.Err()
}
