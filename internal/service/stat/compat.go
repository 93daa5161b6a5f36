package stat

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
)

// errReportInternal is what a caller of the report API sees of a failure that is ours.
var errReportInternal = compat.Errorf(http.StatusInternalServerError, 10, "internal error")

var errNotPaid = compat.Errorf(http.StatusForbidden, 2006, "This call is for VIP only; the app setting paid_calls allows it.")

// CompatRoutes names the report calls of an app.
func (u *Users) CompatRoutes(handle func(pattern string, h gate.Handler)) {
	handle("GET /v3/users", u.compatUsers)
}

// GroupCompatRoutes names the report calls of an app group. Its numbers are the sums of those of its apps: a device
// that has two of the apps is two devices. The call is refused if one of the apps may not make it.
func (u *Users) GroupCompatRoutes(handle func(pattern string, h gate.GroupHandler)) {
	handle("GET /v3/group/users", u.compatGroupUsers)
}

// limits of a report.
type limits struct {
	spans map[unit]int
	// age in days, of the end of the first span.
	age int
}

var (
	appLimits   = limits{spans: map[unit]int{hour: 24, day: 60, month: 2}, age: 60}
	groupLimits = limits{spans: map[unit]int{hour: 24, day: 30, month: 1}, age: 30}
)

// report is a question for users.
type report struct {
	unit  unit
	start time.Time // local, as if the zone were UTC
	spans int
}

// parseReport reads the query of a call. The codes of wrong and missing values are those of the push API, because the
// report API has none.
func parseReport(r *http.Request, allowed limits, now time.Time) (report, error) {
	query := r.URL.Query()
	value := func(name string) string { return strings.TrimSpace(query.Get(name)) }
	for _, name := range []string{"time_unit", "start", "duration"} {
		if value(name) == "" {
			return report{}, compat.Errorf(http.StatusBadRequest, 1002, "Missing parameter: %s", name)
		}
	}
	u, ok := parseUnit(value("time_unit"))
	if !ok {
		return report{}, compat.Errorf(http.StatusBadRequest, 1003, "time_unit must be HOUR, DAY or MONTH")
	}
	start, ok := u.parse(value("start"))
	if !ok {
		return report{}, compat.Errorf(http.StatusBadRequest, 3004, "start must have the form %s for the time_unit %s", form(u), u.name())
	}
	spans, err := strconv.Atoi(value("duration"))
	if err != nil || spans < 1 {
		return report{}, compat.Errorf(http.StatusBadRequest, 1003, "duration must be a number from 1 on")
	}
	if spans > allowed.spans[u] {
		return report{}, compat.Errorf(http.StatusBadRequest, 3005, "duration must not be more than %d for the time_unit %s", allowed.spans[u], u.name())
	}
	if now.Sub(u.next(start, 1)) > time.Duration(allowed.age)*24*time.Hour {
		return report{}, compat.Errorf(http.StatusBadRequest, 3005, "start must not be more than %d days ago", allowed.age)
	}
	return report{u, start, spans}, nil
}

// form is how a layout is written for people.
func form(u unit) string {
	return strings.NewReplacer("2006", "yyyy", "01", "MM", "02", "dd", "15", "HH").Replace(u.layout())
}

// local is the time in a zone as if the zone were UTC.
func local(now time.Time, zone *time.Location) time.Time {
	t := now.In(zone)
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), 0, time.UTC)
}

type usersAnswer struct {
	TimeUnit string      `json:"time_unit"`
	Start    string      `json:"start"`
	Duration int         `json:"duration"`
	Items    []usersItem `json:"items"`
}

// usersItem is one span; platforms without devices are left out, and so are those the vendor does not know.
type usersItem struct {
	Time     string       `json:"time"`
	Android  *usersCounts `json:"android,omitempty"`
	IOS      *usersCounts `json:"ios,omitempty"`
	QuickApp *usersCounts `json:"quickapp,omitempty"`
	HMOS     *usersCounts `json:"hmos,omitempty"`
}

type usersCounts struct {
	New    int64 `json:"new"`
	Online int64 `json:"online"`
	Active int64 `json:"active"`
}

func (c *usersCounts) orNil() *usersCounts {
	if c == nil || *c == (usersCounts{}) {
		return nil
	}
	return c
}

// answer lays counts out along the spans. Hours end with the day they begin in.
func (q report) answer(counts spanCounts) usersAnswer {
	out := usersAnswer{TimeUnit: q.unit.name(), Start: q.start.Format(q.unit.layout()), Duration: q.spans, Items: []usersItem{}}
	for i := range q.spans {
		t := q.unit.next(q.start, i)
		if q.unit == hour && t.YearDay() != q.start.YearDay() {
			break
		}
		of := counts[q.unit.bucket(t)]
		out.Items = append(out.Items, usersItem{
			Time:    t.Format(q.unit.layout()),
			Android: of[audience.Android].orNil(), IOS: of[audience.IOS].orNil(), QuickApp: of[audience.QuickApp].orNil(), HMOS: of[audience.HMOS].orNil(),
		})
	}
	return out
}

func (u *Users) compatUsers(w http.ResponseWriter, r *http.Request, app *gate.App) {
	if !app.Settings.PaidCalls {
		compat.WriteError(w, errNotPaid, errReportInternal)
		return
	}
	u.compatReport(w, r, appLimits, u.zone(app), []int64{app.ID})
}

func (u *Users) compatGroupUsers(w http.ResponseWriter, r *http.Request, group *gate.Group) {
	for _, id := range group.Apps {
		if app := u.Gate.AppByID(id); app != nil && !app.Settings.PaidCalls {
			compat.WriteError(w, errNotPaid, errReportInternal)
			return
		}
	}
	u.compatReport(w, r, groupLimits, u.Zone, group.Apps)
}

func (u *Users) compatReport(w http.ResponseWriter, r *http.Request, allowed limits, zone *time.Location, apps []int64) {
	q, err := parseReport(r, allowed, local(u.Clock.Now(), zone))
	counts := make(spanCounts)
	for _, app := range apps {
		if err == nil {
			err = u.count(r.Context(), counts, app, q)
		}
	}
	if err != nil {
		if known := (*compat.Error)(nil); !errors.As(err, &known) {
			u.Log.Error("report of users failed", "err", err)
		}
		compat.WriteError(w, err, errReportInternal)
		return
	}
	compat.Write(w, http.StatusOK, q.answer(counts))
}

// spanCounts are counts by bucket and platform.
type spanCounts map[int64]map[audience.Platform]*usersCounts

// count adds the numbers of an app up.
func (u *Users) count(ctx context.Context, into spanCounts, app int64, q report) error {
	first, last := q.unit.bucket(q.start), q.unit.bucket(q.unit.next(q.start, q.spans-1))
	rows, err := u.DB.Query(ctx, `select bucket, platform, metric, cast(sum(n) as bigint) from
		(select bucket, platform, metric, n from stat_set where app_id = $1 and unit = $2 and bucket >= $3 and bucket <= $4
		union all select bucket, platform, metric, n from stat_users where app_id = $1 and unit = $2 and bucket >= $3 and bucket <= $4) spans
		group by bucket, platform, metric`, app, int64(q.unit), first, last)
	if err != nil {
		return fmt.Errorf("stat: users: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			bucket, n int64
			platform  audience.Platform
			m         metric
		)
		if err := rows.Scan(&bucket, &platform, &m, &n); err != nil {
			return fmt.Errorf("stat: users: %w", err)
		}
		into.add(bucket, platform, m, n)
	}
	return rows.Err()
}

func (s spanCounts) add(bucket int64, p audience.Platform, m metric, n int64) {
	if s[bucket] == nil {
		s[bucket] = make(map[audience.Platform]*usersCounts)
	}
	c := s[bucket][p]
	if c == nil {
		c = new(usersCounts)
		s[bucket][p] = c
	}
	switch m {
	case newDevices:
		c.New += n
	case onlineDevices:
		c.Online += n
	case activeDevices:
		c.Active += n
	}
}
