package stat

import (
	"time"
)

// unit is a span of the calendar. The numbers are stored.
type unit uint8

const (
	hour unit = iota + 1
	day
	month
)

// units from small to large. A bucket's number without its last two digits is that of the next larger unit.
var units = [...]unit{hour, day, month}

// bucket is the stored number of the span that a time is in: yyyymmddhh, yyyymmdd or yyyymm, in the zone of the time.
func (u unit) bucket(t time.Time) int64 {
	n := number(t)
	switch u {
	case hour:
		return n*100 + int64(t.Hour())
	case month:
		return n / 100
	}
	return n
}

// larger is the bucket of the next larger unit that a bucket is in.
func larger(bucket int64) int64 { return bucket / 100 }

// layout is the form of the span in calls and answers.
func (u unit) layout() string {
	switch u {
	case hour:
		return "2006-01-02 15"
	case month:
		return "2006-01"
	}
	return time.DateOnly
}

// name is the unit in calls and answers.
func (u unit) name() string {
	switch u {
	case hour:
		return "HOUR"
	case month:
		return "MONTH"
	}
	return "DAY"
}

func parseUnit(name string) (unit, bool) {
	for _, u := range units {
		if u.name() == name {
			return u, true
		}
	}
	return 0, false
}

// parse reads a span; the time is its beginning, as if the zone were UTC.
func (u unit) parse(text string) (time.Time, bool) {
	t, err := time.Parse(u.layout(), text)
	return t, err == nil && t.Format(u.layout()) == text
}

// next is the beginning of the span n after the one that begins at t, as if the zone were UTC.
func (u unit) next(t time.Time, n int) time.Time {
	switch u {
	case hour:
		return t.Add(time.Duration(n) * time.Hour)
	case month:
		return t.AddDate(0, n, 0)
	}
	return t.AddDate(0, 0, n)
}

const (
	// grace is how late an event may come, measured from the end of its span.
	grace = 48 * time.Hour
	// zones is how far local time may be behind UTC, so that a span is past everywhere.
	zones = 12 * time.Hour
	// slack is the time between the last event that is counted and the end of the sets, for clocks that differ.
	slack = time.Hour
)

// openFrom is the first bucket that still takes events.
func (u unit) openFrom(now time.Time) int64 { return u.bucket(now.UTC().Add(-grace - zones)) }

// closedBefore is the first bucket whose sets are kept.
func (u unit) closedBefore(now time.Time) int64 {
	return u.bucket(now.UTC().Add(-grace - zones - slack))
}

// keptFrom is the first bucket whose counts are kept; 0: all are.
func (u unit) keptFrom(now time.Time) int64 {
	switch u {
	case hour:
		return u.bucket(now.UTC().AddDate(0, 0, -63))
	case day:
		return u.bucket(now.UTC().AddDate(0, 0, -400))
	}
	return 0
}
