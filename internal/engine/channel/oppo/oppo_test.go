package oppo_test

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/channel/oppo"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
)

const credentials = `{"app_id":"app-1","app_key":"key-1","master_secret":"secret-1"}`

func parse(t testing.TB, v *oppo.Vendor, raw string) wire.Credentials {
	t.Helper()
	c, err := v.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCredentialsAreCheckedFieldByField(t *testing.T) {
	t.Parallel()
	v := oppo.New(wire.Deps{Clock: clock.System{}})
	if c := parse(t, v, credentials); c.ID() != "key-1" {
		t.Fatalf("id %q", c.ID())
	}
	for raw, field := range map[string]string{
		`{"master_secret":"s"}`:                                 "app_key",
		`{"app_key":"k"}`:                                       "master_secret",
		`{"app_key":"k","master_secret":""}`:                    "master_secret",
		`{"app_key":"k ","master_secret":"s"}`:                  "app_key",
		`{"app_key":"k","master_secret":"密"}`:                   "master_secret",
		`{"app_key":"k","master_secret":"s","region":"moon"}`:   "region",
		`{"app_key":"k","master_secret":"s","host":"http://x"}`: "host",
		`{"app_key":"k","master_secret":["s"]}`:                 "master_secret",
		`{"app_key":"` + strings.Repeat("k", 257) + `"}`:        "app_key",
		`{"app_key":"k","master_secret":"s","app_id":"a\nb"}`:   "app_id",
		`[]`:   "credentials",
		`null`: "credentials",
	} {
		_, err := v.Parse([]byte(raw))
		var wrong *wire.FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v, want a complaint about %s", raw, err, field)
		}
	}
}

func TestFiftySendsFetchOneAccessToken(t *testing.T) {
	t.Parallel()
	var fetched, sent atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/server/v1/auth" {
			fetched.Add(1)
			_, _ = io.WriteString(w, `{"code":0,"data":{"auth_token":"t"}}`)
			return
		}
		sent.Add(1)
		_, _ = io.WriteString(w, `{"code":0,"data":{"messageId":"m"}}`)
	}))
	defer server.Close()
	now := clock.NewFake(wiretest.Now)
	v := oppo.New(wire.Deps{BaseURL: server.URL, Clock: now})
	c := parse(t, v, credentials)
	m := &wire.Message{ID: "1", Kind: wire.Notification, Title: "t", Body: "b", TTL: time.Hour}
	all := func() {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if o := v.Send(t.Context(), c, []wire.Token{{Value: "a"}}, m); len(o) != 1 || o[0].Status != wire.Accepted {
					t.Errorf("%+v", o)
				}
			})
		}
		wg.Wait()
	}
	all()
	now.Advance(23 * time.Hour)
	all()
	if fetched.Load() != 1 || sent.Load() != 100 {
		t.Fatalf("%d access tokens for %d messages", fetched.Load(), sent.Load())
	}
	now.Advance(time.Hour)
	all()
	if fetched.Load() != 2 {
		t.Fatalf("%d access tokens after a day", fetched.Load())
	}
}

func TestProbeSaysWhichFieldIsWrong(t *testing.T) {
	t.Parallel()
	code := "0"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"code":`+code+`,"message":"m","data":{"auth_token":"t"}}`)
	}))
	defer server.Close()
	v := oppo.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
	c := parse(t, v, credentials)
	for _, want := range []struct{ code, field string }{{"0", ""}, {"14", "app_key"}, {"16", "master_secret"}} {
		code = want.code
		err := v.Probe(t.Context(), c)
		var wrong *wire.FieldError
		if want.field == "" && err != nil || want.field != "" && (!errors.As(err, &wrong) || wrong.Field != want.field) {
			t.Errorf("code %s: %v", code, err)
		}
	}
	code = "-1"
	var wrong *wire.FieldError
	if err := v.Probe(t.Context(), c); err == nil || errors.As(err, &wrong) {
		t.Errorf("an unwell vendor blames the credentials: %v", err)
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	v := oppo.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, credentials)
	body := `[{"messageId":"m","appId":"app-1","taskId":"k","registrationIds":"a, b","eventTime":"1772703000123","param":"1001","eventType":"push_arrive"},
		{"appId":"app-1","registrationIds":"c","eventTime":1772703000124,"param":"1001","eventType":"regid_invalid"},
		{"registrationIds":"d","param":"no id","eventType":"user_daily_limit"},
		{"registrationIds":"e","eventType":"something new"},{"registrationIds":"","param":"","eventType":"push_arrive"}]`
	got, answer, err := v.Receipts(c, httptest.NewRequest(http.MethodPost, "/", nil), []byte(body))
	want := []wire.Receipt{
		{Token: "a", ID: "1001", Event: wire.Arrived, At: 1772703000123}, {Token: "b", ID: "1001", Event: wire.Arrived, At: 1772703000123},
		{Token: "c", ID: "1001", Event: wire.Unregistered, At: 1772703000124}, {Token: "d", Event: wire.Lost, Code: "user_daily_limit"},
	}
	if err != nil || !json.Valid(answer) || len(got) != len(want) {
		t.Fatalf("%+v, %q, %v", got, answer, err)
	}
	for i := range want {
		if got[i] != want[i] {
			t.Errorf("receipt %d: %+v, want %+v", i, got[i], want[i])
		}
	}
	if _, _, err := v.Receipts(c, nil, []byte(`[{"appId":"another","registrationIds":"a","eventType":"push_arrive"}]`)); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("another app's receipt: %v", err)
	}
	for _, bad := range []string{`{`, `{"a":1}`, ``, `[1]`, `[{"registrationIds":"` + strings.Repeat("a,", wire.MaxReceipts+1) + `","eventType":"push_arrive"}]`} {
		if r, _, err := v.Receipts(c, nil, []byte(bad)); err == nil || r != nil {
			t.Errorf("%.40s: %d receipts, %v", bad, len(r), err)
		}
	}
}
