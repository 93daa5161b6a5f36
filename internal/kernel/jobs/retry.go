package jobs

import (
	"errors"
	"math/rand/v2"
	"time"
)

// maxBackoff between attempts.
const maxBackoff = 10 * time.Minute

// backoff is how long to wait after the given number of attempts: 1 s, doubling up to maxBackoff, and up to a tenth more,
// so that what failed together does not come back together.
func backoff(attempts int) time.Duration {
	wait := min(time.Second<<min(max(attempts-1, 0), 20), maxBackoff)
	return wait + rand.N(wait/10+1)
}

type retryError struct {
	after time.Duration
	err   error
}

func (r *retryError) Error() string { return r.err.Error() }
func (r *retryError) Unwrap() error { return r.err }

// RetryIn is an error for handlers that know better than the back-off when to try again.
func RetryIn(after time.Duration, err error) error { return &retryError{max(after, 0), err} }

// wait is the time until the next attempt at a job that failed with err.
func wait(attempts int, err error) time.Duration {
	if r, ok := errors.AsType[*retryError](err); ok {
		return r.after
	}
	return backoff(attempts)
}
