package vivo_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/vivo"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

// answers is a transport that says the same to everything but the access token.
type answers struct {
	status int
	body   []byte
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	body := a.body
	if strings.HasSuffix(r.URL.Path, "/message/auth") {
		body, a.status = []byte(`{"result":0,"authToken":"t"}`), http.StatusOK
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func FuzzEveryAnswerGivesAnOutcomeForEachDevice(f *testing.F) {
	f.Add(200, []byte(`{"result":0,"taskId":"k","invalidUsers":[{"userid":"a","status":1}]}`), 1, false)
	f.Add(200, []byte(`{"result":0,"taskId":"k","invalidUser":{"userid":"a","status":2}}`), 2, false)
	f.Add(200, []byte(`{"result":10000}`), 3, true)
	f.Add(503, []byte(`<html>`), 2, false)
	f.Add(200, []byte(`{"result":10302,"invalidUsers":null}`), 2, true)
	f.Fuzz(func(t *testing.T, status int, body []byte, n int, live bool) {
		if status < 100 || status > 999 || n < 0 || n > 50 {
			t.Skip()
		}
		v := vivo.New(wire.Deps{Transport: answers{status, body}, Clock: clock.System{}})
		m := &wire.Message{ID: "1", Kind: wire.Notification, Title: "t", Body: "b", TTL: time.Hour}
		if live {
			m.Kind, m.Options = wire.Live, []byte(`{"vivo_liveMessage":{}}`)
		}
		tokens := make([]wire.Token, n)
		for i := range tokens {
			tokens[i].Value = string(rune('a' + i))
		}
		outcomes := v.Send(t.Context(), parse(t, v, credentials), tokens, m)
		if len(outcomes) != n {
			t.Fatalf("%d outcomes for %d devices", len(outcomes), n)
		}
		for _, o := range outcomes {
			if len(o.Reason) > 200 || len(o.Code) > 200 {
				t.Fatalf("unbounded: %+v", o)
			}
		}
	})
}

func FuzzReceiptsNeverPanic(f *testing.F) {
	f.Add([]byte(`{"k":{"param":"1","targets":"a,b","ackTime":"1","ackType":104,"subAckType":"2183"}}`))
	f.Add([]byte(`{"k":{"param":"x","ackType":null,"ackTime":-1}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v := vivo.New(wire.Deps{Clock: clock.System{}})
		receipts, _, err := v.Receipts(parse(t, v, credentials), nil, body)
		if err != nil && receipts != nil {
			t.Fatal("receipts and an error")
		}
		for _, r := range receipts {
			if r.Token == "" && r.ID == "" || r.Event == 0 || r.At < 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}
