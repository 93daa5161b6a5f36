package xiaomi_test

import (
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/engine/channel/xiaomi"
	"borealis/internal/kernel/clock"
)

const account = `{"app_secret":"s3cret==","package_name":"com.example.app","channel_id":"pub1"}`

func TestCases(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return xiaomi.New(d) })
}

func parse(t testing.TB, v *xiaomi.Vendor, raw string) wire.Credentials {
	t.Helper()
	c, err := v.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	v := xiaomi.New(wire.Deps{Clock: clock.System{}})
	for raw, field := range map[string]string{
		`[]`:                     "credentials",
		`{}`:                     "app_secret",
		`{"app_secret":"s"}`:     "package_name",
		`{"package_name":"a.b"}`: "app_secret",
		`{"app_secret":1}`:       "app_secret",
		`{"app_secret":"a b","package_name":"a.b"}`:                 "app_secret",
		`{"app_secret":"a\n","package_name":"a.b"}`:                 "app_secret",
		`{"app_secret":"s","package_name":"example"}`:               "package_name",
		`{"app_secret":"s","package_name":"a..b"}`:                  "package_name",
		`{"app_secret":"s","package_name":"a.1b"}`:                  "package_name",
		`{"app_secret":"s","package_name":"a.b/c"}`:                 "package_name",
		`{"app_secret":"s","package_name":"a.b","region":"mars"}`:   "region",
		`{"app_secret":"s","package_name":"a.b","region":"https:"}`: "region",
		`{"app_secret":"s","package_name":"a.b","host":"x"}`:        "host",
	} {
		_, err := v.Parse([]byte(raw))
		var wrong *wire.FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v, want an error of field %s", raw, err, field)
		}
	}
	if c := parse(t, v, account); c.ID() != "com.example.app@cn" {
		t.Errorf("id %q", c.ID())
	}
	if c := parse(t, v, `{"app_secret":"s","package_name":"a.b","region":"in"}`); c.ID() != "a.b@in" {
		t.Errorf("id %q", c.ID())
	}
}

// kept is a transport that keeps the host of the last call and answers nothing.
type kept struct{ host string }

func (k *kept) RoundTrip(r *http.Request) (*http.Response, error) {
	k.host = r.URL.Scheme + "://" + r.URL.Host
	return nil, errors.New("no network here")
}

func TestEachRegionHasItsHost(t *testing.T) {
	t.Parallel()
	for region, host := range map[string]string{
		"cn": "https://api.xmpush.xiaomi.com", "ru": "https://ru-api.xmpush.global.xiaomi.com", "in": "https://idmb-api.xmpush.global.xiaomi.com",
		"fr": "https://fr-api.xmpush.global.xiaomi.com", "sg": "https://sgp-api.xmpush.global.xiaomi.com",
	} {
		k := &kept{}
		v := xiaomi.New(wire.Deps{Transport: k, Clock: clock.System{}})
		c := parse(t, v, `{"app_secret":"s","package_name":"a.b","channel_id":"c","region":"`+region+`"}`)
		out := v.Send(t.Context(), c, []wire.Token{{Value: "r"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if k.host != host || out[0].Status != wire.Unknown {
			t.Errorf("%s: %s, %+v", region, k.host, out)
		}
	}
}

func TestABatchHasAtMostAThousandTokens(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = w.Write([]byte(`{"code":0,"data":{"id":"x"}}`))
	}))
	defer server.Close()
	v := xiaomi.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
	c := parse(t, v, account)
	for n, want := range map[int]wire.Status{1000: wire.Accepted, 1001: wire.Rejected} {
		out := v.Send(t.Context(), c, slices.Repeat([]wire.Token{{Value: "r"}}, n), &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if len(out) != n || out[0].Status != want || out[n-1].Status != want {
			t.Errorf("%d tokens: %d outcomes, the first %+v", n, len(out), out[0])
		}
	}
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func TestProbeSaysWhatXiaomiRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		field  string
		good   bool
	}{
		{200, `{"code":0,"data":{"list":[]}}`, "", true},
		{200, `{"code":21301,"reason":"Invalid application secret."}`, "app_secret", false},
		{200, `{"code":22022,"reason":"r"}`, "package_name", false},
		{401, `<html>`, "app_secret", false},
		{200, `{"code":10002,"reason":"busy"}`, "", false},
		{503, ``, "", false},
		{-1, ``, "", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method != http.MethodGet || r.URL.Path != "/v1/channel/list" || r.Header.Get("Authorization") != "key=s3cret==" {
				t.Errorf("%s %s with %q", r.Method, r.URL, r.Header.Get("Authorization"))
			}
			if c.status < 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		v := xiaomi.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
		err := v.Probe(t.Context(), parse(t, v, account))
		server.Close()
		var wrong *wire.FieldError
		isField := errors.As(err, &wrong)
		if (err == nil) != c.good || isField != (c.field != "") || isField && wrong.Field != c.field {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
}

func receipt(data string) []byte { return []byte(url.Values{"data": {data}}.Encode()) }

func TestReceiptsOfEveryType(t *testing.T) {
	t.Parallel()
	v := xiaomi.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, account)
	stamp := wire.Stamp("s3cret==", "4611686018427387")
	for kind, want := range map[string]wire.Receipt{
		"1":    {Event: wire.Arrived},
		"2":    {Event: wire.Clicked},
		"16":   {Event: wire.Unregistered, Code: "16", Reason: "the regid is not valid"},
		"32":   {Event: wire.Lost, Code: "32", Reason: "push is switched off on the device"},
		"64":   {Event: wire.Lost, Code: "64", Reason: "the device does not meet the conditions of the message"},
		"128":  {Event: wire.Lost, Code: "128", Reason: "the quota of the day is used up"},
		"1024": {Event: wire.Lost, Code: "1024", Reason: "the message expired before the device was online"},
	} {
		got, reply, err := v.Receipts(c, nil, receipt(`{"sdm1":{"param":"`+stamp+`","type":`+kind+`,"targets":"r1, r2","jobkey":"4611686018427387",
			"barStatus":"Enable","timestamp":1772703000123,"extra":{"ack":"1","quota":"2"}}}`))
		want.ID, want.At = "4611686018427387", 1772703000123
		a, b := want, want
		a.Token, b.Token = "r1", "r2"
		if err != nil || !slices.Equal(got, []wire.Receipt{a, b}) || string(reply) != "ok" {
			t.Errorf("type %s: %+v, %q, %v", kind, got, reply, err)
		}
	}
}

func TestReceiptsWithoutOurStampAreNotBelieved(t *testing.T) {
	t.Parallel()
	v := xiaomi.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, account)
	stamp := wire.Stamp("s3cret==", "1")
	forged := `"x":{"param":"2.AAAAAAAAAAAAAAAAAAAAAA","type":16,"targets":"victim"}`
	for _, data := range []string{
		`{` + forged + `}`, `{"x":{"type":16,"targets":"victim"}}`, `{"x":{"param":"` + wire.Stamp("another", "1") + `","type":16,"targets":"victim"}}`,
	} {
		if got, _, err := v.Receipts(c, nil, receipt(data)); !errors.Is(err, wire.ErrSignature) || got != nil {
			t.Errorf("%s: %v, %v", data, got, err)
		}
	}
	got, _, err := v.Receipts(c, nil, receipt(`{`+forged+`,"y":{"param":"`+stamp+`","type":"1","targets":"r1"},"z":{"param":"`+stamp+`","type":8,"targets":"r1"}}`))
	if err != nil || !slices.Equal(got, []wire.Receipt{{Token: "r1", ID: "1", Event: wire.Arrived}}) {
		t.Errorf("a forged one beside a real one: %+v, %v", got, err)
	}
	for _, body := range []string{"", "data=", "data=%7B", "%", "data=[]", "data=%7B%22x%22%3A%7B%22type%22%3A%22x%22%7D%7D"} {
		if got, _, err := v.Receipts(c, nil, []byte(body)); err == nil || errors.Is(err, wire.ErrSignature) || got != nil {
			t.Errorf("%q: %v, %v", body, got, err)
		}
	}
	if got, _, err := v.Receipts(c, nil, receipt(`{}`)); err != nil || got != nil {
		t.Errorf("nothing to report: %v, %v", got, err)
	}
	if _, _, err := v.Receipts(c, nil, receipt(`{"y":{"param":"`+stamp+`","type":1,"targets":"`+strings.Repeat("r,", wire.MaxReceipts+1)+`"}}`)); err == nil {
		t.Error("any number of receipts is taken")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"code":0,"data":{"id":"x","bad_regids":"r1"}}`, `{"code":"20301","reason":"No valid targets!"}`, `{"code":0,"data":"{\"id\":1}"}`,
		`<html>`, ``, `null`, `{"code":-1e9}`, `{"code":200001,"reason":7}`, `{"code":null}`, `{"code":0,"data":[]}`,
	} {
		f.Add(200, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 999 {
			status = 200
		}
		v := xiaomi.New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.Code = status
			_, _ = w.Body.Write(body)
			return w.Result(), nil
		})})
		c := parse(t, v, account)
		tokens := []wire.Token{{Value: "r1"}, {Value: "r2"}, {Value: ""}}
		m := wire.Message{ID: "1", Kind: wire.Notification, Body: "b", TTL: time.Hour}
		for _, out := range [][]wire.Outcome{v.Send(t.Context(), c, tokens, &m), v.Retract(t.Context(), c, tokens, "1")} {
			if len(out) != len(tokens) {
				t.Fatalf("%d outcomes", len(out))
			}
			for _, o := range out {
				if len(o.Code) > 200 || len(o.Reason) > 200 || len(o.VendorID) > 200 || o.After < 0 {
					t.Fatalf("%+v", o)
				}
			}
		}
		_ = v.Probe(t.Context(), c)
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func FuzzReceipts(f *testing.F) {
	stamp := wire.Stamp("s3cret==", "1")
	f.Add(receipt(`{"y":{"param":"` + stamp + `","type":1,"targets":"r1,r2","timestamp":5}}`))
	f.Add(receipt(`{"y":{"param":"` + stamp + `","type":"16","targets":",,","timestamp":"-5"}}`))
	f.Add([]byte("data=%7B%7D&data=x"))
	f.Fuzz(func(t *testing.T, body []byte) {
		v := xiaomi.New(wire.Deps{Clock: clock.System{}})
		got, _, err := v.Receipts(parse(t, v, account), nil, body)
		if err != nil && got != nil {
			t.Fatal("receipts with an error")
		}
		for _, r := range got {
			if r.Token == "" || r.ID != "1" || r.At < 0 {
				t.Fatalf("%+v", r)
			}
		}
	})
}

func FuzzOptions(f *testing.F) {
	f.Add([]byte(`{"mi_push_type":7,"mi_live_payload":{"miui.focus.param":null}}`), []byte(`{}`))
	f.Add([]byte(`{"mi_template_id":"t","mi_template_param":"{}"}`), []byte(`{"a":1}`))
	f.Add([]byte(`{"mi_push_type":3,"voip_extraData":"null"}`), []byte(`null`))
	f.Fuzz(func(t *testing.T, options, extras []byte) {
		v := xiaomi.New(wire.Deps{Clock: clock.System{}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			if err := r.ParseForm(); err != nil || r.PostForm.Get("extra.channel_id") == "" {
				t.Errorf("form %v, %v", r.PostForm, err)
			}
			return nil, errors.New("no network here")
		})})
		m := wire.Message{ID: "1", Kind: wire.Notification, Body: "b", Options: json.RawMessage(options), Extras: json.RawMessage(extras)}
		if out := v.Send(t.Context(), parse(t, v, account), []wire.Token{{Value: "r"}}, &m); len(out) != 1 {
			t.Fatalf("%d outcomes", len(out))
		}
	})
}
