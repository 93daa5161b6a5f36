package webpush

import (
	"context"
	"errors"
	"net/http"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/gate"
)

// DeviceAuth finds the device that makes a request; its error is a problem document.
type DeviceAuth func(context.Context, *http.Request) (*gate.App, uint32, error)

// request gives the handlers the raw request, for authentication and the public address.
type request struct{ http *http.Request }

// Resolve is part of huma.Resolver.
func (q *request) Resolve(ctx huma.Context) []error {
	q.http, _ = humago.Unwrap(ctx)
	return nil
}

type webpushSubscribeInput struct {
	request
	Body struct {
		_        struct{} `json:"-" additionalProperties:"true"`
		Instance string   `json:"instance" doc:"The application on the device that the messages are for, in the words of the device; at most 200 bytes."`
		VAPID    string   `json:"vapid,omitempty" doc:"Public key (base64url, P-256) that senders must sign with; empty: anybody who has the endpoint may send."`
	}
}

type webpushSubscribeOutput struct {
	Location string `header:"Location" doc:"the subscription, which DELETE ends"`
	Link     string `header:"Link" doc:"the endpoint, as relation urn:ietf:params:push"`
	Body     webpushSubscription
}

type webpushSubscription struct {
	ID        string `json:"id"`
	Instance  string `json:"instance"`
	Endpoint  string `json:"endpoint" doc:"where messages are posted to (RFC 8030)"`
	VAPID     string `json:"vapid,omitempty"`
	CreatedAt int64  `json:"created_at" doc:"Unix milliseconds"`
	UsedAt    int64  `json:"used_at,omitempty" doc:"when the last message came, Unix milliseconds"`
}

func row(s *Subscription) webpushSubscription {
	return webpushSubscription{ID: strconv.FormatInt(s.ID, 10), Instance: s.Instance, Endpoint: s.Endpoint, VAPID: s.VAPID, CreatedAt: s.CreatedAt, UsedAt: s.UsedAt}
}

// subscriptionsPath is that of the calls about subscriptions.
const subscriptionsPath = "/device/v1/webpush/subscriptions"

type webpushListInput struct{ request }

type webpushListOutput struct {
	Body struct {
		Subscriptions []webpushSubscription `json:"subscriptions" doc:"oldest first"`
	}
}

type webpushDeleteInput struct {
	request
	ID string `path:"id" pattern:"^[1-9][0-9]{0,15}$"`
}

// Routes adds the part of the device API that makes and ends subscriptions. api must be made by humago.
func (s *Service) Routes(api huma.API, auth DeviceAuth) {
	operation := func(id, method, path, summary string, status int, errs ...int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: subscriptionsPath + path, Tags: []string{"Devices"}, Summary: summary, DefaultStatus: status,
			MaxBodyBytes: 4 << 10, Errors: append(errs, http.StatusUnauthorized, http.StatusForbidden), Security: []map[string][]string{{"device": {}}},
		}
	}
	huma.Register(api, operation("create-webpush-subscription", http.MethodPost, "", "Get an endpoint for Web Push messages to an application on the device",
		http.StatusCreated, http.StatusConflict, http.StatusUnprocessableEntity), func(ctx context.Context, in *webpushSubscribeInput) (*webpushSubscribeOutput, error) {
		app, ordinal, err := auth(ctx, in.http)
		if err != nil {
			return nil, err
		}
		sub, err := s.Subscribe(ctx, app.ID, ordinal, in.Body.Instance, in.Body.VAPID, s.PublicURL(in.http))
		if err != nil {
			return nil, s.problem(err)
		}
		out := &webpushSubscribeOutput{Body: row(sub), Link: link(sub.Endpoint, relPush)}
		out.Location = subscriptionsPath + "/" + out.Body.ID
		return out, nil
	})
	huma.Register(api, operation("list-webpush-subscriptions", http.MethodGet, "", "The device's Web Push subscriptions", http.StatusOK),
		func(ctx context.Context, in *webpushListInput) (*webpushListOutput, error) {
			app, ordinal, err := auth(ctx, in.http)
			if err != nil {
				return nil, err
			}
			list, err := s.List(ctx, app.ID, ordinal)
			if err != nil {
				return nil, s.problem(err)
			}
			out := &webpushListOutput{}
			out.Body.Subscriptions = make([]webpushSubscription, 0, len(list))
			for _, sub := range list {
				out.Body.Subscriptions = append(out.Body.Subscriptions, row(sub))
			}
			return out, nil
		})
	huma.Register(api, operation("delete-webpush-subscription", http.MethodDelete, "/{id}", "End a Web Push subscription", http.StatusNoContent,
		http.StatusNotFound, http.StatusUnprocessableEntity), func(ctx context.Context, in *webpushDeleteInput) (*struct{}, error) {
		app, ordinal, err := auth(ctx, in.http)
		if err != nil {
			return nil, err
		}
		id, _ := strconv.ParseInt(in.ID, 10, 64) // the form was checked against the schema
		return nil, s.problem(s.Delete(ctx, app.ID, ordinal, id))
	})
}

// problem is err as an RFC 9457 document; nil stays nil.
func (s *Service) problem(err error) error {
	var field *FieldError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &field):
		return huma.Error422UnprocessableEntity(field.Error(), &huma.ErrorDetail{Location: "body." + field.Field, Message: field.Reason})
	case errors.Is(err, ErrMany):
		return huma.Error409Conflict(err.Error())
	case errors.Is(err, ErrUnknown):
		return huma.Error404NotFound(err.Error())
	}
	if !errors.Is(err, context.Canceled) {
		s.Log.Error("web push subscription failed", "err", err)
	}
	return huma.Error500InternalServerError("the request could not be processed")
}
