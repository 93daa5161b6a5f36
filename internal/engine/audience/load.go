package audience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/db"
)

// rowsTimeout bounds the reading of all rows of an app: ten million take minutes.
const rowsTimeout = 30 * time.Minute

// load builds the sets from the newest snapshot, or from the rows if there is none that can be used.
func (x *Index) load(ctx context.Context, s *state) error {
	began := x.clock.Now()
	from := "snapshot"
	sets, err := x.restore(ctx, s)
	if sets == nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			x.log.Warn("audience snapshot not used", "app", s.id, "err", err)
		}
		from = "rows"
		if sets, err = x.readRows(ctx, s.id); err != nil {
			return err
		}
	}
	s.mu.Lock()
	s.sets = sets
	s.mu.Unlock()
	s.pos.Store(sets.pos)
	s.ready.Store(true)
	if sets.known >= x.snap.devices {
		x.log.Info("audience loaded", "app", s.id, "from", from, "devices", sets.known, "took", x.clock.Now().Sub(began))
		if from == "rows" {
			x.hurry()
		}
	}
	return nil
}

// readRows builds the sets from the rows. The order matters: the position first, then what is at least as new.
func (x *Index) readRows(ctx context.Context, app int64) (*sets, error) {
	ctx, cancel := context.WithTimeout(ctx, rowsTimeout)
	defer cancel()
	sets := newSets(x.aliasLimits)
	err := x.db.QueryRow(ctx, `select pos from audience_head where app_id = $1`, app).Scan(&sets.pos)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return nil, fmt.Errorf("read position: %w", err)
	}
	if err := x.readTags(ctx, app, sets); err != nil {
		return nil, err
	}
	err = x.src.EachDevice(ctx, app, func(d Device) error {
		if d.Platform == 0 || d.Platform >= PlatformEnd {
			return fmt.Errorf("device %d has platform %d", d.Ordinal, d.Platform)
		}
		sets.load(d)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("read devices: %w", err)
	}
	sets.pack()
	return sets, nil
}

// readTags reads the dictionary.
func (x *Index) readTags(ctx context.Context, app int64, sets *sets) error {
	rows, err := x.db.Query(ctx, `select id, name from audience_tag where app_id = $1`, app)
	if err != nil {
		return fmt.Errorf("read tags: %w", err)
	}
	err = scan(rows, func() error {
		var (
			id   uint32
			name string
		)
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		sets.define(id, name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read tags: %w", err)
	}
	return nil
}
