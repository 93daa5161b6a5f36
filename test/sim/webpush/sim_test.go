package webpush_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/webpush"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
	sim "borealis/test/sim/webpush"
)

var _ phone.Simulator = (*sim.Sim)(nil)

// rig is the vendor's package and the simulator, with a transport between them that can damage requests.
type rig struct {
	*sim.Sim
	phones *phone.Network
	faults *phone.Faults
	fake   *clock.Fake
	server *httptest.Server
	vendor *webpush.Vendor
	creds  wire.Credentials
	damage func(*http.Request)
	last   *http.Response
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{fake: clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC)), faults: &phone.Faults{}}
	r.phones = phone.NewNetwork(r.fake)
	r.Sim = sim.New(phone.Deps{Phones: r.phones, Faults: r.faults, Clock: r.fake})
	r.server = httptest.NewServer(http.StripPrefix("/webpush", r.Sim))
	t.Cleanup(r.server.Close)
	r.vendor = webpush.New(wire.Deps{BaseURL: r.base(), Clock: r.fake, Transport: r})
	var err error
	if r.creds, err = r.vendor.Parse(r.Credentials()); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *rig) base() string { return r.server.URL + "/webpush" }

// RoundTrip damages a request on its way.
func (r *rig) RoundTrip(req *http.Request) (*http.Response, error) {
	req = req.Clone(req.Context())
	if r.damage != nil {
		r.damage(req)
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	r.last = resp
	return resp, err
}

func (r *rig) send(t *testing.T, token string, m *wire.Message) wire.Outcome {
	t.Helper()
	out := r.vendor.Send(t.Context(), r.creds, []wire.Token{{Value: token}}, m)
	if len(out) != 1 {
		t.Fatalf("%d outcomes", len(out))
	}
	return out[0]
}

func note(id, text string) *wire.Message {
	return &wire.Message{ID: id, Kind: wire.Notification, Title: "T", Body: text, TTL: time.Hour}
}

func (r *rig) texts(token string) []string {
	p, _ := r.phones.Find("webpush", token)
	var out []string
	for _, n := range p.Got {
		out = append(out, n.ID+" "+n.Body)
	}
	return out
}

// Everything that the vendor's package can send is taken and arrives.
func TestEverythingArrives(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	no, three := false, 3
	for name, m := range map[string]*wire.Message{
		"everything": {
			ID: "7", Kind: wire.Notification, Title: "标题", Body: "内容 <&>", Extras: json.RawMessage(`{"k":"v"}`), TTL: time.Hour, Replaces: "6", Class: wire.System,
			Category: "IM", ChannelID: "c", Priority: 2, Sound: "s", Badge: wire.Badge{Set: &three}, Click: wire.Click{URL: "https://example.com/x"},
			Style: wire.Style{BigPicture: "https://example.com/p.png"}, LargeIcon: "https://example.com/l.png", SmallIcon: "https://example.com/s.png",
			Foreground: &no, Truncate: true, Options: json.RawMessage(`{"urgency":"very-low","notification":{"silent":true}}`),
		},
		"the longest":      {ID: "8", Kind: wire.Notification, Title: "T", Body: strings.Repeat("长", 4000), TTL: 60 * 24 * time.Hour, Truncate: true},
		"the shortest":     {Kind: wire.Notification},
		"custom":           {ID: "9", Kind: wire.Data, Title: "T", Body: `{"x":1}`, ContentType: "json", Extras: json.RawMessage(`{"k":1}`), TTL: time.Second},
		"topic of its own": {ID: "10", Kind: wire.Notification, Body: "b", Options: json.RawMessage(`{"topic":"abc_-XYZ"}`)},
	} {
		token := r.Subscribe(r.base(), r.creds.ID())
		if o := r.send(t, token, m); o.Status != wire.Accepted || o.VendorID == "" {
			t.Errorf("%s: %+v", name, o)
			continue
		}
		p, _ := r.phones.Find("webpush", token)
		if len(p.Got) != 1 {
			t.Errorf("%s: got %+v", name, p.Got)
			continue
		}
		got := p.Got[0]
		switch m.Kind {
		case wire.Data:
			if got.ID != m.ID || string(got.Data) != `{"title":"T","content":"{\"x\":1}","content_type":"json","extras":{"k":1}}` || len(p.Screen) != 0 {
				t.Errorf("%s: %+v", name, got)
			}
		default:
			if got.ID != m.ID || got.Title != m.Title || !strings.HasPrefix(m.Body, got.Body) || string(got.Data) != string(m.Extras) {
				t.Errorf("%s: %+v", name, got)
			}
		}
	}
}

func TestARequestThatBreaksARuleIsRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.Subscribe(r.base(), r.creds.ID())
	body := func(change func([]byte) []byte) func(*http.Request) {
		return func(q *http.Request) {
			b, _ := io.ReadAll(q.Body)
			b = change(b)
			q.Body, q.ContentLength = io.NopCloser(bytes.NewReader(b)), int64(len(b))
		}
	}
	header := func(name, value string) func(*http.Request) {
		return func(q *http.Request) {
			if q.Header.Set(name, value); value == "" {
				q.Header.Del(name)
			}
		}
	}
	jwt := func(change func(parts []string)) func(*http.Request) {
		return func(q *http.Request) {
			a := q.Header.Get("Authorization")
			from, to := strings.Index(a, "t=")+2, strings.Index(a, ", k=")
			parts := strings.Split(a[from:to], ".")
			change(parts)
			q.Header.Set("Authorization", a[:from]+strings.Join(parts, ".")+a[to:])
		}
	}
	for name, bad := range map[string]struct {
		damage func(*http.Request)
		status int
	}{
		"no TTL":               {header("TTL", ""), 400},
		"TTL is negative":      {header("TTL", "-1"), 400},
		"TTL is no number":     {header("TTL", "1h"), 400},
		"another urgency":      {header("Urgency", "urgent"), 400},
		"topic too long":       {header("Topic", strings.Repeat("a", 33)), 400},
		"topic with a dot":     {header("Topic", "a.b"), 400},
		"another encoding":     {header("Content-Encoding", "aesgcm"), 415},
		"no encoding":          {header("Content-Encoding", ""), 415},
		"nobody":               {header("Authorization", ""), 401},
		"another scheme":       {header("Authorization", "Basic eDp5"), 401},
		"no token":             {header("Authorization", "vapid k="+r.creds.ID()), 403},
		"no key":               {header("Authorization", "vapid t=a.b.c"), 403},
		"signature changed":    {jwt(func(p []string) { p[2] = strings.Repeat("A", 86) }), 403},
		"signature cut":        {jwt(func(p []string) { p[2] = p[2][:80] }), 403},
		"claims changed":       {jwt(func(p []string) { p[1] = "eyJhdWQiOiJodHRwczovL2V2aWwuZXhhbXBsZSJ9" }), 403},
		"no algorithm":         {jwt(func(p []string) { p[0] = "eyJhbGciOiJub25lIn0" }), 403},
		"a body of 4097 bytes": {body(func(b []byte) []byte { return append(b, make([]byte, 4097-len(b))...) }), 413},
		"body changed":         {body(func(b []byte) []byte { b[len(b)-1] ^= 1; return b }), 400},
		"salt changed":         {body(func(b []byte) []byte { b[0] ^= 1; return b }), 400},
		"body cut":             {body(func(b []byte) []byte { return b[:20] }), 400},
		"key of the body":      {body(func(b []byte) []byte { b[30] ^= 1; return b }), 400},
		"small records":        {body(func(b []byte) []byte { b[18], b[19] = 0, 20; return b }), 400},
		"unknown subscription": {func(q *http.Request) { q.URL.Path = "/webpush/push/unknown" }, 404},
	} {
		r.damage = bad.damage
		o := r.send(t, token, note("1", "x"))
		if r.last == nil || r.last.StatusCode != bad.status || o.Status == wire.Accepted {
			t.Errorf("%s: %+v", name, o)
		}
	}
	r.damage = nil
	if n := len(r.texts(token)); n != 0 {
		t.Errorf("%d arrived", n)
	}
	if o := r.send(t, token, note("1", "x")); o.Status != wire.Accepted {
		t.Errorf("undamaged: %+v", o)
	}
}

// With a clock that is wrong, or for another service, the signature does not pass.
func TestSignaturesOfOtherTimesAndPlacesAreRefused(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.Subscribe(r.base(), "")
	for name, skew := range map[string]time.Duration{"yesterday": -13 * time.Hour, "tomorrow": 13 * time.Hour} {
		v := webpush.New(wire.Deps{BaseURL: r.base(), Clock: clock.NewFake(r.fake.Now().Add(skew))})
		o := v.Send(t.Context(), r.creds, []wire.Token{{Value: token}}, note("1", "x"))[0]
		if o.Status != wire.Denied || o.Code != "403" {
			t.Errorf("%s: %+v", name, o)
		}
	}
	// The service knows itself by another name.
	elsewhere := r.Subscribe("https://push.example.net", "")
	elsewhere = strings.Replace(elsewhere, "https://push.example.net", r.base(), 1)
	if o := r.send(t, elsewhere, note("1", "x")); o.Status != wire.Denied {
		t.Errorf("another origin: %+v", o)
	}
	other, _, err := webpush.GenerateKeys()
	if err != nil {
		t.Fatal(err)
	}
	bound := r.Subscribe(r.base(), other)
	if o := r.send(t, bound, note("1", "x")); o.Status != wire.Invalid {
		t.Errorf("a subscription of another key: %+v", o)
	}
	if n := len(r.texts(token)); n != 0 {
		t.Errorf("%d arrived", n)
	}
}

func TestDeadSubscriptionsAndRates(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.Subscribe(r.base(), "")
	r.phones.SetState("webpush", token, phone.Uninstalled)
	if o := r.send(t, token, note("1", "x")); o.Status != wire.Invalid || o.Code != "410" {
		t.Errorf("gone: %+v", o)
	}
	busy := r.Subscribe(r.base(), "")
	for i := range 601 {
		o := r.send(t, busy, note("1", "x"))
		if want := map[bool]wire.Status{false: wire.Accepted, true: wire.Limited}[i == 600]; o.Status != want || i == 600 && o.After != time.Minute {
			t.Fatalf("message %d: %+v", i, o)
		}
	}
	r.fake.Advance(time.Minute)
	if o := r.send(t, busy, note("1", "x")); o.Status != wire.Accepted {
		t.Errorf("a minute later: %+v", o)
	}
}

func TestFaultsAreWhatTheVendorReads(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.Subscribe(r.base(), "")
	want := map[string]wire.Outcome{
		"bad_request": {Status: wire.Denied}, "unauthorized": {Status: wire.Denied}, "bad_jwt": {Status: wire.Denied}, "key_mismatch": {Status: wire.Invalid},
		"not_found": {Status: wire.Invalid}, "gone": {Status: wire.Invalid}, "too_large": {Status: wire.Rejected},
		"rate": {Status: wire.Limited, After: 5 * time.Second}, "internal": {Status: wire.Failed}, "html": {Status: wire.Failed},
		"unavailable": {Status: wire.Failed, After: 7 * time.Second}, "cut": {Status: wire.Unknown},
	}
	names := r.FaultNames()
	for _, name := range names {
		r.faults.Next(name)
		o := r.send(t, token, note("1", "x"))
		if w, ok := want[name]; !ok || o.Status != w.Status || o.After != w.After {
			t.Errorf("%s: %+v", name, o)
		}
	}
	if len(names) != len(want) || len(r.texts(token)) != 0 {
		t.Errorf("%d faults, %d arrived", len(names), len(r.texts(token)))
	}
}

// A closed browser gets what waited: the newest of a topic, within its time to live.
func TestMessagesWaitForAClosedBrowser(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	token := r.Subscribe(r.base(), "")
	r.phones.SetState("webpush", token, phone.Inactive)
	short := note("5", "short")
	short.TTL = time.Minute
	replacing := note("2", "second")
	replacing.Replaces = "1"
	for _, m := range []*wire.Message{note("1", "first"), short, replacing, note("3", "third"), note("3", "third again"), note("4", "withdrawn")} {
		if o := r.send(t, token, m); o.Status != wire.Accepted {
			t.Fatalf("%+v", o)
		}
	}
	req, _ := http.NewRequestWithContext(t.Context(), http.MethodDelete, r.last.Header.Get("Location"), nil)
	for _, status := range []int{204, 404} {
		resp, err := http.DefaultClient.Do(req)
		if err != nil || resp.StatusCode != status {
			t.Fatalf("withdrawal: %v, %v", resp, err)
		}
		_ = resp.Body.Close()
	}
	r.fake.Advance(2 * time.Minute)
	r.Wake(token)
	if got := r.texts(token); !slices.Equal(got, []string{"2 second", "3 third again"}) {
		t.Errorf("got %q", got)
	}
	if o := r.send(t, token, note("6", "now")); o.Status != wire.Accepted || len(r.texts(token)) != 3 {
		t.Errorf("open: %+v", o)
	}
}

func TestBrowsersInOtherProcessesSubscribe(t *testing.T) {
	t.Parallel()
	r := newRig(t)
	resp, err := http.Post(r.base()+"/subscriptions", "application/json", strings.NewReader(`{"base":"`+r.base()+`","vapid":"`+r.creds.ID()+`"}`))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	token, _ := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("%d %s", resp.StatusCode, token)
	}
	if o := r.send(t, string(token), note("1", "x")); o.Status != wire.Accepted || !slices.Equal(r.texts(string(token)), []string{"1 x"}) {
		t.Errorf("%+v", o)
	}
}
