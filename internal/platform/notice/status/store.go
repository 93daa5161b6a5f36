package status

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/notice/wording"
)

// querier is a database or a transaction.
type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

const (
	kindIncident    = "incident"
	kindMaintenance = "maintenance"
	maxUpdates      = 500
)

func (s *Service) addUpdate(ctx context.Context, tx *db.Tx, kind string, ref int64, state, actor string, texts wording.Texts, at int64) error {
	data, err := json.Marshal(texts)
	if err != nil {
		return wrap("timeline", err)
	}
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from notice_status_update where kind = $1 and ref = $2`, kind, ref).Scan(&n); err != nil {
		return wrap("timeline", err)
	}
	// The last places are for its end.
	if n >= maxUpdates && state != Resolved && state != Completed && state != Overrun {
		return invalid("updates", fmt.Sprintf("there are %d entries already", maxUpdates))
	}
	_, err = tx.Exec(ctx, `insert into notice_status_update (kind, ref, state, texts, actor, at) values ($1, $2, $3, $4, $5, $6)`, kind, ref, state, string(data), actor, at)
	if err != nil {
		return wrap("timeline", err)
	}
	return nil
}

func updates(ctx context.Context, q querier, kind string, ref int64) ([]Update, error) {
	rows, err := q.Query(ctx, `select state, texts, actor, at from notice_status_update where kind = $1 and ref = $2 order by id`, kind, ref)
	if err != nil {
		return nil, wrap("timeline", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Update
	for rows.Next() {
		var (
			u     Update
			texts string
		)
		if err := rows.Scan(&u.State, &texts, &u.Actor, &u.At); err != nil {
			return nil, wrap("timeline", err)
		}
		if err := json.Unmarshal([]byte(texts), &u.Texts); err != nil {
			return nil, wrap("timeline", err)
		}
		out = append(out, u)
	}
	return out, rows.Err()
}

// Incident is one with its timeline. ErrNone.
func (s *Service) Incident(ctx context.Context, id int64) (*Incident, error) {
	return s.incident(ctx, s.DB, id)
}

func (s *Service) incident(ctx context.Context, q querier, id int64) (*Incident, error) {
	list, err := s.incidents(ctx, q, `where id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNone
	}
	return &list[0], nil
}

func (s *Service) incidents(ctx context.Context, q querier, where string, args ...any) ([]Incident, error) {
	rows, err := q.Query(ctx, `select id, state, level, cause, texts, evidence, controls, started_at, resolved_at, maintenance_id, created_at
		from notice_status_incident `+where, args...)
	if err != nil {
		return nil, wrap("incidents", err)
	}
	var out []Incident
	for rows.Next() {
		var (
			i     Incident
			texts string
		)
		err = rows.Scan(&i.ID, &i.State, &i.Level, &i.Cause, &texts, &i.Evidence, &i.Controls, &i.StartedAt, &i.ResolvedAt, &i.Maintenance, &i.CreatedAt)
		if err == nil {
			err = json.Unmarshal([]byte(texts), &i.Texts)
		}
		if err != nil {
			break
		}
		out = append(out, i)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, wrap("incidents", err)
	}
	for i := range out {
		if out[i].Components, err = affected(ctx, q, kindIncident, out[i].ID); err != nil {
			return nil, err
		}
		if out[i].Updates, err = updates(ctx, q, kindIncident, out[i].ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// Maintenance is one with its timeline. ErrNone.
func (s *Service) Maintenance(ctx context.Context, id int64) (*Maintenance, error) {
	return s.maintenance(ctx, s.DB, id)
}

func (s *Service) maintenance(ctx context.Context, q querier, id int64) (*Maintenance, error) {
	list, err := s.maintenances(ctx, q, `where id = $1`, id)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNone
	}
	return &list[0], nil
}

func (s *Service) maintenances(ctx context.Context, q querier, where string, args ...any) ([]Maintenance, error) {
	rows, err := q.Query(ctx, `select id, state, level, texts, start_at, end_at, announced_at, urgent, reason, started_at, ended_at, incident_id
		from notice_status_maintenance `+where, args...)
	if err != nil {
		return nil, wrap("maintenances", err)
	}
	var out []Maintenance
	for rows.Next() {
		var (
			m     Maintenance
			texts string
		)
		err = rows.Scan(&m.ID, &m.State, &m.Level, &texts, &m.StartAt, &m.EndAt, &m.AnnouncedAt, &m.Urgent, &m.Reason, &m.StartedAt, &m.EndedAt, &m.Incident)
		if err == nil {
			err = json.Unmarshal([]byte(texts), &m.Texts)
		}
		if err != nil {
			break
		}
		out = append(out, m)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, wrap("maintenances", err)
	}
	for i := range out {
		if out[i].Components, err = affected(ctx, q, kindMaintenance, out[i].ID); err != nil {
			return nil, err
		}
		if out[i].Updates, err = updates(ctx, q, kindMaintenance, out[i].ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}
