package schedule

import "time"

const oneDay = 24 * time.Hour

// civil is what clocks of t's zone show, as a civil time.
func civil(t time.Time) time.Time {
	_, offset := t.Zone()
	return t.UTC().Add(time.Duration(offset) * time.Second)
}

// moment is when clocks of the zone show a civil time: the first of two moments where clocks are put back. A time that
// clocks skip is read on a clock that was not put forward, so it fires as much later as clocks skip.
func moment(c time.Time, zone *time.Location) time.Time {
	// The offsets before and after any change near c, whatever the zone.
	_, before := c.Add(-oneDay).In(zone).Zone()
	_, after := c.Add(oneDay).In(zone).Zone()
	early := c.Add(-time.Duration(before) * time.Second)
	if late := c.Add(-time.Duration(after) * time.Second); !civil(early.In(zone)).Equal(c) && civil(late.In(zone)).Equal(c) {
		return late
	}
	return early
}

func (t Trigger) location() *time.Location {
	if t.zone == nil {
		return time.UTC
	}
	return t.zone
}

// Next is the first moment after the given one at which the trigger fires; ok is false when there is none.
func (t Trigger) Next(after time.Time) (at time.Time, ok bool) {
	if t.IsSingle() {
		at = moment(t.single, t.location())
		return at, at.After(after)
	}
	first, ok := t.first()
	if !ok {
		return time.Time{}, false
	}
	// Moments never go back from day to day, so days well before after need not be looked at. Two days: a zone may skip one.
	from := civil(after.In(t.location())).Truncate(oneDay).Add(-2 * oneDay)
	if from.Before(first) {
		from = first
	}
	for d := from; !d.Add(t.clock).After(t.end); d = d.Add(oneDay) {
		if !t.firesOn(first, d) {
			continue
		}
		if at := moment(d.Add(t.clock), t.location()); at.After(after) {
			return at, true
		}
	}
	return time.Time{}, false
}

// Last is the last moment at which the trigger fires; ok is false when it never does.
func (t Trigger) Last() (at time.Time, ok bool) {
	if t.IsSingle() {
		return moment(t.single, t.location()), true
	}
	first, ok := t.first()
	for d := t.end.Truncate(oneDay); ok && !d.Before(first); d = d.Add(-oneDay) {
		if !d.Add(t.clock).After(t.end) && t.firesOn(first, d) {
			return moment(d.Add(t.clock), t.location()), true
		}
	}
	return time.Time{}, false
}

// first is the civil day of the first firing of a periodical trigger: of the days from start to end, the first that is a
// point. The unit it lies in is the first of those that count.
func (t Trigger) first() (time.Time, bool) {
	for d := t.start.Truncate(oneDay); t.frequency > 0 && !d.Add(t.clock).After(t.end); d = d.Add(oneDay) {
		if !d.Add(t.clock).Before(t.start) && t.isPoint(d) {
			return d, true
		}
	}
	return time.Time{}, false
}

// firesOn: d is a point, in a unit that is a whole number of frequencies after the one of the first firing.
func (t Trigger) firesOn(first, d time.Time) bool {
	return t.isPoint(d) && (t.number(d)-t.number(first))%t.frequency == 0
}

func (t Trigger) isPoint(d time.Time) bool {
	switch t.unit {
	case week:
		return t.points&(1<<weekday(d)) != 0
	case month:
		return t.points&(1<<d.Day()) != 0
	default:
		return true
	}
}

// number counts the units from some fixed day to d.
func (t Trigger) number(d time.Time) int {
	days := int(d.Unix() / int64(oneDay/time.Second))
	switch t.unit {
	case week:
		return (days - weekday(d) + 3) / 7 // the first of January 1970 was a Thursday
	case month:
		return d.Year()*12 + int(d.Month())
	default:
		return days
	}
}

// weekday counts from Monday, 0.
func weekday(d time.Time) int { return (int(d.Weekday()) + 6) % 7 }
