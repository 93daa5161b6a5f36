package hmos

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"borealis/internal/engine/channel/pushkit"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// testBatch is the most tokens of a test message. A form is updated one by one.
const testBatch = 10

// Vendor sends through Push Kit for HarmonyOS.
type Vendor struct {
	client *pushkit.Client
	clock  clock.Clock
}

// New returns the vendor.
func New(d wire.Deps) *Vendor { return &Vendor{client: pushkit.NewClient(d), clock: d.Clock} }

// Traits of Push Kit: 6,000 messages a second, more for apps with many users.
func (*Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.HMOS, Batch: pushkit.Batch, Parallel: 10,
		Rate:       wire.Rate{PerSecond: 6000, Unit: wire.Messages},
		Idempotent: true,
		Kinds:      []wire.Kind{wire.Notification, wire.Data, wire.VoIP, wire.Live},
		MaxTTL:     pushkit.MaxTTL * time.Second,
		Marketing:  pushkit.Marketing,
	}
}

// Send makes one call for all tokens, more for test messages and forms.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	kind, reason := pushType(m)
	var req *request
	if reason == "" {
		if req, reason = build(m, kind); reason != "" {
			if short := m.ShortTitle(); short != nil {
				req, reason = build(short, kind)
			}
		}
	}
	if reason != "" {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", reason))
	}
	size := pushkit.Batch
	if m.Test {
		size = testBatch
	}
	if kind == form {
		size = 1
	}
	return pushkit.Each(tokens, size, func(part []wire.Token) []wire.Outcome {
		full := *req
		full.Target.Token = pushkit.Values(part)
		address := pushkit.Origin + "/v3/" + creds.project + "/messages:send"
		return v.post(ctx, creds, address, kind, &full, part)
	})
}

func (v *Vendor) post(ctx context.Context, c *credentials, address string, kind int, body any, tokens []wire.Token) []wire.Outcome {
	encoded, err := wire.JSON(body)
	if err != nil {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", "the message is no JSON"))
	}
	header := http.Header{"Push-Type": {strconv.Itoa(kind)}}
	return v.client.Post(ctx, c.account.Auth(v.clock), address, header, encoded, tokens)
}

// Retract takes the notification of a message off the screens, or out of what waits for devices that are away. A message that
// replaced another stands under the id of that one.
func (v *Vendor) Retract(ctx context.Context, c wire.Credentials, tokens []wire.Token, id string) []wire.Outcome {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(len(tokens))
	}
	if creds.client == "" {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", "client_id is missing in the credentials"))
	}
	return pushkit.Each(tokens, pushkit.Batch, func(part []wire.Token) []wire.Outcome {
		body := revocation{NotifyID: pushkit.NotifyID(id), Token: pushkit.Values(part)}
		return v.post(ctx, creds, pushkit.Origin+"/v1/"+creds.client+"/messages:revoke", alert, &body, part)
	})
}

// Probe sends a test message to a token that nobody has.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	if _, err := v.client.Token(ctx, creds.account.Auth(v.clock)); err != nil {
		return pushkit.Refused(err, "service_account")
	}
	m := wire.Message{ID: "0", Kind: wire.Notification, Title: "probe", Body: "probe", TTL: time.Minute, Test: true, Extras: json.RawMessage(`{}`)}
	return pushkit.Probed(v.Send(ctx, creds, []wire.Token{{Value: "probe"}}, &m)[0], "service_account")
}

// Receipts reads a call of Push Kit's.
func (v *Vendor) Receipts(c wire.Credentials, r *http.Request, body []byte) ([]wire.Receipt, []byte, error) {
	creds, ok := c.(*credentials)
	if !ok {
		return nil, nil, wire.ErrSignature
	}
	return creds.callback.Receipts(r.Header, body, v.clock.Now())
}
