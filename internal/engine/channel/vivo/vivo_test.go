package vivo_test

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/channel/vivo"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
)

const credentials = `{"app_id":"10004","app_key":"key-1","app_secret":"secret-1"}`

func parse(t testing.TB, v *vivo.Vendor, raw string) wire.Credentials {
	t.Helper()
	c, err := v.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestCredentialsAreCheckedFieldByField(t *testing.T) {
	t.Parallel()
	v := vivo.New(wire.Deps{Clock: clock.System{}})
	if c := parse(t, v, credentials); c.ID() != "10004" {
		t.Fatalf("id %q", c.ID())
	}
	for raw, field := range map[string]string{
		`{"app_key":"k","app_secret":"s"}`:                                             "app_id",
		`{"app_id":"1","app_secret":"s"}`:                                              "app_key",
		`{"app_id":"1","app_key":"k"}`:                                                 "app_secret",
		`{"app_id":1,"app_key":"k","app_secret":"s"}`:                                  "app_id",
		`{"app_id":"x","app_key":"k","app_secret":"s"}`:                                "app_id",
		`{"app_id":"01","app_key":"k","app_secret":"s"}`:                               "app_id",
		`{"app_id":"1234567890123456789","app_key":"k","app_secret":"s"}`:              "app_id",
		`{"app_id":"1","app_key":"k k","app_secret":"s"}`:                              "app_key",
		`{"app_id":"1","app_key":"k","app_secret":"s","package_name":"密"}`:             "package_name",
		`{"app_id":"1","app_key":"k","app_secret":"s","url":"http://example.com"}`:     "url",
		`{"app_id":"1","app_key":"k","app_secret":"` + strings.Repeat("s", 257) + `"}`: "app_secret",
		`7`: "credentials",
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
		if r.URL.Path == "/message/auth" {
			fetched.Add(1)
			_, _ = io.WriteString(w, `{"result":0,"authToken":"t"}`)
			return
		}
		sent.Add(1)
		_, _ = io.WriteString(w, `{"result":0,"taskId":"k"}`)
	}))
	defer server.Close()
	now := clock.NewFake(wiretest.Now)
	v := vivo.New(wire.Deps{BaseURL: server.URL, Clock: now})
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
	now.Advance(time.Hour)
	all()
	if fetched.Load() != 1 || sent.Load() != 100 {
		t.Fatalf("%d access tokens for %d messages", fetched.Load(), sent.Load())
	}
	now.Advance(time.Hour)
	all()
	if fetched.Load() != 2 {
		t.Fatalf("%d access tokens after two hours", fetched.Load())
	}
}

func TestALiveMessageGoesToEachDeviceWithAnIdOfItsOwn(t *testing.T) {
	t.Parallel()
	var mu sync.Mutex
	ids := make(map[string]string)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var body struct {
			RegID     string `json:"regId"`
			RequestID string `json:"requestId"`
		}
		_ = json.NewDecoder(r.Body).Decode(&body)
		if r.URL.Path == "/livemessage/send" {
			mu.Lock()
			ids[body.RequestID] = body.RegID
			mu.Unlock()
		}
		_, _ = fmt.Fprintf(w, `{"result":0,"authToken":"t","taskId":"k-%s"}`, body.RegID)
	}))
	defer server.Close()
	v := vivo.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
	c := parse(t, v, credentials)
	m := &wire.Message{ID: "1", Kind: wire.Live, TTL: time.Hour, Options: json.RawMessage(`{"vivo_liveMessage":{"operation":1}}`)}
	tokens := make([]wire.Token, 30)
	for i := range tokens {
		tokens[i].Value = fmt.Sprint("r", i)
	}
	for range 2 {
		for i, o := range v.Send(t.Context(), c, tokens, m) {
			if o.Status != wire.Accepted || o.VendorID != "k-"+tokens[i].Value {
				t.Errorf("device %d: %+v", i, o)
			}
		}
		if len(ids) != len(tokens) {
			t.Fatalf("%d request ids for %d devices", len(ids), len(tokens))
		}
	}
}

func TestProbeSaysWhichFieldIsWrong(t *testing.T) {
	t.Parallel()
	code := "0"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"result":`+code+`,"desc":"d","authToken":"t"}`)
	}))
	defer server.Close()
	v := vivo.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
	c := parse(t, v, credentials)
	for _, want := range []struct{ code, field string }{{"0", ""}, {"10205", "app_id"}, {"10202", "app_key"}, {"10206", "app_secret"}} {
		code = want.code
		err := v.Probe(t.Context(), c)
		var wrong *wire.FieldError
		if want.field == "" && err != nil || want.field != "" && (!errors.As(err, &wrong) || wrong.Field != want.field) {
			t.Errorf("code %s: %v", code, err)
		}
	}
	code = "10093"
	var wrong *wire.FieldError
	if err := v.Probe(t.Context(), c); err == nil || errors.As(err, &wrong) {
		t.Errorf("too many calls blame the credentials: %v", err)
	}
}

func TestReceipts(t *testing.T) {
	t.Parallel()
	v := vivo.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, credentials)
	body := `{"k1":{"param":"1001","targets":"a, b"},
		"k2":{"param":"1002","targets":"c","ackTime":"1772703000123","ackType":"0"},
		"k3":{"param":"1003","targets":"d","ackTime":1772703000124,"ackType":104,"subAckType":"1040"},
		"k4":{"param":"1004","targets":"e","ackType":"104","subAckType":2183},
		"k5":{"param":"no id","targets":"f","ackType":"101"},
		"k6":{"param":"1006","targets":"g","ackType":"999"},
		"k7":{"param":"1007","targets":"h","ackType":"302","subAckType":"32005"},
		"k8":{"param":"1008","targets":"i","ackType":"300"},
		"k9":{"param":"","targets":""}}`
	got, answer, err := v.Receipts(c, httptest.NewRequest(http.MethodPost, "/", nil), []byte(body))
	want := []wire.Receipt{
		{Token: "a", ID: "1001", Event: wire.Arrived}, {Token: "b", ID: "1001", Event: wire.Arrived},
		{Token: "c", ID: "1002", Event: wire.Arrived, At: 1772703000123},
		{Token: "d", ID: "1003", Event: wire.Lost, Code: "104 1040", At: 1772703000124},
		{Token: "e", ID: "1004", Event: wire.Unregistered, Code: "2183"}, {Token: "f", Event: wire.Lost, Code: "101"},
		{Token: "h", ID: "1007", Event: wire.Unregistered, Code: "32005"}, {Token: "i", ID: "1008", Event: wire.Arrived},
	}
	slices.SortFunc(got, func(a, b wire.Receipt) int { return cmp.Compare(a.Token, b.Token) })
	if err != nil || !json.Valid(answer) || !slices.Equal(got, want) {
		t.Fatalf("%+v\nwant\n%+v\n%q, %v", got, want, answer, err)
	}
	for _, bad := range []string{`{`, `[1]`, ``, `null`, `{"k":7}`, `{"k":{"targets":"` + strings.Repeat("a,", wire.MaxReceipts+1) + `"}}`} {
		if r, _, err := v.Receipts(c, nil, []byte(bad)); err == nil || r != nil {
			t.Errorf("%.40s: %d receipts, %v", bad, len(r), err)
		}
	}
}
