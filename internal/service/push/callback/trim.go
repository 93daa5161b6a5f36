package callback

import (
	"context"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// maxRows and maxBytes bound what waits for one app. What comes between two looks can exceed them for seconds.
	maxRows  = 100_000
	maxBytes = 64 << 20
	// maxPending is how long rows of an app that this node does not know are kept; they cannot be told.
	maxPending = 3 * 24 * time.Hour
	// rowsPerDrop bounds one transaction.
	rowsPerDrop = 500
)

// trim drops what is too much or too old.
func (s *Service) trim(ctx context.Context) error {
	apps, err := queryApps(ctx, s.db)
	if err != nil {
		return err
	}
	total := int64(0)
	for _, app := range apps {
		if !s.owns(app) {
			continue
		}
		n, err := s.trimApp(ctx, app)
		if err != nil {
			return err
		}
		total += n
	}
	s.metrics.pending.Set(float64(total))
	return nil
}

// trimApp drops the oldest rows of an app beyond the bounds, and a tenth more, so that it does not come back at once.
func (s *Service) trimApp(ctx context.Context, app int64) (rows int64, err error) {
	if s.gate.AppByID(app) == nil {
		before := clock.Millis(s.clock.Now().Add(-maxPending))
		old, err := querySized(ctx, s.db, `app_id = $1 and created_at < $2`, app, before)
		if err == nil {
			err = s.drop(ctx, old, droppedOld)
		}
		if err != nil {
			return 0, err
		}
	}
	rows, bytes, err := queryPending(ctx, s.db, app)
	if err != nil || rows <= s.maxRows && bytes <= s.maxBytes {
		return rows, err
	}
	all, err := querySized(ctx, s.db, `app_id = $1 order by id`, app)
	if err != nil {
		return 0, err
	}
	n := 0
	for ; n < len(all) && (rows > s.maxRows*9/10 || bytes > s.maxBytes*9/10); n++ {
		rows--
		bytes -= all[n].size
	}
	s.log.Warn("callbacks dropped: more wait than is kept", "app", app, "rows", n)
	return rows, s.drop(ctx, all[:n], droppedFull)
}

// dropURL drops the rows for an address that is none (any more).
func (s *Service) dropURL(ctx context.Context, app int64, url string) error {
	rows, err := querySized(ctx, s.db, `app_id = $1 and url = $2 order by id limit $3`, app, url, perSlice)
	if err != nil {
		return err
	}
	return s.drop(ctx, rows, droppedAddress)
}

func (s *Service) drop(ctx context.Context, rows []sized, why string) error {
	for len(rows) > 0 {
		n := min(len(rows), rowsPerDrop)
		ids := make([]int64, n)
		for i := range ids {
			ids[i] = rows[i].id
		}
		var records int64
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			records, err = dropRows(ctx, tx, ids)
			return err
		})
		if err != nil {
			return err
		}
		s.metrics.dropped.WithLabelValues(why).Add(float64(records))
		rows = rows[n:]
	}
	return nil
}
