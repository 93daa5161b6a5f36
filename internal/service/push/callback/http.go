package callback

import (
	"context"
	"errors"
	"net/http"

	"github.com/danielgtaylor/huma/v2"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/webhook"
)

type appInput struct {
	AppKey string `path:"app_key"`
}

type callbackSettingsOutput struct {
	CacheControl string `header:"Cache-Control"`
	Body         struct {
		URL    string   `json:"url" doc:"address of the receipts of pushes that name none; empty: none"`
		Types  []string `json:"types" doc:"receipts that are sent unless a push says otherwise" enum:"delivered,clicked,not_delivered,accepted"`
		Basic  bool     `json:"basic" doc:"AppKey and master secret are sent to url"`
		Secret string   `json:"secret" doc:"key of the signatures"`
	}
}

type callbackListInput struct {
	AppKey string `path:"app_key"`
	Status string `query:"status" enum:"pending,dead" doc:"default: any"`
	Cursor string `query:"cursor" maxLength:"36" doc:"next of the page before"`
	Limit  int    `query:"limit" minimum:"1" maximum:"100" default:"50"`
}

type callbackListOutput struct {
	Body struct {
		Deliveries []deliveryRow `json:"deliveries" doc:"newest first; what was delivered is not kept"`
		Next       string        `json:"next,omitempty" doc:"cursor of the next page; absent on the last one"`
	}
}

type deliveryRow struct {
	ID         string `json:"id" format:"uuid"`
	URL        string `json:"url"`
	Status     string `json:"status" enum:"pending,dead"`
	Bytes      int    `json:"bytes" doc:"size of the body"`
	Attempts   int    `json:"attempts" doc:"attempts that failed"`
	CreatedAt  int64  `json:"created_at" doc:"Unix milliseconds, as are all times"`
	NextAt     int64  `json:"next_at,omitempty" doc:"next attempt of a pending delivery"`
	LastAt     int64  `json:"last_at,omitempty" doc:"last attempt"`
	LastStatus int    `json:"last_status,omitempty" doc:"HTTP status of the answer to it; absent if there was none"`
	LastError  string `json:"last_error,omitempty" doc:"what was wrong with it"`
}

type redeliverInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" format:"uuid"`
}

type checkOutput struct {
	Body struct {
		URL    string `json:"url" doc:"the address that was asked"`
		OK     bool   `json:"ok" doc:"it answered with the text of echostr"`
		Reason string `json:"reason,omitempty" doc:"what was wrong"`
	}
}

// Routes adds the calls an app makes about its receipts. asApp lets only those through whose credentials are those of
// {app_key}; app is the app that it let through.
func (s *Service) Routes(api huma.API, asApp func(huma.Context, func(huma.Context)), app func(context.Context) *gate.App) {
	operation := func(id, method, path, summary string, errs ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/apps/{app_key}/callback" + path, Tags: []string{"Callbacks"}, Summary: summary,
			Errors: errs, Security: []map[string][]string{{"app": {}}}, Middlewares: huma.Middlewares{asApp},
		}
	}
	huma.Register(api, operation("callback-settings", http.MethodGet, "", "Where receipts go, and the key of their signatures"),
		func(ctx context.Context, _ *appInput) (*callbackSettingsOutput, error) {
			return s.presentSettings(app(ctx)), nil
		})
	huma.Register(api, operation("callback-deliveries", http.MethodGet, "/deliveries", "Deliveries of receipts that have not arrived"),
		func(ctx context.Context, in *callbackListInput) (*callbackListOutput, error) {
			return s.list(ctx, app(ctx), in)
		})
	redeliver := operation("callback-redeliver", http.MethodPost, "/deliveries/{id}/redeliver", "Send a delivery again, now", http.StatusNotFound, http.StatusConflict)
	redeliver.DefaultStatus = http.StatusNoContent
	huma.Register(api, redeliver, func(ctx context.Context, in *redeliverInput) (*struct{}, error) {
		return nil, problem(s.hooks.Redeliver(ctx, app(ctx).ID, kind, in.ID))
	})
	huma.Register(api, operation("callback-check", http.MethodPost, "/check", "Ask the configured address whether it takes receipts",
		http.StatusConflict, http.StatusServiceUnavailable),
		func(ctx context.Context, _ *appInput) (*checkOutput, error) { return s.check(ctx, app(ctx)) })
}

func (s *Service) presentSettings(app *gate.App) *callbackSettingsOutput {
	out := &callbackSettingsOutput{CacheControl: "no-store"}
	out.Body.URL, out.Body.Basic, out.Body.Secret = app.Settings.CallbackURL, app.Settings.CallbackBasic, s.secret(app)
	out.Body.Types = []string{}
	for _, k := range []struct {
		kind Kind
		name string
	}{{Delivered, "delivered"}, {Clicked, "clicked"}, {NotDelivered, "not_delivered"}, {Accepted, "accepted"}} {
		if app.Settings.CallbackTypes&int(k.kind) != 0 {
			out.Body.Types = append(out.Body.Types, k.name)
		}
	}
	return out
}

func (s *Service) list(ctx context.Context, app *gate.App, in *callbackListInput) (*callbackListOutput, error) {
	filter := webhook.Filter{Owner: app.ID, Kind: kind, Before: in.Cursor, Limit: in.Limit}
	switch in.Status {
	case webhook.Pending.String():
		filter.State = webhook.Pending
	case webhook.Dead.String():
		filter.State = webhook.Dead
	}
	list, more, err := s.hooks.List(ctx, filter)
	if errors.Is(err, webhook.ErrNotFound) {
		return nil, huma.Error422UnprocessableEntity("unknown cursor",
			&huma.ErrorDetail{Location: "query.cursor", Message: "must be next of the page before", Value: in.Cursor})
	}
	if err != nil {
		return nil, err
	}
	out := &callbackListOutput{}
	out.Body.Deliveries = make([]deliveryRow, len(list))
	for i := range list {
		out.Body.Deliveries[i] = present(&list[i])
	}
	if more {
		out.Body.Next = list[len(list)-1].ID
	}
	return out, nil
}

func present(e *webhook.Entry) deliveryRow {
	row := deliveryRow{
		ID: e.ID, URL: e.URL, Status: e.State.String(), Bytes: e.Size, Attempts: e.Attempts, CreatedAt: clock.Millis(e.CreatedAt),
		LastStatus: e.LastStatus, LastError: e.LastError,
	}
	if e.State == webhook.Pending {
		row.NextAt = clock.Millis(e.DueAt)
	}
	if !e.LastAt.IsZero() {
		row.LastAt = clock.Millis(e.LastAt)
	}
	return row
}

func (s *Service) check(ctx context.Context, app *gate.App) (*checkOutput, error) {
	url := app.Settings.CallbackURL
	if url == "" {
		return nil, huma.Error409Conflict("the app has no callback_url")
	}
	out := &checkOutput{}
	out.Body.URL = url
	err := s.hooks.Check(ctx, app.ID, url)
	if wrong, ok := errors.AsType[*webhook.CheckError](err); ok {
		out.Body.Reason = wrong.Reason
		return out, nil
	}
	if errors.Is(err, webhook.ErrURL) {
		out.Body.Reason = err.Error()
		return out, nil
	}
	out.Body.OK = err == nil
	return out, problem(err)
}

// problem is the answer to an error of the deliveries.
func problem(err error) error {
	switch {
	case errors.Is(err, webhook.ErrNotFound):
		return huma.Error404NotFound(err.Error())
	case errors.Is(err, webhook.ErrSending):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, webhook.ErrBusy):
		return huma.Error503ServiceUnavailable(err.Error())
	}
	return err
}
