package wire

import "time"

// shanghai is ahead of UTC by this many seconds, in summer too.
const shanghai = 8 * 60 * 60

// UntilTomorrow is the time until midnight in Asia/Shanghai, when the Chinese vendors renew what an app may send on a day: more than 0 and at
// most 24 hours.
func UntilTomorrow(now time.Time) time.Duration {
	const day = 24 * 60 * 60
	return time.Duration(day-(now.Unix()+shanghai)%day) * time.Second
}
