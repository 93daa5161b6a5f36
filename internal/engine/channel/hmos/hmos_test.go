package hmos_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"borealis/internal/engine/channel/hmos"
	"borealis/internal/engine/channel/pushkit/pushkittest"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
)

var hello = wire.Message{ID: "42", Kind: wire.Notification, Title: "Hello", Body: "World", TTL: 3600e9}

func account() string { return `{"service_account":` + string(pushkittest.KeyFile()) + `}` }

func parse(t testing.TB, v *hmos.Vendor, raw string) wire.Credentials {
	t.Helper()
	c, err := v.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCases(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return hmos.New(d) },
		`"$key"`, string(pushkittest.KeyFile()), `"$bare"`, string(pushkittest.KeyFile("project_id", "")))
}

func TestCredentialsAreChecked(t *testing.T) {
	t.Parallel()
	v := hmos.New(wire.Deps{Clock: clock.System{}})
	with := func(fields string, change ...string) string {
		return `{"service_account":` + string(pushkittest.KeyFile(change...)) + fields + `}`
	}
	for raw, field := range map[string]string{
		`{}`:                              "service_account",
		`{"app_id":"1","app_secret":"s"}`: "app_id",
		with("", "sub_account", ""):       "service_account.sub_account",
		with("", "private_key", "x"):      "service_account.private_key",
		with("", "project_id", ""):        "project_id",
		with(`,"project_id":"x"`):         "project_id",
		with(`,"project_id":"7"`):         "project_id",
		with(`,"client_id":"a/b"`):        "client_id",
		with(`,"callback_user":"u"`):      "callback_secret",
		with(`,"region":"de"`):            "region",
	} {
		_, err := v.Parse([]byte(raw))
		if wrong, ok := errors.AsType[*wire.FieldError](err); !ok || wrong.Field != field {
			t.Errorf("%.60s: %v, want %s", raw, err, field)
		}
	}
	if c := parse(t, v, account()); c.ID() != pushkittest.Project {
		t.Errorf("id %s", c.ID())
	}
}

// huawei answers with success and remembers the tokens that signed, and the device tokens of each call.
type huawei struct {
	*httptest.Server
	mu     sync.Mutex
	signed map[string]int
	calls  [][]string
}

func newHuawei(t *testing.T) *huawei {
	t.Helper()
	h := &huawei{signed: make(map[string]int)}
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var request struct{ Target struct{ Token []string } }
		_ = json.Unmarshal(body, &request)
		h.mu.Lock()
		h.signed[strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")]++
		h.calls = append(h.calls, request.Target.Token)
		h.mu.Unlock()
		_, _ = fmt.Fprintf(w, `{"code":"80000000","requestId":"%s"}`, strings.Join(request.Target.Token, ","))
	}))
	t.Cleanup(h.Close)
	return h
}

func TestSendsAtOnceShareOneSignature(t *testing.T) {
	t.Parallel()
	h := newHuawei(t)
	now := clock.NewFake(wiretest.Now)
	v := hmos.New(wire.Deps{BaseURL: h.URL, Clock: now})
	c := parse(t, v, account())
	all := func() {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() { v.Send(t.Context(), c, []wire.Token{{Value: "a"}}, &hello) })
		}
		wg.Wait()
	}
	all()
	now.Advance(54 * time.Minute)
	all()
	if len(h.signed) != 1 || len(h.calls) != 100 {
		t.Fatalf("%d signatures for %d calls", len(h.signed), len(h.calls))
	}
	for token := range h.signed {
		checkToken(t, token)
	}
	now.Advance(time.Minute)
	all()
	if len(h.signed) != 2 {
		t.Fatalf("%d signatures in two lives", len(h.signed))
	}
}

func checkToken(t *testing.T, token string) {
	t.Helper()
	var file struct {
		PrivateKey string `json:"private_key"`
	}
	if err := json.Unmarshal(pushkittest.KeyFile(), &file); err != nil {
		t.Fatal(err)
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(file.PrivateKey))
	if err != nil {
		t.Fatal(err)
	}
	claims := jwt.MapClaims{}
	parsed, err := jwt.NewParser(jwt.WithValidMethods([]string{"PS256"}), jwt.WithoutClaimsValidation()).
		ParseWithClaims(token, claims, func(*jwt.Token) (any, error) { return &key.PublicKey, nil })
	if err != nil {
		t.Fatal(err)
	}
	want := jwt.MapClaims{
		"iss": "110001", "aud": "https://oauth-login.cloud.huawei.com/oauth2/v3/token",
		"iat": float64(wiretest.Now.Unix()), "exp": float64(wiretest.Now.Add(time.Hour).Unix()),
	}
	if fmt.Sprint(claims) != fmt.Sprint(want) || parsed.Header["kid"] != "k-1" || parsed.Header["typ"] != "JWT" {
		t.Errorf("header %v, claims %v, want %v", parsed.Header, claims, want)
	}
}

func TestTestMessagesAndFormsGoInSmallParts(t *testing.T) {
	t.Parallel()
	tokens := make([]wire.Token, 25)
	for i := range tokens {
		tokens[i].Value = fmt.Sprintf("t%02d", i)
	}
	test, form := hello, hello
	test.Test = true
	form.PushType, form.Payload = 1, json.RawMessage(`{"formId":1}`)
	for name, c := range map[string]struct {
		m     *wire.Message
		sizes []int
	}{"formal": {&hello, []int{25}}, "test": {&test, []int{5, 10, 10}}, "form": {&form, slices.Repeat([]int{1}, 25)}} {
		h := newHuawei(t)
		v := hmos.New(wire.Deps{BaseURL: h.URL, Clock: clock.NewFake(wiretest.Now)})
		out := v.Send(t.Context(), parse(t, v, account()), tokens, c.m)
		var sizes []int
		for _, call := range h.calls {
			sizes = append(sizes, len(call))
		}
		if slices.Sort(sizes); !slices.Equal(sizes, c.sizes) {
			t.Errorf("%s: calls of %v tokens", name, sizes)
		}
		for i, o := range out {
			if o.Status != wire.Accepted || !strings.Contains(o.VendorID, tokens[i].Value) {
				t.Errorf("%s: token %d: %+v", name, i, o)
			}
		}
	}
}

func TestProbeSaysWhatHuaweiRefuses(t *testing.T) {
	t.Parallel()
	for code, field := range map[string]string{
		"80300007": "", "80000000": "", "80200001": "service_account", "80300036": "service_account", "80300002": "project_id", "80300037": "project_id", "81000001": "error",
	} {
		v := hmos.New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: wiretest.Answers(func(r *http.Request) (int, string) {
			body, _ := io.ReadAll(r.Body)
			if !strings.Contains(string(body), `"testMessage":true`) {
				t.Errorf("a probe is no test message: %s", body)
			}
			return 200, `{"code":"` + code + `","msg":"m"}`
		})})
		err := v.Probe(t.Context(), parse(t, v, account()))
		wrong, isField := errors.AsType[*wire.FieldError](err)
		if (err == nil) != (field == "") || isField && wrong.Field != field || !isField && field != "" && field != "error" {
			t.Errorf("%s: %v", code, err)
		}
	}
}

func FuzzAnswers(f *testing.F) {
	f.Add(200, `{"code":"80100000","msg":"{\"illegalTokens\":{\"noRight\":[\"b\"]},\"success\":2,\"failure\":1}","requestId":"r"}`)
	f.Add(401, `{"code":"80200005"}`)
	f.Add(503, `<html>`)
	raw := account()
	f.Fuzz(func(t *testing.T, status int, body string) {
		v := hmos.New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: wiretest.Answers(func(*http.Request) (int, string) {
			return 100 + (status%500+500)%500, body
		})})
		c := parse(t, v, raw)
		strange := hello
		strange.PushType, strange.Payload = status%12, json.RawMessage(body)
		tokens := []wire.Token{{Value: "a"}, {Value: "b"}, {Value: "c"}}
		for _, out := range [][]wire.Outcome{v.Send(t.Context(), c, tokens, &hello), v.Send(t.Context(), c, tokens, &strange), v.Retract(t.Context(), c, tokens, "1")} {
			if len(out) != 3 {
				t.Fatalf("%d outcomes", len(out))
			}
		}
	})
}
