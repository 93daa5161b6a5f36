package schedule

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
)

type scheduleListInput struct {
	AppKey string `path:"app_key"`
	Cursor int64  `query:"cursor" minimum:"0" doc:"next_cursor of the page before; absent: the first page"`
	Limit  int    `query:"limit" minimum:"1" maximum:"50" default:"50"`
}

type scheduleListOutput struct {
	Body struct {
		Total     int           `json:"total" doc:"schedules that may still fire"`
		Schedules []scheduleRow `json:"schedules" doc:"in the order of creation"`
		Next      int64         `json:"next_cursor,omitempty" doc:"absent on the last page"`
	}
}

type scheduleRow struct {
	ID        string          `json:"id"`
	Name      string          `json:"name"`
	Enabled   bool            `json:"enabled"`
	Live      bool            `json:"live" doc:"may still fire"`
	CreatedAt int64           `json:"created_at" doc:"Unix milliseconds"`
	NextAt    int64           `json:"next_at,omitempty" doc:"next firing, Unix milliseconds; absent when disabled or over"`
	Zone      string          `json:"zone" doc:"of the times in trigger"`
	Trigger   json.RawMessage `json:"trigger"`
	Push      json.RawMessage `json:"push"`
}

type scheduleInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" format:"uuid"`
}

type scheduleOutput struct {
	Body struct {
		Schedule scheduleRow `json:"schedule"`
		Past     []firingRow `json:"past" doc:"the newest 1,000 firings of the last 35 days, oldest first"`
	}
}

type firingRow struct {
	DueAt   int64  `json:"due_at" doc:"when it was to fire, Unix milliseconds"`
	FiredAt int64  `json:"fired_at" doc:"when it did, or was given up, Unix milliseconds"`
	Message string `json:"message_id,omitempty" doc:"absent when nothing was sent"`
	Code    int    `json:"code" doc:"0, or why nothing was sent"`
	Detail  string `json:"detail,omitempty"`
}

// Routes adds schedules to the native API. The middlewares authenticate; app is who they found.
func (s *Service) Routes(api huma.API, middlewares huma.Middlewares, app func(context.Context) *gate.App) {
	security := []map[string][]string{{"app": {}}}
	huma.Register(api, huma.Operation{
		OperationID: "list-schedules", Method: http.MethodGet, Path: "/api/v1/apps/{app_key}/schedules", Tags: []string{"Push"},
		Summary: "Schedules that may still fire", Security: security, Middlewares: middlewares,
	}, func(ctx context.Context, in *scheduleListInput) (*scheduleListOutput, error) {
		return s.list(ctx, app(ctx), in)
	})
	huma.Register(api, huma.Operation{
		OperationID: "get-schedule", Method: http.MethodGet, Path: "/api/v1/apps/{app_key}/schedules/{id}", Tags: []string{"Push"},
		Summary: "A schedule and what it sent", Security: security, Middlewares: middlewares, Errors: []int{http.StatusNotFound},
	}, func(ctx context.Context, in *scheduleInput) (*scheduleOutput, error) {
		return s.get(ctx, app(ctx), in.ID)
	})
}

func (s *Service) list(ctx context.Context, app *gate.App, in *scheduleListInput) (*scheduleListOutput, error) {
	total, err := countLive(ctx, s.db, app.ID)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	rows, err := queryAfter(ctx, s.db, app.ID, in.Cursor, in.Limit+1)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	out := &scheduleListOutput{}
	out.Body.Total, out.Body.Schedules = total, []scheduleRow{}
	if len(rows) > in.Limit {
		rows = rows[:in.Limit]
		out.Body.Next = rows[in.Limit-1].Seq
	}
	for _, r := range rows {
		out.Body.Schedules = append(out.Body.Schedules, describe(r))
	}
	return out, nil
}

func (s *Service) get(ctx context.Context, app *gate.App, id string) (*scheduleOutput, error) {
	r, err := queryRow(ctx, s.db, id)
	if err == nil && (r == nil || r.App != app.ID) {
		err = errUnknown
	}
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	past, err := queryPast(ctx, s.db, id)
	if err != nil {
		return nil, s.problem(ctx, err)
	}
	out := &scheduleOutput{}
	out.Body.Schedule, out.Body.Past = describe(r), []firingRow{}
	for _, o := range past {
		row := firingRow{DueAt: o.DueAt, FiredAt: o.FiredAt, Code: o.Code, Detail: o.Message}
		if o.Msg != 0 {
			row.Message = strconv.FormatInt(o.Msg, 10)
		}
		out.Body.Past = append(out.Body.Past, row)
	}
	return out, nil
}

func describe(r *row) scheduleRow {
	out := scheduleRow{
		ID: r.ID, Name: r.Name, Enabled: r.Enabled, Live: r.Live, CreatedAt: r.CreatedAt,
		Zone: r.Trigger.location().String(), Trigger: r.Trigger.text, Push: r.Push,
	}
	if r.Live && r.Enabled {
		out.NextAt = r.NextAt
	}
	return out
}

// problem logs an error that is no refusal, whose text the caller does not see.
func (s *Service) problem(ctx context.Context, err error) error {
	if e, ok := errors.AsType[*compat.Error](err); ok {
		return huma.NewError(e.HTTP, e.Message)
	}
	if ctx.Err() == nil {
		s.log.Error("schedules not read", "err", err)
	}
	return huma.Error500InternalServerError("the request could not be processed")
}
