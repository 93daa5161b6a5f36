package borealis

import (
	"context"
	"time"
)

// The delays of a device that cannot connect.
const (
	backoffBase = time.Second
	backoffMax  = 120 * time.Second
	// retryAfterMax is how much of a server's Retry-After counts.
	retryAfterMax = time.Hour
	// settled is how long a connection must last to show that the server is well.
	settled = 30 * time.Second
)

// Backoff is the delay after so many failures in a row (n ≥ 1), random in [0,1): with full jitter, so that devices that
// lost their server together do not come back together; after a Retry-After, on top of it.
func Backoff(n int, random float64, retryAfter time.Duration) time.Duration {
	d := backoffBase
	for ; n > 1 && d < backoffMax; n-- {
		d *= 2
	}
	return min(max(retryAfter, 0), retryAfterMax) + time.Duration(random*float64(min(d, backoffMax)))
}

// longBackoff is the delay after a refusal that trying again will hardly change.
func longBackoff(random float64) time.Duration {
	return time.Duration(float64(backoffMax) * (0.5 + random/2))
}

// pause waits for d, the end of ctx, or a value from early.
func pause(ctx context.Context, d time.Duration, early <-chan struct{}) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-early:
	case <-t.C:
	}
	return nil
}
