package audience

import (
	"context"
	"errors"
	"fmt"
)

// catchUp loads the sets if need be and applies the log to its end. Only the leader of a round calls it.
func (x *Index) catchUp(ctx context.Context, s *state) error {
	for range maxLoads {
		if !s.ready.Load() {
			if err := x.load(ctx, s); err != nil {
				return err
			}
		}
		err := x.follow(ctx, s)
		switch {
		case errors.Is(err, errTrimmed):
		case errors.Is(err, errEntry) && s.sets.gen != 0:
			// The rows are at least as new as the entry that cannot be read.
			x.log.Error("audience log damaged, loading from rows", "app", s.id, "err", err)
			s.spoiled.Store(s.sets.gen)
		default:
			return err
		}
		s.ready.Store(false) // who asks now waits for the new sets
	}
	return errTrimmed
}

// follow applies the entries after the last applied one.
func (x *Index) follow(ctx context.Context, s *state) error {
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	type row struct {
		pos     int64
		ordinal uint32
		entry   entry
	}
	batch := make([]row, 0, 16)
	for {
		batch = batch[:0]
		at := s.pos.Load()
		rows, err := x.db.Query(ctx, `select pos, ordinal, change from audience_log
			where app_id = $1 and pos > $2 order by pos limit $3`, s.id, at, followBatch)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		err = scan(rows, func() error {
			var (
				r    row
				data []byte
				err  error
			)
			if err = rows.Scan(&r.pos, &r.ordinal, &data); err != nil {
				return err
			}
			if at++; r.pos != at {
				return errTrimmed
			}
			if r.entry, err = decodeEntry(data); err != nil {
				return fmt.Errorf("position %d: %w", r.pos, err)
			}
			batch = append(batch, r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		s.mu.Lock()
		for _, r := range batch {
			s.sets.apply(r.pos, r.ordinal, r.entry)
		}
		s.mu.Unlock()
		s.pos.Store(at)
		if len(batch) < followBatch {
			return nil
		}
	}
}
