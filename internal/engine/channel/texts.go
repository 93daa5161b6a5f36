package channel

import (
	"context"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"

	"borealis/internal/engine/channel/sms"
	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

// textChannel is the name under which short messages are dispatched.
const textChannel wire.Name = "sms"

// ErrNoProbe says that a provider cannot be asked whether it takes credentials without sending a message.
var ErrNoProbe = errors.New("the provider can only be tried by sending a message")

// Texts sends short messages through the provider that each app has chosen. It is safe for concurrent use.
type Texts struct {
	dispatcher *Dispatcher
	providers  map[string]smswire.Provider
}

// Texts sends through providers, within the dispatcher's rules.
func (d *Dispatcher) Texts(providers ...smswire.Provider) *Texts {
	t := &Texts{dispatcher: d, providers: make(map[string]smswire.Provider, len(providers))}
	for _, p := range providers {
		t.providers[p.Traits().Name] = p
	}
	return t
}

// textAccount is what an app has at a provider.
type textAccount struct {
	smswire.Credentials
	provider smswire.Provider
}

// Parse reads what an app's owner entered: the provider's fields, and "provider". The error is a *wire.FieldError.
func (t *Texts) Parse(raw []byte) (wire.Credentials, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil {
		return nil, &wire.FieldError{Field: "credentials", Reason: "must be a JSON object"}
	}
	var name string
	_ = json.Unmarshal(fields["provider"], &name) // what is no text is no name
	p := t.providers[name]
	if p == nil {
		reason := "must be one of " + strings.Join(slices.Sorted(maps.Keys(t.providers)), ", ")
		if name == sms.Generic {
			reason += ": the operator of this server has described no gateway (sms-gateway)"
		}
		return nil, &wire.FieldError{Field: "provider", Reason: reason}
	}
	delete(fields, "provider")
	rest, err := json.Marshal(fields)
	if err != nil {
		return nil, &wire.FieldError{Field: "credentials", Reason: "must be a JSON object"}
	}
	c, err := p.Parse(rest)
	if err != nil {
		return nil, err
	}
	return textAccount{c, p}, nil
}

// Probe is not possible: ErrNoProbe.
func (*Texts) Probe(context.Context, wire.Credentials) error { return ErrNoProbe }

// Send brings a message to numbers and answers with one outcome for each. c is of Parse; m.Mobile is not used.
func (t *Texts) Send(ctx context.Context, app int64, c wire.Credentials, mobiles []string, m smswire.Message) []wire.Outcome {
	account, ok := c.(textAccount)
	if !ok {
		return wire.All(len(mobiles), wire.NewOutcome(wire.Rejected, "", "the credentials are of another channel"))
	}
	traits := account.provider.Traits()
	asVendor := wire.Traits{Name: textChannel, Batch: traits.Batch, Parallel: traits.Parallel, Rate: traits.Rate, Idempotent: traits.Idempotent}
	var out []wire.Outcome
	for batch := range slices.Chunk(mobiles, max(1, traits.Batch)) {
		list := make([]smswire.Message, len(batch))
		for i, mobile := range batch {
			list[i] = m
			list[i].Mobile = smswire.Mobile(mobile)
		}
		out = append(out, t.dispatcher.one(ctx, app, asVendor, account, len(batch), func() []wire.Outcome {
			return account.provider.Send(ctx, account.Credentials, list)
		})...)
	}
	return out
}
