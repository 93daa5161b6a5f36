package stat

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"borealis/internal/kernel/db"
)

// closeBatch is how many sets or counts one transaction ends.
const closeBatch = 200

// Close counts the sets that are past and throws them away, and deletes counts that are too old. Run calls it. Several
// nodes may do it at once: whoever deletes a set counts it.
func (u *Users) Close(ctx context.Context) error {
	now := u.Clock.Now()
	for _, span := range units {
		for _, step := range []func(context.Context, unit, time.Time) (int, error){u.closeSets, u.deleteCounts} {
			for {
				n, err := step(ctx, span, now)
				if err != nil {
					return err
				}
				if n < closeBatch {
					break
				}
			}
		}
	}
	return nil
}

// tally is a closed count.
type tally struct {
	app, unit, bucket, platform, metric int64
}

func (a tally) compare(b tally) int {
	return cmp.Or(cmp.Compare(a.app, b.app), cmp.Compare(a.unit, b.unit), cmp.Compare(a.bucket, b.bucket), cmp.Compare(a.platform, b.platform),
		cmp.Compare(a.metric, b.metric))
}

func (u *Users) closeSets(ctx context.Context, span unit, now time.Time) (closed int, err error) {
	err = u.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var sums map[tally]int64
		if sums, closed, err = takeSets(ctx, tx, span, span.closedBefore(now)); err != nil {
			return err
		}
		for _, t := range slices.SortedFunc(maps.Keys(sums), tally.compare) {
			_, err := tx.Exec(ctx, `insert into stat_users (app_id, unit, bucket, platform, metric, n) values ($1, $2, $3, $4, $5, $6)
				on conflict (app_id, unit, bucket, platform, metric) do update set n = stat_users.n + excluded.n`,
				t.app, t.unit, t.bucket, t.platform, t.metric, sums[t])
			if err != nil {
				return fmt.Errorf("stat: count closed sets: %w", err)
			}
		}
		return nil
	})
	return closed, err
}

// takeSets deletes sets that are past and returns their counts.
func takeSets(ctx context.Context, tx *db.Tx, span unit, before int64) (sums map[tally]int64, n int, err error) {
	rows, err := tx.Query(ctx, `delete from stat_set where (app_id, unit, bucket, platform, metric, chunk) in
		(select app_id, unit, bucket, platform, metric, chunk from stat_set where unit = $1 and bucket < $2 order by unit, bucket limit $3)
		returning app_id, unit, bucket, platform, metric, n`, int64(span), before, closeBatch)
	if err != nil {
		return nil, 0, fmt.Errorf("stat: close sets: %w", err)
	}
	defer func() { _ = rows.Close() }()
	sums = make(map[tally]int64)
	for rows.Next() {
		var (
			t       tally
			members int64
		)
		if err := rows.Scan(&t.app, &t.unit, &t.bucket, &t.platform, &t.metric, &members); err != nil {
			return nil, 0, fmt.Errorf("stat: close sets: %w", err)
		}
		sums[t] += members
		n++
	}
	return sums, n, rows.Err()
}

func (u *Users) deleteCounts(ctx context.Context, span unit, now time.Time) (deleted int, err error) {
	before := span.keptFrom(now)
	if before == 0 {
		return 0, nil
	}
	err = u.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `delete from stat_users where (app_id, unit, bucket, platform, metric) in
			(select app_id, unit, bucket, platform, metric from stat_users where unit = $1 and bucket < $2 order by unit, bucket limit $3)`,
			int64(span), before, closeBatch)
		if err != nil {
			return fmt.Errorf("stat: delete old counts: %w", err)
		}
		deleted = int(n)
		return nil
	})
	return deleted, err
}
