package device

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/clock"
)

// maxBody is the longest body of the device API in bytes.
const maxBody = maxProfile

// request gives the handlers the raw request, for authentication and addresses.
type request struct{ http *http.Request }

// Resolve is part of huma.Resolver.
func (q *request) Resolve(ctx huma.Context) []error {
	q.http, _ = humago.Unwrap(ctx)
	return nil
}

type registerInput struct {
	request
	RawBody []byte
	Body    registerBody
}

// The member _ makes the documents open: unknown members are ignored, so that older servers understand newer devices.
type registerBody struct {
	_              struct{}         `json:"-" additionalProperties:"true"`
	AppKey         string           `json:"app_key" doc:"Public key of the app."`
	InstallID      string           `json:"install_id,omitempty" doc:"Random UUID made once per installation; repeating it returns the same device."`
	Platform       string           `json:"platform" enum:"android,ios,quickapp,hmos,web,desktop,iot"`
	Package        string           `json:"package,omitempty" doc:"Package name or bundle id."`
	Device         *registerInfo    `json:"device,omitempty"`
	Consent        *registerConsent `json:"consent,omitempty"`
	RegistrationID string           `json:"registration_id,omitempty" doc:"With secret: keeps this identity."`
	Secret         string           `json:"secret,omitempty"`
	ImportedID     string           `json:"imported_id,omitempty" doc:"Claims the device that was imported under this id; needs install_id and a signature with both."`
	Signature      string           `json:"signature,omitempty" doc:"Made by the app's backend; needed when the app demands it, and with imported_id."`
}

type registerInfo struct {
	Info
	_ struct{} `json:"-" additionalProperties:"true"`
}

type registerConsent struct {
	_        struct{} `json:"-" additionalProperties:"true"`
	Version  string   `json:"version"`
	Purposes []string `json:"purposes"`
}

type registerOutput struct {
	Body struct {
		RegistrationID string   `json:"registration_id" doc:"20 lower-case hexadecimal digits."`
		Secret         string   `json:"secret" doc:"Authenticates this device only."`
		MQTT           []string `json:"mqtt" doc:"Addresses to connect to, the preferred first."`
		KeepAlive      int      `json:"keep_alive" doc:"Seconds between signs of life that are recommended."`
		ServerTime     int64    `json:"server_time" doc:"Unix milliseconds."`
	}
}

type deviceInput struct {
	request
}

type profileInput struct {
	request
	RawBody []byte
	Body    profileBody
}

type profileBody struct {
	_                    struct{}           `json:"-" additionalProperties:"true"`
	Tags                 *tagsBody          `json:"tags,omitempty"`
	Alias                *string            `json:"alias,omitempty" doc:"Empty unbinds."`
	AliasSignature       string             `json:"alias_signature,omitempty" doc:"Made by the app's backend; needed when the app reserves aliases to it."`
	Mobile               *string            `json:"mobile,omitempty" doc:"Unverified until the backend confirms it; empty clears."`
	Attributes           map[string]*string `json:"attributes,omitempty" doc:"Merged; null deletes one."`
	Timezone             *string            `json:"timezone,omitempty" doc:"IANA name."`
	PushEnabled          *bool              `json:"push_enabled,omitempty"`
	NotificationsEnabled *bool              `json:"notifications_enabled,omitempty"`
	Silence              *Silence           `json:"silence,omitempty" doc:"Quiet hours in device time; null clears."`
	Consent              *registerConsent   `json:"consent,omitempty"`
}

type tagsBody struct {
	_      struct{} `json:"-" additionalProperties:"true"`
	Set    []string `json:"set,omitempty" doc:"Replaces all; not together with add or remove."`
	Add    []string `json:"add,omitempty"`
	Remove []string `json:"remove,omitempty"`
}

type profileOutput struct {
	Body struct {
		Platform             string            `json:"platform"`
		Tags                 []string          `json:"tags"`
		Alias                string            `json:"alias"`
		Attributes           map[string]string `json:"attributes"`
		Timezone             string            `json:"timezone"`
		PushEnabled          bool              `json:"push_enabled"`
		NotificationsEnabled bool              `json:"notifications_enabled"`
		Silence              *Silence          `json:"silence"`
		Consent              *Consent          `json:"consent"`
	}
}

type tokenInput struct {
	request
	RawBody []byte
	Body    tokenBody
}

type tokenBody struct {
	_           struct{} `json:"-" additionalProperties:"true"`
	Channel     string   `json:"channel" enum:"apns,fcm,huawei,honor,xiaomi,oppo,vivo,meizu,hmos,webpush"`
	Token       string   `json:"token" doc:"As the vendor gave it; empty deletes."`
	Environment string   `json:"environment,omitempty" enum:"production,sandbox"`
}

type liveInput struct {
	request
	RawBody []byte
	Body    liveBody
}

type liveBody struct {
	_              struct{} `json:"-" additionalProperties:"true"`
	LiveActivityID string   `json:"live_activity_id,omitempty" doc:"The app's own id of a live activity that the device shows; it is followed for 24 hours."`
	AttributesType string   `json:"attributes_type,omitempty" doc:"Instead: the type of activities that can be started on the device."`
	PushToken      string   `json:"push_token" doc:"As ActivityKit gave it, in hexadecimal digits; empty ends."`
	Environment    string   `json:"environment,omitempty" enum:"production,sandbox"`
}

// securityScheme is the name of HTTP Basic with registration id and secret in the OpenAPI document.
const securityScheme = "device"

// Routes adds the device API. api must be made by humago.
func (r *Registry) Routes(api huma.API) {
	doc := api.OpenAPI()
	if doc.Components.SecuritySchemes == nil {
		doc.Components.SecuritySchemes = map[string]*huma.SecurityScheme{}
	}
	doc.Components.SecuritySchemes[securityScheme] = &huma.SecurityScheme{Type: "http", Scheme: "basic",
		Description: "User: registration id. Password: the device's secret. Name the app in the header " + HeaderAppKey + "."}
	huma.Register(api, operation("register-device", http.MethodPost, "/device/v1/register", "Register a device"), r.handleRegister)
	huma.Register(api, own(operation("delete-device", http.MethodDelete, "/device/v1/registration", "End the device")), r.handleDelete)
	huma.Register(api, own(operation("get-device-profile", http.MethodGet, "/device/v1/profile", "Read the device's profile")), r.handleGetProfile)
	huma.Register(api, own(operation("change-device-profile", http.MethodPatch, "/device/v1/profile", "Change the device's profile")), r.handleSetProfile)
	huma.Register(api, own(operation("put-device-token", http.MethodPut, "/device/v1/tokens", "Set the device's token of a vendor channel")), r.handlePutToken)
	huma.Register(api, own(operation("put-device-live-activity", http.MethodPut, "/device/v1/live-activities", "Follow a live activity, or let activities be started")),
		r.handleSetLive)
	for _, path := range doc.Paths {
		for _, op := range [...]*huma.Operation{path.Post, path.Patch, path.Put} {
			if op != nil && op.RequestBody != nil && op.Tags != nil && op.Tags[0] == "Devices" {
				delete(op.RequestBody.Content, "application/octet-stream") // the raw body is the same JSON
			}
		}
	}
}

func operation(id, method, path, summary string) huma.Operation {
	op := huma.Operation{OperationID: id, Method: method, Path: path, Summary: summary, Tags: []string{"Devices"}, MaxBodyBytes: maxBody,
		Errors: []int{http.StatusForbidden, http.StatusUnprocessableEntity}}
	switch method {
	case http.MethodPost:
		op.Errors = append(op.Errors, http.StatusNotFound, http.StatusConflict, http.StatusTooManyRequests)
	case http.MethodDelete, http.MethodPatch, http.MethodPut:
		op.DefaultStatus = http.StatusNoContent
	}
	return op
}

func own(op huma.Operation) huma.Operation {
	op.Security = []map[string][]string{{securityScheme: {}}}
	op.Errors = append(op.Errors, http.StatusUnauthorized)
	return op
}

func (r *Registry) handleRegister(ctx context.Context, in *registerInput) (*registerOutput, error) {
	if err := checkBody(in.RawBody); err != nil {
		return nil, problem(err)
	}
	app := r.Gate.App(in.Body.AppKey)
	if err := usable(app); err != nil {
		return nil, problem(err)
	}
	if r.Limiter != nil && !r.Limiter.AllowRegistration(app.ID, r.clientIP(in.http)) {
		return nil, huma.ErrorWithHeaders(huma.Error429TooManyRequests("too many registrations from this address or of this app"),
			http.Header{"Retry-After": {"60"}})
	}
	reg := Registration{InstallID: in.Body.InstallID, Package: in.Body.Package, RegistrationID: in.Body.RegistrationID,
		Secret: in.Body.Secret, ImportedID: in.Body.ImportedID, Signature: in.Body.Signature}
	reg.Platform, _ = audience.ParsePlatform(in.Body.Platform)
	if in.Body.Device != nil {
		reg.Device = in.Body.Device.Info
	}
	if c := in.Body.Consent; c != nil {
		reg.Consent = &Consent{Version: c.Version, Purposes: c.Purposes}
	}
	done, err := r.Register(ctx, app, reg)
	if err != nil {
		return nil, r.problem(err)
	}
	out := &registerOutput{}
	out.Body.RegistrationID, out.Body.Secret = done.RegistrationID, done.Secret
	out.Body.MQTT = []string{}
	if r.Endpoints != nil {
		out.Body.MQTT = append(out.Body.MQTT, r.Endpoints(in.http.Host)...)
	}
	out.Body.KeepAlive = app.Settings.KeepAlive
	out.Body.ServerTime = clock.Millis(r.Clock.Now())
	return out, nil
}

func (r *Registry) handleDelete(ctx context.Context, in *deviceInput) (*struct{}, error) {
	app, ordinal, err := r.Authenticate(ctx, in.http)
	if err == nil {
		err = r.Delete(ctx, app.ID, ordinal)
	}
	return nil, r.problem(err)
}

func (r *Registry) handleGetProfile(ctx context.Context, in *deviceInput) (*profileOutput, error) {
	app, ordinal, err := r.Authenticate(ctx, in.http)
	if err != nil {
		return nil, r.problem(err)
	}
	p, err := r.Profile(ctx, app.ID, ordinal)
	if err != nil {
		return nil, r.problem(err)
	}
	out := &profileOutput{}
	b := &out.Body
	b.Platform, b.Tags, b.Alias, b.Attributes = p.Platform.String(), p.Tags, p.Alias, p.Attributes
	b.Timezone, b.PushEnabled, b.NotificationsEnabled = p.Info.Timezone, p.PushEnabled, p.NotificationsEnabled
	b.Silence, b.Consent = p.Silence, p.Consent
	return out, nil
}

func (r *Registry) handleSetProfile(ctx context.Context, in *profileInput) (*struct{}, error) {
	app, ordinal, err := r.Authenticate(ctx, in.http)
	if err != nil {
		return nil, r.problem(err)
	}
	// The body is read by the same parser as the MQTT topic's, which tells null from absent.
	c, err := ParseProfile(in.RawBody)
	if err == nil {
		err = r.SetProfile(ctx, app, ordinal, c, ByDevice)
	}
	return nil, r.problem(err)
}

func (r *Registry) handlePutToken(ctx context.Context, in *tokenInput) (*struct{}, error) {
	app, ordinal, err := r.Authenticate(ctx, in.http)
	if err != nil {
		return nil, r.problem(err)
	}
	t, err := parseToken(in.RawBody)
	if err == nil {
		err = r.PutToken(ctx, app, ordinal, t)
	}
	return nil, r.problem(err)
}

func (r *Registry) handleSetLive(ctx context.Context, in *liveInput) (*struct{}, error) {
	app, ordinal, err := r.Authenticate(ctx, in.http)
	if err != nil {
		return nil, r.problem(err)
	}
	l, err := parseLive(in.RawBody)
	if err == nil {
		err = r.SetLive(ctx, app, ordinal, l)
	}
	return nil, r.problem(err)
}

// checkBody refuses what the JSON decoder would silently replace.
func checkBody(raw []byte) error {
	if !utf8.Valid(raw) {
		return invalid("", "must be valid UTF-8")
	}
	return nil
}

func (r *Registry) clientIP(req *http.Request) netip.Addr {
	if r.ClientIP != nil {
		return r.ClientIP(req)
	}
	peer, _ := netip.ParseAddrPort(req.RemoteAddr)
	return peer.Addr().Unmap()
}

var kindStatus = map[Kind]int{
	Invalid:          http.StatusUnprocessableEntity,
	UnknownApp:       http.StatusNotFound,
	AppDisabled:      http.StatusForbidden,
	UnknownDevice:    http.StatusNotFound,
	WrongCredentials: http.StatusUnauthorized,
	Denied:           http.StatusForbidden,
	AliasFull:        http.StatusConflict,
	TooManyTags:      http.StatusUnprocessableEntity,
	Exhausted:        http.StatusConflict,
	AlreadyClaimed:   http.StatusConflict,
}

// problem logs an error that is no refusal, whose text the caller does not see.
func (r *Registry) problem(err error) error {
	var e *Error
	if err != nil && !errors.As(err, &e) && !errors.Is(err, context.Canceled) {
		r.Log.Error("device request failed", "err", err)
	}
	return problem(err)
}

// problem is err as an RFC 9457 document; nil stays nil.
func problem(err error) error {
	var e *Error
	switch {
	case err == nil:
		return nil
	case !errors.As(err, &e):
		return huma.Error500InternalServerError("the request could not be processed")
	}
	var details []error
	if e.Kind == Invalid || e.Field != "" {
		location := "body"
		if e.Field != "" {
			location += "." + e.Field
		}
		details = append(details, &huma.ErrorDetail{Location: location, Message: e.Detail})
	}
	out := huma.NewError(kindStatus[e.Kind], e.Error(), details...)
	if e.Kind == WrongCredentials {
		return huma.ErrorWithHeaders(out, http.Header{"Www-Authenticate": {`Basic realm="device", charset="UTF-8"`}})
	}
	return out
}
