package blob

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	sweepEvery = 5 * time.Minute
	// keepFor is how long drafts and deleted blobs stay after they were touched last.
	keepFor = time.Hour
	// sweepRows and sweepChunks bound what one query lists and one transaction deletes.
	sweepRows   = 100
	sweepChunks = 4
)

// Run removes drafts that nobody finished and the bytes of deleted blobs, until ctx ends.
func (s *Store) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("blobs not swept", "err", err)
			}
		}
	}
}

// Sweep does what Run does, once, and returns the number of blobs removed.
func (s *Store) Sweep(ctx context.Context) (removed int, err error) {
	for {
		ids, err := s.leftover(ctx)
		if err != nil {
			return removed, err
		}
		for _, id := range ids {
			if err := s.remove(ctx, id); err != nil {
				return removed, err
			}
			removed++
		}
		if len(ids) < sweepRows {
			return removed, nil
		}
	}
}

// leftover claims old drafts and lists what can be removed.
func (s *Store) leftover(ctx context.Context) (ids []int64, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		ids = ids[:0]
		rows, err := tx.Query(ctx, `update blob_blob set state = $1 where id in
			(select id from blob_blob where state <> $2 and touched_at < $3 order by touched_at limit $4) and state <> $2 and touched_at < $3 returning id`,
			gone, complete, clock.Millis(s.clock.Now().Add(-keepFor)), sweepRows)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				return err
			}
			ids = append(ids, id)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, fmt.Errorf("blob: sweep: %w", err)
	}
	return ids, nil
}

// remove deletes a blob that is gone, some chunks per transaction and the row that names it last.
func (s *Store) remove(ctx context.Context, id int64) error {
	for left := true; left; {
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			n, err := tx.Exec(ctx, `delete from blob_chunk where blob_id = $1 and no in (select no from blob_chunk where blob_id = $1 order by no limit $2)`,
				id, sweepChunks)
			if err != nil {
				return err
			}
			if left = n == sweepChunks; left {
				return nil
			}
			_, err = tx.Exec(ctx, `delete from blob_blob where id = $1 and state = $2`, id, gone)
			return err
		})
		if err != nil {
			return fmt.Errorf("blob: remove: %w", err)
		}
	}
	return nil
}
