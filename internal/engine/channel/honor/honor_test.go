package honor_test

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
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/channel/honor"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/channel/wire/wiretest"
	"borealis/internal/kernel/clock"
)

const account = `{"app_id":"104","client_id":"cid","client_secret":"s3cret"}`

func TestCases(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, "testdata/cases/*.json", func(d wire.Deps) wire.Vendor { return honor.New(d) })
}

func parse(t testing.TB, v *honor.Vendor, raw string) wire.Credentials {
	t.Helper()
	c, err := v.Parse([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestParseNamesTheFieldThatIsWrong(t *testing.T) {
	t.Parallel()
	v := honor.New(wire.Deps{Clock: clock.System{}})
	for raw, field := range map[string]string{
		`null`:                           "credentials",
		`{}`:                             "app_id",
		`{"app_id":"1"}`:                 "client_id",
		`{"app_id":"1","client_id":"c"}`: "client_secret",
		`{"app_id":1}`:                   "app_id",
		`{"app_id":"1/../x","client_id":"c","client_secret":"s"}`:                  "app_id",
		`{"app_id":"1","client_id":"c d","client_secret":"s"}`:                     "client_id",
		`{"app_id":"1","client_id":"c","client_secret":"s\n"}`:                     "client_secret",
		`{"app_id":"1","client_id":"c","client_secret":"s","package_name":"x"}`:    "package_name",
		`{"app_id":"1","client_id":"c","client_secret":"s","badge_class":"a.b;c"}`: "badge_class",
		`{"app_id":"1","client_id":"c","client_secret":"s","app_secret":"x"}`:      "app_secret",
	} {
		_, err := v.Parse([]byte(raw))
		var wrong *wire.FieldError
		if !errors.As(err, &wrong) || wrong.Field != field {
			t.Errorf("%s: %v, want an error of field %s", raw, err, field)
		}
	}
	if c := parse(t, v, account); c.ID() != "104" {
		t.Errorf("id %q", c.ID())
	}
}

// service is HONOR's two addresses in a few lines.
type service struct {
	fetched, sent atomic.Int64
	refuse        atomic.Bool
}

func (s *service) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/auth/token" {
		n := s.fetched.Add(1)
		_, _ = fmt.Fprintf(w, `{"access_token":"at%d","expires_in":3600}`, n)
		return
	}
	s.sent.Add(1)
	if s.refuse.Load() && r.Header.Get("Authorization") == "Bearer at1" {
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	var body struct{ Token []string }
	text, _ := io.ReadAll(r.Body)
	if json.Unmarshal(text, &body) != nil || len(body.Token) > 1000 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	_, _ = io.WriteString(w, `{"code":200,"data":{"sendResult":true,"requestId":"r"}}`)
}

func TestFiftyParallelSendsFetchOneAccessToken(t *testing.T) {
	t.Parallel()
	s := &service{}
	server := httptest.NewServer(s)
	defer server.Close()
	now := clock.NewFake(wiretest.Now)
	v := honor.New(wire.Deps{BaseURL: server.URL, Clock: now})
	c := parse(t, v, account)
	all := func() {
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				out := v.Send(t.Context(), c, []wire.Token{{Value: "t"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
				if out[0].Status != wire.Accepted {
					t.Errorf("%+v", out)
				}
			})
		}
		wg.Wait()
	}
	all()
	if n := s.fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	now.Advance(time.Hour)
	all()
	if n := s.fetched.Load(); n != 2 {
		t.Errorf("fetched %d times in two lives", n)
	}
	other := parse(t, v, `{"app_id":"104","client_id":"cid","client_secret":"new"}`)
	v.Send(t.Context(), other, []wire.Token{{Value: "t"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
	if n := s.fetched.Load(); n != 3 {
		t.Errorf("a new secret used the token of the old one: fetched %d times", n)
	}
}

func TestARefusedAccessTokenIsFetchedAnewOnceForAll(t *testing.T) {
	t.Parallel()
	s := &service{}
	s.refuse.Store(true)
	server := httptest.NewServer(s)
	defer server.Close()
	v := honor.New(wire.Deps{BaseURL: server.URL, Clock: clock.NewFake(wiretest.Now)})
	c := parse(t, v, account)
	if err := v.Probe(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 50 {
		wg.Go(func() {
			if out := v.Send(t.Context(), c, []wire.Token{{Value: "t"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"}); out[0].Status != wire.Accepted {
				t.Errorf("%+v", out)
			}
		})
	}
	wg.Wait()
	if n := s.fetched.Load(); n != 2 {
		t.Errorf("fetched %d times", n)
	}
}

func TestABatchHasAtMostAThousandTokens(t *testing.T) {
	t.Parallel()
	s := &service{}
	server := httptest.NewServer(s)
	defer server.Close()
	v := honor.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
	c := parse(t, v, account)
	for n, want := range map[int]wire.Status{1000: wire.Accepted, 1001: wire.Rejected} {
		out := v.Send(t.Context(), c, slices.Repeat([]wire.Token{{Value: "t"}}, n), &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if len(out) != n || out[0].Status != want || out[n-1].Status != want {
			t.Errorf("%d tokens: %d outcomes, the first %+v", n, len(out), out[0])
		}
	}
	if n := s.sent.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestAFailedTokenSaysNothingOfTheOthers(t *testing.T) {
	t.Parallel()
	v := honor.New(wire.Deps{Clock: clock.System{}, Transport: roundTrip(func(*http.Request) (*http.Response, error) {
		w := httptest.NewRecorder()
		_, _ = w.WriteString(`{"access_token":"x","expires_in":3600,"code":200,"data":{"sendResult":false,"failTokens":["t"]}}`)
		return w.Result(), nil
	})})
	out := v.Send(t.Context(), parse(t, v, account), []wire.Token{{Value: "t"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
	if out[0].Status != wire.Failed || !out[0].Alone {
		t.Errorf("%+v", out)
	}
}

func TestProbeSaysWhatHonorRefuses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		status int
		body   string
		field  string
		good   bool
	}{
		{200, `{"access_token":"x","expires_in":3600}`, "", true},
		{401, `{"error":"unauthorized_client","error_description":"Invalid client"}`, "client_secret", false},
		{403, ``, "client_secret", false},
		{503, ``, "", false},
		{-1, ``, "", false},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if c.status < 0 {
				panic(http.ErrAbortHandler)
			}
			w.WriteHeader(c.status)
			_, _ = w.Write([]byte(c.body))
		}))
		v := honor.New(wire.Deps{BaseURL: server.URL, Clock: clock.System{}})
		err := v.Probe(t.Context(), parse(t, v, account))
		server.Close()
		var wrong *wire.FieldError
		isField := errors.As(err, &wrong)
		if (err == nil) != c.good || isField != (c.field != "") || isField && wrong.Field != c.field {
			t.Errorf("%d %s: %v", c.status, c.body, err)
		}
	}
}

// seen is a transport that keeps the addresses of calls.
type seen struct{ addresses []string }

func (s *seen) RoundTrip(r *http.Request) (*http.Response, error) {
	s.addresses = append(s.addresses, r.URL.String())
	w := httptest.NewRecorder()
	_, _ = w.WriteString(`{"access_token":"x","expires_in":3600,"code":200}`)
	return w.Result(), nil
}

func TestTheAddressesAreHonors(t *testing.T) {
	t.Parallel()
	s := &seen{}
	v := honor.New(wire.Deps{Transport: s, Clock: clock.System{}})
	v.Send(t.Context(), parse(t, v, account), []wire.Token{{Value: "t"}}, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
	want := []string{"https://iam.developer.honor.com/auth/token", "https://push-api.cloud.honor.com/api/v1/104/sendMessage"}
	if !slices.Equal(s.addresses, want) {
		t.Errorf("%v", s.addresses)
	}
}

func status(stamp string, code int) string {
	return fmt.Sprintf(`{"biTag":%q,"appid":"104","token":"t1","status":%d,"timestamp":1772703000123,"requestId":"req1"}`, stamp, code)
}

func TestReceiptsOfEveryStatus(t *testing.T) {
	t.Parallel()
	v := honor.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, account)
	stamp := wire.Stamp("s3cret", "77")
	for code, event := range map[int]wire.Event{
		0: wire.Arrived, 2: wire.Unregistered, 5: wire.Unregistered, 6: wire.Lost, 10: wire.Lost, 15: wire.Lost, 27: 0, 102: wire.Lost, 201: wire.Lost, 999: wire.Lost,
	} {
		got, reply, err := v.Receipts(c, nil, []byte(`{"statuses":[`+status(stamp, code)+`]}`))
		if err != nil || string(reply) != `{"code":"0","message":"success"}` {
			t.Errorf("%d: %q, %v", code, reply, err)
		}
		if event == 0 {
			if got != nil {
				t.Errorf("%d: %+v", code, got)
			}
			continue
		}
		if len(got) != 1 || got[0].Event != event || got[0].ID != "77" || got[0].Token != "t1" || got[0].At != 1772703000123 {
			t.Errorf("%d: %+v", code, got)
			continue
		}
		if hasCode := got[0].Code == fmt.Sprint(code) && got[0].Reason != ""; hasCode != (event != wire.Arrived) {
			t.Errorf("%d: %+v", code, got[0])
		}
	}
}

func TestReceiptsWithoutOurStampAreNotBelieved(t *testing.T) {
	t.Parallel()
	v := honor.New(wire.Deps{Clock: clock.System{}})
	c := parse(t, v, account)
	good, forged := status(wire.Stamp("s3cret", "77"), 0), status(wire.Stamp("other", "77"), 2)
	if got, _, err := v.Receipts(c, nil, []byte(`{"statuses":[`+forged+`]}`)); !errors.Is(err, wire.ErrSignature) || got != nil {
		t.Errorf("%v, %v", got, err)
	}
	if got, _, err := v.Receipts(c, nil, []byte(`{"statuses":[`+forged+`,`+good+`]}`)); err != nil || len(got) != 1 || got[0].Event != wire.Arrived {
		t.Errorf("a forged one beside a real one: %+v, %v", got, err)
	}
	if got, _, err := v.Receipts(c, nil, []byte(`{"statuses":[]}`)); err != nil || got != nil {
		t.Errorf("nothing to report: %v, %v", got, err)
	}
	for _, body := range []string{``, `{}`, `[]`, `<html>`, `{"statuses":[{"status":"x"}]}`, `{"statuses":[` + strings.Repeat(good+`,`, wire.MaxReceipts) + good + `]}`} {
		if got, _, err := v.Receipts(c, nil, []byte(body)); err == nil || errors.Is(err, wire.ErrSignature) || got != nil {
			t.Errorf("%.40s: %d, %v", body, len(got), err)
		}
	}
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"code":200,"data":{"sendResult":true,"failTokens":["t1"],"expireTokens":["t2"]}}`, `{"code":"80200003"}`, `{"access_token":"x","expires_in":1}`,
		`{"access_token":"x","expires_in":1e99}`, `<html>`, ``, `null`, `{"code":200,"data":[]}`, `{"code":1,"message":"t1 s3cret"}`, `{"error":"e"}`,
	} {
		f.Add(200, []byte(s), false)
		f.Add(401, []byte(s), true)
	}
	f.Fuzz(func(t *testing.T, status int, body []byte, both bool) {
		if status < 200 || status > 999 {
			status = 200
		}
		v := honor.New(wire.Deps{Clock: clock.NewFake(wiretest.Now), Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			if !both && strings.HasSuffix(r.URL.Path, "/token") {
				_, _ = w.WriteString(`{"access_token":"x","expires_in":3600}`)
				return w.Result(), nil
			}
			w.Code = status
			_, _ = w.Body.Write(body)
			return w.Result(), nil
		})})
		tokens := []wire.Token{{Value: "t1"}, {Value: ""}, {Value: "t2"}}
		out := v.Send(t.Context(), parse(t, v, account), tokens, &wire.Message{ID: "1", Kind: wire.Notification, Body: "b"})
		if len(out) != len(tokens) {
			t.Fatalf("%d outcomes", len(out))
		}
		for _, o := range out {
			if len(o.Code) > 200 || len(o.Reason) > 200 || len(o.VendorID) > 200 || o.After < 0 || strings.Contains(o.Reason, "s3cret") {
				t.Fatalf("%+v", o)
			}
		}
	})
}

func FuzzReceipts(f *testing.F) {
	f.Add([]byte(`{"statuses":[` + status(wire.Stamp("s3cret", "1"), 0) + `]}`))
	f.Add([]byte(`{"statuses":[{"biTag":"` + wire.Stamp("s3cret", "1") + `","status":"5","timestamp":"-1","token":"t"}]}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		v := honor.New(wire.Deps{Clock: clock.System{}})
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

// FuzzMessage: whatever a message has in it, what is sent is within the limit and no text is empty.
func FuzzMessage(f *testing.F) {
	f.Add("title", "body", "big", []byte(`{"importance":"NORMAL"}`), []byte(`{"k":"v"}`), true)
	f.Add(strings.Repeat("t", 5000), strings.Repeat("b", 5000), strings.Repeat("<", 5000), []byte(`{}`), []byte(`{}`), true)
	f.Add("", "b", "", []byte(`{"honor_push_type":3,"voip_extraData":"null"}`), []byte(`null`), false)
	f.Fuzz(func(t *testing.T, title, body, big string, options, extras []byte, truncate bool) {
		v := honor.New(wire.Deps{Clock: clock.System{}, Transport: roundTrip(func(r *http.Request) (*http.Response, error) {
			w := httptest.NewRecorder()
			_, _ = w.WriteString(`{"access_token":"x","expires_in":3600,"code":200}`)
			if strings.HasSuffix(r.URL.Path, "/sendMessage") {
				text, _ := io.ReadAll(r.Body)
				var sent struct {
					Android struct {
						Notification *struct{ Title, Body string }
					}
				}
				if json.Unmarshal(text, &sent) != nil || len(text) > 4096+len(`,"token":["t"]`) {
					t.Errorf("%d bytes: %.200s", len(text), text)
				}
				if n := sent.Android.Notification; n != nil && (n.Title == "" || n.Body == "") {
					t.Errorf("%.200s", text)
				}
			}
			return w.Result(), nil
		})})
		m := wire.Message{
			ID: "1", Kind: wire.Notification, Title: title, Body: body, Style: wire.Style{BigText: big}, Truncate: truncate,
			Options: json.RawMessage(options), Extras: json.RawMessage(extras),
		}
		if out := v.Send(t.Context(), parse(t, v, account), []wire.Token{{Value: "t"}}, &m); len(out) != 1 {
			t.Fatalf("%d outcomes", len(out))
		}
	})
}
