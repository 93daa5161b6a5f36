package meizu_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/engine/channel/meizu"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
)

const account = `{"app_id":"1001","app_secret":"s3cret","receipt_token":"rt"}`

func TestCases(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return meizu.New(d) })
}

func parse(t testing.TB, v *meizu.Vendor, raw string) wire.Credentials {
	t.Helper()
	c, err := v.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	v := meizu.New(wire.Deps{Clock: clock.System{}})
	for raw, field := range map[string]string{
		`"x"`:                              "credentials",
		`{}`:                               "app_id",
		`{"app_id":"1"}`:                   "app_secret",
		`{"app_id":1001,"app_secret":"s"}`: "app_id",
		`{"app_id":"1a","app_secret":"s"}`: "app_id",
		`{"app_id":"1","app_secret":" s"}`: "app_secret",
		`{"app_id":"1","app_secret":"s","region":"mars"}`: "region",
		`{"app_id":"1","app_secret":"s","app_key":"k"}`:   "app_key",
	} {
		_, err := v.Parse([]byte(raw))
		var wrong *wire.FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v, want an error of field %s", raw, err, field)
		}
	}
	if c := parse(t, v, account); c.ID() != "1001@cn" {
		t.Errorf("id %q", c.ID())
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestEachRegionHasItsHost(t *testing.T) {
	t.Parallel()
	for region, host := range map[string]string{"cn": "https://server-api-push.meizu.com", "global": "https://server-api-push.in.meizu.com"} {
		got := ""
		v := meizu.New(wire.Deps{Clock: clock.System{}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			got = r.URL.Scheme + "://" + r.URL.Host
			return nil, errors.New("no network here")
		})})
		c := parse(t, v, `{"app_id":"1","app_secret":"s","region":"`+region+`"}`)
		out := v.Send(t.Context(), c, []wire.Token{{Value: "p"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if got != host || out[0].Status != wire.Unknown {
			t.Errorf("%s: %s, %+v", region, got, out)
		}
	}
}

func TestABatchHasAtMostAHundredTokens(t *testing.T) {
	t.Parallel()
	calls := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		calls++
		_, _ = w.Write([]byte(`{"code":"200","msgId":"x","value":{}}`))
	}))
	defer server.Close()
	v := meizu.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
	c := parse(t, v, account)
	for n, want := range map[int]wire.Status{100: wire.Accepted, 101: wire.Rejected} {
		out := v.Send(t.Context(), c, slices.Repeat([]wire.Token{{Value: "p"}}, n), &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if len(out) != n || out[0].Status != want || out[n-1].Status != want {
			t.Errorf("%d tokens: %d outcomes, the first %+v", n, len(out), out[0])
		}
	}
	if calls != 1 {
		t.Errorf("%d calls", calls)
	}
}

func TestWhatIsSaidOfAPushIDSaysNothingOfTheApp(t *testing.T) {
	t.Parallel()
	for code, alone := range map[string]bool{"201": true, "513": true, "520": true, "110002": true, "110010": true, "518": false, "519": false} {
		v := meizu.New(wire.Deps{Clock: clock.System{}, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			_, _ = w.WriteString(`{"code":"200","value":{"` + code + `":["p1"]}}`)
			return w.Result(), nil
		})})
		out := v.Send(t.Context(), parse(t, v, account), []wire.Token{{Value: "p1"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if out[0].Code != code || out[0].Alone != alone {
			t.Errorf("%+v", out)
		}
	}
}

func TestProbeSaysWhatMeizuRefuses(t *testing.T) {
	t.Parallel()
	sum := md5.Sum([]byte("appId=1001endTime=20260306startTime=20260306s3cret"))
	for _, c := range []struct {
		status int
		body   string
		field  string
		good   bool
	}{
		{200, `{"code":"200","value":[{"acceptNo":1}]}`, "", true},
		{200, `{"code":"1006","message":"r"}`, "app_secret", false},
		{200, `{"code":"110033","message":"r"}`, "app_secret", false},
		{200, `{"code":"110000","message":"r"}`, "app_id", false},
		{200, `{"code":"110009","message":"r"}`, "app_id", false},
		{200, `{"code":"1003","message":"r"}`, "", false},
		{200, `<html>`, "", false},
		{503, ``, "", false},
		{-1, ``, "", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			q := r.URL.Query()
			if r.Method != http.MethodGet || r.URL.Path != "/garcia/api/server/push/statistics/dailyPushStatics" || q.Get("sign") != hex.EncodeToString(sum[:]) {
				t.Errorf("%s %s", r.Method, r.URL)
			}
			if c.status < 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		// the day is that of Shanghai
		v := meizu.New(wire.Deps{BaseURL: server.URL, Clock: clock.NewFake(time.Date(2026, 3, 5, 16, 0, 0, 0, time.UTC))})
		err := v.Probe(t.Context(), parse(t, v, account))
		server.Close()
		var wrong *wire.FieldError
		isField := errors.As(err, &wrong)
		if (err == nil) != c.good || isField != (c.field != "") || isField && wrong.Field != c.field {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
}

// TestTheSignatureIsMadeOfWhatIsSent: of the values as they were before they were encoded, whatever is in them.
func TestTheSignatureIsMadeOfWhatIsSent(t *testing.T) {
	t.Parallel()
	key := regexp.MustCompile(`^[0-9A-Za-z_-]{8}$`)
	rapid.Check(t, func(t *rapid.T) {
		m := wire.Message{
			ID: rapid.StringMatching(`[1-9][0-9]{0,16}`).Draw(t, "id"), Kind: wire.Notification, Truncate: true,
			Title: rapid.String().Draw(t, "title"), Body: rapid.String().Draw(t, "body") + "b", Style: wire.Style{BigText: rapid.String().Draw(t, "big")},
		}
		called := false
		v := meizu.New(wire.Deps{Clock: clock.System{}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			called = true
			if err := r.ParseForm(); err != nil {
				t.Fatal(err)
			}
			f := r.PostForm
			sum := md5.Sum([]byte("appId=" + f.Get("appId") + "messageJson=" + f.Get("messageJson") + "pushIds=" + f.Get("pushIds") + "s3cret"))
			if f.Get("sign") != hex.EncodeToString(sum[:]) {
				t.Fatal("the signature is wrong")
			}
			var sent struct {
				AdvanceInfo struct{ NotifyKey string }
			}
			if err := json.Unmarshal([]byte(f.Get("messageJson")), &sent); err != nil || !key.MatchString(sent.AdvanceInfo.NotifyKey) {
				t.Fatalf("key %q, %v", sent.AdvanceInfo.NotifyKey, err)
			}
			return nil, errors.New("no network here")
		})})
		c, err := v.Parse([]byte(account))
		if err != nil {
			t.Fatal(err)
		}
		out := v.Send(t.Context(), c, []wire.Token{{Value: "p1"}, {Value: "p2"}}, &m)
		if len(out) != 2 || called != (out[0].Status == wire.Unknown) {
			t.Fatalf("%+v", out)
		}
	})
}

func receipt(token, cb string) []byte {
	return []byte(url.Values{"access_token": {token}, "cb": {cb}}.Encode())
}

func TestReceiptsOfEveryType(t *testing.T) {
	t.Parallel()
	v := meizu.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, account)
	a, b := wire.Stamp("s3cret", "77"), wire.Stamp("s3cret", "78")
	got, reply, err := v.Receipts(c, nil, receipt("rt", `{"m1-1":{"param":"`+a+`","type":1,"targets":["p1","p2"]},"m2-2":{"param":"`+b+`","type":"2","targets":["p1",""]},
		"m3-9":{"param":"`+b+`","type":9,"targets":["p1"]}}`))
	want := []wire.Receipt{
		{Token: "p1", ID: "77", Event: wire.Arrived}, {Token: "p2", ID: "77", Event: wire.Arrived}, {Token: "p1", ID: "78", Event: wire.Clicked},
	}
	if err != nil || !slices.Equal(got, want) || string(reply) != "ok" {
		t.Errorf("%+v, %q, %v", got, reply, err)
	}
}

func TestReceiptsWithoutTokenAndStampAreNotBelieved(t *testing.T) {
	t.Parallel()
	v := meizu.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, account)
	stamp := wire.Stamp("s3cret", "1")
	good := `"m1-1":{"param":"` + stamp + `","type":1,"targets":["p1"]}`
	forged := `"m2-1":{"param":"` + wire.Stamp("x", "1") + `","type":1,"targets":["p1"]}`
	for _, body := range [][]byte{receipt("", `{`+good+`}`), receipt("RT", `{`+good+`}`), receipt("rt", `{`+forged+`}`), receipt("rt", `{"m":{"type":1,"targets":["p1"]}}`), {}} {
		if got, _, err := v.Receipts(c, nil, body); !errors.Is(err, wire.ErrSignature) || got != nil {
			t.Errorf("%s: %v, %v", body, got, err)
		}
	}
	without := parse(t, v, `{"app_id":"1001","app_secret":"s3cret"}`)
	if _, _, err := v.Receipts(without, nil, receipt("", `{`+good+`}`)); !errors.Is(err, wire.ErrSignature) {
		t.Errorf("no token is registered: %v", err)
	}
	if got, _, err := v.Receipts(c, nil, receipt("rt", `{`+forged+`,`+good+`}`)); err != nil || len(got) != 1 {
		t.Errorf("a forged one beside a real one: %v, %v", got, err)
	}
	if got, _, err := v.Receipts(c, nil, receipt("rt", `{}`)); err != nil || got != nil {
		t.Errorf("nothing to report: %v, %v", got, err)
	}
	for _, cb := range []string{``, `[]`, `{`, `{"m":{"targets":"p1"}}`, `{"m":{"param":"` + stamp + `","type":1,"targets":[` + strings.Repeat(`"p",`, 50_000) + `"p"]}}`} {
		if got, _, err := v.Receipts(c, nil, receipt("rt", cb)); err == nil || errors.Is(err, wire.ErrSignature) || got != nil {
			t.Errorf("%.40s: %v, %v", cb, got, err)
		}
	}
	if _, _, err := v.Receipts(c, nil, []byte("%")); err == nil {
		t.Error("a body that is no form")
	}
}

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"code":"200","msgId":"x","value":{"110002":["p1"]}}`, `{"code":110010,"message":"p1","value":""}`, `{"code":"200","value":{"a":{}}}`,
		`<html>`, ``, `null`, `{"code":"200","value":[]}`, `{"code":"520"}`, `{"code":null,"value":{"520":["p1",1]}}`,
	} {
		f.Add(200, []byte(s))
	}
	f.Fuzz(func(t *testing.T, status int, body []byte) {
		if status < 200 || status > 999 {
			status = 200
		}
		v := meizu.New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: roundTrip(func(*http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			w.Code = status
			_, _ = w.Body.Write(body)
			return w.Result(), nil
		})})
		c := parse(t, v, account)
		tokens := []wire.Token{{Value: "p1"}, {Value: "p2"}, {Value: ""}}
		out := v.Send(t.Context(), c, tokens, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if len(out) != len(tokens) {
			t.Fatalf("%d outcomes", len(out))
		}
		for _, o := range out {
			if len(o.Code) > 200 || len(o.Reason) > 200 || len(o.VendorID) > 200 || o.After < 0 {
				t.Fatalf("%+v", o)
			}
		}
		_ = v.Probe(t.Context(), c)
	})
}

func FuzzReceipts(f *testing.F) {
	stamp := wire.Stamp("s3cret", "1")
	f.Add(receipt("rt", `{"m-1":{"param":"`+stamp+`","type":1,"targets":["p1","p2"]}}`))
	f.Add(receipt("rt", `{"m-1":{"param":"`+stamp+`","type":"x","targets":null}}`))
	f.Add([]byte("cb=%7B%7D&access_token=rt"))
	f.Fuzz(func(t *testing.T, body []byte) {
		v := meizu.New(wire.Deps{Clock: clock.System{}})
		got, _, err := v.Receipts(parse(t, v, account), nil, body)
		if err != nil && got != nil {
			t.Fatal("receipts with an error")
		}
		for _, r := range got {
			if r.Token == "" || r.ID != "1" {
				t.Fatalf("%+v", r)
			}
		}
	})
}
