package edge

import "time"

// sliceTime is how long a loop works before it looks at its sockets again.
const sliceTime = 2 * time.Millisecond

// slice is one run of a loop. It is measured by the machine's clock, not by the edge's: it bounds how long sockets wait
// for their turn, and does so also where the edge's clock stands still.
type slice struct{ began time.Time }

func newSlice() slice {
	return slice{time.Now()} //nolint:forbidigo // measures the loop's own work, see slice
}

// over: what is left has to wait for the next slice.
func (s slice) over() bool {
	return time.Since(s.began) >= sliceTime //nolint:forbidigo // as newSlice
}
