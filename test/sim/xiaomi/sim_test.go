package xiaomi_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	vendor "borealis/internal/engine/channel/xiaomi"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
	"borealis/test/sim/xiaomi"
)

// world is a simulator, the vendor's package in front of it, and a server that hears receipts.
type world struct {
	clock   *clock.Fake
	phones  *phone.Network
	faults  *phone.Faults
	sim     *xiaomi.Sim
	url     string
	vendor  *vendor.Vendor
	account wire.Credentials

	mu       sync.Mutex
	receipts []wire.Receipt
	problems []error
}

const callbackPath = "/receipts/7?app=9"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC)), faults: &phone.Faults{}}
	w.phones = phone.NewNetwork(w.clock)
	w.sim = xiaomi.New(phone.Deps{Phones: w.phones, Faults: w.faults, Clock: w.clock})
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.vendor = vendor.New(wire.Deps{BaseURL: server.URL, Clock: w.clock})
	account, err := w.vendor.Parse(w.sim.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	w.account = account
	hears := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, _, err := w.vendor.Receipts(w.account, r, body)
		if err == nil && r.URL.RequestURI() != callbackPath {
			err = fmt.Errorf("called at %s", r.URL)
		}
		w.mu.Lock()
		defer w.mu.Unlock()
		w.receipts = append(w.receipts, got...)
		if err != nil {
			w.problems = append(w.problems, err)
		}
	}))
	t.Cleanup(hears.Close)
	w.sim.ReportTo(hears.URL)
	return w
}

func (w *world) send(t *testing.T, m wire.Message, tokens ...string) []wire.Outcome {
	t.Helper()
	list := make([]wire.Token, len(tokens))
	for i, v := range tokens {
		list[i].Value = v
	}
	return w.vendor.Send(t.Context(), w.account, list, &m)
}

// heard are the receipts so far, in the order of tokens.
func (w *world) heard(t *testing.T) []wire.Receipt {
	t.Helper()
	w.sim.Wait()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, err := range w.problems {
		t.Error(err)
	}
	out := w.receipts
	w.receipts = nil
	slices.SortFunc(out, func(a, b wire.Receipt) int { return strings.Compare(a.Token, b.Token) })
	return out
}

func message(id int) wire.Message {
	return wire.Message{ID: strconv.Itoa(id), Kind: wire.Notification, Title: "Hello", Body: "World", TTL: time.Hour, CallbackURL: "https://push.example.com" + callbackPath}
}

// everything is one message for each thing that the package can say.
func everything() map[string]wire.Message {
	all := map[string]wire.Message{}
	add := func(name string, change func(*wire.Message)) {
		m := message(len(all) + 1)
		m.Class = wire.System // public messages have a limit
		change(&m)
		all[name] = m
	}
	no := false
	live := json.RawMessage(`{"miui.focus.param":{"param_v2":{"business":"taxi"}},"miui.focus.pic_car":"https://example.com/car.png"}`)
	add("plain", func(*wire.Message) {})
	add("marketing", func(m *wire.Message) { m.Class = wire.Marketing; m.TTL = 99 * time.Hour })
	add("longest", func(m *wire.Message) { m.TTL = 999 * time.Hour })
	add("shortest", func(m *wire.Message) { m.TTL = 0 })
	add("no title", func(m *wire.Message) { m.Title = "" })
	add("cut", func(m *wire.Message) {
		m.Title, m.Body, m.Truncate = strings.Repeat("题", 99), strings.Repeat("文", 999), true
	})
	add("extras", func(m *wire.Message) { m.Extras = json.RawMessage(`{"a":1,"mipns_content_forshort":"short"}`) })
	add("activity", func(m *wire.Message) { m.Click.Activity = "com.example.sim.Main" })
	add("action", func(m *wire.Message) { m.Click.Action = "com.example.OPEN" })
	add("page", func(m *wire.Message) { m.Click.URL = "https://example.com/" })
	add("deep link", func(m *wire.Message) { m.Click.URL = "example://item/1" })
	add("intent", func(m *wire.Message) { m.Click.URL = "intent:#Intent;action=android.intent.action.MAIN;end" })
	add("decorated", func(m *wire.Message) {
		m.Foreground, m.Sound, m.Truncate = &no, "ding", true
		m.Style.BigPicture, m.LargeIcon, m.SmallIcon = "https://example.com/p.png", "https://example.com/l.png", "https://example.com/s.png"
		m.Options = json.RawMessage(`{"small_icon_color":"#FF0000"}`)
	})
	add("big text", func(m *wire.Message) { m.Style.BigText = "a longer text" })
	add("channel of the options", func(m *wire.Message) { m.Options = json.RawMessage(`{"channel_id":"call"}`) })
	add("template", func(m *wire.Message) {
		m.Options = json.RawMessage(`{"mi_template_id":"order_shipped","mi_template_param":"{\"order\":\"42\",\"shop\":\"文\"}"}`)
	})
	add("data", func(m *wire.Message) {
		m.Kind, m.ContentType, m.Extras = wire.Data, "text", json.RawMessage(`{"k":"v"}`)
	})
	add("call", func(m *wire.Message) {
		m.Options = json.RawMessage(`{"mi_push_type":3,"voip_extraData":"{\"callId\":\"c\"}","channel_id":"call"}`)
	})
	add("live", func(m *wire.Message) { m.Kind, m.Payload, m.Title, m.Body = wire.Live, live, "", "" })
	add("live of the options", func(m *wire.Message) {
		m.Options = json.RawMessage(`{"mi_push_type":7,"mi_live_payload":` + string(live) + `}`)
	})
	return all
}

func TestTheSimulatorTakesWhateverThePackageSends(t *testing.T) {
	t.Parallel()
	for name, m := range everything() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			token := w.phones.Add("xiaomi", "")
			if out := w.send(t, m, token); out[0].Status != wire.Accepted || out[0].VendorID == "" {
				t.Fatalf("%+v", out[0])
			}
			p, _ := w.phones.Find("xiaomi", token)
			if len(p.Got) != 1 || p.Got[0].ID != m.ID {
				t.Fatalf("the phone got %+v", p.Got)
			}
			got, want := p.Got[0], m
			switch name {
			case "no title":
				want.Title = "Sim"
			case "cut":
				want.Title, want.Body = strings.Repeat("题", 49), strings.Repeat("文", 127)
			case "extras":
				want.Body = "short"
			case "big text":
				want.Body = m.Style.BigText
			case "template":
				want.Title, want.Body = "Order 42", "文 has shipped it"
			case "data", "call":
				want.Title, want.Body = "", ""
			case "live":
				want.Title, want.Body = "Sim", "…"
			}
			if got.Title != want.Title || got.Body != want.Body {
				t.Errorf("%q, %q; want %q, %q", got.Title, got.Body, want.Title, want.Body)
			}
			var data map[string]any
			if json.Unmarshal(got.Data, &data) != nil || !strings.HasPrefix(name, "live") && data["_j_msgid"] != m.ID {
				t.Errorf("data %s", got.Data)
			}
			if strings.HasPrefix(name, "live") && data["miui.focus.param"] == nil {
				t.Errorf("data %s", got.Data)
			}
			if r := w.heard(t); !slices.Equal(r, []wire.Receipt{{Token: token, ID: m.ID, Event: wire.Arrived, At: w.clock.Now().UnixMilli()}}) {
				t.Errorf("receipts %+v", r)
			}
		})
	}
}

func TestPhonesInEveryStateAreReported(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for token, state := range map[string]phone.State{"a-good": "", "b-gone": phone.Uninstalled, "c-silent": phone.Silent, "d-idle": phone.Inactive} {
		w.phones.SetState("xiaomi", token, state)
	}
	m := message(1)
	out := w.send(t, m, "d-idle", "nobody", "c-silent", "b-gone", "a-good")
	want := []wire.Status{wire.Accepted, wire.Invalid, wire.Accepted, wire.Accepted, wire.Accepted}
	for i, o := range out {
		if o.Status != want[i] {
			t.Errorf("token %d: %+v, want %s", i, o, want[i])
		}
	}
	events := map[string]string{}
	for _, r := range w.heard(t) {
		events[r.Token] = fmt.Sprint(r.Event, r.Code)
	}
	if len(events) != 4 || events["a-good"] != "1" || events["b-gone"] != fmt.Sprint(wire.Unregistered, "16") || events["c-silent"] != "1" ||
		events["d-idle"] != fmt.Sprint(wire.Lost, "1024") {
		t.Errorf("%v", events)
	}
	if p, _ := w.phones.Find("xiaomi", "c-silent"); len(p.Got) != 1 || len(p.Screen) != 0 {
		t.Errorf("the silent one: %+v", p)
	}
	if !w.sim.Click("a-good") || w.sim.Click("b-gone") {
		t.Error("clicks")
	}
	if r := w.heard(t); len(r) != 1 || r[0].Event != wire.Clicked || r[0].ID != "1" {
		t.Errorf("%+v", r)
	}
	if out := w.send(t, m, "nobody"); out[0].Status != wire.Invalid || out[0].Code != "20301" {
		t.Errorf("only unknown tokens: %+v", out)
	}
}

func TestARepetitionIsShownOnceAndAReplacementReplaces(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("xiaomi", "")
	m := message(1)
	w.faults.Next("lost_answer")
	if out := w.send(t, m, token); out[0].Status != wire.Unknown {
		t.Fatalf("%+v", out)
	}
	if out := w.send(t, m, token); out[0].Status != wire.Accepted {
		t.Fatalf("%+v", out)
	}
	second := message(2)
	second.Replaces, second.Body = "1", "New"
	w.send(t, second, token)
	w.send(t, message(3), token)
	p, _ := w.phones.Find("xiaomi", token)
	if len(p.Got) != 3 || len(p.Screen) != 2 || p.Screen[0].Body != "New" {
		t.Fatalf("%+v", p)
	}
	if out := w.vendor.Retract(t.Context(), w.account, []wire.Token{{Value: token}}, "3"); out[0].Status != wire.Accepted {
		t.Fatalf("%+v", out)
	}
	if p, _ := w.phones.Find("xiaomi", token); len(p.Screen) != 1 || p.Screen[0].ID != "2" {
		t.Fatalf("%+v", p.Screen)
	}
}

func TestQuotasAndRatesAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("xiaomi", "")
	for i := range 6 {
		w.send(t, message(i+1), token)
	}
	p, _ := w.phones.Find("xiaomi", token)
	lost := slices.DeleteFunc(w.heard(t), func(r wire.Receipt) bool { return r.Event != wire.Lost })
	if len(p.Got) != 5 || len(lost) != 1 || lost[0].Code != "128" {
		t.Errorf("%d of 6 arrived, receipts %+v", len(p.Got), lost)
	}
	w.sim.SetQuota(6)
	other := w.phones.Add("xiaomi", "")
	w.send(t, message(10), other)
	out := w.send(t, message(11), other)
	if out[0].Status != wire.Quota || out[0].Code != "200001" || out[0].After != 6*time.Hour+30*time.Minute {
		t.Errorf("%+v", out)
	}
	w.clock.Advance(out[0].After)
	if out := w.send(t, message(11), other); out[0].Status != wire.Accepted {
		t.Errorf("on the next day: %+v", out)
	}
	if p, _ := w.phones.Find("xiaomi", other); len(p.Got) != 2 {
		t.Errorf("%+v", p.Got)
	}
	for range 499 {
		w.send(t, message(12), "nobody")
	}
	if out := w.send(t, message(12), other); out[0].Status != wire.Limited || out[0].Code != "10027" {
		t.Errorf("request 501 of a second: %+v", out)
	}
	w.clock.Advance(out[0].After)
	if out := w.send(t, message(12), other); out[0].Status != wire.Accepted {
		t.Errorf("a second later: %+v", out)
	}
}

func TestEveryFaultIsToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("xiaomi", "")
	for _, name := range w.sim.FaultNames() {
		w.clock.Advance(time.Second)
		w.faults.Next(name)
		m := message(1)
		m.Class = wire.System
		o := w.send(t, m, token)[0]
		switch {
		case strings.HasPrefix(name, "receipt_"):
			r := w.heard(t)
			if o.Status != wire.Accepted || len(r) != 1 || r[0].Event != wire.Lost && r[0].Event != wire.Unregistered || "receipt_"+r[0].Code != name {
				t.Errorf("%s: %+v, %+v", name, o, r)
			}
		case name == "no_answer" || name == "lost_answer" || name == "html":
			if o.Status != wire.Unknown {
				t.Errorf("%s: %+v", name, o)
			}
		case strings.HasPrefix(name, "http_"):
			if o.Status != wire.Failed || "http_"+o.Code != name {
				t.Errorf("%s: %+v", name, o)
			}
		default:
			if o.Status == wire.Accepted || o.Status == wire.Unknown || o.Code != name {
				t.Errorf("%s: %+v", name, o)
			}
		}
	}
}

func TestProbeTellsGoodCredentialsFromOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.vendor.Probe(t.Context(), w.account); err != nil {
		t.Error(err)
	}
	other, err := w.vendor.Parse([]byte(`{"app_secret":"x","package_name":"com.example.sim"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.vendor.Probe(t.Context(), other); err == nil || !strings.Contains(err.Error(), "app_secret") {
		t.Errorf("%v", err)
	}
}

// TestBrokenRequestsAreRefused changes one thing of a good request at a time.
func TestBrokenRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phones.Add("xiaomi", "r1")
	good := func() url.Values {
		return url.Values{
			"registration_id": {"r1"}, "restricted_package_name": {"com.example.sim"}, "pass_through": {"0"}, "time_to_live": {"3600000"},
			"notify_id": {"1"}, "title": {"t"}, "description": {"d"}, "payload": {"{}"}, "notify_type": {"-1"}, "extra.channel_id": {"private"},
			"extra.jobkey": {"1"}, "extra.notify_effect": {"1"}, "extra.callback": {"https://a.example/b"}, "extra.callback.param": {"p"},
			"extra.callback.type": {"1267"},
		}
	}
	post := func(t *testing.T, auth, kind string, f url.Values) int {
		t.Helper()
		w.clock.Advance(time.Second)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/v3/message/regid", strings.NewReader(f.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", auth)
		r.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct{ Code int }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer.Code
	}
	const auth, kind = "key=sim-xiaomi-secret==", "application/x-www-form-urlencoded"
	if code := post(t, auth, kind, good()); code != 0 {
		t.Fatalf("the good one: %d", code)
	}
	long := func(n int) string { return strings.Repeat("文", n) }
	for _, c := range []struct {
		field, value string
		code         int
	}{
		{"registration_id", "", 10016},
		{"registration_id", strings.Repeat("r1,", 1000) + "r1", 10017},
		{"registration_id", "r2", 20301},
		{"restricted_package_name", "com.example.other", 22022},
		{"pass_through", "2", 10017},
		{"time_to_live", "0", 10017},
		{"time_to_live", "1h", 10017},
		{"time_to_live", "864000001", 10017},
		{"notify_id", "2147483648", 22103},
		{"notify_id", "-1", 22103},
		{"title", "  ", 10016},
		{"title", long(50), 65009},
		{"description", "", 10016},
		{"description", long(128), 65009},
		{"payload", strings.Repeat("x", 4097), 65009},
		{"notify_type", "8", 10017},
		{"extra.channel_id", "", 27001},
		{"extra.channel_id", "other", 27001},
		{"extra.jobkey", "_1", 10017},
		{"extra.jobkey", strings.Repeat("1", 21), 10017},
		{"extra.notify_effect", "4", 10017},
		{"extra.notify_effect", "2", 10017},
		{"extra.notify_effect", "3", 10017},
		{"extra.notify_foreground", "yes", 10017},
		{"extra.callback", "ftp://a.example", 65038},
		{"extra.callback.param", strings.Repeat("p", 65), 65036},
		{"extra.callback.type", "4", 10017},
		{"extra.long", strings.Repeat("x", 1024), 65015},
		{"extra.miui.focus.pic_a", "x", 10017},
		{"extra.miui.focus.param", strings.Repeat("x", 4096), 65009},
		{"extra.template_id", "other", 10017},
		{"extra.template_id", "order_shipped", 10017},
	} {
		f := good()
		f.Set(c.field, c.value)
		if code := post(t, auth, kind, f); code != c.code {
			t.Errorf("%s=%.30s: %d, want %d", c.field, c.value, code, c.code)
		}
	}
	public := good()
	public.Set("extra.channel_id", "public")
	public.Set("time_to_live", "86400001")
	if code := post(t, auth, kind, public); code != 10017 {
		t.Errorf("a public message for more than a day: %d", code)
	}
	many := good()
	for i := range 5 {
		many.Set("extra.k"+strconv.Itoa(i), "v")
	}
	if code := post(t, auth, kind, many); code != 65014 {
		t.Errorf("eleven fields of extra: %d", code)
	}
	for param, code := range map[string]int{
		`{"order":"1","shop":"s"}`: 0, `{"order":"1"}`: 10017, `{"order":"1","shop":"s","x":"y"}`: 10017, `{"order":"1","other":"s"}`: 10017,
		`{"order":"1","shop":" "}`: 10017, `{"order":"1","shop":"😀"}`: 10017, `{"order":"1","shop":"` + long(129) + `"}`: 10017, `[]`: 10017,
	} {
		f := good()
		f.Set("extra.template_id", "order_shipped")
		f.Set("extra.template_param", param)
		if got := post(t, auth, kind, f); got != code {
			t.Errorf("template_param %.40s: %d, want %d", param, got, code)
		}
	}
	for _, wrong := range []string{"", "key=x", "Key=sim-xiaomi-secret==", "sim-xiaomi-secret=="} {
		if code := post(t, wrong, kind, good()); code != 21301 {
			t.Errorf("authorization %q: %d", wrong, code)
		}
	}
	if code := post(t, auth, "application/json", good()); code != 10007 {
		t.Errorf("another type of content: %d", code)
	}
}
