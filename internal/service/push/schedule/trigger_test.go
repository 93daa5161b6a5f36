package schedule

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/web/compat"
)

func zone(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func parsed(t testing.TB, text, zoneName string) Trigger {
	t.Helper()
	tr, err := ParseTrigger([]byte(text), zone(t, zoneName))
	if err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return tr
}

// firings lists the first n moments after a time, in UTC.
func firings(tr Trigger, after time.Time, n int) string {
	var list []string
	for range n {
		at, ok := tr.Next(after)
		if !ok {
			list = append(list, "end")
			break
		}
		list = append(list, at.UTC().Format("01-02T15:04:05"))
		after = at
	}
	return strings.Join(list, " ")
}

func periodicalText(start, end, at, unit string, frequency int, points ...string) string {
	return string(encode(triggerBody{Periodical: &periodicalBody{start, end, at, unit, frequency, points}}))
}

func TestFirings(t *testing.T) {
	t.Parallel()
	old := time.Date(2020, 1, 1, 0, 0, 0, 0, time.UTC)
	for name, c := range map[string]struct{ trigger, zone, want string }{
		"single": {`{"single":{"time":"2027-03-01 09:30:00"}}`, "Asia/Shanghai", "03-01T01:30:00 end"},
		"every day, both ends inclusive": {periodicalText("2027-03-01 08:30:00", "2027-03-03 08:30:00", "08:30:00", "day", 1), "UTC",
			"03-01T08:30:00 03-02T08:30:00 03-03T08:30:00 end"},
		"every other day, from the first time of day after start": {periodicalText("2027-03-01 12:00:00", "2027-03-07 00:00:00", "08:30:00", "DAY", 2), "UTC",
			"03-02T08:30:00 03-04T08:30:00 03-06T08:30:00 end"},
		"every second week on two days": {periodicalText("2027-03-03 00:00:00", "2027-04-02 00:00:00", "08:30:00", "week", 2, "MON", "thu"), "UTC",
			"03-04T08:30:00 03-15T08:30:00 03-18T08:30:00 03-29T08:30:00 04-01T08:30:00 end"},
		"a week begins on Monday": {periodicalText("2027-03-07 00:00:00", "2027-03-31 00:00:00", "08:30:00", "week", 2, "SUN", "MON"), "UTC",
			"03-07T08:30:00 03-15T08:30:00 03-21T08:30:00 03-29T08:30:00 end"},
		"days that a month does not have": {periodicalText("2027-01-30 00:00:00", "2027-07-01 00:00:00", "00:00:00", "month", 1, "30", "31"), "UTC",
			"01-30T00:00:00 01-31T00:00:00 03-30T00:00:00 03-31T00:00:00 04-30T00:00:00 05-30T00:00:00 05-31T00:00:00 06-30T00:00:00 end"},
		"the first month is that of the first firing": {periodicalText("2027-02-10 00:00:00", "2027-09-30 00:00:00", "00:00:00", "month", 2, "31"), "UTC",
			"03-31T00:00:00 05-31T00:00:00 07-31T00:00:00 end"},
		"Berlin loses the hour from 2 to 3 on March 28": {periodicalText("2027-03-27 00:00:00", "2027-03-30 00:00:00", "02:30:00", "day", 1), "Europe/Berlin",
			"03-27T01:30:00 03-28T01:30:00 03-29T00:30:00 end"},
		"Berlin repeats that hour on October 31": {periodicalText("2027-10-30 00:00:00", "2027-11-02 00:00:00", "02:30:00", "day", 1), "Europe/Berlin",
			"10-30T00:30:00 10-31T00:30:00 11-01T01:30:00 end"},
		"Samoa had no December 30, 2011": {periodicalText("2011-12-28 00:00:00", "2012-01-02 00:00:00", "12:00:00", "day", 1), "Pacific/Apia", "end"},
	} {
		if got := firings(parsed(t, c.trigger, c.zone), old, 10); got != c.want {
			t.Errorf("%s:\n%s, want\n%s", name, got, c.want)
		}
	}
	samoa := parsed(t, periodicalText("2011-12-28 00:00:00", "2012-01-01 00:00:00", "12:00:00", "day", 1), "Pacific/Apia")
	if got, want := firings(samoa, time.Date(2011, 1, 1, 0, 0, 0, 0, time.UTC), 9), "12-28T22:00:00 12-29T22:00:00 12-30T22:00:00 end"; got != want {
		t.Errorf("Samoa: %s, want %s", got, want)
	}
}

// naive lists the firings of a periodical trigger the slow way: it walks every day, counts units as they begin, and finds
// moments by trying every minute around.
func naive(b periodicalBody, loc *time.Location) (list []time.Time) {
	start, _ := time.Parse(time.DateTime, b.Start)
	end, _ := time.Parse(time.DateTime, b.End)
	points := strings.ToUpper(strings.Join(b.Point, " "))
	unitsSince := -1 // of the first firing
	for d := start.Truncate(oneDay); ; d = d.AddDate(0, 0, 1) {
		c, _ := time.Parse(time.DateTime, d.Format(time.DateOnly)+" "+b.Time)
		if c.After(end) {
			return list
		}
		var begins, matches bool
		switch strings.ToLower(b.TimeUnit) {
		case "day":
			begins, matches = true, true
		case "week":
			begins, matches = d.Weekday() == time.Monday, strings.Contains(points, strings.ToUpper(d.Weekday().String()[:3]))
		case "month":
			begins, matches = d.Day() == 1, strings.Contains(points, d.Format("02"))
		}
		if unitsSince >= 0 && begins {
			unitsSince++
		}
		if !matches || c.Before(start) {
			continue
		}
		unitsSince = max(unitsSince, 0)
		if unitsSince%b.Frequency == 0 {
			list = append(list, naiveMoment(c, loc))
		}
	}
}

// naiveMoment is the first moment at which clocks show c, or that many later as clocks skip.
func naiveMoment(c time.Time, loc *time.Location) time.Time {
	shows := func(at time.Time, c time.Time) bool {
		return at.In(loc).Format(time.DateTime) == c.Format(time.DateTime)
	}
	for shift := time.Duration(0); ; shift += 15 * time.Minute {
		for at := c.Add(-15 * time.Hour); !at.After(c.Add(15 * time.Hour)); at = at.Add(15 * time.Minute) {
			if shows(at, c.Add(-shift)) {
				return at.Add(shift)
			}
		}
	}
}

var zones = []string{"UTC", "Asia/Shanghai", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu", "America/St_Johns", "Pacific/Chatham", "Africa/Casablanca"}

func drawPeriodical(t *rapid.T) periodicalBody {
	start := time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(rapid.IntRange(0, 2*365*96).Draw(t, "start")) * 15 * time.Minute)
	end := start.Add(time.Duration(rapid.IntRange(0, 365*96).Draw(t, "span")) * 15 * time.Minute)
	b := periodicalBody{
		Start: start.Format(time.DateTime), End: end.Format(time.DateTime),
		Time:      fmt.Sprintf("%02d:%02d:00", rapid.IntRange(0, 23).Draw(t, "hour"), 15*rapid.IntRange(0, 3).Draw(t, "quarter")),
		TimeUnit:  rapid.SampledFrom([]string{"day", "WEEK", "Month"}).Draw(t, "unit"),
		Frequency: rapid.OneOf(rapid.IntRange(1, 5), rapid.IntRange(1, 100)).Draw(t, "frequency"),
	}
	switch strings.ToLower(b.TimeUnit) {
	case "week":
		b.Point = rapid.SliceOfN(rapid.SampledFrom([]string{"MON", "tue", "WED", "Thu", "FRI", "SAT", "SUN"}), 1, 8).Draw(t, "points")
	case "month":
		b.Point = rapid.SliceOfN(rapid.Map(rapid.IntRange(1, 31), func(n int) string { return fmt.Sprintf("%02d", n) }), 1, 5).Draw(t, "points")
	}
	return b
}

func TestPeriodicalTriggersFireAsANaiveWalkThroughTheDays(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := drawPeriodical(t)
		loc, err := time.LoadLocation(rapid.SampledFrom(zones).Draw(t, "zone"))
		if err != nil {
			t.Fatal(err)
		}
		want := naive(b, loc)
		tr, err := ParseTrigger(encode(triggerBody{Periodical: &b}), loc)
		if (err == nil) != (len(want) > 0) {
			t.Fatalf("%v, but %d firings", err, len(want))
		}
		if err != nil {
			return
		}
		after, last := want[0].Add(-time.Second), want[len(want)-1]
		for _, w := range want {
			at, ok := tr.Next(after)
			if !ok || !at.Equal(w) {
				t.Fatalf("after %v: %v %v, want %v", after, at, ok, w)
			}
			// Whatever moment between two firings is asked, the answer is the same.
			if near, _ := tr.Next(w.Add(-time.Duration(rapid.Int64Range(1, int64(w.Sub(after))).Draw(t, "before")))); !near.Equal(w) {
				t.Fatalf("just before %v: %v", w, near)
			}
			after = w
		}
		if at, ok := tr.Next(last); ok {
			t.Fatalf("after the last: %v", at)
		}
		if at, ok := tr.Last(); !ok || !at.Equal(last) {
			t.Fatalf("last: %v %v, want %v", at, ok, last)
		}
	})
}

func TestTriggersAreShownAsTheyWereSent(t *testing.T) {
	t.Parallel()
	for sent, want := range map[string]string{
		`{"single":{"time":"2027-03-01 09:30:00"},"periodical":null}`: `{"single":{"time":"2027-03-01 09:30:00"}}`,
		`{"periodical":{"point":["MON","thu"],"start":"2027-03-01 00:00:00","end":"2027-09-01 00:00:00","time":"08:30:00","time_unit":"Week","frequency":"2","more":1}}`: `{"periodical":{"start":"2027-03-01 00:00:00","end":"2027-09-01 00:00:00","time":"08:30:00","time_unit":"Week","frequency":2,"point":["MON","thu"]}}`,
		`{"periodical":{"start":"2027-03-01 00:00:00","end":"2027-09-01 00:00:00","time":"08:30:00","time_unit":"day","frequency":1,"point":["what"]}}`:                  `{"periodical":{"start":"2027-03-01 00:00:00","end":"2027-09-01 00:00:00","time":"08:30:00","time_unit":"day","frequency":1}}`,
		`{"periodical":{"start":"2027-03-01 00:00:00","end":"2027-09-01 00:00:00","time":"08:30:00","time_unit":"month","frequency":1,"point":[1,"31"]}}`:                `{"periodical":{"start":"2027-03-01 00:00:00","end":"2027-09-01 00:00:00","time":"08:30:00","time_unit":"month","frequency":1,"point":["01","31"]}}`,
	} {
		tr := parsed(t, sent, "UTC")
		got, err := json.Marshal(tr)
		if err != nil || string(got) != want {
			t.Errorf("%s shown as %s (%v)", sent, got, err)
		}
		again := parsed(t, want, "UTC")
		if second, _ := json.Marshal(again); string(second) != want {
			t.Errorf("%s shown again as %s", want, second)
		}
	}
}

func TestTriggersThatAreRefused(t *testing.T) {
	t.Parallel()
	with := func(key, value string) string {
		m := map[string]json.RawMessage{"start": encode("2027-03-01 00:00:00"), "end": encode("2027-09-01 00:00:00"), "time": encode("08:30:00"),
			"time_unit": encode("week"), "frequency": encode(2), "point": encode([]string{"MON"})}
		if m[key] = json.RawMessage(value); value == "" {
			delete(m, key)
		}
		return `{"periodical":` + string(encode(m)) + `}`
	}
	parsed(t, with("point", `"TUE"`), "UTC")
	for _, text := range []string{
		``, `null`, `[]`, `{}`, `"single"`, `{"single":null}`, `{"single":[]}`, `{"single":{"time":null}}`, `{"single":{"time":5}}`, `{"single":"2027-03-01 09:30:00"}`,
		`{"single":{"time":"2027-3-01 09:30:00"}}`, `{"single":{"time":"2027-03-01 9:30:00"}}`, `{"single":{"time":"2027-03-01 09:30"}}`,
		`{"single":{"time":"2027-02-29 09:30:00"}}`, `{"single":{"time":"2027-03-01 24:00:00"}}`, `{"single":{"time":"2027-03-01 09:30:00.5"}}`,
		`{"single":{"time":"2027-03-01T09:30:00Z"}}`, `{"single":{"time":"２０２７-03-01 09:30:00"}}`,
		`{"intelligent":{"backup_time":"2027-03-01 09:30:00"}}`, `{"single":{"time":"2027-03-01 09:30:00"},"intelligent":{}}`,
		`{"single":{"time":"2027-03-01 09:30:00"},"periodical":{}}`,
		with("start", ""), with("end", ""), with("time", ""), with("time_unit", ""), with("frequency", ""), with("point", ""),
		with("start", `"2027-09-02 00:00:00"`), with("end", `"2028-03-02 00:00:00"`), with("time", `"8:30:00"`), with("time", `"08:30"`),
		with("time", `"08:60:00"`), with("time_unit", `"year"`), with("time_unit", `["day"]`), with("frequency", `0`), with("frequency", `101`),
		with("frequency", `1.5`), with("frequency", `"x"`), with("frequency", `-1`), with("frequency", `true`), with("frequency", `99999999999999999999`),
		with("point", `[]`), with("point", `["MON","someday"]`), with("point", `[1]`), with("point", `{}`), with("point", `[null]`), with("point", `[["MON"]]`),
		with("end", `"2027-03-01 08:29:59"`), // no Monday at that time
	} {
		_, err := ParseTrigger([]byte(text), time.UTC)
		if e, ok := errors.AsType[*compat.Error](err); !ok || e.Code != 8100 || e.HTTP != 400 {
			t.Errorf("%s: %v", text, err)
		}
	}
	monthly := strings.Replace(with("point", `["MON"]`), "week", "month", 1)
	for _, points := range []string{`["MON"]`, `["1"]`, `["00"]`, `["32"]`, `["+1"]`, `[0]`, `[32]`, `[1.5]`, `[null]`} {
		if _, err := ParseTrigger([]byte(strings.Replace(monthly, `["MON"]`, points, 1)), time.UTC); err == nil {
			t.Errorf("days of a month %s: taken", points)
		}
	}
}

func TestTriggersAreCheckedAgainstThePresent(t *testing.T) {
	t.Parallel()
	now := time.Date(2027, 3, 1, 1, 30, 0, 0, time.UTC) // 09:30 in Shanghai
	for text, ok := range map[string]bool{
		`{"single":{"time":"2027-03-01 09:30:00"}}`:                                        false,
		`{"single":{"time":"2027-03-01 09:30:01"}}`:                                        true,
		`{"single":{"time":"2028-03-01 09:30:00"}}`:                                        true,
		`{"single":{"time":"2028-03-01 09:30:01"}}`:                                        false,
		`{"single":{"time":"0001-01-01 00:00:00"}}`:                                        false,
		`{"single":{"time":"9999-12-31 23:59:59"}}`:                                        false,
		periodicalText("2027-01-01 00:00:00", "2027-03-02 00:00:00", "09:30:00", "day", 1): false,
		periodicalText("2027-01-01 00:00:00", "2027-03-02 00:00:00", "09:30:01", "day", 1): true,
		periodicalText("2029-01-01 00:00:00", "2029-03-02 00:00:00", "09:30:01", "day", 1): true,
	} {
		if err := parsed(t, text, "Asia/Shanghai").Check(now); (err == nil) != ok {
			t.Errorf("%s: %v", text, err)
		}
	}
	if err := (Trigger{}).Check(now); err == nil {
		t.Error("a trigger without content passes")
	}
}

func FuzzParseTrigger(f *testing.F) {
	f.Add([]byte(`{"single":{"time":"2027-03-01 09:30:00"}}`), 0)
	f.Add([]byte(periodicalText("2027-03-01 00:00:00", "2027-09-01 00:00:00", "08:30:00", "WEEK", 2, "MON", "THU")), 2)
	f.Add([]byte(periodicalText("0001-01-01 00:00:00", "0001-12-01 00:00:00", "23:59:59", "month", 100, "31")), 5)
	f.Fuzz(func(t *testing.T, text []byte, z int) {
		loc := zone(t, zones[uint(z)%uint(len(zones))])
		tr, err := ParseTrigger(text, loc)
		if err != nil {
			e, ok := errors.AsType[*compat.Error](err)
			if !ok || e.Code != 8100 || e.HTTP != 400 || e.Message == "" || strings.Contains(e.Message, "schedule_id") {
				t.Fatalf("%q: %#v", text, err)
			}
			return
		}
		shown, err := json.Marshal(tr)
		if err != nil || !json.Valid(shown) {
			t.Fatalf("%q shown as %q, %v", text, shown, err)
		}
		again, err := ParseTrigger(shown, loc)
		if err != nil {
			t.Fatalf("%q shown as %q: %v", text, shown, err)
		}
		last, ok := tr.Last()
		if !ok && tr.IsSingle() || ok && !tr.IsSingle() && tr.single.IsZero() && last.IsZero() {
			t.Fatalf("%q has no last firing", text)
		}
		if lastAgain, _ := again.Last(); !lastAgain.Equal(last) {
			t.Fatalf("%q and %q differ: %v, %v", text, shown, last, lastAgain)
		}
		if ok {
			if at, more := tr.Next(last.Add(-time.Second)); !more || at.After(last) {
				t.Fatalf("%q: before the last firing %v comes %v, %v", text, last, at, more)
			}
			if at, more := tr.Next(last); more {
				t.Fatalf("%q fires at %v after the last firing %v", text, at, last)
			}
		}
	})
}
