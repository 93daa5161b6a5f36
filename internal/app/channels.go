package app

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"borealis/internal/engine/channel"
	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/config"
	"borealis/internal/kernel/web"
	"borealis/internal/platform/account"
	"borealis/internal/service/push"
	"borealis/internal/service/push/route"
)

// maxGateway bounds the description of a gateway, in bytes.
const maxGateway = 64 << 10

// vendors are the channels that apps of this installation can use.
func vendors(cfg *config.Config, c clock.Clock) (*channel.Dispatcher, *channel.Texts, error) {
	deps := wire.Deps{BaseURL: cfg.VendorURL, Allow: networks(cfg.WebPushAllow), Clock: c}
	var gateway *generic.Config
	if cfg.SMSGateway != "" {
		text, err := os.ReadFile(cfg.SMSGateway)
		if err != nil {
			return nil, nil, fmt.Errorf("app: sms-gateway: %w", err)
		}
		if len(text) > maxGateway {
			return nil, nil, fmt.Errorf("app: sms-gateway: %s has more than %d bytes", cfg.SMSGateway, maxGateway)
		}
		gateway = &generic.Config{}
		d := json.NewDecoder(bytes.NewReader(text))
		d.DisallowUnknownFields()
		if err := d.Decode(gateway); err != nil {
			return nil, nil, fmt.Errorf("app: sms-gateway: %s: %w", cfg.SMSGateway, err)
		}
	}
	providers, err := channel.TextProviders(deps, gateway)
	if err != nil {
		return nil, nil, fmt.Errorf("app: sms-gateway: %w", err)
	}
	dispatcher := channel.New(c, channel.Vendors(deps)...)
	return dispatcher, dispatcher.Texts(providers...), nil
}

// receiptKey is the purpose under which the secrets in receipt addresses derive from the id key.
const receiptKey = "receipts"

// receiptSecret is what an address of receipts ends with: not every vendor signs what it reports.
func (c *core) receiptSecret(appKey string, name wire.Name) string {
	mac := hmac.New(sha256.New, c.keys.Derive(receiptKey))
	mac.Write([]byte(appKey + "/" + string(name)))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil)[:16])
}

// receiptURL is where a vendor reports to; "" if the server does not know its public address.
func (c *core) receiptURL(cfg *config.Config) func(appKey string, name wire.Name) string {
	base := strings.TrimRight(cfg.PublicURL, "/")
	return func(appKey string, name wire.Name) string {
		if base == "" {
			return ""
		}
		return base + "/channel/v1/receipts/" + appKey + "/" + string(name) + "/" + c.receiptSecret(appKey, name)
	}
}

// AdminChannel is what an app has at a vendor, as operators and owners see it.
type AdminChannel struct {
	Channel    string `json:"channel" doc:"apns, fcm, huawei, hmos, honor, xiaomi, oppo, vivo, meizu, webpush or sms"`
	Account    string `json:"account" doc:"the account at the vendor, which is no secret"`
	Marketing  int    `json:"marketing,omitempty" doc:"messages of class marketing a device may get on a day; absent: as the vendor rules"`
	Problem    string `json:"problem,omitempty" doc:"why the vendor refused the credentials last"`
	ProblemAt  int64  `json:"problem_at,omitempty" doc:"Unix milliseconds"`
	QuotaUntil int64  `json:"quota_until,omitempty" doc:"the vendor said that a quota of the account is used up until then, Unix milliseconds"`
	Devices    int64  `json:"devices" doc:"devices of the app that have a token of the channel"`
	Receipts   string `json:"receipts,omitempty" doc:"where the vendor is to report what became of messages, for vendors in whose console it is entered; a secret"`
	UpdatedAt  int64  `json:"updated_at" doc:"Unix milliseconds"`
}

// AdminChannelChange are new credentials of an app at a vendor.
type AdminChannelChange struct {
	Credentials json.RawMessage `json:"credentials" doc:"the object that docs/channels describes for the vendor"`
	Marketing   int             `json:"marketing,omitempty" minimum:"0" maximum:"20" doc:"messages of class marketing a device may get on a day; 0: as the vendor rules"`
}

// AdminProbe is whether a vendor takes the credentials of an app.
type AdminProbe struct {
	OK     bool   `json:"ok"`
	Reason string `json:"reason,omitempty"`
}

// AdminTrace is why a device got a message or did not.
type AdminTrace struct {
	Events []push.TraceEvent `json:"events" doc:"in order of time"`
}

// channelsOf lists what an app has at vendors, and how many devices each may reach.
func (c *core) channelsOf(ctx context.Context, app *gate.App) ([]AdminChannel, error) {
	list, err := c.push.Channels().Channels(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	counts, err := c.devices.TokenCounts(ctx, app.ID)
	if err != nil {
		return nil, err
	}
	out := make([]AdminChannel, 0, len(list))
	for _, ch := range list {
		out = append(out, AdminChannel{
			Channel: string(ch.Name), Account: ch.Account, Marketing: ch.Marketing, Problem: ch.Problem, ProblemAt: ch.ProblemAt, QuotaUntil: ch.QuotaUntil,
			Devices: counts[string(ch.Name)], Receipts: c.push.Channels().ReceiptAddress(app.Key, ch.Name), UpdatedAt: ch.UpdatedAt,
		})
	}
	return out, nil
}

// probeTimeout bounds the question whether a vendor takes credentials.
const probeTimeout = 20 * time.Second

// probe asks a vendor whether it takes an app's credentials. The error is ours.
func (c *core) probe(ctx context.Context, app int64, name string) (AdminProbe, error) {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	err := c.push.Channels().Probe(ctx, app, wire.Name(name))
	var field *wire.FieldError
	switch {
	case err == nil:
		return AdminProbe{OK: true}, nil
	case errors.As(err, &field):
		return AdminProbe{Reason: field.Error()}, nil
	case errors.Is(err, route.ErrNoChannel):
		return AdminProbe{}, err
	}
	return AdminProbe{Reason: err.Error()}, nil
}

// trace tells what happened with a message for a device of an app, by their public ids. missing says what of them the app does not have.
func (c *core) trace(ctx context.Context, app *gate.App, msg, rid string) (out AdminTrace, missing string, err error) {
	ordinals, err := c.devices.Lookup(ctx, app, []string{rid})
	if err != nil {
		return AdminTrace{}, "", err
	}
	known, _ := device.Found([]string{rid}, ordinals)
	if len(known) == 0 {
		return AdminTrace{}, "device", nil
	}
	if id, ok := push.ParseID(msg); ok {
		out.Events, err = c.push.Trace(ctx, app.ID, id, known[0])
	}
	if err == nil && len(out.Events) == 0 {
		missing = "message"
	}
	return out, missing, err
}

// channelRoutes are the operator's calls about channels.
func (a *adminServer) channelRoutes(mux *http.ServeMux) {
	mux.HandleFunc("GET /apps/{key}/channels", a.listChannels)
	mux.HandleFunc("PUT /apps/{key}/channels/{channel}", a.setChannel)
	mux.HandleFunc("DELETE /apps/{key}/channels/{channel}", a.removeChannel)
	mux.HandleFunc("POST /apps/{key}/channels/{channel}/probe", a.probeChannel)
	mux.HandleFunc("GET /apps/{key}/messages/{id}/devices/{rid}", a.traceDevice)
}

// app finds the app of a call.
func (a *adminServer) app(r *http.Request) (*gate.App, error) {
	app := a.core.gate.App(r.PathValue("key"))
	if app == nil {
		return nil, account.ErrNotFound
	}
	return app, nil
}

func (a *adminServer) listChannels(w http.ResponseWriter, r *http.Request) {
	var list []AdminChannel
	app, err := a.app(r)
	if err == nil {
		list, err = a.core.channelsOf(r.Context(), app)
	}
	a.answer(w, r, err, func() any { return list })
}

func (a *adminServer) setChannel(w http.ResponseWriter, r *http.Request) {
	var in AdminChannelChange
	if !decodeAdmin(w, r, &in) {
		return
	}
	app, err := a.app(r)
	if err == nil {
		err = channelError(a.core.push.Channels().SetChannel(r.Context(), operator, app, wire.Name(r.PathValue("channel")), in.Credentials, in.Marketing))
	}
	a.answer(w, r, err, func() any { return struct{}{} })
}

func (a *adminServer) removeChannel(w http.ResponseWriter, r *http.Request) {
	app, err := a.app(r)
	if err == nil {
		var removed bool
		if removed, err = a.core.push.Channels().RemoveChannel(r.Context(), operator, app, wire.Name(r.PathValue("channel"))); err == nil && !removed {
			err = &account.InvalidError{Field: "channel", Reason: route.ErrNoCredentials.Error()}
		}
	}
	a.answer(w, r, err, func() any { return struct{}{} })
}

func (a *adminServer) probeChannel(w http.ResponseWriter, r *http.Request) {
	var out AdminProbe
	app, err := a.app(r)
	if err == nil {
		out, err = a.core.probe(r.Context(), app.ID, r.PathValue("channel"))
	}
	a.answer(w, r, channelError(err), func() any { return out })
}

func (a *adminServer) traceDevice(w http.ResponseWriter, r *http.Request) {
	var (
		out     AdminTrace
		missing string
	)
	app, err := a.app(r)
	if err == nil {
		out, missing, err = a.core.trace(r.Context(), app, r.PathValue("id"), r.PathValue("rid"))
	}
	if err == nil && missing != "" {
		err = &account.InvalidError{Field: missing, Reason: "the app has none with this id"}
	}
	a.answer(w, r, err, func() any { return out })
}

// channelError is what a caller did wrong, as such.
func channelError(err error) error {
	var field *wire.FieldError
	switch {
	case errors.As(err, &field):
		return &account.InvalidError{Field: field.Field, Reason: field.Reason}
	case errors.Is(err, route.ErrNoChannel):
		return &account.InvalidError{Field: "channel", Reason: "this installation has none of that name"}
	}
	return err
}

// maxReceipts is how much a vendor may report at once, in bytes: a thousand receipts are about 300 KB.
const maxReceipts = 1 << 20

// mountReceipts registers where vendors report what became of messages.
func (c *core) mountReceipts(mux *http.ServeMux) {
	mux.HandleFunc("POST /channel/v1/receipts/{app_key}/{channel}/{secret}", func(w http.ResponseWriter, r *http.Request) {
		problem := func(status int, detail string) {
			web.WriteProblem(w, r, web.Problem{Status: status, Detail: detail})
		}
		app := c.gate.App(r.PathValue("app_key"))
		if app == nil || subtle.ConstantTimeCompare([]byte(r.PathValue("secret")), []byte(c.receiptSecret(app.Key, wire.Name(r.PathValue("channel"))))) != 1 {
			problem(http.StatusNotFound, "nobody reports to this address")
			return
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReceipts))
		switch {
		case web.IsTooLarge(err):
			problem(http.StatusRequestEntityTooLarge, fmt.Sprintf("at most %d bytes are read", maxReceipts))
			return
		case err != nil:
			problem(http.StatusBadRequest, "the body was cut off")
			return
		}
		var wrong *route.ReceiptError
		answer, err := c.push.VendorReceipts(r.Context(), app, wire.Name(r.PathValue("channel")), r, body)
		switch {
		case errors.Is(err, route.ErrNoReceipts):
			problem(http.StatusNotFound, "nothing is expected from that channel for that app")
		case errors.Is(err, wire.ErrSignature):
			problem(http.StatusUnauthorized, "the signature is wrong")
		case errors.As(err, &wrong):
			problem(http.StatusBadRequest, wrong.Error())
		case err != nil:
			c.log.Warn("receipts of a vendor not recorded", "app", app.Key, "channel", r.PathValue("channel"), "err", err)
			problem(http.StatusServiceUnavailable, "not recorded, try again")
		default:
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			_, _ = w.Write(answer) //nolint:gosec // made by the vendor's package, and JSON
		}
	})
}

type channelInput struct {
	AppKey  string `path:"app_key"`
	Channel string `path:"channel" enum:"apns,fcm,huawei,hmos,honor,xiaomi,oppo,vivo,meizu,webpush,sms"`
}

type channelsInput struct {
	AppKey string `path:"app_key"`
}

type channelsOutput struct {
	Body struct {
		Channels []AdminChannel `json:"channels"`
	}
}

// channelSetInput repeats the fields of channelInput: huma reads no fields of unexported embedded types.
type channelSetInput struct {
	AppKey  string `path:"app_key"`
	Channel string `path:"channel" enum:"apns,fcm,huawei,hmos,honor,xiaomi,oppo,vivo,meizu,webpush,sms"`
	Body    AdminChannelChange
}

type channelProbeOutput struct{ Body AdminProbe }

type traceInput struct {
	AppKey         string `path:"app_key"`
	ID             string `path:"id" pattern:"^[1-9][0-9]{0,15}$" doc:"message id"`
	RegistrationID string `path:"registration_id" maxLength:"64"`
}

type traceOutput struct{ Body AdminTrace }

// channelAPI registers the calls about vendors' channels.
func (c *core) channelAPI(api huma.API) {
	operation := func(id, method, path, summary string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/apps/{app_key}" + path, Tags: []string{"Channels"}, Summary: summary,
			Security: []map[string][]string{{"app": {}}}, Middlewares: huma.Middlewares{c.asApp(api)},
		}
	}
	huma.Register(api, operation("channel-list", http.MethodGet, "/channels", "What the app has at vendors of push channels"),
		func(ctx context.Context, _ *channelsInput) (*channelsOutput, error) {
			out := &channelsOutput{}
			var err error
			out.Body.Channels, err = c.channelsOf(ctx, appOf(ctx))
			return out, err
		})
	huma.Register(api, operation("channel-set", http.MethodPut, "/channels/{channel}", "Keep the app's credentials at a vendor"),
		func(ctx context.Context, in *channelSetInput) (*struct{}, error) {
			err := c.push.Channels().SetChannel(ctx, "app "+in.AppKey, appOf(ctx), wire.Name(in.Channel), in.Body.Credentials, in.Body.Marketing)
			if field, ok := errors.AsType[*wire.FieldError](err); ok {
				return nil, huma.Error422UnprocessableEntity("the credentials are wrong", &huma.ErrorDetail{Location: "body.credentials." + field.Field, Message: field.Reason})
			}
			if errors.Is(err, route.ErrNoChannel) {
				return nil, huma.Error404NotFound("this installation has no such channel")
			}
			return nil, err
		})
	huma.Register(api, operation("channel-remove", http.MethodDelete, "/channels/{channel}", "Forget the app's credentials at a vendor"),
		func(ctx context.Context, in *channelInput) (*struct{}, error) {
			removed, err := c.push.Channels().RemoveChannel(ctx, "app "+in.AppKey, appOf(ctx), wire.Name(in.Channel))
			if err == nil && !removed {
				return nil, huma.Error404NotFound("the app has no credentials for the channel")
			}
			return nil, err
		})
	huma.Register(api, operation("channel-probe", http.MethodPost, "/channels/{channel}/probe", "Ask the vendor whether it takes the credentials"),
		func(ctx context.Context, in *channelInput) (*channelProbeOutput, error) {
			probe, err := c.probe(ctx, appOf(ctx).ID, in.Channel)
			if errors.Is(err, route.ErrNoChannel) {
				return nil, huma.Error404NotFound("this installation has no such channel")
			}
			return &channelProbeOutput{Body: probe}, err
		})
	huma.Register(api, operation("message-trace", http.MethodGet, "/messages/{id}/devices/{registration_id}", "Why a device got a message or did not"),
		func(ctx context.Context, in *traceInput) (*traceOutput, error) {
			trace, missing, err := c.trace(ctx, appOf(ctx), in.ID, in.RegistrationID)
			if err == nil && missing != "" {
				return nil, huma.Error404NotFound("the app has no such " + missing)
			}
			return &traceOutput{Body: trace}, err
		})
}
