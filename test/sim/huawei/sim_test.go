package huawei_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	vendor "borealis/internal/engine/channel/huawei"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/huawei"
	"borealis/test/sim/phone"
)

// lab is a simulator with the vendor's package in front of it.
type lab struct {
	*testing.T
	clock  *clock.Fake
	phones *phone.Network
	faults *phone.Faults
	sim    *huawei.Sim
	server *httptest.Server
	vendor *vendor.Vendor
	// secret and signed are the two ways to authorise calls.
	secret, signed wire.Credentials
}

func newLab(t *testing.T) *lab {
	t.Helper()
	now := clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC))
	l := &lab{T: t, clock: now, phones: phone.NewNetwork(now), faults: &phone.Faults{}}
	l.sim = huawei.New(phone.Deps{Phones: l.phones, Faults: l.faults, Clock: now})
	l.server = httptest.NewServer(l.sim)
	t.Cleanup(l.server.Close)
	l.vendor = vendor.New(wire.Deps{BaseURL: l.server.URL, Clock: now})
	l.signed = l.parse(l.sim.Credentials())
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(l.sim.Credentials(), &fields); err != nil {
		t.Fatal(err)
	}
	delete(fields, "service_account")
	raw, _ := json.Marshal(fields)
	l.secret = l.parse(raw)
	return l
}

func (l *lab) parse(raw []byte) wire.Credentials {
	l.Helper()
	c, err := l.vendor.Parse(raw)
	if err != nil {
		l.Fatal(err)
	}
	return c
}

func (l *lab) send(c wire.Credentials, m *wire.Message, tokens ...string) []wire.Outcome {
	l.Helper()
	list := make([]wire.Token, len(tokens))
	for i, token := range tokens {
		list[i].Value = token
	}
	return l.vendor.Send(l.Context(), c, list, m)
}

func (l *lab) phone(token string) phone.Phone {
	l.Helper()
	p, ok := l.phones.Find("huawei", token)
	if !ok {
		l.Fatalf("no phone has token %s", token)
	}
	return p
}

func service(id string) wire.Message {
	return wire.Message{ID: id, Kind: wire.Notification, Title: "Hello", Body: "World", Category: "EXPRESS", Class: wire.System, TTL: time.Hour}
}

func TestWhatThePackageSendsIsTaken(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	full := service("1")
	full.Extras, full.Replaces, full.ChannelID, full.Sound = json.RawMessage(`{"k":"v","deep":{"a":[1]}}`), "41", "news", "ding"
	full.Body, full.Truncate, full.TTL, full.Priority = strings.Repeat("光", 3000), true, 60*24*time.Hour, -2
	full.Badge = wire.Badge{Set: new(7), Class: "com.example.Main"}
	full.LargeIcon, full.SmallIcon, full.ReceiptID, full.Foreground = "https://example.com/l.png", "/raw/ic", "RCP1", new(false)
	with := func(change func(*wire.Message)) *wire.Message {
		m := full
		change(&m)
		return &m
	}
	live := json.RawMessage(`{"hw_push_type":7,"hw_live_payload":{"activityId":1,"operation":1,"event":"TAXI","activityData":{"a":1}}}`)
	messages := map[string]*wire.Message{
		"everything": &full,
		"big text":   with(func(m *wire.Message) { m.Style.BigText = strings.Repeat("x", 5000) }),
		"inbox":      with(func(m *wire.Message) { m.Style.Inbox = slices.Repeat([]string{strings.Repeat("x", 300)}, 7) }),
		"data":       with(func(m *wire.Message) { m.Kind = wire.Data }),
		"urgent": with(func(m *wire.Message) {
			m.Kind, m.Options = wire.Data, json.RawMessage(`{"urgency":"HIGH","category":"VOIP"}`)
		}),
		"options": with(func(m *wire.Message) {
			m.Options = json.RawMessage(`{"importance":"HIGH","category":"IM","sound":"/raw/a","default_sound":false,"target_user_type":1,"style":2,"inbox":{"1":"a"},"auditResponse":{"a":1},"receipt_id":"R"}`)
		}),
		"marketing": with(func(m *wire.Message) { m.Category, m.Class = "", wire.Marketing }),
	}
	for i, click := range []wire.Click{{URL: "intent:#Intent;component=a/b;end"}, {URL: "https://example.com"}, {URL: "myapp://x"}, {Action: "A"}, {Activity: "com.example.A"}} {
		messages[fmt.Sprintf("click %d", i)] = with(func(m *wire.Message) { m.Click = click })
	}
	for name, m := range messages {
		for way, c := range map[string]wire.Credentials{"secret": l.secret, "signed": l.signed} {
			token := l.phones.Add("huawei", "")
			if o := l.send(c, m, token)[0]; o.Status != wire.Accepted || o.VendorID == "" {
				t.Errorf("%s, %s: %+v", name, way, o)
				continue
			}
			got := l.phone(token).Got[0]
			var data map[string]any
			if json.Unmarshal(got.Data, &data) != nil || got.ID != "1" || data["_j_msgid"] != "1" || data["k"] != "v" {
				t.Errorf("%s: got %+v", name, got)
			}
			if m.Kind == wire.Notification && (got.Title != "Hello" || got.Tag != "41") {
				t.Errorf("%s: got %+v", name, got)
			}
		}
	}
	token := l.phones.Add("huawei", "")
	if o := l.send(l.signed, with(func(m *wire.Message) { m.Options = live }), token)[0]; o.Status != wire.Accepted || !strings.Contains(string(l.phone(token).Got[0].Data), "TAXI") {
		t.Errorf("live view: %+v", o)
	}
	for _, c := range []wire.Credentials{l.secret, l.signed} {
		if err := l.vendor.Probe(t.Context(), c); err != nil {
			t.Errorf("probe: %v", err)
		}
	}
}

func TestBadTokensAreTold(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	good, gone := l.phones.Add("huawei", ""), l.phones.Add("huawei", "")
	l.phones.SetState("huawei", gone, phone.Uninstalled)
	m := service("1")
	out := l.send(l.secret, &m, gone, good, "nobody's")
	if out[0].Status != wire.Invalid || out[1].Status != wire.Accepted || out[2].Status != wire.Invalid {
		t.Errorf("%+v", out)
	}
	if out := l.send(l.secret, &m, gone, "nobody's"); out[0].Status != wire.Invalid || out[0].Code != "80300007" || out[1].Status != wire.Invalid {
		t.Errorf("%+v", out)
	}
	all := make([]string, 1000)
	for i := range all {
		all[i] = l.phones.Add("huawei", "")
	}
	for i, o := range l.send(l.signed, &m, all...) {
		if o.Status != wire.Accepted {
			t.Fatalf("token %d of 1000: %+v", i, o)
		}
	}
}

func TestEveryFaultIsOneThatThePackageUnderstands(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("huawei", "")
	m := service("1")
	want := map[string]wire.Status{
		"flow_control": wire.Limited, "html": wire.Failed, "cut": wire.Unknown, "secret_changed": wire.Denied,
		"80100001": wire.Rejected, "80100003": wire.Rejected, "80100004": wire.Rejected, "80100013": wire.Rejected, "80100016": wire.Rejected,
		"80100017": wire.Limited, "80100018": wire.Rejected, "80200001": wire.Accepted, "80200003": wire.Accepted, "80200005": wire.Accepted,
		"80300002": wire.Denied, "80300007": wire.Invalid, "80300008": wire.Rejected, "80300010": wire.Rejected, "80300011": wire.Rejected,
		"80300013": wire.Rejected, "80600003": wire.Failed, "81000001": wire.Failed,
	}
	if names, known := l.sim.FaultNames(), slices.Sorted(maps.Keys(want)); !slices.Equal(names, known) {
		t.Fatalf("faults %q, want %q", names, known)
	}
	for name, status := range want {
		l.faults.Next(name)
		if o := l.send(l.secret, &m, token)[0]; o.Status != status {
			t.Errorf("%s: %+v, want %s", name, o, status)
		}
		if o := l.send(l.secret, &m, token)[0]; o.Status != wire.Accepted {
			t.Errorf("after %s: %+v", name, o)
		}
	}
}

func TestMarketingIsCountedByTheDay(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("huawei", "")
	m := wire.Message{Kind: wire.Notification, Title: "Hello", Body: "World", TTL: time.Hour}
	test := m
	test.Test = true
	for i := range 4 {
		m.ID = fmt.Sprint(i)
		if o := l.send(l.secret, &m, token)[0]; o.Status != wire.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	if n := len(l.phone(token).Got); n != 2 {
		t.Errorf("%d of 4 marketing messages arrived", n)
	}
	l.send(l.secret, &test, token)
	system := service("9")
	l.send(l.secret, &system, token)
	if n := len(l.phone(token).Got); n != 4 {
		t.Errorf("with a test and a service message %d arrived", n)
	}
	l.clock.Advance(7 * time.Hour) // midnight in Shanghai was half an hour ago
	l.send(l.secret, &m, token)
	if n := len(l.phone(token).Got); n != 5 {
		t.Errorf("on the next day %d arrived", n)
	}
}

func TestReceiptsComeBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	got := make(chan wire.Receipt, 100)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		receipts, answer, err := l.vendor.Receipts(l.signed, r, body)
		if err != nil {
			t.Errorf("receipts: %v", err)
		}
		_, _ = w.Write(answer)
		for _, r := range receipts {
			got <- r
		}
	}))
	defer back.Close()
	l.sim.ReportTo(back.URL)
	awake, silent, away := l.phones.Add("huawei", ""), l.phones.Add("huawei", ""), l.phones.Add("huawei", "")
	l.phones.SetState("huawei", silent, phone.Silent)
	l.phones.SetState("huawei", away, phone.Inactive)
	m := service("42")
	l.send(l.secret, &m, awake, silent, away)
	want := map[string]wire.Receipt{
		awake:  {Event: wire.Arrived},
		silent: {Event: wire.Lost, Code: "6", Reason: "notifications are switched off"},
		away:   {Event: wire.Lost, Code: "10", Reason: "the device was away for 30 days"},
	}
	for range want {
		select {
		case r := <-got:
			w := want[r.Token]
			w.Token, w.ID, w.At = r.Token, "42", l.clock.Now().UnixMilli()
			if r != w {
				t.Errorf("receipt %+v, want %+v", r, w)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a receipt is missing")
		}
	}
}

func TestAccessTokensEndAfterAnHour(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("huawei", "")
	m := service("1")
	for range 4 {
		for _, c := range []wire.Credentials{l.secret, l.signed} {
			if o := l.send(c, &m, token)[0]; o.Status != wire.Accepted {
				t.Fatalf("%+v", o)
			}
		}
		l.clock.Advance(53 * time.Minute)
	}
	access := l.access()
	l.clock.Advance(time.Hour)
	if status, code := l.post("/v1/100000001/messages:send", access, `{}`, nil); status != http.StatusUnauthorized || code != "80200003" {
		t.Errorf("an access token of an hour ago: %d %s", status, code)
	}
}

// access is a fresh access token.
func (l *lab) access() string {
	l.Helper()
	_, body := l.form(url.Values{"grant_type": {"client_credentials"}, "client_id": {"100000001"}, "client_secret": {"simulated-app-secret"}})
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.AccessToken == "" {
		l.Fatalf("no access token: %s", body)
	}
	return answer.AccessToken
}

func (l *lab) form(form url.Values) (int, []byte) {
	l.Helper()
	resp, err := http.PostForm(l.server.URL+"/oauth2/v3/token", form)
	if err != nil {
		l.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, body
}

// post makes a call and returns its status and code.
func (l *lab) post(path, bearer, body string, header http.Header) (status int, code string) {
	l.Helper()
	req, err := http.NewRequestWithContext(l.Context(), http.MethodPost, l.server.URL+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	maps.Copy(req.Header, header)
	req.Header.Set("Authorization", "Bearer "+bearer)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Code string }
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	return resp.StatusCode, answer.Code
}
