package schedule

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"borealis/internal/kernel/web/compat"
)

const (
	// maxFrequency is how many units may lie between firings.
	maxFrequency = 100
	// maxPoints bounds the list of points; there are 31 different ones at most.
	maxPoints = 100
)

// unit is what a periodical trigger counts in.
type unit uint8

const (
	day unit = iota
	week
	month
)

var units = map[string]unit{"day": day, "week": week, "month": month}

// weekdays in the order of their bits: a week begins on Monday.
var weekdays = []string{"MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"}

// Trigger says when a schedule fires. It is immutable; the zero value never fires.
//
// Dates and times of day inside are *civil*: without a zone, held as time.Time in UTC. The zone turns them into moments.
type Trigger struct {
	zone *time.Location
	// single is when a single trigger fires; zero in a periodical one.
	single time.Time
	// A periodical one fires at time of day clock, on days from start to end (both inclusive, to the second).
	start, end time.Time
	clock      time.Duration
	unit       unit
	frequency  int
	// points: bit 0 is Monday, or bit 1 the first of a month.
	points uint32
	// text is the trigger as it is shown, in canonical form.
	text json.RawMessage
}

// The wire form. Unit and points keep the case they were sent in.
type triggerBody struct {
	Single     *singleBody     `json:"single,omitempty"`
	Periodical *periodicalBody `json:"periodical,omitempty"`
}

type singleBody struct {
	Time string `json:"time"`
}

type periodicalBody struct {
	Start     string   `json:"start"`
	End       string   `json:"end"`
	Time      string   `json:"time"`
	TimeUnit  string   `json:"time_unit"`
	Frequency int      `json:"frequency"`
	Point     []string `json:"point,omitempty"`
}

// IsSingle tells a single trigger from a periodical one.
func (t Trigger) IsSingle() bool { return !t.single.IsZero() }

// MarshalJSON gives the trigger as clients read it.
func (t Trigger) MarshalJSON() ([]byte, error) {
	if t.text == nil {
		return []byte("{}"), nil
	}
	return t.text, nil
}

// Check tells whether a trigger may be set now: it fires in the future, a single one within a year. The error is a
// *compat.Error with code 8100.
func (t Trigger) Check(now time.Time) error {
	_, fires := t.Next(now)
	switch {
	case !fires && t.IsSingle():
		return invalid("trigger: the time is not in the future")
	case !fires:
		return invalid("trigger: it would never fire: no time between now and the end matches")
	case t.IsSingle() && t.single.After(civil(now.In(t.location())).AddDate(1, 0, 0)):
		return invalid("trigger: the time is more than a year ahead")
	}
	return nil
}

// ParseTrigger reads the trigger member of a schedule, whose times are of the zone. It does not look at the present
// time; Check does. The error is a *compat.Error with code 8100.
func ParseTrigger(raw []byte, zone *time.Location) (Trigger, error) {
	members, err := object("trigger", raw)
	if err != nil {
		return Trigger{}, err
	}
	single, periodical := members.get("single"), members.get("periodical")
	switch {
	case members.get("intelligent") != nil:
		return Trigger{}, invalid("trigger: intelligent is not supported")
	case single != nil && periodical != nil:
		return Trigger{}, invalid("trigger: single and periodical exclude each other")
	case single != nil:
		return parseSingle(single, zone)
	case periodical != nil:
		return parsePeriodical(periodical, zone)
	}
	return Trigger{}, invalid("trigger: single or periodical is required")
}

func parseSingle(raw json.RawMessage, zone *time.Location) (Trigger, error) {
	members, err := object("trigger.single", raw)
	if err != nil {
		return Trigger{}, err
	}
	at, text, err := members.time("time", time.DateTime)
	if err != nil {
		return Trigger{}, err
	}
	return Trigger{zone: zone, single: at, text: encode(triggerBody{Single: &singleBody{text}})}, nil
}

func parsePeriodical(raw json.RawMessage, zone *time.Location) (Trigger, error) {
	members, err := object("trigger.periodical", raw)
	if err != nil {
		return Trigger{}, err
	}
	var (
		t    = Trigger{zone: zone}
		body periodicalBody
	)
	if t.start, body.Start, err = members.time("start", time.DateTime); err != nil {
		return Trigger{}, err
	}
	if t.end, body.End, err = members.time("end", time.DateTime); err != nil {
		return Trigger{}, err
	}
	at, text, err := members.time("time", time.TimeOnly)
	if err != nil {
		return Trigger{}, err
	}
	hour, minute, second := at.Clock()
	t.clock, body.Time = time.Duration(hour*3600+minute*60+second)*time.Second, text
	switch {
	case t.end.Before(t.start):
		return Trigger{}, invalid("trigger.periodical: end is before start")
	case t.end.After(t.start.AddDate(1, 0, 0)):
		return Trigger{}, invalid("trigger.periodical: start and end are more than a year apart")
	}
	if body.TimeUnit, err = members.text("time_unit"); err != nil {
		return Trigger{}, err
	}
	var known bool
	if t.unit, known = units[strings.ToLower(body.TimeUnit)]; !known {
		return Trigger{}, invalid("trigger.periodical.time_unit must be day, week or month")
	}
	if t.frequency, err = members.frequency(); err != nil {
		return Trigger{}, err
	}
	body.Frequency = t.frequency
	if t.unit != day {
		if t.points, body.Point, err = members.points(t.unit); err != nil {
			return Trigger{}, err
		}
	}
	if _, fires := t.first(); !fires {
		return Trigger{}, invalid("trigger.periodical: no time between start and end matches")
	}
	t.text = encode(triggerBody{Periodical: &body})
	return t, nil
}

// object reads a JSON object as clients send it.
func object(name string, raw []byte) (members, error) {
	m := members{name: name}
	if err := compat.Decode(raw, &m.values); err != nil {
		return m, invalid("%s: not a JSON object", name)
	}
	return m, nil
}

// members of a JSON object by name.
type members struct {
	name   string
	values map[string]json.RawMessage
}

// get returns a member; null counts as absent.
func (m members) get(key string) json.RawMessage {
	if raw := m.values[key]; !bytes.Equal(raw, []byte("null")) {
		return raw
	}
	return nil
}

// text returns a string that must be there.
func (m members) text(key string) (string, error) {
	raw := m.get(key)
	if raw == nil {
		return "", invalid("%s.%s is required", m.name, key)
	}
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return "", invalid("%s.%s must be a string", m.name, key)
	}
	return s, nil
}

// time returns a date or time of day in exactly the layout, and its text.
func (m members) time(key, layout string) (time.Time, string, error) {
	s, err := m.text(key)
	if err != nil {
		return time.Time{}, "", err
	}
	// The parser of the standard library also takes fractions and missing zeros.
	at, err := time.Parse(layout, s)
	if err != nil || at.Format(layout) != s {
		return time.Time{}, "", invalid("%s.%s must have the form %s", m.name, key, wireForm(layout))
	}
	return at, s, nil
}

func wireForm(layout string) string {
	if layout == time.TimeOnly {
		return "HH:mm:ss"
	}
	return "yyyy-MM-dd HH:mm:ss"
}

// frequency is a number, or its decimal digits as a string.
func (m members) frequency() (int, error) {
	raw := m.get("frequency")
	if raw == nil {
		return 0, invalid("%s.frequency is required", m.name)
	}
	var text json.Number
	if json.Unmarshal(raw, &text) != nil { // takes both
		return 0, invalid("%s.frequency must be a number", m.name)
	}
	n, err := strconv.Atoi(text.String())
	if err != nil || n < 1 || n > maxFrequency {
		return 0, invalid("%s.frequency must be a number from 1 to %d", m.name, maxFrequency)
	}
	return n, nil
}

// points reads the days of a week or month: a list, or a single one; days of a month may be numbers.
func (m members) points(u unit) (set uint32, shown []string, err error) {
	raw := m.get("point")
	if raw == nil {
		return 0, nil, invalid("%s.point is required", m.name)
	}
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		list = []json.RawMessage{raw}
	}
	if len(list) == 0 || len(list) > maxPoints {
		return 0, nil, invalid("%s.point must have 1 to %d elements", m.name, maxPoints)
	}
	for _, raw := range list {
		bit, text, ok := point(u, raw)
		if !ok {
			what := "MON to SUN"
			if u == month {
				what = "01 to 31"
			}
			return 0, nil, invalid("%s.point must consist of %s", m.name, what)
		}
		set |= 1 << bit
		shown = append(shown, text)
	}
	return set, shown, nil
}

func point(u unit, raw json.RawMessage) (bit int, text string, ok bool) {
	var number int
	if u == month && json.Unmarshal(raw, &number) == nil && 1 <= number && number <= 31 {
		return number, fmt.Sprintf("%02d", number), true
	}
	if json.Unmarshal(raw, &text) != nil {
		return 0, "", false
	}
	if u == week {
		bit = slices.Index(weekdays, strings.ToUpper(text))
		return bit, text, bit >= 0
	}
	number, err := strconv.Atoi(text)
	return number, text, err == nil && 1 <= number && number <= 31 && fmt.Sprintf("%02d", number) == text
}

func encode(v any) json.RawMessage {
	out, err := json.Marshal(v)
	if err != nil {
		return nil // strings and numbers can be written
	}
	return out
}
