package status

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/notice/wording"
)

// States of a maintenance.
const (
	Scheduled  = "scheduled"
	InProgress = "in_progress"
	Overrun    = "overrun"
	Completed  = "completed"
	Cancelled  = "cancelled"
)

const (
	// NoticePeriod is how long before its beginning a planned window has to be announced.
	NoticePeriod = 72 * time.Hour
	// MaxWindow is the longest window.
	MaxWindow = 8 * time.Hour
	// MinWindow is the shortest.
	MinWindow = time.Minute
	// maxAhead bounds how far in the future a window may be.
	maxAhead  = 366 * 24 * time.Hour
	maxReason = 500
)

// Maintenance is a window in which components may not work.
type Maintenance struct {
	ID    int64  `json:"id"`
	State string `json:"state"`
	// Level is what the incident gets if the window is overrun; empty: partial_outage.
	Level string `json:"level"`
	// Texts say what is done and what users notice.
	Texts      wording.Texts `json:"texts"`
	Components []string      `json:"components"`
	// StartAt and EndAt are the announced window, AnnouncedAt when it was announced in this form. Unix ms.
	StartAt     int64 `json:"start_at"`
	EndAt       int64 `json:"end_at"`
	AnnouncedAt int64 `json:"announced_at"`
	// Urgent: announced later than NoticePeriod before, for the Reason given.
	Urgent bool   `json:"urgent"`
	Reason string `json:"reason,omitempty"`
	// StartedAt and EndedAt are what happened; 0: not yet.
	StartedAt int64    `json:"started_at"`
	EndedAt   int64    `json:"ended_at"`
	Incident  int64    `json:"incident,omitempty"`
	Updates   []Update `json:"updates"`
}

// Excluded is the part of the maintenance that does not count against guarantees: what lies within a window that was announced in time. from
// and to are Unix ms; equal: nothing.
func (m *Maintenance) Excluded(now int64) (from, to int64) {
	if m.Urgent || m.StartedAt == 0 || m.AnnouncedAt > m.StartAt-NoticePeriod.Milliseconds() {
		return 0, 0
	}
	end := m.EndedAt
	if end == 0 {
		end = now
	}
	from, to = max(m.StartAt, m.StartedAt), min(m.EndAt, end)
	if to < from {
		return 0, 0
	}
	return from, to
}

// Schedule announces a window: Level, Texts, Components, StartAt, EndAt, Urgent, Reason. Errors: *wording.InvalidError.
func (s *Service) Schedule(ctx context.Context, tx *db.Tx, actor string, m Maintenance) (int64, error) {
	if m.Level == "" {
		m.Level = Partial
	}
	if err := checkLevel(m.Level); err != nil {
		return 0, err
	}
	now := s.now()
	if err := checkWindow(&m, now); err != nil {
		return 0, err
	}
	if err := wording.Error(s.Rules.Lint(&m.Texts, nil, false)); err != nil {
		return 0, err
	}
	components, err := checkComponents(ctx, tx, m.Components)
	if err != nil {
		return 0, err
	}
	texts, err := json.Marshal(m.Texts)
	if err != nil {
		return 0, wrap("schedule", err)
	}
	var id int64
	err = tx.QueryRow(ctx, `insert into notice_status_maintenance (state, level, texts, start_at, end_at, announced_at, urgent, reason,
			started_at, ended_at, incident_id, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0, 0, $6) returning id`, Scheduled, m.Level, string(texts), m.StartAt, m.EndAt, now, m.Urgent, m.Reason).Scan(&id)
	if err != nil {
		return 0, wrap("schedule", err)
	}
	if err := s.setAffected(ctx, tx, kindMaintenance, id, components); err != nil {
		return 0, err
	}
	if err := s.addUpdate(ctx, tx, kindMaintenance, id, Scheduled, actor, m.Texts, now); err != nil {
		return 0, err
	}
	return id, s.log(ctx, tx, actor, "maintenance.schedule", fmt.Sprint("maintenance:", id), map[string]any{
		"start_at": m.StartAt, "end_at": m.EndAt, "urgent": m.Urgent, "components": components,
	})
}

func checkWindow(m *Maintenance, now int64) error {
	length := time.Duration(m.EndAt-m.StartAt) * time.Millisecond
	switch {
	case m.StartAt < now:
		return invalid("start_at", "must not be in the past")
	case m.StartAt > now+maxAhead.Milliseconds():
		return invalid("start_at", "must be within a year")
	case length < MinWindow || length > MaxWindow:
		return invalid("end_at", fmt.Sprintf("the window must be %s to %s long", MinWindow, MaxWindow))
	case len(m.Reason) > maxReason:
		return invalid("reason", fmt.Sprintf("has more than %d bytes", maxReason))
	case m.Urgent && strings.TrimSpace(m.Reason) == "":
		return invalid("reason", "an urgent maintenance must say why it could not be announced in time")
	case !m.Urgent && m.StartAt-now < NoticePeriod.Milliseconds():
		return invalid("start_at", fmt.Sprintf("planned maintenance is announced %s before; mark what cannot wait as urgent", NoticePeriod))
	}
	return nil
}

// Move gives a window that has not begun another time. It counts as announced anew. Errors: ErrNone, ErrState, *wording.InvalidError.
func (s *Service) Move(ctx context.Context, tx *db.Tx, actor string, id, startAt, endAt int64, urgent bool, reason string) error {
	m := Maintenance{StartAt: startAt, EndAt: endAt, Urgent: urgent, Reason: reason}
	now := s.now()
	if err := checkWindow(&m, now); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `update notice_status_maintenance set start_at = $2, end_at = $3, urgent = $4, reason = $5, announced_at = $6 where id = $1 and state = $7`,
		id, startAt, endAt, urgent, reason, now, Scheduled)
	if err := s.changed(ctx, tx, id, n, err); err != nil {
		return err
	}
	old, err := s.maintenance(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.addUpdate(ctx, tx, kindMaintenance, id, Scheduled, actor, old.Texts, now); err != nil {
		return err
	}
	return s.log(ctx, tx, actor, "maintenance.move", fmt.Sprint("maintenance:", id), map[string]any{"start_at": startAt, "end_at": endAt, "urgent": urgent, "reason": reason})
}

// Cancel calls a window off that has not begun. Errors: ErrNone, ErrState.
func (s *Service) Cancel(ctx context.Context, tx *db.Tx, actor string, id int64) error {
	now := s.now()
	n, err := tx.Exec(ctx, `update notice_status_maintenance set state = $2, ended_at = $3 where id = $1 and state = $4`, id, Cancelled, now, Scheduled)
	if err := s.changed(ctx, tx, id, n, err); err != nil {
		return err
	}
	m, err := s.maintenance(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.addUpdate(ctx, tx, kindMaintenance, id, Cancelled, actor, m.Texts, now); err != nil {
		return err
	}
	return s.log(ctx, tx, actor, "maintenance.cancel", fmt.Sprint("maintenance:", id), nil)
}

// Complete ends a maintenance that has begun, and the incident that it may have become. Errors: ErrNone, ErrState.
func (s *Service) Complete(ctx context.Context, tx *db.Tx, actor string, id int64) error {
	now := s.now()
	n, err := tx.Exec(ctx, `update notice_status_maintenance set state = $2, ended_at = $3 where id = $1 and state in ($4, $5)`, id, Completed, now, InProgress, Overrun)
	if err := s.changed(ctx, tx, id, n, err); err != nil {
		return err
	}
	m, err := s.maintenance(ctx, tx, id)
	if err != nil {
		return err
	}
	if err := s.addUpdate(ctx, tx, kindMaintenance, id, Completed, actor, m.Texts, now); err != nil {
		return err
	}
	components := m.Components
	if m.Incident != 0 {
		i, err := s.incident(ctx, tx, m.Incident)
		if err != nil {
			return err
		}
		if i.State != Resolved {
			done := wording.Texts{
				ZH: wording.Text{Title: "维护已完成", Body: "维护已完成，服务已恢复。"},
				EN: wording.Text{Title: "Maintenance completed", Body: "The maintenance is completed and the service restored."},
			}
			if err := s.change(ctx, tx, actor, i, Change{State: Resolved, Texts: done}, union(components, i.Components)); err != nil {
				return err
			}
		}
	}
	if err := s.derive(ctx, tx, components, now); err != nil {
		return err
	}
	return s.log(ctx, tx, actor, "maintenance.complete", fmt.Sprint("maintenance:", id), map[string]any{"ended_at": now})
}

// changed turns "no row changed" into what it means.
func (s *Service) changed(ctx context.Context, tx *db.Tx, id, n int64, err error) error {
	if err != nil {
		return wrap("maintenance", err)
	}
	if n > 0 {
		return nil
	}
	if _, err := s.maintenance(ctx, tx, id); err != nil {
		return err
	}
	return ErrState
}

// Tick begins what is due and turns what goes on after its window into an incident. A window that passed while nobody ran begins and overruns
// at once: nobody has said that it did not take place.
func (s *Service) Tick(ctx context.Context) error {
	now := s.now()
	due, err := s.due(ctx, now)
	if err != nil {
		return err
	}
	for _, id := range due {
		if err := s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.advance(ctx, tx, id, now) }); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) due(ctx context.Context, now int64) ([]int64, error) {
	rows, err := s.DB.Query(ctx, `select id from notice_status_maintenance where state = $1 and start_at <= $3 or state = $2 and end_at < $3 order by id limit 100`,
		Scheduled, InProgress, now)
	if err != nil {
		return nil, wrap("tick", err)
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, wrap("tick", err)
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

const clockActor = "system:maintenance"

func (s *Service) advance(ctx context.Context, tx *db.Tx, id, now int64) error {
	began, err := tx.Exec(ctx, `update notice_status_maintenance set state = $2, started_at = start_at
		where id = $1 and state = $3 and start_at <= $4`, id, InProgress, Scheduled, now)
	if err != nil {
		return wrap("tick", err)
	}
	over, err := tx.Exec(ctx, `update notice_status_maintenance set state = $2 where id = $1 and state = $3 and end_at < $4`, id, Overrun, InProgress, now)
	if err != nil {
		return wrap("tick", err)
	}
	if began+over == 0 {
		return nil // another node was first, or it was moved
	}
	m, err := s.maintenance(ctx, tx, id)
	if err != nil {
		return err
	}
	if began > 0 {
		if err := s.addUpdate(ctx, tx, kindMaintenance, id, InProgress, clockActor, m.Texts, now); err != nil {
			return err
		}
	}
	if over > 0 {
		return s.overrun(ctx, tx, m, now)
	}
	return s.derive(ctx, tx, m.Components, now)
}

// overrun opens the incident of a maintenance.
func (s *Service) overrun(ctx context.Context, tx *db.Tx, m *Maintenance, now int64) error {
	title := func(prefix, t string) string {
		t = prefix + t
		if len(t) > wording.MaxTitle {
			t = strings.ToValidUTF8(t[:wording.MaxTitle], "")
		}
		return t
	}
	i := Incident{
		State: Identified, Level: m.Level, Cause: CauseOverrun, Components: m.Components, StartedAt: m.EndAt, CreatedAt: now, Maintenance: m.ID,
		Texts: wording.Texts{
			ZH: wording.Text{Title: title("维护超时：", m.Texts.ZH.Title), Body: "维护未能在公告的时间内完成，超出部分按故障处理。我们正在尽快完成维护。"},
			EN: wording.Text{
				Title: title("Maintenance overrun: ", m.Texts.EN.Title),
				Body:  "The maintenance was not completed in the announced window; what exceeds it is an incident. We are completing it as soon as possible.",
			},
		},
	}
	if err := s.insertIncident(ctx, tx, clockActor, &i); err != nil {
		return err
	}
	if _, err := tx.Exec(ctx, `update notice_status_maintenance set incident_id = $2 where id = $1`, m.ID, i.ID); err != nil {
		return wrap("overrun", err)
	}
	if err := s.addUpdate(ctx, tx, kindMaintenance, m.ID, Overrun, clockActor, i.Texts, now); err != nil {
		return err
	}
	if s.Opened != nil {
		if err := s.Opened(ctx, tx, &i); err != nil {
			return err
		}
	}
	return s.log(ctx, tx, clockActor, "maintenance.overrun", fmt.Sprint("maintenance:", m.ID), map[string]any{"incident": i.ID})
}
