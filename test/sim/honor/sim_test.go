package honor_test

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

	vendor "borealis/internal/engine/channel/honor"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/honor"
	"borealis/test/sim/phone"
)

// world is a simulator, the vendor's package in front of it, and a server that hears receipts.
type world struct {
	clock   *clock.Fake
	phones  *phone.Network
	faults  *phone.Faults
	sim     *honor.Sim
	url     string
	vendor  *vendor.Vendor
	account wire.Credentials

	mu       sync.Mutex
	receipts []wire.Receipt
	problems []error
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{clock: clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC)), faults: &phone.Faults{}}
	w.phones = phone.NewNetwork(w.clock)
	w.sim = honor.New(phone.Deps{Phones: w.phones, Faults: w.faults, Clock: w.clock})
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
		w.mu.Lock()
		defer w.mu.Unlock()
		w.receipts = append(w.receipts, got...)
		if err != nil {
			w.problems = append(w.problems, err)
		}
	}))
	t.Cleanup(hears.Close)
	w.sim.ReportTo(hears.URL + "/receipts/honor")
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
	return wire.Message{ID: strconv.Itoa(id), Kind: wire.Notification, Title: "Hello", Body: "World", TTL: time.Hour, Class: wire.System}
}

// everything is one message for each thing that the package can say.
func everything() map[string]wire.Message {
	all := map[string]wire.Message{}
	add := func(name string, change func(*wire.Message)) {
		m := message(len(all) + 1)
		change(&m)
		all[name] = m
	}
	zero := 0
	add("plain", func(*wire.Message) {})
	add("marketing", func(m *wire.Message) { m.Class = wire.Marketing })
	add("longest", func(m *wire.Message) { m.TTL = 999 * time.Hour })
	add("shortest", func(m *wire.Message) { m.TTL = 0 })
	add("no title", func(m *wire.Message) { m.Title = "" })
	add("cut", func(m *wire.Message) { m.Body, m.Truncate = strings.Repeat("文<", 2500), true })
	add("extras", func(m *wire.Message) { m.Extras = json.RawMessage(`{"a":1}`) })
	add("activity", func(m *wire.Message) { m.Click.Activity = "com.example.sim.Main" })
	add("action", func(m *wire.Message) { m.Click.Action = "com.example.OPEN" })
	add("page", func(m *wire.Message) { m.Click.URL = "https://example.com/" })
	add("plain page", func(m *wire.Message) { m.Click.URL = "http://example.com/" })
	add("deep link", func(m *wire.Message) { m.Click.URL = "example://item/1" })
	add("intent", func(m *wire.Message) { m.Click.URL = "intent:#Intent;action=android.intent.action.MAIN;end" })
	add("picture", func(m *wire.Message) { m.LargeIcon = "https://example.com/l.png" })
	add("big text", func(m *wire.Message) { m.Style.BigText = "a longer text" })
	add("badge step", func(m *wire.Message) { m.Badge.Add = 1 })
	add("badge number", func(m *wire.Message) { m.Badge.Set = &zero })
	add("test", func(m *wire.Message) { m.Test = true })
	add("options", func(m *wire.Message) {
		m.Options = json.RawMessage(`{"importance":"LOW","target_user_type":1,"style":1,"big_text":"a longer text","large_icon":"https://example.com/l.png"}`)
	})
	add("data", func(m *wire.Message) {
		m.Kind, m.ContentType, m.Extras = wire.Data, "text", json.RawMessage(`{"k":"v"}`)
	})
	add("call", func(m *wire.Message) {
		m.Options = json.RawMessage(`{"honor_push_type":3,"voip_extraData":"{\"callId\":\"c\"}"}`)
	})
	return all
}

func TestTheSimulatorTakesWhateverThePackageSends(t *testing.T) {
	t.Parallel()
	for name, m := range everything() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			token := w.phones.Add("honor", "")
			if out := w.send(t, m, token); out[0].Status != wire.Accepted || out[0].VendorID == "" {
				t.Fatalf("%+v", out[0])
			}
			p, _ := w.phones.Find("honor", token)
			if len(p.Got) != 1 || p.Got[0].ID != m.ID {
				t.Fatalf("the phone got %+v", p.Got)
			}
			got, want := p.Got[0], m
			switch name {
			case "no title":
				want.Title = "Sim"
			case "cut":
				want.Body = got.Body
				if !strings.HasPrefix(m.Body, got.Body) || len(got.Body) < 3500 {
					t.Errorf("%d bytes are left of the text", len(got.Body))
				}
			case "big text", "options":
				want.Body = "a longer text"
			case "data", "call":
				want.Title, want.Body = "", ""
			}
			if got.Title != want.Title || got.Body != want.Body {
				t.Errorf("%q, %q; want %q, %q", got.Title, got.Body, want.Title, want.Body)
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
		w.phones.SetState("honor", token, state)
	}
	out := w.send(t, message(1), "d-idle", "nobody", "c-silent", "b-gone", "a-good")
	want := []wire.Status{wire.Accepted, wire.Invalid, wire.Accepted, wire.Accepted, wire.Accepted}
	for i, o := range out {
		if o.Status != want[i] {
			t.Errorf("token %d: %+v, want %s", i, o, want[i])
		}
	}
	events := map[string]string{}
	for _, r := range w.heard(t) {
		events[r.Token] = fmt.Sprint(r.Event, " ", r.Code)
	}
	for token, want := range map[string]string{
		"a-good": fmt.Sprint(wire.Arrived, " "), "b-gone": fmt.Sprint(wire.Unregistered, " 2"), "c-silent": fmt.Sprint(wire.Lost, " 6"), "d-idle": fmt.Sprint(wire.Lost, " 10"),
	} {
		if events[token] != want {
			t.Errorf("%s: %q, want %q", token, events[token], want)
		}
	}
	many := make([]string, 250)
	for i := range many {
		many[i] = w.phones.Add("honor", fmt.Sprintf("m%03d", i))
	}
	w.send(t, message(2), many...)
	if r := w.heard(t); len(r) != 250 {
		t.Errorf("%d receipts for 250 phones", len(r))
	}
}

func TestARepetitionAndAReplacementTakeThePlaceOfTheFirst(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("honor", "")
	w.faults.Next("lost_answer")
	if out := w.send(t, message(1), token); out[0].Status != wire.Unknown {
		t.Fatalf("%+v", out)
	}
	w.send(t, message(1), token)
	second := message(2)
	second.Replaces, second.Body = "1", "New"
	w.send(t, second, token)
	w.send(t, message(3), token)
	p, _ := w.phones.Find("honor", token)
	if len(p.Screen) != 2 || p.Screen[0].Body != "New" || p.Screen[1].ID != "3" {
		t.Fatalf("%+v", p.Screen)
	}
}

func TestLimitsAndTheNightAreKept(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("honor", "")
	marketing := func(id int) []wire.Receipt {
		m := message(id)
		m.Class = wire.Marketing
		if out := w.send(t, m, token); out[0].Status != wire.Accepted {
			t.Fatalf("%+v", out)
		}
		return w.heard(t)
	}
	marketing(1)
	marketing(2)
	if r := marketing(3); len(r) != 1 || r[0].Code != "102" {
		t.Errorf("the third of a day: %+v", r)
	}
	w.clock.Advance(8 * time.Hour) // 01:30 of the next day in Shanghai
	if r := marketing(4); len(r) != 1 || r[0].Code != "201" {
		t.Errorf("at night: %+v", r)
	}
	w.clock.Advance(5 * time.Hour)
	if r := marketing(5); len(r) != 1 || r[0].Event != wire.Arrived {
		t.Errorf("in the morning: %+v", r)
	}
	w.clock.Advance(time.Second)
	crowd := make([]string, 1000)
	for i := range crowd {
		crowd[i] = w.phones.Add("honor", fmt.Sprintf("c%04d", i))
	}
	for i := range 4 {
		out := w.send(t, message(10+i), crowd...)
		if want := map[bool]wire.Status{true: wire.Accepted, false: wire.Limited}[i < 3]; out[999].Status != want {
			t.Errorf("thousand %d of a second: %+v", i+1, out[999])
		}
	}
	w.clock.Advance(time.Second)
	m := message(20)
	m.Test = true
	if out := w.send(t, m, crowd...); out[0].Status != wire.Accepted {
		t.Errorf("%+v", out[0])
	}
	if out := w.send(t, m, token); out[0].Status != wire.Limited {
		t.Errorf("test message 1001 of a day: %+v", out[0])
	}
}

func TestAccessTokensEndAndAreFetchedAnew(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("honor", "")
	for range 24 {
		for range 3 {
			if out := w.send(t, message(1), token); out[0].Status != wire.Accepted {
				t.Fatalf("%+v", out)
			}
		}
		w.clock.Advance(time.Hour)
	}
	if n := w.sim.Fetched(); n != 24 {
		t.Errorf("%d tokens in 24 hours", n)
	}
	w.send(t, message(1), token)
	w.faults.Next("revoked_token")
	if out := w.send(t, message(2), token); out[0].Status != wire.Accepted {
		t.Errorf("%+v", out)
	}
	if n := w.sim.Fetched(); n != 26 {
		t.Errorf("%d tokens after one was revoked", n)
	}
}

func TestEveryFaultIsToldApart(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	token := w.phones.Add("honor", "")
	for _, name := range w.sim.FaultNames() {
		w.faults.Next(name)
		o := w.send(t, message(1), token)[0]
		var ok bool
		switch {
		case strings.HasPrefix(name, "receipt_"):
			r := w.heard(t)
			ok = o.Status == wire.Accepted && len(r) == 1 && (r[0].Event == wire.Lost || r[0].Event == wire.Unregistered) && "receipt_"+r[0].Code == name
		case strings.HasPrefix(name, "auth_"):
			ok = o.Status == wire.Denied && "auth_"+o.Code == name
		case strings.HasPrefix(name, "http_"):
			ok = o.Status == wire.Failed && "http_"+o.Code == name
		case name == "no_answer" || name == "lost_answer" || name == "html":
			ok = o.Status == wire.Unknown
		case name == "revoked_token" || name == "80200001" || name == "80200003": // made good by a new access token
			ok = o.Status == wire.Accepted
		case name == "fail_tokens":
			ok = o.Status == wire.Failed && o.Reason == "failTokens"
		case name == "expire_tokens":
			ok = o.Status == wire.Invalid && o.Reason == "expireTokens"
		default:
			ok = o.Status != wire.Accepted && o.Status != wire.Unknown && o.Code == name
		}
		if !ok {
			t.Errorf("%s: %+v", name, o)
		}
		w.heard(t)
	}
}

func TestProbeTellsGoodCredentialsFromOthers(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	if err := w.vendor.Probe(t.Context(), w.account); err != nil {
		t.Error(err)
	}
	other, err := w.vendor.Parse([]byte(`{"app_id":"104000001","client_id":"sim-honor-client","client_secret":"x"}`))
	if err != nil {
		t.Fatal(err)
	}
	if err := w.vendor.Probe(t.Context(), other); err == nil || !strings.Contains(err.Error(), "client_secret") {
		t.Errorf("%v", err)
	}
	wrong, err := w.vendor.Parse([]byte(`{"app_id":"1","client_id":"sim-honor-client","client_secret":"sim-honor-secret"}`))
	if err != nil {
		t.Fatal(err)
	}
	m := message(1)
	if out := w.vendor.Send(t.Context(), wrong, []wire.Token{{Value: "t"}}, &m); out[0].Status != wire.Denied {
		t.Errorf("another app: %+v", out)
	}
}

// TestBrokenRequestsAreRefused changes one thing of a good request at a time.
func TestBrokenRequestsAreRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.phones.Add("honor", "t1")
	call := func(path string, header map[string]string, body string) (int, map[string]any) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range header {
			r.Header.Set(k, v)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		var answer map[string]any
		_ = json.NewDecoder(resp.Body).Decode(&answer)
		return resp.StatusCode, answer
	}
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {"sim-honor-client"}, "client_secret": {"sim-honor-secret"}}
	formType := map[string]string{"Content-Type": "application/x-www-form-urlencoded"}
	_, given := call("/auth/token", formType, form.Encode())
	access, _ := given["access_token"].(string)
	for field, value := range map[string]string{"grant_type": "password", "client_id": "x", "client_secret": "x"} {
		f := url.Values{}
		for k := range form {
			f.Set(k, form.Get(k))
		}
		f.Set(field, value)
		if status, answer := call("/auth/token", formType, f.Encode()); status != 401 || answer["error"] == nil {
			t.Errorf("%s=%s: %d, %v", field, value, status, answer)
		}
	}
	now := strconv.FormatInt(w.clock.Now().UnixMilli(), 10)
	header := func(change ...string) map[string]string {
		h := map[string]string{"Authorization": "Bearer " + access, "Content-Type": "application/json; charset=UTF-8", "timestamp": now}
		if len(change) > 0 {
			h[change[0]] = change[1]
		}
		return h
	}
	const path = "/api/v1/104000001/sendMessage"
	const good = `{"data":"{}","android":{"ttl":"60s","notification":{"title":"t","body":"b","clickAction":{"type":3},"importance":"NORMAL","notifyId":1}},"token":["t1"]}`
	if status, answer := call(path, header(), good); status != 200 || answer["code"] != 200.0 {
		t.Fatalf("the good one: %d, %v", status, answer)
	}
	for _, c := range []struct {
		key, value string
		status     int
	}{
		{"Authorization", "Bearer x", 401}, {"Authorization", access, 401}, {"Authorization", "", 401}, {"timestamp", "", 400}, {"timestamp", "now", 400},
		{"timestamp", strconv.FormatInt(w.clock.Now().Add(-11*time.Minute).UnixMilli(), 10), 400},
		{"timestamp", strconv.FormatInt(w.clock.Now().Unix(), 10), 400}, {"Content-Type", "text/plain", 400},
	} {
		h := header(c.key, c.value)
		if c.key == "Authorization" && c.value == access {
			h["Authorization"] = "Basic " + access
		}
		if status, answer := call(path, h, good); status != c.status {
			t.Errorf("%s: %s: %d, %v", c.key, c.value, status, answer)
		}
	}
	if status, _ := call("/api/v1/1/sendMessage", header(), good); status != 403 {
		t.Errorf("another app: %d", status)
	}
	for _, c := range []struct {
		old, new string
		code     float64
	}{
		{`{"data"`, `["data"`, 80100003},
		{`"data":"{}"`, `"data":{}`, 80100003},
		{`"ttl"`, `"timeToLive"`, 80100003},
		{`"clickAction"`, `"click_action"`, 80100003},
		{`["t1"]`, `[]`, 80300010},
		{`"t1"`, strings.Repeat(`"t1",`, 1000) + `"t1"`, 80300010},
		{`60s`, `60`, 80100004},
		{`60s`, `0s`, 80100004},
		{`60s`, `1296001s`, 80100004},
		{`"title":"t"`, `"title":" "`, 80100003},
		{`"body":"b"`, `"body":""`, 80100003},
		{`"body":"b"`, `"body":"` + strings.Repeat("x", 4096) + `"`, 80300008},
		{`,"clickAction":{"type":3}`, ``, 80100003},
		{`{"type":3}`, `{"type":4}`, 80100003},
		{`{"type":3}`, `{"type":1}`, 80100003},
		{`{"type":3}`, `{"type":1,"intent":"app://x"}`, 80100003},
		{`{"type":3}`, `{"type":2,"url":"http://a.example"}`, 80100003},
		{`"NORMAL"`, `"HIGH"`, 80100003},
		{`"NORMAL"`, `"LOW","image":"https://a.example/p.png"`, 80100003},
		{`"NORMAL"`, `"NORMAL","image":"http://a.example/p.png"`, 80100003},
		{`"NORMAL"`, `"NORMAL","style":1`, 80100003},
		{`"NORMAL"`, `"NORMAL","style":2`, 80100003},
		{`"NORMAL"`, `"NORMAL","badge":{"addNum":1}`, 80100003},
		{`"NORMAL"`, `"NORMAL","badge":{"addNum":100,"badgeClass":"a.B"}`, 80100003},
		{`"NORMAL"`, `"NORMAL","badge":{"setNum":-1,"badgeClass":"a.B"}`, 80100003},
		{`"NORMAL"`, `"NORMAL","badge":{"badgeClass":"a.B"}`, 80100003},
		{`"notifyId":1`, `"notifyId":"1"`, 80100003},
		{`"notifyId":1`, `"notifyId":4294967296`, 80100003},
		{`"ttl":"60s"`, `"ttl":"60s","targetUserType":2`, 80100003},
		{good, `{"android":{},"token":["t1"]}`, 80100003},
	} {
		body := strings.Replace(good, c.old, c.new, 1)
		if body == good {
			t.Fatalf("%s is not there", c.old)
		}
		w.clock.Advance(time.Second)
		if status, answer := call(path, header(), body); status != 200 || answer["code"] != c.code {
			t.Errorf("%s instead of %s: %d, %v, want %v", c.new[:min(len(c.new), 60)], c.old[:min(len(c.old), 30)], status, answer, c.code)
		}
	}
	w.clock.Advance(time.Hour)
	now = strconv.FormatInt(w.clock.Now().UnixMilli(), 10)
	if status, _ := call(path, header(), good); status != 401 {
		t.Errorf("an access token that has ended: %d", status)
	}
}
