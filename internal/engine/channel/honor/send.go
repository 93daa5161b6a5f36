package honor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// Addresses of HONOR.
const (
	addressAuth = "https://iam.developer.honor.com/auth/token"
	addressSend = "https://push-api.cloud.honor.com/api/v1/"
)

// batch is the most tokens of a call.
const batch = 1000

// Vendor is HONOR's push service. It is safe for concurrent use.
type Vendor struct {
	caller *wire.Caller
	clock  clock.Clock
	tokens *wire.AccessTokens
}

// New returns the vendor.
func New(d wire.Deps) *Vendor {
	return &Vendor{caller: wire.NewCaller(d), clock: d.Clock, tokens: wire.NewAccessTokens(d.Clock)}
}

// Traits of HONOR.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name:       wire.Honor,
		Batch:      batch,
		Parallel:   16,
		Rate:       wire.Rate{PerSecond: 3000, Unit: wire.Messages},
		Idempotent: true,
		Kinds:      []wire.Kind{wire.Notification, wire.Data, wire.VoIP},
		MaxTTL:     maxTTL,
		Marketing:  2,
	}
}

// Send hands a message to HONOR for devices.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	if len(tokens) > batch {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", "more than 1000 tokens"))
	}
	b, err := message(creds, m)
	if err != nil {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", err.Error()))
	}
	out := wire.All(len(tokens), wire.NewOutcome(wire.Invalid, "", "a token is not empty"))
	places := make([]int, 0, len(tokens))
	for i, t := range tokens {
		if t.Value != "" {
			b.Token, places = append(b.Token, t.Value), append(places, i)
		}
	}
	if len(places) == 0 {
		return out
	}
	for i, o := range v.send(ctx, creds, b) {
		out[places[i]] = o
	}
	return out
}

// send makes the call, once more if the access token is no longer taken.
func (v *Vendor) send(ctx context.Context, c *credentials, b *body) (out []wire.Outcome) {
	err := v.tokens.Use(ctx, c.account(), v.fetch(c), func(token string) bool {
		a, err := v.caller.Post(ctx, addressSend+c.AppID+"/sendMessage", http.Header{
			"Authorization": {"Bearer " + token},
			"Content-Type":  {"application/json; charset=UTF-8"},
			"timestamp":     {strconv.FormatInt(clock.Millis(v.clock.Now()), 10)},
		}, b.encode())
		if err != nil {
			out = wire.All(len(b.Token), wire.Undelivered(err))
			return false
		}
		answer, known := readAnswer(a.Body)
		if !known || a.Status >= http.StatusBadRequest && status(answer.code) == wire.Accepted {
			out = wire.All(len(b.Token), a.Refused())
		} else {
			out = answer.outcomes(c, b.Token, a)
		}
		return stale(a, answer)
	})
	if err != nil {
		return wire.All(len(b.Token), wire.Unauthorized(err))
	}
	return out
}

// stale tells whether the access token was refused: by status, or by one of the codes for it.
func stale(a wire.Answer, answer answer) bool {
	return a.Status == http.StatusUnauthorized || answer.code == "401" || answer.code == "80200001" || answer.code == "80200003"
}

// fetch gets an access token.
func (v *Vendor) fetch(c *credentials) wire.Fetch {
	return func(ctx context.Context) (string, time.Duration, error) {
		form := url.Values{"grant_type": {"client_credentials"}, "client_id": {c.ClientID}, "client_secret": {c.ClientSecret}}
		a, err := v.caller.Post(ctx, addressAuth, http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}, []byte(form.Encode()))
		if err != nil {
			return "", 0, err
		}
		var answer struct {
			Token       string      `json:"access_token"`
			Life        json.Number `json:"expires_in"`
			Error       string      `json:"error"`
			Description string      `json:"error_description"`
		}
		_ = json.Unmarshal(a.Body, &answer) // what is no JSON has no token
		seconds, _ := answer.Life.Int64()
		if a.Status == http.StatusOK && answer.Token != "" && seconds > 0 {
			return answer.Token, time.Duration(min(seconds, 24*60*60)) * time.Second, nil
		}
		o := a.Refused()
		if answer.Error != "" {
			o = wire.NewOutcome(wire.Denied, answer.Error, strings.ReplaceAll(answer.Description, c.ClientSecret, "…"))
		}
		return "", 0, &wire.RefusalError{Outcome: o}
	}
}

// Probe gets an access token.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	_, err := v.tokens.Get(ctx, creds.account(), v.fetch(creds))
	if refused, ok := errors.AsType[*wire.RefusalError](err); ok && refused.Outcome.Status == wire.Denied {
		return &wire.FieldError{Field: "client_secret", Reason: "is refused by HONOR, or client_id is: " + refused.Error()}
	}
	return err
}
