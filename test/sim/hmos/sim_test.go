package hmos_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	vendor "borealis/internal/engine/channel/hmos"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/hmos"
	"borealis/test/sim/phone"
)

// lab is a simulator with the vendor's package in front of it.
type lab struct {
	*testing.T
	clock  *clock.Fake
	phones *phone.Network
	faults *phone.Faults
	sim    *hmos.Sim
	server *httptest.Server
	vendor *vendor.Vendor
	creds  wire.Credentials
}

func newLab(t *testing.T) *lab {
	t.Helper()
	now := clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC))
	l := &lab{T: t, clock: now, phones: phone.NewNetwork(now), faults: &phone.Faults{}}
	l.sim = hmos.New(phone.Deps{Phones: l.phones, Faults: l.faults, Clock: now})
	l.server = httptest.NewServer(l.sim)
	t.Cleanup(l.server.Close)
	l.vendor = vendor.New(wire.Deps{BaseURL: l.server.URL, Clock: now})
	creds, err := l.vendor.Parse(l.sim.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	l.creds = creds
	return l
}

func (l *lab) send(m *wire.Message, tokens ...string) []wire.Outcome {
	l.Helper()
	return l.vendor.Send(l.Context(), l.creds, list(tokens), m)
}

func list(tokens []string) []wire.Token {
	out := make([]wire.Token, len(tokens))
	for i, token := range tokens {
		out[i].Value = token
	}
	return out
}

func (l *lab) phone(token string) phone.Phone {
	l.Helper()
	p, ok := l.phones.Find("hmos", token)
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
	full.Extras, full.Body, full.Truncate, full.TTL = json.RawMessage(`{"k":"v","deep":{"a":[1]}}`), strings.Repeat("光", 3000), true, 60*24*time.Hour
	full.Badge, full.LargeIcon, full.Sound, full.SoundDuration = wire.Badge{Set: new(0)}, "https://example.com/l.png", "a.mp3", 9
	full.ReceiptID, full.Foreground = "RCP1", new(false)
	with := func(change func(*wire.Message)) *wire.Message {
		m := full
		change(&m)
		return &m
	}
	kind := func(n int, payload string) *wire.Message {
		return with(func(m *wire.Message) { m.PushType, m.Payload = n, json.RawMessage(payload) })
	}
	live := `{"activityId":1,"operation":1,"event":"TAXI","activityData":{"notificationData":{"type":3}}}`
	for name, c := range map[string]struct {
		m    *wire.Message
		data string
	}{
		"everything":       {&full, `"k":"v"`},
		"inbox":            {with(func(m *wire.Message) { m.Style.Inbox = slices.Repeat([]string{strings.Repeat("x", 2000)}, 7) }), `"k":"v"`},
		"marketing":        {with(func(m *wire.Message) { m.Category, m.Class = "", wire.Marketing }), `"_j_msgid":"1"`},
		"test":             {with(func(m *wire.Message) { m.Test = true }), `"k":"v"`},
		"a page by uri":    {with(func(m *wire.Message) { m.Click.URL = "https://example.com/x" }), `"k":"v"`},
		"a page by name":   {with(func(m *wire.Message) { m.Click.Action = "com.example.A" }), `"k":"v"`},
		"custom message":   {with(func(m *wire.Message) { m.Kind = wire.Data }), `"_j_content":"光`},
		"form":             {kind(1, `{"formId":5,"version":1,"moduleName":"m","formName":"f","abilityName":"a","formData":{"n":1}}`), `"formId":5`},
		"speech":           {kind(2, `"say this"`), `say this`},
		"background":       {kind(6, `{"a":1}`), `{"a":1}`},
		"live view":        {kind(7, live), `TAXI`},
		"call":             {kind(10, `"ring"`), `ring`},
		"call with extras": {with(func(m *wire.Message) { m.Kind = wire.VoIP }), `"k":"v"`},
	} {
		token := l.phones.Add("hmos", "")
		if o := l.send(c.m, token)[0]; o.Status != wire.Accepted || o.VendorID == "" {
			t.Errorf("%s: %+v", name, o)
			continue
		}
		if got := l.phone(token).Got[0]; got.ID != "1" || !strings.Contains(string(got.Data), c.data) {
			t.Errorf("%s: got %+v: %s", name, got, got.Data)
		}
	}
	if err := l.vendor.Probe(t.Context(), l.creds); err != nil {
		t.Errorf("probe: %v", err)
	}
}

func TestRepetitionsReplacementsAndRetractions(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("hmos", "")
	send := func(id, body, replaces string) {
		m := service(id)
		m.Body, m.Replaces = body, replaces
		if o := l.send(&m, token)[0]; o.Status != wire.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	screen := func(want ...string) {
		t.Helper()
		var got []string
		for _, n := range l.phone(token).Screen {
			got = append(got, n.Body)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the screen shows %q, want %q", got, want)
		}
	}
	send("1", "one", "")
	send("1", "one again", "")
	send("2", "two", "")
	screen("one", "two")
	send("3", "three", "1")
	screen("two", "three")
	retract := func(id string) wire.Outcome {
		return l.vendor.Retract(t.Context(), l.creds, list([]string{token}), id)[0]
	}
	if o := retract("2"); o.Status != wire.Accepted {
		t.Errorf("%+v", o)
	}
	screen("three")
	if o := retract("1"); o.Status != wire.Accepted { // the place that 3 took
		t.Errorf("%+v", o)
	}
	screen()
	if o := l.vendor.Retract(t.Context(), l.creds, list([]string{"nobody's"}), "1")[0]; o.Status != wire.Invalid {
		t.Errorf("%+v", o)
	}
}

func TestBadTokensAreToldWithAReason(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	good, gone := l.phones.Add("hmos", ""), l.phones.Add("hmos", "")
	l.phones.SetState("hmos", gone, phone.Uninstalled)
	m := service("1")
	out := l.send(&m, gone, good)
	if out[0].Status != wire.Invalid || out[0].Reason != "tokenFormatError" || out[1].Status != wire.Accepted {
		t.Errorf("%+v", out)
	}
	if out := l.send(&m, gone); out[0].Status != wire.Invalid || out[0].Code != "80300007" {
		t.Errorf("%+v", out)
	}
}

func TestEveryFaultIsOneThatThePackageUnderstands(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("hmos", "")
	want := map[string]wire.Status{
		"flow_control": wire.Limited, "html": wire.Failed, "cut": wire.Unknown,
		"80100001": wire.Rejected, "80100003": wire.Rejected, "80100004": wire.Rejected, "80100022": wire.Rejected, "80200001": wire.Accepted,
		"80200005": wire.Accepted, "80300002": wire.Denied, "80300007": wire.Invalid, "80300008": wire.Rejected, "80300010": wire.Rejected,
		"80300029": wire.Quota, "80300030": wire.Rejected, "80300036": wire.Denied, "80300037": wire.Denied, "81000001": wire.Failed,
	}
	if names, known := l.sim.FaultNames(), slices.Sorted(maps.Keys(want)); !slices.Equal(names, known) {
		t.Fatalf("faults %q, want %q", names, known)
	}
	n := 0
	for name, status := range want {
		for _, expected := range []wire.Status{status, wire.Accepted} {
			if expected == status {
				l.faults.Next(name)
			}
			n++
			m := service(fmt.Sprint(n))
			if o := l.send(&m, token)[0]; o.Status != expected {
				t.Errorf("%s: %+v, want %s", name, o, expected)
			}
		}
	}
}

func TestADayHasLimits(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	token := l.phones.Add("hmos", "")
	for i := range 4 {
		m := service(fmt.Sprint(i))
		m.Category, m.Class = "", wire.Marketing
		l.send(&m, token)
	}
	if n := len(l.phone(token).Got); n != 2 {
		t.Errorf("%d of 4 marketing messages arrived", n)
	}
	passed := 0
	for i := range 1001 {
		m := service(fmt.Sprint(1000 + i))
		m.Test = true
		if o := l.send(&m, token)[0]; o.Status == wire.Accepted {
			passed++
		} else if o.Status != wire.Quota {
			t.Fatalf("%+v", o)
		}
	}
	if passed != 1000 {
		t.Errorf("%d test messages passed", passed)
	}
	l.clock.Advance(7 * time.Hour) // midnight in Shanghai was half an hour ago
	m := service("9000")
	m.Test = true
	if o := l.send(&m, token)[0]; o.Status != wire.Accepted {
		t.Errorf("on the next day: %+v", o)
	}
}

func TestReceiptsComeBack(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	got := make(chan wire.Receipt, 1000)
	back := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		receipts, answer, err := l.vendor.Receipts(l.creds, r, body)
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
	tokens := make([]string, 250)
	for i := range tokens {
		tokens[i] = l.phones.Add("hmos", "")
	}
	l.phones.SetState("hmos", tokens[7], phone.Silent)
	m := service("42")
	l.send(&m, tokens...)
	for range tokens {
		select {
		case r := <-got:
			want := wire.Receipt{Token: r.Token, ID: "42", Event: wire.Arrived, At: l.clock.Now().UnixMilli()}
			if r.Token == tokens[7] {
				want.Event, want.Code, want.Reason = wire.Lost, "6", "notifications are switched off"
			}
			if r != want {
				t.Errorf("receipt %+v, want %+v", r, want)
			}
		case <-time.After(10 * time.Second):
			t.Fatal("a receipt is missing")
		}
	}
}

// post makes a call and returns its status and code.
func (l *lab) post(path, bearer, pushType, body string) (status int, code string) {
	l.Helper()
	req, err := http.NewRequestWithContext(l.Context(), http.MethodPost, l.server.URL+path, strings.NewReader(body))
	if err != nil {
		l.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+bearer)
	if pushType != "" {
		req.Header.Set("Push-Type", pushType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		l.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var answer struct{ Code string }
	_ = json.NewDecoder(resp.Body).Decode(&answer)
	return resp.StatusCode, answer.Code
}
