package meizu_test

import (
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	vendor "borealis/internal/engine/channel/meizu"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/meizu"
	"borealis/test/sim/phone"
)

// world is a simulator, the vendor's package in front of it, and a server that hears receipts.
type world struct {
	clock   *clock.Fake
	phones  *phone.Network
	faults  *phone.Faults
	sim     *meizu.Sim
	url     string
	vendor  *vendor.Vendor
	account wire.Credentials

	mu       sync.Mutex
	receipts []wire.Receipt
	problems []error
}

const callbackPath = "/receipts/7"

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC)), faults: &phone.Faults{}}
	w.phones = phone.NewNetwork(w.clock)
	w.sim = meizu.New(phone.Deps{Phones: w.phones, Faults: w.faults, Clock: w.clock})
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

// heard are the receipts so far.
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
	return out
}

func message(id int) wire.Message {
	return wire.Message{
		ID: strconv.Itoa(id), Kind: wire.Notification, Title: "Hello", Body: "World", TTL: time.Hour, Class: wire.System,
		CallbackURL: "https://push.example.com" + callbackPath,
	}
}

// everything is one message for each thing that the package can say.
func everything() map[string]wire.Message {
	all := map[string]wire.Message{}
	add := func(name string, change func(*wire.Message)) {
		m := message(len(all) + 1)
		change(&m)
		all[name] = m
	}
	add("plain", func(*wire.Message) {})
	add("marketing", func(m *wire.Message) { m.Class = wire.Marketing })
	add("longest", func(m *wire.Message) { m.TTL = 999 * time.Hour })
	add("shortest", func(m *wire.Message) { m.TTL = 0 })
	add("no title", func(m *wire.Message) { m.Title = "" })
	add("cut", func(m *wire.Message) {
		m.Title, m.Body, m.Truncate = strings.Repeat("题", 99), strings.Repeat("文", 999), true
	})
	add("extras", func(m *wire.Message) {
		m.Extras = json.RawMessage(`{"a":"<&=>","b":[1,null],"mzpns_content_forshort":"short"}`)
	})
	add("activity", func(m *wire.Message) { m.Click.Activity = "com.example.sim.Main" })
	add("action", func(m *wire.Message) { m.Click.Action = "com.example.OPEN" })
	add("page", func(m *wire.Message) { m.Click.URL = "https://example.com/?a=b&c=文" })
	add("deep link", func(m *wire.Message) { m.Click.URL = "example://item/1" })
	add("intent", func(m *wire.Message) { m.Click.URL = "intent:#Intent;component=com.example.sim/.Main;end" })
	add("big text", func(m *wire.Message) { m.Style.BigText = "a longer text" })
	add("no receipts", func(m *wire.Message) { m.CallbackURL = "" })
	return all
}

func TestTheSimulatorTakesWhateverThePackageSends(t *testing.T) {
	t.Parallel()
	for name, m := range everything() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			token := w.phones.Add("meizu", "")
			if out := w.send(t, m, token); out[0].Status != wire.Accepted || out[0].VendorID == "" {
				t.Fatalf("%+v", out[0])
			}
			p, _ := w.phones.Find("meizu", token)
			if len(p.Got) != 1 || p.Got[0].ID != m.ID {
				t.Fatalf("the phone got %+v", p.Got)
			}
			got, want := p.Got[0], m
			switch name {
			case "no title":
				want.Title = "Sim"
			case "cut":
				want.Title, want.Body = strings.Repeat("题", 32), strings.Repeat("文", 100)
			case "extras":
				want.Body = "short"
				var data map[string]any
				if json.Unmarshal(got.Data, &data) != nil || data["a"] != "<&=>" || len(data) != 3 {
					t.Errorf("data %s", got.Data)
				}
			case "big text":
				want.Body = "a longer text"
			}
			if got.Title != want.Title || got.Body != want.Body {
				t.Errorf("%q, %q; want %q, %q", got.Title, got.Body, want.Title, want.Body)
			}
			var receipts []wire.Receipt
			if name != "no receipts" {
				receipts = []wire.Receipt{{Token: token, ID: m.ID, Event: wire.Arrived}}
			}
			if r := w.heard(t); !slices.Equal(r, receipts) {
				t.Errorf("receipts %+v", r)
			}
		})
	}
}

func TestPhonesInEveryStateHaveTheirOutcome(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for token, state := range map[string]phone.State{"good": "", "gone": phone.Uninstalled, "silent": phone.Silent, "idle": phone.Inactive} {
		w.phones.SetState("meizu", token, state)
	}
	out := w.send(t, message(1), "idle", "nobody", "silent", "gone", "good", "good")
	want := []string{"accepted ", "invalid 110003", "silenced 110010", "invalid 110002", "accepted ", "accepted "}
	for i, o := range out {
		if got := o.Status.String() + " " + o.Code; got != want[i] {
			t.Errorf("token %d: %s, want %s", i, got, want[i])
		}
	}
	if r := w.heard(t); len(r) != 2 || r[0].Token != "good" {
		t.Errorf("%+v", r)
	}
	if !w.sim.Click("good") || w.sim.Click("idle") {
		t.Error("clicks")
	}
	if r := w.heard(t); !slices.Equal(r, []wire.Receipt{{Token: "good", ID: "1", Event: wire.Clicked}}) {
		t.Errorf("%+v", r)
	}
}

func TestARepetitionAndAReplacementTakeThePlaceOfTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("meizu", "")
	w.faults.Next("lost_answer")
	if out := w.send(t, message(1), token); out[0].Status != wire.Unknown {
		t.Fatalf("%+v", out)
	}
	w.send(t, message(1), token)
	second := message(2)
	second.Replaces, second.Body = "1", "New"
	w.send(t, second, token)
	w.send(t, message(3), token)
	p, _ := w.phones.Find("meizu", token)
	if len(p.Screen) != 2 || p.Screen[0].Body != "New" || p.Screen[1].ID != "3" {
		t.Fatalf("%+v", p.Screen)
	}
}

func TestLimitsAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token, other := w.phones.Add("meizu", ""), w.phones.Add("meizu", "")
	last := func(id int, class wire.Class, token string) wire.Outcome {
		m := message(id)
		m.Class = class
		return w.send(t, m, token)[0]
	}
	for i := range 3 {
		last(i, wire.Marketing, token)
	}
	if o := last(3, wire.Marketing, token); o.Status != wire.Quota || o.Code != "110011" || o.After != 6*time.Hour+30*time.Minute {
		t.Errorf("the fourth public message of a day: %+v", o)
	}
	w.clock.Advance(7 * time.Hour)
	if o := last(4, wire.Marketing, token); o.Status != wire.Accepted {
		t.Errorf("on the next day: %+v", o)
	}
	for i := range 5 {
		last(10+i, wire.System, other)
	}
	o := last(15, wire.System, other)
	if o.Status != wire.Limited || o.Code != "520" {
		t.Errorf("the sixth of a minute: %+v", o)
	}
	w.clock.Advance(o.After)
	if o := last(15, wire.System, other); o.Status != wire.Accepted {
		t.Errorf("a minute later: %+v", o)
	}
	w.clock.Advance(time.Second)
	for range 200 {
		last(20, wire.System, "nobody")
	}
	o = last(20, wire.System, other)
	if o.Status != wire.Limited || o.Code != "110010" {
		t.Errorf("request 201 of a second: %+v", o)
	}
	w.clock.Advance(o.After)
	if o := last(20, wire.System, other); o.Status != wire.Accepted {
		t.Errorf("a second later: %+v", o)
	}
}

func TestEveryFaultIsToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("meizu", "")
	for _, name := range w.sim.FaultNames() {
		w.clock.Advance(time.Minute)
		w.faults.Next(name)
		o := w.send(t, message(1), token)[0]
		var ok bool
		switch {
		case strings.HasPrefix(name, "http_"):
			ok = o.Status == wire.Failed && "http_"+o.Code == name
		case name == "no_answer" || name == "lost_answer" || name == "html":
			ok = o.Status == wire.Unknown
		default:
			ok = o.Status != wire.Accepted && o.Status != wire.Unknown && o.Code == strings.TrimPrefix(name, "token_")
		}
		if !ok {
			t.Errorf("%s: %+v", name, o)
		}
	}
	w.clock.Advance(time.Minute)
	w.faults.Next("110010")
	request := w.send(t, message(1), token)[0]
	w.faults.Next("token_110010")
	device := w.send(t, message(1), token)[0]
	if request.Status != wire.Limited || device.Status != wire.Silenced {
		t.Errorf("110010 of a request is %s, of a device %s", request.Status, device.Status)
	}
}

func TestProbeTellsGoodCredentialsFromOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.vendor.Probe(t.Context(), w.account); err != nil {
		t.Error(err)
	}
	for raw, field := range map[string]string{`{"app_id":"100999","app_secret":"x"}`: "app_secret", `{"app_id":"1","app_secret":"sim-meizu-secret"}`: "app_id"} {
		other, err := w.vendor.Parse([]byte(raw))
		if err != nil {
			t.Fatal(err)
		}
		if err := w.vendor.Probe(t.Context(), other); err == nil || !strings.HasPrefix(err.Error(), field+": ") {
			t.Errorf("%s: %v", raw, err)
		}
	}
}

// TestBrokenRequestsAreRefused changes one thing of a good request at a time.
func TestBrokenRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phones.Add("meizu", "p1")
	post := func(f url.Values, kind string) (code, why string) {
		t.Helper()
		w.clock.Advance(time.Minute)
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+"/garcia/api/server/push/varnished/pushByPushId", strings.NewReader(f.Encode()))
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Content-Type", kind)
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer struct{ Code, Message string }
		if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
			t.Fatal(err)
		}
		return answer.Code, answer.Message
	}
	signed := func(ids, text string) url.Values {
		f := url.Values{"appId": {"100999"}, "pushIds": {ids}, "messageJson": {text}}
		all := ""
		for _, k := range slices.Sorted(maps.Keys(f)) {
			all += k + "=" + f.Get(k)
		}
		sum := md5.Sum([]byte(all + "sim-meizu-secret"))
		f.Set("sign", hex.EncodeToString(sum[:]))
		return f
	}
	const kind = "application/x-www-form-urlencoded;charset=UTF-8"
	const good = `{"noticeBarInfo":{"noticeMsgType":1,"title":"t","content":"c"},"clickTypeInfo":{"clickType":0,"parameters":{}},` +
		`"pushTimeInfo":{"offLine":1,"validTime":1},"advanceInfo":{"notifyKey":"k"},"extra":{"callback":"https://a.example/","callback.param":"p","callback.type":"3"}}`
	if code, why := post(signed("p1", good), kind); code != "200" {
		t.Fatalf("the good one: %s %s", code, why)
	}
	change := func(name, value string) url.Values {
		f := signed("p1", good)
		f.Set(name, value)
		return f
	}
	for _, c := range []struct {
		what string
		form url.Values
		kind string
		code string
	}{
		{"another app", change("appId", "1"), kind, "110000"},
		{"no signature", change("sign", ""), kind, "110004"},
		{"a wrong signature", change("sign", strings.Repeat("0", 32)), kind, "1006"},
		{"a signature in capitals", change("sign", strings.ToUpper(signed("p1", good).Get("sign"))), kind, "1006"},
		{"a message that was changed", change("messageJson", strings.Replace(good, `"t"`, `"u"`, 1)), kind, "1006"},
		{"one more device", change("pushIds", "p1,p2"), kind, "1006"},
		{"one more parameter", change("extra", "x"), kind, "1006"},
		{"no devices", signed("", good), kind, "110004"},
		{"no message", signed("p1", ""), kind, "110004"},
		{"101 devices", signed(strings.Repeat("p1,", 100)+"p1", good), kind, "1005"},
		{"no form", signed("p1", good), "application/json", "1005"},
	} {
		if code, why := post(c.form, c.kind); code != c.code {
			t.Errorf("%s: %s %s, want %s", c.what, code, why, c.code)
		}
	}
	long := func(n int) string { return strings.Repeat("文", n) }
	for _, c := range []struct{ old, new, field string }{
		{`{"noticeBarInfo"`, `["noticeBarInfo"`, "messageJson"},
		{`"noticeBarInfo"`, `"noticeBar"`, "messageJson"},
		{`"noticeMsgType":1`, `"noticeMsgType":2`, "noticeMsgType"},
		{`"noticeMsgType":1`, `"noticeBarType":1`, "noticeBarType"},
		{`"title":"t"`, `"title":" "`, "title"},
		{`"title":"t"`, `"title":"` + long(33) + `"`, "title"},
		{`"content":"c"`, `"content":""`, "content"},
		{`"content":"c"`, `"content":"` + long(101) + `"`, "content"},
		{`"clickTypeInfo"`, `"noticeExpandInfo":{"noticeExpandType":1},"clickTypeInfo"`, "noticeExpandInfo"},
		{`"clickTypeInfo"`, `"noticeExpandInfo":{"noticeExpandType":2},"clickTypeInfo"`, "noticeExpandInfo"},
		{`"clickType":0`, `"clickType":3`, "clickType"},
		{`"clickType":0`, `"clickType":1`, "activity"},
		{`"clickType":0`, `"clickType":2`, "url"},
		{`"clickType":0`, `"clickType":2,"url":"` + strings.Repeat("x", 1001) + `"`, "url"},
		{`"parameters":{}`, `"parameters":[]`, "parameters"},
		{`"offLine":1`, `"offLine":2`, "offLine"},
		{`"validTime":1`, `"validTime":0`, "validTime"},
		{`"validTime":1`, `"validTime":73`, "validTime"},
		{`"notifyKey":"k"`, `"notifyKey":"123456789"`, "notifyKey"},
		{`"notifyKey":"k"`, `"notifyKey":"a b"`, "notifyKey"},
		{`https://a.example/`, `here`, "callback"},
		{`https://a.example/`, `https://a.example/` + strings.Repeat("x", 128), "callback"},
		{`"callback.param":"p"`, `"callback.param":"` + strings.Repeat("p", 65) + `"`, "callback.param"},
		{`"callback.type":"3"`, `"callback.type":"4"`, "callback.type"},
	} {
		text := strings.Replace(good, c.old, c.new, 1)
		if text == good {
			t.Fatalf("%s is not there", c.old)
		}
		if code, why := post(signed("p1", text), kind); code != "1005" || why != c.field {
			t.Errorf("%.60s: %s %s, want 1005 %s", c.new, code, why, c.field)
		}
	}
}
