package fcm

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const (
	origin = "https://fcm.googleapis.com"
	// batch is how many tokens a Send takes, streams how many of its calls are under way at once: Google's servers take about 100 on a connection.
	batch, streams = 500, 50
)

// Vendor sends through Firebase Cloud Messaging.
type Vendor struct {
	caller *wire.Caller
	clock  clock.Clock
	access *wire.AccessTokens
}

// New returns the vendor.
func New(d wire.Deps) *Vendor {
	return &Vendor{caller: wire.NewCaller(d), clock: d.Clock, access: wire.NewAccessTokens(d.Clock)}
}

// Traits of FCM: 600,000 messages a minute for a project.
func (*Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.FCM, Batch: batch, Parallel: 4,
		Rate:       wire.Rate{PerSecond: 10_000, Unit: wire.Messages},
		Idempotent: true,
		Kinds:      []wire.Kind{wire.Notification, wire.Data},
		MaxTTL:     maxTTL * time.Second,
	}
}

// Send makes one call for each token.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	body, reason := build(m)
	if short := m.ShortTitle(); reason != "" && short != nil {
		body, reason = build(short)
	}
	if reason != "" {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", reason))
	}
	out := make([]wire.Outcome, len(tokens))
	var next atomic.Int64
	// denied is an answer that would be the same for every token: those that wait get it without a call.
	var denied atomic.Pointer[wire.Outcome]
	var wg sync.WaitGroup
	for range min(streams, len(tokens)) {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= len(tokens) {
					return
				}
				if o := denied.Load(); o != nil {
					out[i] = *o
					continue
				}
				out[i] = v.one(ctx, creds, tokens[i].Value, body)
				if out[i].Status == wire.Denied {
					denied.CompareAndSwap(nil, &out[i])
				}
			}
		})
	}
	wg.Wait()
	return out
}

// one sends to one token. An access token that Google no longer takes is fetched anew once.
func (v *Vendor) one(ctx context.Context, c *credentials, token string, m message) wire.Outcome {
	if token == "" {
		return wire.NewOutcome(wire.Invalid, "", "the token is empty")
	}
	m.Token = token
	body, err := json.Marshal(request{Message: m})
	if err != nil {
		return wire.NewOutcome(wire.Rejected, "", "the message is no JSON")
	}
	return v.call(ctx, c, body, token)
}

func (v *Vendor) call(ctx context.Context, c *credentials, body []byte, token string) (out wire.Outcome) {
	err := v.access.Use(ctx, c.account, v.grant(c), func(access string) (expired bool) {
		header := http.Header{"Content-Type": {"application/json"}, "Authorization": {"Bearer " + access}}
		answer, err := v.caller.Post(ctx, origin+"/v1/projects/"+c.project+"/messages:send", header, body)
		if err != nil {
			out = wire.Undelivered(err)
			return false
		}
		out, expired = read(answer, token)
		return expired
	})
	if err != nil {
		return wire.Unauthorized(err)
	}
	return out
}

// Probe asks Google to check a message to a topic, which it does not send.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	if _, err := v.access.Get(ctx, creds.account, v.grant(creds)); err != nil {
		r, refused := errors.AsType[*wire.RefusalError](err)
		if refused && r.Outcome.Status == wire.Denied {
			return &wire.FieldError{Field: "private_key", Reason: "Google refuses the service account: " + r.Error()}
		}
		return err
	}
	body, err := json.Marshal(request{ValidateOnly: true, Message: message{Topic: "borealis-probe", Data: map[string]string{"probe": "1"}}})
	if err != nil {
		return err
	}
	o := v.call(ctx, creds, body, "\x00")
	switch o.Status {
	case wire.Accepted:
		return nil
	case wire.Denied:
		return &wire.FieldError{Field: "project_id", Reason: "Google refuses to send for it: " + o.Code + ": " + o.Reason}
	}
	return &wire.RefusalError{Outcome: o}
}
