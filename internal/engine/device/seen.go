package device

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// seenBatch is how many rows one statement marks; a fixed number keeps the statement prepared.
const seenBatch = 200

// seen gathers who was seen since the last flush. Sets per app keep it small for any number of devices, at the price
// that a last-seen time is as exact as the interval of flushes.
type seen struct {
	mu   sync.Mutex
	apps map[int64]*contacts
}

// contacts are the devices of an app that were in contact; active ones are among all.
type contacts struct{ all, active *roaring.Bitmap }

// Seen notes that devices are in contact now. It is cheap; FlushSeen writes it down.
func (r *Registry) Seen(app int64, ordinals []uint32) { r.noteSeen(app, ordinals, nil) }

// Active notes that devices are in contact now and did something of their own: called the device API, or sent a message
// upward. Connections, signs of life and receipts of deliveries alone are none of that.
func (r *Registry) Active(app int64, ordinals []uint32) { r.noteSeen(app, ordinals, ordinals) }

func (r *Registry) noteSeen(app int64, all, active []uint32) {
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	c := r.seen.apps[app]
	if c == nil {
		if r.seen.apps == nil {
			r.seen.apps = make(map[int64]*contacts)
		}
		c = &contacts{all: roaring.New(), active: roaring.New()}
		r.seen.apps[app] = c
	}
	c.all.AddMany(all)
	c.active.AddMany(active)
}

func (r *Registry) justSeen(app int64, ordinal uint32) bool {
	r.seen.mu.Lock()
	defer r.seen.mu.Unlock()
	c := r.seen.apps[app]
	return c != nil && c.all.Contains(ordinal)
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
		it := apps[app].all.ManyIterator()
		for n := it.NextMany(batch); n > 0; n = it.NextMany(batch) {
			if err := r.markSeen(ctx, app, batch[:n], apps[app].active, now); err != nil {
				for app, c := range apps {
					r.noteSeen(app, c.all.ToArray(), c.active.ToArray())
				}
				return fmt.Errorf("device: write last seen: %w", err)
			}
		}
		delete(apps, app)
	}
	return nil
}

func (r *Registry) markSeen(ctx context.Context, app int64, ordinals []uint32, active *roaring.Bitmap, now int64) error {
	args := make([]any, 0, seenBatch+2)
	args = append(args, app, now)
	for i := range seenBatch {
		args = append(args, int64(ordinals[min(i, len(ordinals)-1)])) // the last one fills up
	}
	query := `update device_device set last_seen = $2 where app_id = $1 and ordinal in (` + db.InFixed(3, seenBatch) + `)`
	return r.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if r.OnSeen == nil {
			_, err := tx.Exec(ctx, query, args...)
			return err
		}
		marked, err := markedDevices(ctx, tx, query+` returning ordinal, platform`, args)
		if err != nil {
			return err
		}
		return r.tellSeen(ctx, tx, app, marked, active, now)
	})
}

func markedDevices(ctx context.Context, tx *db.Tx, query string, args []any) (map[audience.Platform]*roaring.Bitmap, error) {
	rows, err := tx.Query(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	marked := make(map[audience.Platform]*roaring.Bitmap)
	for rows.Next() {
		var (
			ordinal  uint32
			platform audience.Platform
		)
		if err := rows.Scan(&ordinal, &platform); err != nil {
			return nil, err
		}
		set := marked[platform]
		if set == nil {
			set = roaring.New()
			marked[platform] = set
		}
		set.Add(ordinal)
	}
	return marked, errors.Join(rows.Err(), rows.Close())
}

// tellSeen calls OnSeen for the marked devices of each platform.
func (r *Registry) tellSeen(ctx context.Context, tx *db.Tx, app int64, marked map[audience.Platform]*roaring.Bitmap, active *roaring.Bitmap, now int64) error {
	for _, platform := range slices.Sorted(maps.Keys(marked)) {
		e := deviceevent.Seen{App: app, Platform: uint8(platform), At: now}
		var err error
		if e.Seen, err = marked[platform].ToBytes(); err != nil {
			return fmt.Errorf("device: encode set: %w", err)
		}
		if busy := roaring.And(marked[platform], active); !busy.IsEmpty() {
			if e.Active, err = busy.ToBytes(); err != nil {
				return fmt.Errorf("device: encode set: %w", err)
			}
		}
		if err := r.OnSeen(ctx, tx, e); err != nil {
			return err
		}
	}
	return nil
}
