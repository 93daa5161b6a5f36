package generic_test

import (
	"encoding/json"
	"testing"

	"borealis/internal/engine/channel/sms/generic"
	"borealis/internal/engine/channel/sms/smswire/smswiretest"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
)

func gateway() generic.Config {
	return generic.Config{
		URL: "https://sms.example.com/v1/sms?x=1", Headers: map[string]string{"authorization": "Bearer operator"},
		Body:        json.RawMessage(`{"to":"{mobile}","tpl":"{template}","vars":"{params}","text":"{sign}|{id}|{params}","n":1}`),
		ResultField: "status", Success: []string{"0"}, ReasonField: "message", IDField: "data.0.id",
		Results: map[string]string{"1": "invalid", "2": "denied", "3": "quota", "4": "limited", "5": "failed", "6": "silenced", "7": "rejected"},
	}
}

func newProvider(t *testing.T, d wire.Deps, c generic.Config) *generic.Provider {
	t.Helper()
	p, err := generic.New(d, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestTheWireIsAsTheCasesSay(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return smswiretest.Vendor{Provider: newProvider(t, d, gateway())} })
}
