package app

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push"
	"borealis/internal/service/push/relay"
	"borealis/internal/service/stat"
)

// apiVersion is the version of the native API.
const apiVersion = "1"

// mountNative registers the native API and returns its description.
func (c *core) mountNative(mux *http.ServeMux) huma.API {
	api := nativeAPI(mux)
	c.devices.Routes(api)
	c.push.Routes(api, c.devices.Authorize)
	c.webpush.Routes(api, c.devices.Authorize)
	c.push.AppRoutes(api, appOf, huma.Middlewares{c.asApp(api)})
	c.channelAPI(api)
	c.broadcastAPI(api)
	huma.Register(api, huma.Operation{
		OperationID: "app-days", Method: http.MethodGet, Path: "/api/v1/apps/{app_key}/days", Tags: []string{"Statistics"},
		Summary: "Counts of an app by day", Security: []map[string][]string{{"app": {}}}, Middlewares: huma.Middlewares{c.asApp(api)},
	}, c.days)
	huma.Register(api, huma.Operation{
		OperationID: "message-funnel", Method: http.MethodGet, Path: "/api/v1/apps/{app_key}/messages/{id}", Tags: []string{"Push"},
		Summary: "What became of a message", Security: []map[string][]string{{"app": {}}}, Middlewares: huma.Middlewares{c.asApp(api)},
	}, c.funnel)
	return api
}

type appKey struct{}

// asApp lets calls through that carry the credentials of the app in their path.
func (c *core) asApp(api huma.API) func(huma.Context, func(huma.Context)) {
	return func(ctx huma.Context, next func(huma.Context)) {
		r, _ := humago.Unwrap(ctx)
		key, secret, ok := compat.BasicAuth(r)
		if !ok {
			ctx.SetHeader("WWW-Authenticate", `Basic realm="borealis"`)
			_ = huma.WriteErr(api, ctx, http.StatusUnauthorized, "HTTP Basic authentication with AppKey and master secret is needed")
			return
		}
		app, err := c.gate.Authenticate(key, secret)
		switch {
		case err != nil:
			_ = huma.WriteErr(api, ctx, http.StatusUnauthorized, "AppKey and master secret do not belong together")
		case app.Key != ctx.Param("app_key"):
			_ = huma.WriteErr(api, ctx, http.StatusForbidden, "the credentials are those of another app")
		default:
			if _, err := c.gate.Admit(gate.Call{App: app, Family: gate.FamilyReport, From: c.proxies.ClientIP(r)}); err != nil {
				_ = huma.WriteErr(api, ctx, refusalStatus(err), err.Error())
				return
			}
			next(huma.WithValue(ctx, appKey{}, app))
		}
	}
}

// refusalStatus is the HTTP status of what the gate refuses.
func refusalStatus(err error) int {
	var r *gate.RefusedError
	if errors.As(err, &r) && r.Reason == gate.TooManyCalls {
		return http.StatusTooManyRequests
	}
	return http.StatusForbidden
}

func appOf(ctx context.Context) *gate.App {
	app, _ := ctx.Value(appKey{}).(*gate.App)
	return app
}

type daysInput struct {
	AppKey string `path:"app_key"`
	From   string `query:"from" format:"date" doc:"first day, yyyy-MM-dd; default six days before to"`
	To     string `query:"to" format:"date" doc:"last day, yyyy-MM-dd; default today"`
}

type daysOutput struct {
	Body struct {
		Online int      `json:"online" doc:"devices connected now"`
		Days   []dayRow `json:"days" doc:"oldest first"`
	}
}

type dayRow struct {
	Date       string `json:"date"`
	Devices    int64  `json:"devices" doc:"devices registered"`
	Messages   int64  `json:"messages" doc:"pushes accepted"`
	Targets    int64  `json:"targets" doc:"(device, message) pairs of the accepted pushes"`
	Sent       int64  `json:"sent"`
	Deliveries int64  `json:"deliveries"`
	Displays   int64  `json:"displays"`
	Clicks     int64  `json:"clicks"`
	Failures   int64  `json:"failures" doc:"pairs that ended without delivery"`
}

func (c *core) days(ctx context.Context, in *daysInput) (*daysOutput, error) {
	app := appOf(ctx)
	to := c.stat.Today()
	if in.To != "" {
		to, _ = time.Parse(time.DateOnly, in.To) // the form was checked against the schema
	}
	from := to.AddDate(0, 0, -6)
	if in.From != "" {
		from, _ = time.Parse(time.DateOnly, in.From)
	}
	if from.After(to) {
		return nil, huma.Error422UnprocessableEntity("from is after to",
			&huma.ErrorDetail{Location: "query.from", Message: "must not be after to", Value: in.From})
	}
	if to.Sub(from) >= stat.MaxDays*24*time.Hour {
		return nil, huma.Error422UnprocessableEntity("too many days",
			&huma.ErrorDetail{Location: "query.from", Message: "at most 366 days can be asked for at once", Value: in.From})
	}
	days, err := c.stat.Days(ctx, app.ID, from, to)
	if err != nil {
		return nil, err
	}
	out := &daysOutput{}
	out.Body.Online = c.stat.Online(app.ID)
	out.Body.Days = make([]dayRow, 0, len(days))
	for _, d := range days {
		n := d.Counts
		out.Body.Days = append(out.Body.Days, dayRow{
			Date: d.Date, Devices: n[stat.Devices], Messages: n[stat.Messages], Targets: n[stat.Targets], Sent: n[stat.Sent],
			Deliveries: n[stat.Delivered], Displays: n[stat.Displayed], Clicks: n[stat.Clicked], Failures: n[stat.Failed],
		})
	}
	return out, nil
}

type funnelInput struct {
	AppKey string `path:"app_key"`
	ID     string `path:"id" pattern:"^[1-9][0-9]{0,15}$" doc:"message id"`
}

type funnelOutput struct {
	Body struct {
		ID         string               `json:"id"`
		AcceptedAt int64                `json:"accepted_at" doc:"Unix milliseconds"`
		Total      funnelRow            `json:"total"`
		Platforms  map[string]funnelRow `json:"platforms"`
		Channels   []channelTally       `json:"channels,omitempty" doc:"answers of vendors and of SMS providers; a device may have got several"`
		Relayed    *relayedRow          `json:"relayed,omitempty" doc:"what became of it at Jiguang, for imported devices that had not moved over"`
	}
}

type channelTally struct {
	Channel string `json:"channel"`
	Status  string `json:"status"`
	Code    string `json:"code,omitempty"`
	Devices int64  `json:"devices"`
}

type relayedRow struct {
	Devices   int64         `json:"devices" doc:"devices to be reached through Jiguang; the other numbers add up to this one"`
	Accepted  int64         `json:"accepted"`
	Waiting   int64         `json:"waiting"`
	Nobody    int64         `json:"nobody" doc:"not known there any more"`
	Refused   int64         `json:"refused"`
	Uncertain int64         `json:"uncertain" doc:"whether Jiguang accepted the push is not known"`
	Expired   int64         `json:"expired"`
	Withdrawn int64         `json:"withdrawn"`
	Claimed   int64         `json:"claimed" doc:"moved over before their turn and got the message here"`
	Failure   string        `json:"failure,omitempty" doc:"why the waiting ones wait"`
	Pushes    []relayedPush `json:"pushes" doc:"pushes at Jiguang, the first 100"`
}

type relayedPush struct {
	ID      string `json:"id,omitempty" doc:"Jiguang's message id"`
	Devices int    `json:"devices"`
	Code    int    `json:"code,omitempty"`
	Message string `json:"message,omitempty"`
}

func presentRelayed(r *relay.Results) *relayedRow {
	if r == nil {
		return nil
	}
	out := &relayedRow{Devices: r.Devices, Accepted: r.Accepted, Waiting: r.Waiting, Nobody: r.Nobody, Refused: r.Refused, Uncertain: r.Uncertain,
		Expired: r.Expired, Withdrawn: r.Withdrawn, Claimed: r.Claimed, Failure: r.Failure, Pushes: make([]relayedPush, 0, len(r.Pushes))}
	for _, p := range r.Pushes {
		out.Pushes = append(out.Pushes, relayedPush(p))
	}
	return out
}

type funnelRow struct {
	Targets   int64            `json:"targets"`
	Sent      int64            `json:"sent"`
	Delivered int64            `json:"delivered"`
	Displayed int64            `json:"displayed"`
	Clicked   int64            `json:"clicked"`
	Vendor    int64            `json:"vendor" doc:"taken over by a vendor, and nothing more is known"`
	Failed    map[string]int64 `json:"failed" doc:"pairs that ended without delivery, by reason"`
}

func (c *core) funnel(ctx context.Context, in *funnelInput) (*funnelOutput, error) {
	id, _ := push.ParseID(in.ID)
	funnels, err := c.push.Funnels(ctx, appOf(ctx).ID, []int64{id})
	if err != nil {
		return nil, err
	}
	if len(funnels) == 0 {
		return nil, huma.Error404NotFound("the app has no such message")
	}
	out := &funnelOutput{}
	out.Body.ID, out.Body.AcceptedAt = in.ID, funnels[0].AcceptedAt
	out.Body.Total = presentFunnel(funnels[0].Total)
	out.Body.Platforms = make(map[string]funnelRow)
	for p, counts := range funnels[0].ByPlatform {
		out.Body.Platforms[p.String()] = presentFunnel(counts)
	}
	tallies, err := c.push.ByChannel(ctx, appOf(ctx).ID, id)
	if err != nil {
		return nil, err
	}
	for _, t := range tallies {
		out.Body.Channels = append(out.Body.Channels, channelTally{string(t.Channel), t.Status.String(), t.Code, t.Devices})
	}
	results, err := c.push.Relayed(ctx, appOf(ctx).ID, id)
	out.Body.Relayed = presentRelayed(results)
	return out, err
}

func presentFunnel(c push.Counts) funnelRow {
	row := funnelRow{Targets: c.Targets, Sent: c.Sent, Delivered: c.Delivered, Displayed: c.Displayed, Clicked: c.Clicked, Vendor: c.Vendor, Failed: map[string]int64{}}
	for o, n := range c.Failed {
		if n > 0 {
			row.Failed[push.Outcome(o).String()] = n
		}
	}
	return row
}
