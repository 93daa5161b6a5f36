package wire

import "time"

// Shanghai is the time that phone makers in China count days and hours in: UTC+8, without summer time.
func Shanghai(t time.Time) time.Time { return t.In(time.FixedZone("CST", 8*60*60)) }

// UntilHour is the time from now until the clock in Shanghai shows that full hour next; 0 is midnight, when daily quotas are renewed.
// It is more than 0 and at most a day.
func UntilHour(now time.Time, hour int) time.Duration {
	local := Shanghai(now)
	y, m, d := local.Date()
	at := time.Date(y, m, d, hour, 0, 0, 0, local.Location())
	if !at.After(local) {
		at = at.AddDate(0, 0, 1)
	}
	return at.Sub(local)
}

// ShanghaiDay numbers the days of Shanghai, from 1970 on.
func ShanghaiDay(t time.Time) int64 {
	_, offset := Shanghai(t).Zone()
	return (t.Unix() + int64(offset)) / (24 * 60 * 60)
}
