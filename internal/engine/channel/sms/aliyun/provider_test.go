package aliyun_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"testing"

	"borealis/internal/engine/channel/sms/aliyun"
	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const credentials = `{"access_key_id":"k","access_key_secret":"s","templates":{"1":"SMS_1","2":"SMS_2"},"signs":{"0":"S"}}`

func TestCredentialsAreCheckedFieldByField(t *testing.T) {
	t.Parallel()
	p := aliyun.New(wire.Deps{Clock: clock.System{}})
	c, err := p.Parse([]byte(credentials))
	if err != nil || c.ID() != "k" {
		t.Fatal(err)
	}
	for raw, field := range map[string]string{
		`{"access_key_secret":"s","templates":{"1":"a"},"signs":{"0":"s"}}`:                                           "access_key_id",
		`{"access_key_id":"k","templates":{"1":"a"},"signs":{"0":"s"}}`:                                               "access_key_secret",
		`{"access_key_id":"k,x","access_key_secret":"s","templates":{"1":"a"},"signs":{"0":"s"}}`:                     "access_key_id",
		`{"access_key_id":"k","access_key_secret":"s s","templates":{"1":"a"},"signs":{"0":"s"}}`:                     "access_key_secret",
		`{"access_key_id":"k","access_key_secret":"s","region":"x","templates":{"1":"a"},"signs":{"0":"s"}}`:          "region",
		`{"access_key_id":"k","access_key_secret":"s","signs":{"0":"s"}}`:                                             "templates",
		`{"access_key_id":"k","access_key_secret":"s","templates":{"1":"a"}}`:                                         "signs",
		`{"access_key_id":"k","access_key_secret":"s","endpoint":"http://x","templates":{"1":"a"},"signs":{"0":"s"}}`: "endpoint",
		`{"access_key_id":"k","access_key_secret":"s","templates":[1]}`:                                               "templates",
		`x`: "credentials",
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
	f.Add(200, []byte(`{"Code":"OK","BizId":"b"}`), 1)
	f.Add(200, []byte(`{"Code":"isv.MOBILE_NUMBER_ILLEGAL","Message":"m"}`), 3)
	f.Add(400, []byte(`{"Code":"Throttling.User"}`), 2)
	f.Add(503, []byte(`<html>`), 2)
	f.Fuzz(func(t *testing.T, status int, body []byte, n int) {
		if status < 100 || status > 999 || n < 0 || n > 20 {
			t.Skip()
		}
		p := aliyun.New(wire.Deps{Transport: answers{status, body}, Clock: clock.System{}})
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
