package huawei_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"borealis/internal/engine/channel/huawei"
	"borealis/internal/engine/channel/pushkit/pushkittest"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
)

const (
	grant  = `{"path":"/oauth2/v3/token","answer":{"body":{"access_token":"one","expires_in":3600}}}`
	secret = `{"app_id":"100","app_secret":"s3cret"}`
)

var hello = wire.Message{ID: "42", Kind: wire.Notification, Title: "Hello", Body: "World", TTL: 3600e9}

func parse(t testing.TB, v *huawei.Vendor, raw string) wire.Credentials {
	t.Helper()
	c, err := v.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCases(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return huawei.New(d) },
		`"$key"`, string(pushkittest.KeyFile()), `"$grant"`, grant)
}

func TestCredentialsAreChecked(t *testing.T) {
	t.Parallel()
	v := huawei.New(wire.Deps{Clock: clock.System{}})
	key := func(change ...string) string {
		return `{"service_account":` + string(pushkittest.KeyFile(change...)) + `}`
	}
	for raw, field := range map[string]string{
		`{}`:                               "app_secret",
		`{"app_id":"100"}`:                 "app_secret",
		`{"app_secret":"s"}`:               "app_id",
		`{"app_id":"x","app_secret":"s"}`:  "app_id",
		`{"app_id":"1","app_secrets":"s"}`: "app_secrets",
		`{"app_id":1,"app_secret":"s"}`:    "app_id",
		`{"app_id":"1","app_secret":"s","project_id":"a/b"}`:                         "project_id",
		`{"app_id":"1","app_secret":"s","package":"nodots"}`:                         "package",
		`{"app_id":"1","app_secret":"s","callback_user":"u"}`:                        "callback_secret",
		`{"app_id":"1","app_secret":"s","callback_secret":"u"}`:                      "callback_user",
		key("private_key", "x"):                                                      "service_account.private_key",
		key("private_key", ""):                                                       "service_account.private_key",
		key("key_id", ""):                                                            "service_account.key_id",
		key("sub_account", "me"):                                                     "service_account.sub_account",
		key("project_id", "../1"):                                                    "service_account.project_id",
		key("project_id", ""):                                                        "project_id",
		key("token_uri", "https://evil.example"):                                     "service_account.token_uri",
		key("private_key", pushkittest.NewKey(1024)):                                 "service_account.private_key",
		`{"project_id":"1","service_account":` + string(pushkittest.KeyFile()) + `}`: "project_id",
	} {
		_, err := v.Parse([]byte(raw))
		if wrong, ok := errors.AsType[*wire.FieldError](err); !ok || wrong.Field != field {
			t.Errorf("%.80s: %v, want %s", raw, err, field)
		}
	}
	for raw, id := range map[string]string{
		secret: "100", key(): pushkittest.Project, `{"app_id":"100","project_id":"7","app_secret":"s"}`: "100",
		`{"project_id":"7","service_account":` + string(pushkittest.KeyFile("project_id", "")) + `}`: "7",
	} {
		if c := parse(t, v, raw); c.ID() != id {
			t.Errorf("%.60s: id %s", raw, c.ID())
		}
	}
}

func TestSendsAtOnceFetchOneAccessToken(t *testing.T) {
	t.Parallel()
	var grants, sends atomic.Int64
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/oauth2/") {
			grants.Add(1)
			_, _ = io.WriteString(w, `{"access_token":"x","expires_in":3600}`)
			return
		}
		sends.Add(1)
		_, _ = io.WriteString(w, `{"code":"80000000","requestId":"r"}`)
	}))
	defer server.Close()
	v := huawei.New(wire.Deps{BaseURL: server.URL, Clock: clock.NewFake(wiretest.Now)})
	c := parse(t, v, secret)
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if o := v.Send(t.Context(), c, []wire.Token{{Value: "a"}}, &hello); o[0].Status != wire.Accepted {
				t.Errorf("%+v", o)
			}
		})
	}
	wg.Wait()
	if grants.Load() != 1 || sends.Load() != 50 {
		t.Fatalf("%d access tokens for %d calls", grants.Load(), sends.Load())
	}
	v.Send(t.Context(), parse(t, v, `{"app_id":"100","app_secret":"other"}`), []wire.Token{{Value: "a"}}, &hello)
	if grants.Load() != 2 {
		t.Fatal("another secret of the same app got the access token of the first")
	}
}

func TestProbeSaysWhatHuaweiRefuses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		grant       int
		code, field string
		failed      bool
	}{
		"taken":         {200, "80300007", "", false},
		"secret":        {400, "80000000", "app_secret", true},
		"another app's": {200, "80200001", "app_secret", true},
		"no right":      {200, "80300002", "project_id", true},
		"unwell":        {200, "81000001", "", true},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			if strings.HasPrefix(r.URL.Path, "/oauth2/") {
				w.WriteHeader(c.grant)
				_, _ = io.WriteString(w, map[int]string{200: `{"access_token":"x","expires_in":60}`, 400: `{"error":1101}`}[c.grant])
				return
			}
			if !strings.Contains(string(body), `"validate_only":true`) {
				t.Errorf("a probe sends: %s", body)
			}
			_, _ = fmt.Fprintf(w, `{"code":"%s","msg":"m"}`, c.code)
		}))
		v := huawei.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
		err := v.Probe(t.Context(), parse(t, v, secret))
		wrong, isField := errors.AsType[*wire.FieldError](err)
		if (err != nil) != c.failed || isField != (c.field != "") || isField && wrong.Field != c.field {
			t.Errorf("%s: %v", name, err)
		}
		server.Close()
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"code":"80100000","msg":"{\"success\":2,\"failure\":1,\"illegal_tokens\":[\"b\"]}","requestId":"r"}`)
	f.Add(200, `{"code":"80300007","msg":"{\"illegalTokens\":{\"noRight\":[\"b\"]}}"}`)
	f.Add(401, `{"code":80200003}`)
	f.Add(503, `<html>`)
	f.Fuzz(func(t *testing.T, status int, body string) {
		v := huawei.New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: wiretest.Answers(func(r *http.Request) (int, string) {
			if strings.HasPrefix(r.URL.Path, "/oauth2/") && status%2 == 0 {
				return 200, `{"access_token":"x","expires_in":60}`
			}
			return 100 + (status%500+500)%500, body
		})})
		m := hello
		m.Options = json.RawMessage(body) // it is as strange to Options
		for _, message := range []*wire.Message{&hello, &m} {
			if o := v.Send(t.Context(), parse(t, v, secret), []wire.Token{{Value: "a"}, {Value: "b"}, {Value: "c"}}, message); len(o) != 3 {
				t.Fatalf("%d outcomes", len(o))
			}
		}
	})
}
