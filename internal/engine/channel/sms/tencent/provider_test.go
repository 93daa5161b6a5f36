package tencent_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/sms/tencent"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const credentials = `{"secret_id":"i","secret_key":"s","sdk_app_id":"k","templates":{"1":"SMS_1","2":"SMS_2"},"signs":{"0":"S"}}`

func TestCredentialsAreCheckedFieldByField(t *testing.T) {
	t.Parallel()
	p := tencent.New(wire.Deps{Clock: clock.System{}})
	c, err := p.Parse([]byte(credentials))
	if err != nil || c.ID() != "k" {
		t.Fatal(err)
	}
	for raw, field := range map[string]string{
		`{"secret_key":"s","sdk_app_id":"a","templates":{"1":"a"}}`:                                   "secret_id",
		`{"secret_id":"k","sdk_app_id":"a","templates":{"1":"a"}}`:                                    "secret_key",
		`{"secret_id":"k","secret_key":"s","templates":{"1":"a"}}`:                                    "sdk_app_id",
		`{"secret_id":"k","secret_key":"s","sdk_app_id":7,"templates":{"1":"a"}}`:                     "sdk_app_id",
		`{"secret_id":"k k","secret_key":"s","sdk_app_id":"a","templates":{"1":"a"}}`:                 "secret_id",
		`{"secret_id":"k","secret_key":"s","sdk_app_id":"a","region":"mars","templates":{"1":"a"}}`:   "region",
		`{"secret_id":"k","secret_key":"s","sdk_app_id":"a"}`:                                         "templates",
		`{"secret_id":"k","secret_key":"s","sdk_app_id":"a","templates":{"1":"a"},"signs":{"x":"y"}}`: "signs",
		`{"secret_id":"k","secret_key":"s","sdk_app_id":"a","host":"x","templates":{"1":"a"}}`:        "host",
		`[]`: "credentials",
	} {
		_, err := p.Parse([]byte(raw))
		var wrong *wire.FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v, want a complaint about %s", raw, err, field)
		}
	}
}

// answers is a transport that always says the same.
type answers struct {
	status int
	body   []byte
}

func (a answers) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: a.status, Header: http.Header{}, Body: io.NopCloser(bytes.NewReader(a.body)), Request: r}, nil
}

func FuzzEveryAnswerGivesAnOutcomeForEachMessage(f *testing.F) {
	f.Add(200, []byte(`{"Response":{"SendStatusSet":[{"SerialNo":"s","PhoneNumber":"+8613800138000","Code":"Ok"}]}}`), 3)
	f.Add(200, []byte(`{"Response":{"Error":{"Code":"AuthFailure.SignatureExpire","Message":"m"}}}`), 2)
	f.Add(200, []byte(`{"Response":{"SendStatusSet":[]}}`), 2)
	f.Add(503, []byte(`<html>`), 2)
	f.Fuzz(func(t *testing.T, status int, body []byte, n int) {
		if status < 100 || status > 999 || n < 0 || n > 20 {
			t.Skip()
		}
		p := tencent.New(wire.Deps{Transport: answers{status, body}, Clock: clock.System{}})
		c, err := p.Parse([]byte(credentials))
		if err != nil {
			t.Fatal(err)
		}
		messages := make([]smswire.Message, n)
		for i := range messages {
			messages[i] = smswire.Message{ID: "1", Mobile: "+8613800138000", Template: int64(1 + i%3)}
		}
		outcomes := p.Send(t.Context(), c, messages)
		if len(outcomes) != n {
			t.Fatalf("%d outcomes for %d messages", len(outcomes), n)
		}
		for i, o := range outcomes {
			if i%3 == 2 && o.Status != wire.Rejected || len(o.Reason) > 200 || len(o.VendorID) > 128 {
				t.Fatalf("%+v", o)
			}
		}
	})
}
