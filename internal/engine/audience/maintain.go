package audience

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// maintainEvery is the pause between two rounds of maintenance.
	maintainEvery = 5 * time.Minute
	// An app's log is as long as the hour needs, up to keepEntries. That is several minutes at any rate of changes,
	// longer than a load from rows takes.
	keepFor     = time.Hour
	keepEntries = 500_000
	// trimBatch is how many positions one transaction deletes.
	trimBatch = 1000
)

// maintain calls Maintain every now and then.
func (x *Index) maintain(ctx context.Context) {
	every := time.NewTicker(maintainEvery)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-every.C:
		case <-x.soon:
		}
		if err := x.Maintain(ctx); err != nil && ctx.Err() == nil {
			x.log.Warn("audience not maintained", "err", err)
		}
	}
}

// hurry calls for a round of maintenance without delay.
func (x *Index) hurry() {
	select {
	case x.soon <- struct{}{}:
	default:
	}
}

// Maintain writes the snapshots that are due, of apps that are loaded here, and trims the logs of all apps: entries older
// than an hour, and the oldest beyond half a million, unless the newest snapshot needs them. A node that was away for
// longer loads the sets again. It also makes room in dictionaries that are half full. Run calls it every few minutes;
// it may run on all nodes at the same time, one call on each.
func (x *Index) Maintain(ctx context.Context) error {
	x.maintaining.Lock()
	defer x.maintaining.Unlock()
	// A snapshot that cannot be written must not let logs grow.
	return errors.Join(x.snapshots(ctx), x.trimAll(ctx))
}

func (x *Index) trimAll(ctx context.Context) error {
	heads := make(map[int64]int64)
	rows, err := x.db.Query(ctx, `select app_id, pos from audience_head`)
	if err != nil {
		return fmt.Errorf("audience: trim: %w", err)
	}
	err = scan(rows, func() error {
		var app, pos int64
		if err := rows.Scan(&app, &pos); err != nil {
			return err
		}
		heads[app] = pos
		return nil
	})
	if err != nil {
		return fmt.Errorf("audience: trim: %w", err)
	}
	headers, err := x.headers(ctx)
	if err != nil {
		return fmt.Errorf("audience: trim: %w", err)
	}
	before := clock.Millis(x.clock.Now().Add(-keepFor))
	for app, head := range heads {
		most := head - 1 // the newest entry always stays
		if h := headers[app]; h.gen > 0 && head-h.pos <= x.snap.keep {
			most = min(most, h.pos)
		}
		if err := x.trim(ctx, app, head, most, before); err != nil {
			return fmt.Errorf("audience: trim app %d: %w", app, err)
		}
		if err := x.dropUnused(ctx, app); err != nil {
			return fmt.Errorf("audience: drop unused tags of app %d: %w", app, err)
		}
	}
	return nil
}

// trim deletes entries up to a position, at most most.
func (x *Index) trim(ctx context.Context, app, head, most, before int64) error {
	first, err := x.position(ctx, `select pos from audience_log where app_id = $1 order by pos limit 1`, app)
	if err != nil || first == 0 {
		return err
	}
	// at rises with pos, as far as the clocks of the nodes agree.
	upTo, err := x.position(ctx, `select pos from audience_log where app_id = $1 and at < $2 order by pos desc limit 1`, app, before)
	if err != nil {
		return err
	}
	upTo = min(max(upTo, head-keepEntries), most)
	for ; first <= upTo; first += trimBatch {
		err := x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `delete from audience_log where app_id = $1 and pos <= $2`, app, min(upTo, first+trimBatch-1))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) position(ctx context.Context, query string, args ...any) (pos int64, err error) {
	if err = x.db.QueryRow(ctx, query, args...).Scan(&pos); errors.Is(err, db.ErrNoRows) {
		return 0, nil
	}
	return pos, err
}
