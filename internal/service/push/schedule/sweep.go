package schedule

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// sweepTick is the pace of the sweep. Nothing but space depends on it.
	sweepTick = 10 * time.Minute
	// sweepRows go in one transaction, sweepRounds of them in one sweep of a table.
	sweepRows, sweepRounds = 500, 20
)

// Run removes what is past its retention, until ctx ends. Schedules fire by the jobs queue and not by this.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepTick)
	defer ticker.Stop()
	for {
		if err := s.sweep(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("schedules not swept", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func (s *Service) sweep(ctx context.Context) error {
	now := s.clock.Now()
	old := clock.Millis(now.Add(-retention))
	for _, part := range []struct {
		table, key, condition string
		before                int64
	}{
		{"push_schedule_cid", "app_id, cid", "expires_at <= $1", clock.Millis(now)},
		{"push_schedule_fire", "schedule_id, due_at", "fired_at < $1", old},
		{"push_schedule", "schedule_id", "not live and ended_at < $1", old},
	} {
		for range sweepRounds {
			n, err := s.deleteSome(ctx, part.table, part.key, part.condition, part.before)
			if err != nil {
				return err
			}
			if n < sweepRows {
				break
			}
		}
	}
	return nil
}

// deleteSome writes nothing when there is nothing to delete.
func (s *Service) deleteSome(ctx context.Context, table, key, condition string, before int64) (deleted int64, err error) {
	var some int
	if err := s.db.QueryRow(ctx, `select count(*) from (select 1 from `+table+` where `+condition+` limit 1) found`, before).Scan(&some); err != nil {
		return 0, fmt.Errorf("push_schedule: look through %s: %w", table, err)
	}
	if some == 0 {
		return 0, nil
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		deleted, err = tx.Exec(ctx, `delete from `+table+` where (`+key+`) in (select `+key+` from `+table+` where `+condition+` limit $2)`, before, sweepRows)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("push_schedule: delete from %s: %w", table, err)
	}
	return deleted, nil
}
