package simulate

import (
	"cmp"
	"context"
	"time"
)

// Backoff is how long to wait between attempts: Min, doubled each time up to Max, of which a random half is left out so
// that devices which lost their server together do not come back together. Zero fields mean 500 ms and 60 s.
type Backoff struct{ Min, Max time.Duration }

// delay before the attempt after n failed ones (n ≥ 1); random is in [0,1).
func (b Backoff) delay(n int, random float64) time.Duration {
	least, most := cmp.Or(b.Min, 500*time.Millisecond), cmp.Or(b.Max, time.Minute)
	d := least
	for ; n > 1 && d < most; n-- {
		d *= 2
	}
	d = min(d, most)
	return d/2 + time.Duration(random*float64(d/2))
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
