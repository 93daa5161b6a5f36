package app

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/service/push/route"
)

// broadcastTimeout bounds a call about Apple's broadcast channels, which is two requests to Apple at most.
const broadcastTimeout = 20 * time.Second

// Broadcast is one of Apple's broadcast channels.
type Broadcast struct {
	ID     string `json:"id" doc:"Apple's id of the channel, Base64: what the app subscribes its live activities to"`
	Stored bool   `json:"stored" doc:"Apple keeps the last message for devices that are offline"`
}

type broadcastCreateInput struct {
	AppKey  string `path:"app_key"`
	Sandbox bool   `query:"sandbox" doc:"the environment of apps that were started from Xcode; otherwise that of TestFlight and the App Store"`
	Body    struct {
		Stored bool `json:"stored,omitempty" doc:"Apple is to keep the last message for devices that are offline, and allows fewer messages then; it cannot be changed"`
	}
}

type broadcastOutput struct{ Body Broadcast }

type broadcastsInput struct {
	AppKey  string `path:"app_key"`
	Sandbox bool   `query:"sandbox" doc:"the environment of apps that were started from Xcode"`
}

type broadcastsOutput struct {
	Body struct {
		Broadcasts []string `json:"broadcasts" doc:"ids of all channels of the app in the environment, at most 10,000"`
	}
}

type broadcastInput struct {
	AppKey  string `path:"app_key"`
	ID      string `path:"id" maxLength:"1024" doc:"Apple's id, percent-encoded, or with - and _ in place of + and /"`
	Sandbox bool   `query:"sandbox" doc:"the environment of apps that were started from Xcode"`
}

type broadcastSendInput struct {
	AppKey  string `path:"app_key"`
	ID      string `path:"id" maxLength:"1024" doc:"Apple's id, percent-encoded, or with - and _ in place of + and /"`
	Sandbox bool   `query:"sandbox" doc:"the environment of apps that were started from Xcode"`
	Body    struct {
		IOS json.RawMessage `json:"ios" doc:"the object live_activity.ios of a push with event update or end"`
		TTL int             `json:"ttl,omitempty" minimum:"0" maximum:"28800" doc:"seconds that Apple keeps the message for devices that are offline; 0 if the channel stores none"`
	}
}

type broadcastSentOutput struct {
	Body struct {
		RequestID string `json:"request_id" doc:"Apple's id of the broadcast"`
	}
}

// broadcastAPI registers the calls about Apple's broadcast channels.
func (c *core) broadcastAPI(api huma.API) {
	const path = "/api/v1/apps/{app_key}/channels/apns/broadcasts"
	operation := func(id, method, path, summary string, status int) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: path, Tags: []string{"Channels"}, Summary: summary, DefaultStatus: status, MaxBodyBytes: 16 << 10,
			Errors: []int{
				http.StatusNotFound, http.StatusConflict, http.StatusUnprocessableEntity, http.StatusTooManyRequests, http.StatusBadGateway,
			},
			Security: []map[string][]string{{"app": {}}}, Middlewares: huma.Middlewares{c.asApp(api)},
		}
	}
	huma.Register(api, operation("broadcast-create", http.MethodPost, path, "Make a broadcast channel for live activities at Apple", http.StatusCreated),
		func(ctx context.Context, in *broadcastCreateInput) (*broadcastOutput, error) {
			out := &broadcastOutput{}
			err := c.withBroadcasts(ctx, func(ctx context.Context, b *route.Broadcasts) error {
				made, err := b.Create(ctx, in.Sandbox, in.Body.Stored)
				out.Body = Broadcast{ID: made.ID, Stored: made.Stored}
				return err
			})
			return out, err
		})
	huma.Register(api, operation("broadcast-list", http.MethodGet, path, "The app's broadcast channels at Apple", http.StatusOK),
		func(ctx context.Context, in *broadcastsInput) (*broadcastsOutput, error) {
			out := &broadcastsOutput{}
			err := c.withBroadcasts(ctx, func(ctx context.Context, b *route.Broadcasts) error {
				list, err := b.List(ctx, in.Sandbox)
				out.Body.Broadcasts = append(make([]string, 0, len(list)), list...)
				return err
			})
			return out, err
		})
	huma.Register(api, operation("broadcast-get", http.MethodGet, path+"/{id}", "How a broadcast channel was made", http.StatusOK),
		func(ctx context.Context, in *broadcastInput) (*broadcastOutput, error) {
			out := &broadcastOutput{}
			err := c.withBroadcasts(ctx, func(ctx context.Context, b *route.Broadcasts) error {
				found, err := b.Channel(ctx, in.Sandbox, broadcastID(in.ID))
				out.Body = Broadcast{ID: found.ID, Stored: found.Stored}
				return err
			})
			return out, err
		})
	huma.Register(api, operation("broadcast-delete", http.MethodDelete, path+"/{id}", "End a broadcast channel for good", http.StatusNoContent),
		func(ctx context.Context, in *broadcastInput) (*struct{}, error) {
			return nil, c.withBroadcasts(ctx, func(ctx context.Context, b *route.Broadcasts) error {
				return b.Delete(ctx, in.Sandbox, broadcastID(in.ID))
			})
		})
	huma.Register(api, operation("broadcast-send", http.MethodPost, path+"/{id}/messages", "Update or end the live activities that follow a channel", http.StatusAccepted),
		func(ctx context.Context, in *broadcastSendInput) (*broadcastSentOutput, error) {
			out := &broadcastSentOutput{}
			err := c.withBroadcasts(ctx, func(ctx context.Context, b *route.Broadcasts) (err error) {
				to := apns.Channel{ID: broadcastID(in.ID)}
				if in.Body.TTL > 0 { // Apple refuses it for a channel that does not store, and only Apple knows
					if to, err = b.Channel(ctx, in.Sandbox, to.ID); err != nil {
						return err
					}
					if !to.Stored {
						return huma.Error422UnprocessableEntity("the channel stores nothing", &huma.ErrorDetail{Location: "body.ttl", Message: "must be 0", Value: in.Body.TTL})
					}
				}
				out.Body.RequestID, err = b.Send(ctx, in.Sandbox, to, in.Body.IOS, time.Duration(in.Body.TTL)*time.Second)
				return err
			})
			return out, err
		})
}

// withBroadcasts does something with the broadcast channels of the app that calls. The error is a problem document.
func (c *core) withBroadcasts(ctx context.Context, do func(context.Context, *route.Broadcasts) error) error {
	ctx, cancel := context.WithTimeout(ctx, broadcastTimeout)
	defer cancel()
	b, err := c.push.Channels().Broadcasts(ctx, appOf(ctx).ID)
	if err == nil {
		err = do(ctx, b)
		if err != nil {
			err = broadcastProblem(err)
		}
		return err
	}
	if _, ok := errors.AsType[*wire.FieldError](err); ok {
		return huma.Error404NotFound("the app has no credentials for the channel")
	}
	if errors.Is(err, route.ErrNoChannel) {
		return huma.Error404NotFound("this installation has no such channel")
	}
	return err
}

// broadcastProblem is what Apple said, or that Apple said nothing, as an answer of ours.
func broadcastProblem(err error) error {
	if status, ok := errors.AsType[huma.StatusError](err); ok {
		return status
	}
	if field, ok := errors.AsType[*wire.FieldError](err); ok {
		return huma.Error409Conflict("the app's credentials for the channel cannot be used: " + field.Error())
	}
	refused, ok := errors.AsType[*apns.RefusedError](err)
	if !ok {
		return huma.NewError(http.StatusBadGateway, "Apple did not answer: what was asked for may have been done")
	}
	o := refused.Outcome
	said := strings.TrimSpace(o.Code + " " + o.Reason)
	switch o.Status {
	case wire.Rejected, wire.Invalid:
		if o.Reason == "ChannelNotRegistered" {
			return huma.Error404NotFound("the app has no such broadcast channel: " + said)
		}
		return huma.Error422UnprocessableEntity("refused: " + said)
	case wire.Denied:
		return huma.Error409Conflict("Apple refuses the app: " + said)
	case wire.Quota:
		return huma.Error409Conflict("Apple allows no more: " + said)
	case wire.Limited:
		return retryAfter(huma.Error429TooManyRequests("too fast for Apple: "+said), o.After)
	case wire.Unknown:
		return huma.NewError(http.StatusBadGateway, "Apple's answer is not understood, and what was asked for may have been done: "+said)
	}
	return retryAfter(huma.NewError(http.StatusBadGateway, "Apple is not well: "+said), o.After)
}

func retryAfter(err error, after time.Duration) error {
	if after <= 0 {
		return err
	}
	return huma.ErrorWithHeaders(err, http.Header{"Retry-After": {strconv.Itoa(int(math.Ceil(after.Seconds())))}})
}

// broadcastID is Apple's id of a channel, from that or from the form that needs no encoding in addresses.
func broadcastID(text string) string {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimRight(text, "="))
	return text + strings.Repeat("=", (4-len(text)%4)%4)
}
