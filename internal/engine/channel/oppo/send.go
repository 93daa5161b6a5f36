package oppo

import (
	"context"
	"encoding/json"
	"net/url"
	"strconv"
	"strings"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// maxTTL is what OPPO keeps a message at most.
const maxTTL = 10 * 24 * time.Hour

// Vendor is OPPO Push.
type Vendor struct {
	caller *wire.Caller
	tokens *wire.AccessTokens
	clock  clock.Clock
}

var (
	_ wire.Vendor   = (*Vendor)(nil)
	_ wire.Receiver = (*Vendor)(nil)
)

// New returns the vendor.
func New(d wire.Deps) *Vendor {
	return &Vendor{caller: wire.NewCaller(d), tokens: wire.NewAccessTokens(d.Clock), clock: d.Clock}
}

// Traits of OPPO. The rate is that of apps with less than 10 million users; OPPO counts users, not calls.
func (v *Vendor) Traits() wire.Traits {
	return wire.Traits{
		Name: wire.OPPO, Batch: 1000, Parallel: 8, Rate: wire.Rate{PerSecond: 5000, Unit: wire.Messages},
		Idempotent: true, Kinds: []wire.Kind{wire.Notification}, MaxTTL: maxTTL, Marketing: 2,
	}
}

// registrationID is the target_type of registration ids.
const registrationID = 2

// target is a message for one device.
type target struct {
	Type         int           `json:"target_type"`
	Value        string        `json:"target_value"`
	Notification *notification `json:"notification"`
}

// Send hands the message to OPPO.
func (v *Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	n := len(tokens)
	if n == 0 {
		return nil
	}
	creds, ok := c.(*credentials)
	if !ok {
		return wire.Foreign(n)
	}
	note, refused := build(m)
	if refused != nil {
		return wire.All(n, refused.Outcome)
	}
	return v.withToken(ctx, creds, n, func(token string) ([]wire.Outcome, bool) { return v.push(ctx, creds, token, tokens, note) })
}

// push makes the calls for one access token and says whether OPPO no longer takes that.
func (v *Vendor) push(ctx context.Context, c *credentials, token string, tokens []wire.Token, n *notification) ([]wire.Outcome, bool) {
	switch {
	case n.Style == pictureStyle:
		return v.broadcast(ctx, c, token, tokens, n)
	case len(tokens) == 1:
		return v.unicast(ctx, c, token, tokens[0], n)
	}
	return v.unicastBatch(ctx, c, token, tokens, n)
}

func (v *Vendor) unicast(ctx context.Context, c *credentials, token string, to wire.Token, n *notification) ([]wire.Outcome, bool) {
	message := encode(target{registrationID, to.Value, n})
	a, err := v.call(ctx, c, "/server/v1/message/notification/unicast", url.Values{"auth_token": {token}, "message": {string(message)}})
	if err != nil {
		return wire.All(1, wire.Undelivered(err)), false
	}
	o := v.outcome(*a.Code, a.Message)
	var data struct {
		MessageID string `json:"messageId"`
	}
	if json.Unmarshal(a.Data, &data) == nil && o.Status == wire.Accepted {
		o.VendorID = bounded(data.MessageID)
	}
	return []wire.Outcome{o}, isStale(*a.Code)
}

func (v *Vendor) unicastBatch(ctx context.Context, c *credentials, token string, to []wire.Token, n *notification) ([]wire.Outcome, bool) {
	targets := make([]target, len(to))
	for i := range to {
		targets[i] = target{registrationID, to[i].Value, n}
	}
	messages := encode(targets)
	a, err := v.call(ctx, c, "/server/v1/message/notification/unicast_batch", url.Values{"auth_token": {token}, "messages": {string(messages)}})
	if err != nil {
		return wire.All(len(to), wire.Undelivered(err)), false
	}
	if *a.Code != codeSuccess {
		return wire.All(len(to), v.outcome(*a.Code, a.Message)), isStale(*a.Code)
	}
	var results []struct {
		MessageID      string `json:"messageId"`
		RegistrationID string `json:"registrationId"`
		ErrorCode      int    `json:"errorCode"`
		ErrorMessage   string `json:"errorMessage"`
	}
	if json.Unmarshal(a.Data, &results) != nil {
		return wire.All(len(to), wire.NewOutcome(wire.Unknown, "0", "the answer names no results")), false
	}
	found := make(map[string]wire.Outcome, len(results))
	for _, r := range results {
		o := v.outcome(r.ErrorCode, r.ErrorMessage)
		if o.Status == wire.Accepted {
			o.VendorID = bounded(r.MessageID)
		}
		found[r.RegistrationID] = o
	}
	outcomes := wire.All(len(to), wire.NewOutcome(wire.Unknown, "0", "the answer does not name the device"))
	for i := range to {
		if o, ok := found[to[i].Value]; ok {
			outcomes[i] = o
		}
	}
	return outcomes, false
}

func (v *Vendor) broadcast(ctx context.Context, c *credentials, token string, to []wire.Token, n *notification) ([]wire.Outcome, bool) {
	form := n.form()
	form.Set("auth_token", token)
	a, err := v.call(ctx, c, "/server/v1/message/notification/save_message_content", form)
	if err != nil {
		outcomes := wire.All(len(to), wire.Undelivered(err))
		for i := range outcomes {
			if outcomes[i].Status == wire.Unknown { // saved or not, it was sent to nobody
				outcomes[i].Status = wire.Failed
			}
		}
		return outcomes, false
	}
	var saved struct {
		MessageID string `json:"message_id"`
	}
	if *a.Code != codeSuccess {
		return wire.All(len(to), v.outcome(*a.Code, a.Message)), isStale(*a.Code)
	}
	if json.Unmarshal(a.Data, &saved) != nil || saved.MessageID == "" {
		return wire.All(len(to), wire.NewOutcome(wire.Failed, "0", "no message_id in the answer")), false
	}
	values := make([]string, len(to))
	for i := range to {
		values[i] = to[i].Value
	}
	a, err = v.call(ctx, c, "/server/v1/message/notification/broadcast", url.Values{
		"auth_token": {token}, "message_id": {saved.MessageID}, "target_type": {strconv.Itoa(registrationID)}, "target_value": {strings.Join(values, ";")},
	})
	if err != nil {
		return wire.All(len(to), wire.Undelivered(err)), false
	}
	if *a.Code != codeSuccess {
		return wire.All(len(to), v.outcome(*a.Code, a.Message)), isStale(*a.Code)
	}
	return v.exceptions(a.Data, to, saved.MessageID), false
}

// exceptions reads the answer to a broadcast: who is not named under a code gets it.
func (v *Vendor) exceptions(data json.RawMessage, to []wire.Token, messageID string) []wire.Outcome {
	var fields map[string]json.RawMessage
	_ = json.Unmarshal(data, &fields) // none: all got it
	refused := make(map[string]wire.Outcome)
	for key, value := range fields {
		code, err := strconv.Atoi(key)
		if err != nil {
			continue // message_id, task_id
		}
		for _, id := range list(value) {
			refused[id] = v.outcome(code, "")
		}
	}
	outcomes := wire.All(len(to), wire.Outcome{Status: wire.Accepted, VendorID: bounded(messageID)})
	for i := range to {
		if o, ok := refused[to[i].Value]; ok {
			outcomes[i] = o
		}
	}
	return outcomes
}

// list reads ids that OPPO writes as an array or as one text.
func list(value json.RawMessage) []string {
	var ids []string
	if json.Unmarshal(value, &ids) == nil {
		return ids
	}
	var text string
	_ = json.Unmarshal(value, &text)
	return strings.FieldsFunc(text, func(r rune) bool { return r == ',' || r == ';' || r == ' ' || r == '[' || r == ']' })
}

func isStale(code int) bool { return code == codeInvalidToken || code == codeMissingToken }

// bounded is what is kept of an id of OPPO's, which have 24 to 40 bytes.
func bounded(id string) string { return wire.CutBytes(id, 128) }

// Probe asks for an access token.
func (v *Vendor) Probe(ctx context.Context, c wire.Credentials) error {
	creds, ok := c.(*credentials)
	if !ok {
		return wire.ErrForeign
	}
	_, _, err := v.authenticate(ctx, creds)
	return err
}
