package loadtest

import (
	"math/bits"
	"sync/atomic"
	"time"
)

// histogram counts durations with an error of at most 1.6 %. It may be used from any goroutine.
type histogram struct {
	counts [histogramSize]atomic.Uint64
	most   atomic.Int64
}

const (
	subBits       = 6
	histogramSize = (64 - subBits) << subBits
)

// add counts a duration; negative ones are zero.
func (h *histogram) add(d time.Duration) {
	v := uint64(max(d, 0))
	h.counts[bucketOf(v)].Add(1)
	for {
		most := h.most.Load()
		if int64(v) <= most || h.most.CompareAndSwap(most, int64(v)) {
			return
		}
	}
}

// bucketOf: values below 2^subBits have a bucket each, then each power of two has 2^subBits.
func bucketOf(v uint64) int {
	if v < 1<<subBits {
		return int(v)
	}
	shift := bits.Len64(v) - 1 - subBits
	return (shift+1)<<subBits + int(v>>shift)&(1<<subBits-1)
}

// top is the largest value of a bucket.
func top(bucket int) uint64 {
	if bucket < 1<<subBits {
		return uint64(bucket)
	}
	shift := bucket>>subBits - 1
	return (uint64(1<<subBits+bucket&(1<<subBits-1))+1)<<shift - 1
}

// Latency is what a histogram says.
type Latency struct {
	Count         uint64        `json:"count"`
	P50, P90, P99 time.Duration `json:"-"`
	Max           time.Duration `json:"-"`
	// The same in microseconds.
	P50us float64 `json:"p50_us"`
	P90us float64 `json:"p90_us"`
	P99us float64 `json:"p99_us"`
	Maxus float64 `json:"max_us"`
}

// latency summarises what was counted so far.
func (h *histogram) latency() Latency {
	var l Latency
	counts := make([]uint64, len(h.counts))
	for i := range h.counts {
		counts[i] = h.counts[i].Load()
		l.Count += counts[i]
	}
	at := func(share float64) time.Duration {
		want, seen := uint64(share*float64(l.Count)), uint64(0)
		for i, n := range counts {
			if seen += n; n > 0 && seen >= want {
				return time.Duration(min(top(i), uint64(h.most.Load())))
			}
		}
		return 0
	}
	l.P50, l.P90, l.P99, l.Max = at(0.5), at(0.9), at(0.99), time.Duration(h.most.Load())
	l.P50us, l.P90us, l.P99us, l.Maxus = micros(l.P50), micros(l.P90), micros(l.P99), micros(l.Max)
	return l
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
