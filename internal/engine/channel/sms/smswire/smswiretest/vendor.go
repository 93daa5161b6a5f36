// Package smswiretest runs the case files of text message providers with wiretest: the tokens of a case are the numbers,
// and Options of its message say the rest, {"temp_id", "signid", "temp_para"}, one object for all numbers or an array
// with one for each.
package smswiretest

import (
	"context"
	"encoding/json"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
)

// Vendor makes a provider one that wiretest.Run takes.
type Vendor struct{ smswire.Provider }

// Traits are of no use to cases.
func (v Vendor) Traits() wire.Traits { return wire.Traits{} }

// Parse reads credentials.
func (v Vendor) Parse(raw []byte) (wire.Credentials, error) { return v.Provider.Parse(raw) }

// Probe is not a thing of providers.
func (v Vendor) Probe(context.Context, wire.Credentials) error { return nil }

// Send turns a case into messages.
func (v Vendor) Send(ctx context.Context, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	type rest struct {
		TempID   int64             `json:"temp_id"`
		SignID   int64             `json:"signid"`
		TempPara map[string]string `json:"temp_para"`
	}
	var each []rest
	if json.Unmarshal(m.Options, &each) != nil {
		var all rest
		if json.Unmarshal(m.Options, &all) != nil {
			return nil
		}
		each = make([]rest, len(tokens))
		for i := range each {
			each[i] = all
		}
	}
	creds, ok := c.(smswire.Credentials)
	if !ok || len(each) != len(tokens) {
		return nil
	}
	messages := make([]smswire.Message, len(tokens))
	for i, t := range tokens {
		messages[i] = smswire.Message{ID: m.ID, Mobile: t.Value, Template: each[i].TempID, Sign: each[i].SignID, Parameters: each[i].TempPara}
	}
	return v.Provider.Send(ctx, creds, messages)
}
