package webhook

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// maxDead and maxDeadAge bound the dead deliveries that are kept for each owner.
	maxDead    = 1000
	maxDeadAge = 7 * 24 * time.Hour
	sweepPace  = time.Minute
	dropBatch  = 100
)

// sweep deletes the dead that are too old or too many, and counts what waits.
func (s *Service) sweep(ctx context.Context) error {
	if err := s.drop(ctx, oldDead, clock.Millis(s.clock.Now().Add(-maxDeadAge)), dropBatch); err != nil {
		return err
	}
	owners, err := queryCrowded(ctx, s.db, maxDead)
	if err != nil {
		return err
	}
	for _, owner := range owners {
		if err := s.drop(ctx, excessDead, owner, maxDead, dropBatch); err != nil {
			return err
		}
	}
	var waiting int64
	if err := s.db.QueryRow(ctx, `select count(*) from webhook_delivery where state = 1`).Scan(&waiting); err != nil {
		return fmt.Errorf("webhook: count: %w", err)
	}
	s.metrics.waiting.Set(float64(waiting))
	return nil
}

// drop deletes what a query lists, a batch in each transaction.
func (s *Service) drop(ctx context.Context, query string, args ...any) error {
	for n := 1; n > 0; {
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = deleteThose(ctx, tx, query, args...)
			return err
		})
		if err != nil {
			return err
		}
		s.metrics.dropped.Add(float64(n))
	}
	return nil
}
