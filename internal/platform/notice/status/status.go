// Package status keeps what works and what does not: components, maintenance windows, incidents, changes of services, and the data of a public
// status page (AG-EXM-01, AG-EXM-03, AG-SVC-11).
//
// Tables: notice_status_*. Events: none; who must be told of something is the caller's to know. Deps.Opened is called for the one thing that
// happens by itself.
//
// Maintenance: scheduled → in_progress → completed; scheduled → cancelled; in_progress → overrun → completed. It begins and overruns by the
// clock (Tick). A window is announced 72 hours before, or it is urgent and says why; it is at most MaxWindow long; it can be moved
// until it begins, and not be made longer afterwards: what goes on after its end is an incident, which opens by itself and ends with the
// maintenance.
//
// Incident: investigating, identified, monitoring in any order → resolved → investigating again. Its timeline is public and only grows.
//
// The state of a component follows from what is open: the worst of its incidents, or maintenance, or operational. It is worked out again in the
// transaction of every change, and every change of it is a row of history, so uptime is arithmetic.
//
// Every act of a person is in the audit log, by the caller's transaction. Order of locks: maintenance or incident, components by code, audit log.
package status

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"slices"
	"strings"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/notice/wording"
)

//go:embed migrations
var migrations embed.FS

// States of a component, from good to bad. Incidents have the last three as their level.
const (
	Operational = "operational"
	Maintained  = "maintenance"
	Degraded    = "degraded"
	Partial     = "partial_outage"
	Major       = "major_outage"
)

// Errors of the service.
var (
	ErrNone  = errors.New("status: there is no such thing")
	ErrState = errors.New("status: that is not possible in its present state")
)

// Opened is told of an incident that opened by itself, in the transaction of its opening.
type Opened func(ctx context.Context, tx *db.Tx, i *Incident) error

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	Audit *audit.Log
	Rules wording.Rules
	// Opened may be nil.
	Opened Opened
}

// Service keeps the state of the platform. It is safe for concurrent use.
type Service struct{ Deps }

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "notice_status", migrations) }

// New returns the service; Run watches the windows.
func New(d Deps) *Service { return &Service{d} }

const pace = time.Second

// Run begins maintenance at its time and turns overruns into incidents, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	t := time.NewTicker(pace)
	defer t.Stop()
	for {
		if err := s.Tick(ctx); err != nil && ctx.Err() == nil {
			s.Log.Warn("maintenance windows", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-t.C:
		}
	}
}

func (s *Service) now() int64 { return clock.Millis(s.Clock.Now()) }

func invalid(field, reason string) error { return &wording.InvalidError{Field: field, Reason: reason} }

func wrap(what string, err error) error { return fmt.Errorf("status: %s: %w", what, err) }

func (s *Service) log(ctx context.Context, tx *db.Tx, actor, action, object string, detail any) error {
	return s.Audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: action, Object: object, Detail: detail})
}

// Component is a part of the platform that works or does not: a service, or something of a third party that services need.
type Component struct {
	// Code is 1 to 40 of a–z, 0–9 and -.
	Code string `json:"code"`
	// NameZH and NameEN are what the page calls it, Part the heading it stands under.
	NameZH string `json:"name_zh"`
	NameEN string `json:"name_en"`
	Part   string `json:"part"`
	// ThirdParty: a carrier, a vendor, a payment channel.
	ThirdParty bool `json:"third_party"`
	// Position orders the page.
	Position int64 `json:"position"`
	// State is one of the states, since Unix ms. Set is not told them.
	State     string `json:"state"`
	Since     int64  `json:"since"`
	CreatedAt int64  `json:"created_at"`
}

var codePattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,39}$`)

const (
	maxComponents = 200
	maxName       = 100
)

// Set makes or renames a component. A retired one comes back.
func (s *Service) Set(ctx context.Context, tx *db.Tx, actor string, c Component) error {
	if !codePattern.MatchString(c.Code) {
		return invalid("code", "must be 1 to 40 of a-z, 0-9 and -, beginning with a letter")
	}
	for field, v := range map[string]string{"name_zh": c.NameZH, "name_en": c.NameEN, "part": c.Part} {
		if strings.TrimSpace(v) == "" || len(v) > maxName || strings.ContainsAny(v, "\r\n\x00<>") {
			return invalid(field, fmt.Sprintf("must be one line of 1 to %d bytes", maxName))
		}
	}
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from notice_status_component where code <> $1`, c.Code).Scan(&n); err != nil {
		return wrap("components", err)
	}
	if n >= maxComponents {
		return invalid("code", fmt.Sprintf("there are %d components already", maxComponents))
	}
	now := s.now()
	_, err := tx.Exec(ctx, `insert into notice_status_component (code, name_zh, name_en, part, third_party, position, state, since, created_at, retired_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $8, 0)
		on conflict (code) do update set name_zh = excluded.name_zh, name_en = excluded.name_en, part = excluded.part, third_party = excluded.third_party,
			position = excluded.position, retired_at = 0`, c.Code, c.NameZH, c.NameEN, c.Part, c.ThirdParty, c.Position, Operational, now)
	if err != nil {
		return wrap("component", err)
	}
	_, err = tx.Exec(ctx, `insert into notice_status_change (component, state, at) select $1, $2, $3
		where not exists (select 1 from notice_status_change where component = $1)`, c.Code, Operational, now)
	if err != nil {
		return wrap("component", err)
	}
	return s.log(ctx, tx, actor, "status_component.set", "status_component:"+c.Code, nil)
}

// Retire takes a component off the page; its history stays. ErrNone.
func (s *Service) Retire(ctx context.Context, tx *db.Tx, actor, code string) error {
	n, err := tx.Exec(ctx, `update notice_status_component set retired_at = $2 where code = $1 and retired_at = 0`, code, s.now())
	if err != nil {
		return wrap("retire", err)
	}
	if n == 0 {
		return ErrNone
	}
	return s.log(ctx, tx, actor, "status_component.retire", "status_component:"+code, nil)
}

// checkComponents cleans a list of components that must exist.
func checkComponents(ctx context.Context, tx *db.Tx, list []string) ([]string, error) {
	list = slices.Compact(slices.Sorted(slices.Values(list)))
	if len(list) == 0 || len(list) > maxComponents {
		return nil, invalid("components", "must name the components that are affected")
	}
	args := make([]any, len(list))
	for i, c := range list {
		args[i] = c
	}
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from notice_status_component where retired_at = 0 and code in (`+db.In(1, len(list))+`)`, args...).Scan(&n); err != nil {
		return nil, wrap("components", err)
	}
	if n != len(list) {
		return nil, invalid("components", "names a component that does not exist")
	}
	return list, nil
}

// setAffected stores which components something affects, and works their states out again, and those of the ones it affected before.
func (s *Service) setAffected(ctx context.Context, tx *db.Tx, kind string, ref int64, list []string) error {
	if _, err := tx.Exec(ctx, `delete from notice_status_affected where kind = $1 and ref = $2`, kind, ref); err != nil {
		return wrap("affected", err)
	}
	for _, c := range list {
		if _, err := tx.Exec(ctx, `insert into notice_status_affected (kind, ref, component) values ($1, $2, $3)`, kind, ref, c); err != nil {
			return wrap("affected", err)
		}
	}
	return nil
}

func affected(ctx context.Context, q querier, kind string, ref int64) ([]string, error) {
	rows, err := q.Query(ctx, `select component from notice_status_affected where kind = $1 and ref = $2 order by component`, kind, ref)
	if err != nil {
		return nil, wrap("affected", err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var c string
		if err := rows.Scan(&c); err != nil {
			return nil, wrap("affected", err)
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// derive works the states of components out again at a time.
func (s *Service) derive(ctx context.Context, tx *db.Tx, components []string, at int64) error {
	for _, c := range slices.Sorted(slices.Values(components)) {
		// The row is locked before what its state depends on is read.
		n, err := tx.Exec(ctx, `update notice_status_component set state = state where code = $1`, c)
		if err != nil || n == 0 {
			return errors.Join(err, ErrNone)
		}
		state, err := worst(ctx, tx, c)
		if err != nil {
			return err
		}
		if n, err = tx.Exec(ctx, `update notice_status_component set state = $2, since = $3 where code = $1 and state <> $2`, c, state, at); err != nil {
			return wrap("derive", err)
		}
		if n == 0 {
			continue
		}
		if _, err := tx.Exec(ctx, `insert into notice_status_change (component, state, at) values ($1, $2, $3)`, c, state, at); err != nil {
			return wrap("derive", err)
		}
	}
	return nil
}

func worst(ctx context.Context, tx *db.Tx, component string) (string, error) {
	rows, err := tx.Query(ctx, `select i.level from notice_status_incident i join notice_status_affected a on a.kind = 'incident' and a.ref = i.id
			where a.component = $1 and i.resolved_at = 0
		union all select $2 from notice_status_maintenance m join notice_status_affected a on a.kind = 'maintenance' and a.ref = m.id
			where a.component = $1 and m.state = $3`, component, Maintained, InProgress)
	if err != nil {
		return "", wrap("derive", err)
	}
	defer func() { _ = rows.Close() }()
	state := Operational
	for rows.Next() {
		var level string
		if err := rows.Scan(&level); err != nil {
			return "", wrap("derive", err)
		}
		if severity(level) > severity(state) {
			state = level
		}
	}
	return state, rows.Err()
}

func severity(state string) int {
	return slices.Index([]string{Operational, Maintained, Degraded, Partial, Major}, state)
}

func checkLevel(level string) error {
	if severity(level) < severity(Degraded) {
		return invalid("level", "must be one of: degraded, partial_outage, major_outage")
	}
	return nil
}
