package stat_test

import (
	"context"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db/dbtest"
)

// One transaction of the consumer: 25 events of 200 devices each, as a flush of last-seen times tells them in ascending
// order, in an app of ten million of whom every hundredth is told of at a time.
func BenchmarkUsersSeen(b *testing.B) {
	fake := clock.NewFake(time.Date(2027, 2, 28, 10, 0, 0, 0, time.UTC))
	c := newCounter(b, dbtest.SQLite(b), fake)
	for b.Loop() {
		b.StopTimer()
		from := rand.Uint32N(9_000_000)
		for range 25 {
			devices := make([]uint32, 200)
			for i := range devices {
				from += 100
				devices[i] = from
			}
			c.seen(1, 20, devices...)
		}
		b.StartTimer()
		c.drain()
	}
}

// A sample at the beginning of an hour, of a million connected devices out of two.
func BenchmarkUsersSample(b *testing.B) {
	fake := clock.NewFake(time.Date(2027, 2, 28, 10, 0, 0, 0, time.UTC))
	c := newCounter(b, dbtest.SQLite(b), fake)
	devices := make([]uint32, 1_000_000)
	for i := range devices {
		devices[i] = rand.Uint32N(2_000_000)
	}
	slices.Sort(devices)
	c.connected[1] = roaring.BitmapOf(devices...)
	for b.Loop() {
		if err := c.Sample(context.Background()); err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		fake.Advance(time.Hour)
		b.StartTimer()
	}
}
