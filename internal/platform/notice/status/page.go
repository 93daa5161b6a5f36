package status

import (
	"context"
	"time"

	"borealis/internal/kernel/clock"
)

// Page is the data of a public status page.
type Page struct {
	// Overall is the worst state of a component.
	Overall    string      `json:"overall"`
	Components []Component `json:"components"`
	// Incidents are the open ones, and those that ended within the last day.
	Incidents []Incident `json:"incidents"`
	// Maintenance is what is going on, and what is announced, by its beginning.
	Maintenance []Maintenance `json:"maintenance"`
	// At is when the page was made, Unix ms.
	At int64 `json:"at"`
}

const (
	recently = 24 * time.Hour
	pageSize = 100
	// History is how far back Incidents reaches.
	History = 24 * 31 * 24 * time.Hour
)

// Page is the present state.
func (s *Service) Page(ctx context.Context) (*Page, error) {
	p := &Page{Overall: Operational, At: s.now()}
	var err error
	if p.Components, err = s.Components(ctx); err != nil {
		return nil, err
	}
	for _, c := range p.Components {
		if severity(c.State) > severity(p.Overall) {
			p.Overall = c.State
		}
	}
	if p.Incidents, err = s.incidents(ctx, s.DB, `where resolved_at = 0 or resolved_at > $1
		order by case when resolved_at = 0 then 0 else 1 end, started_at desc, id desc limit $2`,
		p.At-recently.Milliseconds(), pageSize); err != nil {
		return nil, err
	}
	p.Maintenance, err = s.maintenances(ctx, s.DB, `where state in ($1, $2, $3) order by start_at, id limit $4`, Scheduled, InProgress, Overrun, pageSize)
	return p, err
}

// Components are those that are not retired, in their order.
func (s *Service) Components(ctx context.Context) ([]Component, error) {
	rows, err := s.DB.Query(ctx, `select code, name_zh, name_en, part, third_party, position, state, since, created_at from notice_status_component
		where retired_at = 0 order by position, code`)
	if err != nil {
		return nil, wrap("components", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Component
	for rows.Next() {
		var c Component
		if err := rows.Scan(&c.Code, &c.NameZH, &c.NameEN, &c.Part, &c.ThirdParty, &c.Position, &c.State, &c.Since, &c.CreatedAt); err != nil {
			return nil, wrap("components", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// Incidents are those that began before a time (Unix ms, 0: now) and within History, the newest first, at most 100.
func (s *Service) Incidents(ctx context.Context, before int64) ([]Incident, error) {
	if before == 0 {
		before = s.now() + 1
	}
	return s.incidents(ctx, s.DB, `where started_at < $1 and started_at >= $2 order by started_at desc, id desc limit $3`, before, s.now()-History.Milliseconds(), pageSize)
}

// Maintenances are those whose windows begin from..to (Unix ms), at most 100: the calendar.
func (s *Service) Maintenances(ctx context.Context, from, to int64) ([]Maintenance, error) {
	return s.maintenances(ctx, s.DB, `where start_at >= $1 and start_at < $2 order by start_at, id limit $3`, from, to, pageSize)
}

// CauseCounts counts incidents that began from..to (Unix ms) by cause.
func (s *Service) CauseCounts(ctx context.Context, from, to int64) (map[string]int, error) {
	rows, err := s.DB.Query(ctx, `select cause, count(*) from notice_status_incident where started_at >= $1 and started_at < $2 group by cause`, from, to)
	if err != nil {
		return nil, wrap("causes", err)
	}
	defer func() { _ = rows.Close() }()
	out := map[string]int{}
	for rows.Next() {
		var (
			cause string
			n     int
		)
		if err := rows.Scan(&cause, &n); err != nil {
			return nil, wrap("causes", err)
		}
		out[cause] = n
	}
	return out, rows.Err()
}

// Uptime of a component in a time. All are milliseconds.
type Uptime struct {
	// Total is the part of the time in which the component existed.
	Total int64 `json:"total_ms"`
	// By has how long it was in each state.
	By map[string]int64 `json:"by_state_ms"`
}

// Share is the part of the time, without maintenance, in which there was no outage: 0 to 1. Degraded is no outage.
func (u *Uptime) Share() float64 {
	counted := u.Total - u.By[Maintained]
	if counted <= 0 {
		return 1
	}
	return float64(counted-u.By[Partial]-u.By[Major]) / float64(counted)
}

// Uptime adds up the states of a component from..to (Unix ms; not after now). ErrNone.
func (s *Service) Uptime(ctx context.Context, component string, from, to int64) (*Uptime, error) {
	to = min(to, s.now())
	rows, err := s.DB.Query(ctx, `select state, at from notice_status_change where component = $1 and at < $3
		and id >= coalesce((select max(id) from notice_status_change where component = $1 and at <= $2), 0) order by id`, component, from, to)
	if err != nil {
		return nil, wrap("uptime", err)
	}
	defer func() { _ = rows.Close() }()
	u := &Uptime{By: map[string]int64{}}
	last, since, some := "", int64(0), false
	count := func(until int64) {
		if span := min(until, to) - max(since, from); some && span > 0 {
			u.By[last] += span
			u.Total += span
		}
	}
	for rows.Next() {
		var (
			state string
			at    int64
		)
		if err := rows.Scan(&state, &at); err != nil {
			return nil, wrap("uptime", err)
		}
		count(at)
		last, since, some = state, at, true
	}
	if err := rows.Err(); err != nil {
		return nil, wrap("uptime", err)
	}
	if !some {
		var n int
		if err := s.DB.QueryRow(ctx, `select count(*) from notice_status_component where code = $1`, component).Scan(&n); err != nil {
			return nil, wrap("uptime", err)
		}
		if n == 0 {
			return nil, ErrNone
		}
		return u, nil
	}
	count(to)
	return u, nil
}

// Day is the beginning (Unix ms) of the calendar day in Shanghai that a time lies in.
func Day(ms int64) int64 {
	t := clock.FromMillis(ms).In(time.FixedZone("Asia/Shanghai", 8*60*60))
	return clock.Millis(time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, t.Location()))
}
