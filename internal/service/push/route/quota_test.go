package route

import (
	"context"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// Sets by level count what a number for each device would, and the database keeps the same.
func TestQuotaCountsAsNumbersWould(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := Migrate(t.Context(), d); err != nil {
			t.Fatal(err)
		}
		s := &Service{Deps: Deps{DB: d, Clock: clock.NewFake(time.Unix(0, 0))}}
		day := int64(0)
		rapid.Check(t, func(t *rapid.T) {
			day++
			q, model := newQuota(day), make(map[uint32]int)
			// Devices at the edges of chunks.
			ordinal := rapid.SampledFrom([]uint32{0, 1, chunkSize - 1, chunkSize, chunkSize + 7, 5 * chunkSize, 1<<32 - 1})
			for range rapid.IntRange(1, 6).Draw(t, "steps") {
				devices := roaring.BitmapOf(rapid.SliceOfN(ordinal, 1, 7).Draw(t, "devices")...)
				limit := rapid.IntRange(1, maxLevels).Draw(t, "limit")
				over := q.over(devices, limit)
				for it := devices.Iterator(); it.HasNext(); {
					if o := it.Next(); over.Contains(o) != (model[o] >= limit) {
						t.Fatalf("device %d has %d of %d, over: %v", o, model[o], limit, over.Contains(o))
					}
				}
				devices.AndNot(over)
				if rapid.Bool().Draw(t, "take") {
					q.take(devices)
					for it := devices.Iterator(); it.HasNext(); {
						model[it.Next()]++
					}
				} else {
					q.give(devices)
					for it := devices.Iterator(); it.HasNext(); {
						o := it.Next()
						model[o] = max(0, model[o]-1)
					}
				}
				err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return q.store(ctx, tx, 1, wire.OPPO, devices) })
				if err != nil {
					t.Fatal(err)
				}
			}
			kept, err := s.loadQuota(context.Background(), 1, wire.OPPO, day)
			if err != nil {
				t.Fatal(err)
			}
			for level := range maxLevels {
				want := roaring.New()
				for o, n := range model {
					if n > level {
						want.Add(o)
					}
				}
				if !q.levels[level].Equals(want) || !kept.levels[level].Equals(want) {
					t.Fatalf("more than %d: %v in memory, %v kept, want %v", level, q.levels[level], kept.levels[level], want)
				}
			}
		})
	})
}
