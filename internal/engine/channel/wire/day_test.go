package wire_test

import (
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/engine/channel/wire"
)

func TestHoursAreThoseOfShanghai(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 3, 5, 15, 30, 0, 0, time.UTC) // half past eleven at night there
	if got := wire.UntilHour(now, 0); got != 30*time.Minute {
		t.Errorf("midnight is in %v", got)
	}
	if got := wire.UntilHour(now, 7); got != 7*time.Hour+30*time.Minute {
		t.Errorf("seven is in %v", got)
	}
	rapid.Check(t, func(t *rapid.T) {
		now := time.UnixMilli(rapid.Int64Range(0, 4_000_000_000_000).Draw(t, "now"))
		hour := rapid.IntRange(0, 23).Draw(t, "hour")
		wait := wire.UntilHour(now, hour)
		at := wire.Shanghai(now.Add(wait))
		if wait <= 0 || wait > 24*time.Hour || at.Hour() != hour || at.Minute() != 0 || at.Second() != 0 || at.Nanosecond() != 0 {
			t.Fatalf("%v after %v is %v", wait, now, at)
		}
	})
}

func TestDaysOfShanghaiBeginAtItsMidnight(t *testing.T) {
	t.Parallel()
	midnight := time.Date(2026, 11, 24, 16, 0, 0, 0, time.UTC)
	day := wire.ShanghaiDay(midnight)
	for after, want := range map[time.Duration]int64{-time.Second: day - 1, 0: day, 24*time.Hour - time.Second: day, 24 * time.Hour: day + 1} {
		if got := wire.ShanghaiDay(midnight.Add(after)); got != want {
			t.Errorf("%s after midnight: %d, want %d", after, got, want)
		}
	}
	if wire.ShanghaiDay(time.Unix(0, 0)) != 0 {
		t.Error("the first day is not 0")
	}
}
