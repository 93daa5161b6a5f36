package oppo_test

import (
	"bytes"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/oppo"
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
	if strings.HasSuffix(r.URL.Path, "/auth") {
		body, a.status = []byte(`{"code":0,"data":{"auth_token":"t"}}`), http.StatusOK
	}
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
}

func FuzzEveryAnswerGivesAnOutcomeForEachDevice(f *testing.F) {
	f.Add(200, []byte(`{"code":0,"data":{"messageId":"m","message_id":"m"}}`), 1, false)
	f.Add(200, []byte(`{"code":0,"data":[{"messageId":"m","registrationId":"a"},{"errorCode":10000,"registrationId":"b"}]}`), 2, false)
	f.Add(200, []byte(`{"code":0,"data":{"message_id":"m","10000":["a"],"10001":"b"}}`), 3, true)
	f.Add(503, []byte(`<html>`), 2, false)
	f.Add(200, []byte(`{"code":11}`), 2, true)
	f.Fuzz(func(t *testing.T, status int, body []byte, n int, picture bool) {
		if status < 100 || status > 999 || n < 0 || n > 50 {
			t.Skip()
		}
		v := oppo.New(wire.Deps{Transport: answers{status, body}, Clock: clock.System{}})
		m := &wire.Message{ID: "1", Kind: wire.Notification, Title: "t", Body: "b", TTL: time.Hour}
		if picture {
			m.Style.BigPicture = "p"
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
	f.Add([]byte(`[{"appId":"app-1","registrationIds":"a,b","eventTime":"1","param":"2","eventType":"push_arrive"}]`))
	f.Add([]byte(`[{"appId":1,"eventTime":null}]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v := oppo.New(wire.Deps{Clock: clock.System{}})
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
