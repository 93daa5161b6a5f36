package device

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// seenBatch is how many rows one statement marks; a fixed number keeps the statement prepared.
const seenBatch = 200

// seen gathers who was seen since the last flush. A set per app keeps it small for any number of devices, at the price
// that a last-seen time is as exact as the interval of flushes.
type seen struct {
	mu   sync.Mutex
	apps map[int64]*roaring.Bitmap
}

// Seen notes that devices are in contact now. It is cheap; FlushSeen writes it down.
func (r *Registry) Seen(app int64, ordinals []uint32) {
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	set := r.seen.apps[app]
	if set == nil {
		if r.seen.apps == nil {
			r.seen.apps = make(map[int64]*roaring.Bitmap)
		}
		set = roaring.New()
		r.seen.apps[app] = set
	}
	set.AddMany(ordinals)
}

func (r *Registry) justSeen(app int64, ordinal uint32) bool {
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	set := r.seen.apps[app]
	return set != nil && set.Contains(ordinal)
}

// FlushSeen writes the time as the last-seen time of all devices noted since the last call. What cannot be written is
// noted again.
func (r *Registry) FlushSeen(ctx context.Context) error {
	r.seen.mu.Lock()
	apps := r.seen.apps
	r.seen.apps = nil
	r.seen.mu.Unlock()

	now := clock.Millis(r.Clock.Now())
	for _, app := range slices.Sorted(maps.Keys(apps)) {
		batch := make([]uint32, seenBatch)
		it := apps[app].ManyIterator()
		for n := it.NextMany(batch); n > 0; n = it.NextMany(batch) {
			if err := r.markSeen(ctx, app, batch[:n], now); err != nil {
				for app, set := range apps {
					r.Seen(app, set.ToArray())
				}
				return fmt.Errorf("device: write last seen: %w", err)
			}
		}
		delete(apps, app)
	}
	return nil
}

func (r *Registry) markSeen(ctx context.Context, app int64, ordinals []uint32, now int64) error {
	args := make([]any, 0, seenBatch+2)
	args = append(args, app, now)
	for i := range seenBatch {
		args = append(args, int64(ordinals[min(i, len(ordinals)-1)])) // the last one fills up
	}
	query := `update device_device set last_seen = $2 where app_id = $1 and ordinal in (` + db.InFixed(3, seenBatch) + `)`
	return r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, query, args...)
		return err
	})
}
