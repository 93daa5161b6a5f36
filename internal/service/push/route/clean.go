package route

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/db"
)

const (
	// cleanTick is how often old rows are deleted.
	cleanTick = 10 * time.Minute
	// cleanMessages and cleanRows are how many messages, and rows of each table, one transaction deletes.
	cleanMessages = 20
	cleanRows     = 500
	// retention is how long a trace can be asked for: as long as the message itself.
	retention = 35 * 24 * time.Hour
	// quotaDays is how long counts of a day are kept.
	quotaDays = 3
)

// cleaning deletes what nobody can ask for any more, now and then until ctx ends.
func (s *Service) cleaning(ctx context.Context) {
	tick := time.NewTicker(cleanTick)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if err := s.clean(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("old routes not deleted", "err", err)
			}
		}
	}
}

func (s *Service) clean(ctx context.Context) error {
	err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `delete from push_route_quota where day < $1`, s.today()-quotaDays)
		return err
	})
	if err != nil {
		return fmt.Errorf("route: delete old counts: %w", err)
	}
	for more := true; more; {
		if more, err = s.cleanSome(ctx, s.now()-retention.Milliseconds()); err != nil {
			return fmt.Errorf("route: delete old: %w", err)
		}
	}
	return nil
}

// cleanSome deletes some of what is older than a time, and says whether there may be more. A message goes after all its parts: it is how
// these are found.
func (s *Service) cleanSome(ctx context.Context, before int64) (more bool, err error) {
	err = s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		const old = `(select msg_id from push_route where accepted_at < $1 order by accepted_at limit $2)`
		for _, rows := range []string{
			`delete from push_route_result where (part_id, number) in (select part_id, number from push_route_result where msg_id in ` + old + ` limit $3)`,
			`delete from push_route_part where part_id in (select part_id from push_route_part where msg_id in ` + old + ` limit $3)`,
		} {
			n, err := tx.Exec(ctx, rows, before, cleanMessages, cleanRows)
			if more = n == cleanRows; err != nil || more {
				return err
			}
		}
		n, err := tx.Exec(ctx, `delete from push_route where msg_id in `+old, before, cleanMessages)
		more = n == cleanMessages
		return err
	})
	return more, err
}
