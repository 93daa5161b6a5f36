package huawei

import (
	"cmp"
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// live is hw_push_type of a live view.
const live = 7

// Vendor sends through Push Kit for Android.
type Vendor struct {
	client *pushkit.Client
	clock  clock.Clock
}

// New returns the vendor.
func New(d wire.Deps) *Vendor { return &Vendor{client: pushkit.NewClient(d), clock: d.Clock} }

// Traits of Push Kit: 6,000 messages a second, more for apps with many users.
func (*Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.Huawei, Batch: pushkit.Batch, Parallel: 10,
		Rate:       wire.Rate{PerSecond: 6000, Unit: wire.Messages},
		Idempotent: true,
		Kinds:      []wire.Kind{wire.Notification, wire.Data, wire.Live},
		MaxTTL:     pushkit.MaxTTL * time.Second,
		Marketing:  pushkit.Marketing,
	}
}

// Send makes one call for all tokens.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	reject := func(reason string) []wire.Outcome {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", reason))
	}
	o, err := readOptions(m.Options)
	if err != nil {
		return reject(err.Error())
	}
	if m.Kind == wire.Live || o.PushType == live {
		return v.sendLive(ctx, creds, tokens, m, o)
	}
	req, reason := build(m, o, creds.pkg)
	if short := m.ShortTitle(); reason != "" && short != nil {
		req, reason = build(short, o, creds.pkg)
	}
	if reason != "" {
		return reject(reason)
	}
	return pushkit.Each(tokens, pushkit.Batch, func(part []wire.Token) []wire.Outcome {
		full := *req
		full.Message.Token = pushkit.Values(part)
		body, err := wire.JSON(&full)
		if err != nil {
			return wire.All(len(part), wire.NewOutcome(wire.Rejected, "", "the message is no JSON"))
		}
		return v.client.Post(ctx, v.auth(creds), creds.address(), nil, body, part)
	})
}

// address of messages:send: by project if it is known, else by app.
func (c *credentials) address() string {
	if c.project != "" {
		return pushkit.Origin + "/v2/" + c.project + "/messages:send"
	}
	return pushkit.Origin + "/v1/" + c.app + "/messages:send"
}

// liveRequest is the body of messages:send, version 3, for a live view.
type liveRequest struct {
	Payload json.RawMessage `json:"payload"`
	Options liveOptions     `json:"pushOptions"`
	Target  struct {
		Token []string `json:"token"`
	} `json:"target"`
}

type liveOptions struct {
	TestMessage bool   `json:"testMessage,omitempty"`
	TTL         int64  `json:"ttl"`
	BiTag       string `json:"biTag,omitempty"`
	ReceiptID   string `json:"receiptId,omitempty"`
}

func (v *Vendor) sendLive(ctx context.Context, c *credentials, tokens []wire.Token, m *wire.Message, o *options) []wire.Outcome {
	reject := func(reason string) []wire.Outcome {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", reason))
	}
	payload := o.LivePayload
	if len(payload) == 0 {
		payload = m.Payload
	}
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal(payload, &object) != nil || len(object) == 0:
		return reject("a live view needs hw_live_payload, an object")
	case c.account == nil:
		return reject("live views need a service_account in the credentials")
	}
	req := liveRequest{Payload: payload, Options: liveOptions{
		TestMessage: m.Test || o.TargetUserType != nil && *o.TargetUserType == 1,
		TTL:         max(1, min(int64(m.TTL.Seconds()), pushkit.MaxTTL)), BiTag: m.ID, ReceiptID: cmp.Or(o.ReceiptID, m.ReceiptID),
	}}
	req.Target.Token = []string{}
	body, err := wire.JSON(&req)
	if err != nil {
		return reject("hw_live_payload is no JSON")
	}
	if len(body) > pushkit.MaxBody {
		return reject("the message has " + strconv.Itoa(len(body)) + " bytes, Push Kit takes " + strconv.Itoa(pushkit.MaxBody))
	}
	return pushkit.Each(tokens, pushkit.Batch, func(part []wire.Token) []wire.Outcome {
		full := req
		full.Target.Token = pushkit.Values(part)
		body, err := wire.JSON(&full)
		if err != nil {
			return wire.All(len(part), wire.NewOutcome(wire.Rejected, "", "hw_live_payload is no JSON"))
		}
		address := pushkit.Origin + "/v3/" + c.project + "/messages:send"
		return v.client.Post(ctx, c.account.Auth(v.clock), address, http.Header{"Push-Type": {"7"}}, body, part)
	})
}

// Probe has Push Kit check a message to a token that nobody has; it is not sent.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	auth := v.auth(creds)
	field := "app_secret"
	if creds.account != nil {
		field = "service_account"
	}
	if _, err := v.client.Token(ctx, auth); err != nil {
		return pushkit.Refused(err, field)
	}
	body, err := wire.JSON(&request{ValidateOnly: true, Message: message{Data: "{}", Android: android{TTL: "60s"}, Token: []string{"probe"}}})
	if err != nil {
		return err
	}
	return pushkit.Probed(v.client.Post(ctx, auth, creds.address(), nil, body, []wire.Token{{Value: "probe"}})[0], field)
}

// Receipts reads a call of Push Kit's.
func (v *Vendor) Receipts(c wire.Credentials, r *http.Request, body []byte) ([]wire.Receipt, []byte, error) {
	creds, ok := c.(*credentials)
	if !ok {
		return nil, nil, wire.ErrSignature
	}
	return creds.callback.Receipts(r.Header, body, v.clock.Now())
}
