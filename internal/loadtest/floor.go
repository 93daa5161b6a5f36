package loadtest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// floor is what an insert alone costs.
type floor struct {
	perSecond float64
	commit    Latency
}

// commitFloor commits one-row transactions with the server's own store, in a database of its own in dir, from as many
// goroutines as the API has callers: no push that is safe before it is answered can be quicker than that.
func commitFloor(ctx context.Context, dir string, callers int, d time.Duration) (out floor, err error) {
	store, err := db.Open(ctx, db.Options{Path: filepath.Join(dir, "floor.db"), Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		return floor{}, fmt.Errorf("commit floor: %w", err)
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	err = store.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `drop table if exists floor`); err != nil { // of the run before in the same directory
			return err
		}
		_, err := tx.Exec(ctx, `create table floor (id integer primary key, body text not null)`)
		return err
	})
	if err != nil {
		return floor{}, fmt.Errorf("commit floor: %w", err)
	}
	var (
		commits histogram
		next    atomic.Int64
		began   = clock.System{}.Now()
		body    = string(pushBody(everybody, mark{}.text(0)))
	)
	work, workers := errgroup.WithContext(ctx)
	for range callers {
		work.Go(func() error {
			for {
				at := clock.System{}.Now()
				if at.Sub(began) >= d {
					return nil
				}
				id := next.Add(1)
				err := store.InTxUrgent(workers, func(ctx context.Context, tx *db.Tx) error {
					_, err := tx.Exec(ctx, `insert into floor (id, body) values ($1, $2)`, id, body)
					return err
				})
				if err != nil {
					return fmt.Errorf("commit floor: %w", err)
				}
				commits.add(clock.System{}.Now().Sub(at))
			}
		})
	}
	if err := work.Wait(); err != nil {
		return floor{}, err
	}
	out.commit = commits.latency()
	out.perSecond = float64(out.commit.Count) / clock.System{}.Now().Sub(began).Seconds()
	return out, nil
}
