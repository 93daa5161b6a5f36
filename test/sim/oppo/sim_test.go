package oppo_test

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	vendor "borealis/internal/engine/channel/oppo"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/oppo"
	"borealis/test/sim/phone"
)

type world struct {
	sim    *oppo.Sim
	phones *phone.Network
	faults *phone.Faults
	clock  *clock.Fake
	url    string
	vendor *vendor.Vendor
	creds  wire.Credentials
}

func newWorld(t *testing.T) *world {
	t.Helper()
	now := clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC))
	w := &world{phones: phone.NewNetwork(now), faults: new(phone.Faults), clock: now}
	w.sim = oppo.New(phone.Deps{Phones: w.phones, Faults: w.faults, Clock: now})
	server := httptest.NewServer(w.sim)
	t.Cleanup(server.Close)
	w.url = server.URL
	w.vendor = vendor.New(wire.Deps{BaseURL: server.URL, Clock: now})
	creds, err := w.vendor.Parse(w.sim.Credentials())
	if err != nil {
		t.Fatal(err)
	}
	w.creds = creds
	return w
}

func message(change func(*wire.Message)) *wire.Message {
	m := &wire.Message{ID: "1001", Kind: wire.Notification, Title: "Title", Body: "Body", TTL: time.Hour}
	if change != nil {
		change(m)
	}
	return m
}

func (w *world) send(t *testing.T, m *wire.Message, devices ...string) []wire.Outcome {
	t.Helper()
	tokens := make([]wire.Token, len(devices))
	for i, d := range devices {
		tokens[i].Value = d
	}
	return w.vendor.Send(t.Context(), w.creds, tokens, m)
}

func TestEverythingThePackageSendsIsTakenAndArrives(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	set := 0
	messages := map[string]*wire.Message{
		"plain": message(nil),
		"full": message(func(m *wire.Message) {
			m.Title, m.Body = strings.Repeat("题", 50), strings.Repeat("文", 128)
			m.Extras, m.ChannelID, m.Category, m.Class = json.RawMessage(`{"a":"b","n":{"x":1}}`), "ch", "IM", wire.System
			m.Badge, m.Click, m.TTL = wire.Badge{Add: 2}, wire.Click{URL: "shop://x"}, 30*24*time.Hour
			m.Options = json.RawMessage(`{"notify_level":16,"sub_title":"Sub","show_ttl":3600,"private_msg_template_id":"t","private_title_parameters":{"a":"b"},
				"private_content_parameters":{"n":1},"auditResponse":{"x":1}}`)
		}),
		"cut": message(func(m *wire.Message) {
			m.Title, m.Body, m.Truncate = strings.Repeat("t", 99), strings.Repeat("b", 999), true
		}),
		"big": message(func(m *wire.Message) { m.Style.BigText = "long" }),
		"picture": message(func(m *wire.Message) {
			m.Style.BigPicture, m.Badge.Set, m.Extras = "pic", &set, json.RawMessage(`{"a":"b"}`)
		}),
		"page":     message(func(m *wire.Message) { m.Click.URL = "https://example.com/" }),
		"intent":   message(func(m *wire.Message) { m.Click.URL = "intent:#Intent;component=a/b;end" }),
		"activity": message(func(m *wire.Message) { m.Click.Activity = "a.B" }),
		"action":   message(func(m *wire.Message) { m.Click.Action = "a.OPEN" }),
		"replaces": message(func(m *wire.Message) { m.Replaces = "1000" }),
		"level":    message(func(m *wire.Message) { m.Options = json.RawMessage(`{"category":"MARKETING","notify_level":1}`) }),
	}
	id := 2000
	for name, m := range messages {
		for _, n := range []int{1, 3} {
			id++
			m.ID = strconv.Itoa(id)
			devices := make([]string, n)
			for i := range devices {
				devices[i] = w.phones.Add("oppo", "")
			}
			for i, o := range w.send(t, m, devices...) {
				p, _ := w.phones.Find("oppo", devices[i])
				if o.Status != wire.Accepted || o.VendorID == "" || len(p.Got) != 1 || p.Got[0].ID != m.ID || len(p.Screen) != 1 {
					t.Errorf("%s to %d, device %d: %+v, got %+v", name, n, i, o, p.Got)
				}
			}
		}
	}
	if w.sim.Auths() != 1 {
		t.Errorf("%d access tokens", w.sim.Auths())
	}
}

func TestARepetitionShowsNothingTwiceAndDeadDevicesAreTold(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	a, gone := w.phones.Add("oppo", ""), w.phones.Add("oppo", "")
	w.phones.SetState("oppo", gone, phone.Uninstalled)
	picture := message(func(m *wire.Message) { m.ID, m.Style.BigPicture = "1002", "pic" })
	for range 2 {
		for _, m := range []*wire.Message{message(nil), picture} {
			o := w.send(t, m, a, gone, "nobody")
			if o[0].Status != wire.Accepted || o[1].Status != wire.Invalid || o[2].Status != wire.Invalid {
				t.Fatalf("%+v", o)
			}
		}
		if o := w.send(t, message(nil), "nobody"); o[0].Status != wire.Invalid {
			t.Fatalf("%+v", o)
		}
	}
	if p, _ := w.phones.Find("oppo", a); len(p.Screen) != 2 {
		t.Fatalf("%d notifications on the screen", len(p.Screen))
	}
}

func TestTheDailyQuotaCountsPublicMessagesOfADay(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sim.SetQuota(1)
	a := w.phones.Add("oppo", "")
	step := 0
	send := func(category string) wire.Outcome {
		step++
		return w.send(t, message(func(m *wire.Message) { m.ID, m.Category = strconv.Itoa(step), category }), a)[0]
	}
	if o := send(""); o.Status != wire.Accepted {
		t.Fatalf("%+v", o)
	}
	o := send("NEWS")
	if o.Status != wire.Quota || o.After != 6*time.Hour+30*time.Minute {
		t.Fatalf("%+v", o)
	}
	if o := send("ORDER"); o.Status != wire.Accepted {
		t.Fatalf("a service message: %+v", o)
	}
	w.clock.Advance(o.After)
	if o := send("NEWS"); o.Status != wire.Accepted {
		t.Fatalf("on the next day: %+v", o)
	}
}

func TestEveryFaultIsUnderstood(t *testing.T) {
	t.Parallel()
	want := map[string]wire.Status{
		"flow_control": wire.Limited, "unavailable": wire.Failed, "invalid_token": wire.Accepted, "call_limited": wire.Limited, "invalid_app_key": wire.Denied,
		"invalid_signature": wire.Denied, "invalid_timestamp": wire.Denied, "ip_black_list": wire.Denied, "access_denied": wire.Denied,
		"app_disabled": wire.Denied, "no_permission": wire.Denied, "duplicate": wire.Accepted, "daily_limit": wire.Quota, "missing_arguments": wire.Rejected,
		"invalid_arguments": wire.Rejected, "invalid_picture": wire.Rejected, "no_template": wire.Rejected, "too_frequent": wire.Limited, "category": wire.Rejected,
		"cut": wire.Unknown, "html": wire.Unknown, "http_500": wire.Failed, "http_503": wire.Failed,
	}
	w := newWorld(t)
	a := w.phones.Add("oppo", "")
	w.send(t, message(nil), a)
	names := w.sim.FaultNames()
	if len(names) != len(want) {
		t.Errorf("%d faults, %d are tried", len(names), len(want))
	}
	for i, name := range names {
		w.faults.Next(name)
		o := w.send(t, message(func(m *wire.Message) { m.ID = strconv.Itoa(5000 + i) }), a)
		if o[0].Status != want[name] {
			t.Errorf("%s: %+v, want %v", name, o[0], want[name])
		}
	}
}

func TestReceiptsReachTheServerThatSent(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	got := make(chan []wire.Receipt, 1)
	server := httptest.NewServer(http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		receipts, answer, err := w.vendor.Receipts(w.creds, r, body)
		if err != nil {
			t.Error(err)
		}
		_, _ = rw.Write(answer)
		got <- receipts
	}))
	defer server.Close()
	a := w.phones.Add("oppo", "")
	for i, report := range []string{"", server.URL + "/console"} {
		w.sim.ReportTo(report)
		id := strconv.Itoa(7000 + i)
		w.send(t, message(func(m *wire.Message) { m.ID, m.CallbackURL = id, server.URL+"/r" }), a)
		want := wire.Receipt{Token: a, ID: id, Event: wire.Arrived, At: clock.Millis(w.clock.Now())}
		if r := <-got; len(r) != 1 || r[0] != want {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
}

func (w *world) post(t *testing.T, path string, form url.Values) int {
	t.Helper()
	resp, err := http.PostForm(w.url+path, form)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var a struct {
		Code int `json:"code"`
		Data struct {
			AuthToken string `json:"auth_token"`
		} `json:"data"`
	}
	_ = json.NewDecoder(resp.Body).Decode(&a)
	if a.Data.AuthToken != "" {
		form.Set("got", a.Data.AuthToken)
	}
	return a.Code
}

func (w *world) signed(at time.Time, change func(url.Values)) url.Values {
	timestamp := strconv.FormatInt(at.UnixMilli(), 10)
	sum := sha256.Sum256([]byte("sim-oppo-app-key" + timestamp + "sim-oppo-master-secret"))
	form := url.Values{"app_key": {"sim-oppo-app-key"}, "timestamp": {timestamp}, "sign": {hex.EncodeToString(sum[:])}}
	if change != nil {
		change(form)
	}
	return form
}

func TestAccessTokensAreRefusedWithOPPOsCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.Now()
	for name, c := range map[string]struct {
		form url.Values
		code int
	}{
		"good":              {w.signed(now, nil), 0},
		"ten minutes old":   {w.signed(now.Add(-10*time.Minute), nil), 0},
		"older":             {w.signed(now.Add(-10*time.Minute-time.Millisecond), nil), 19},
		"from the future":   {w.signed(now.Add(11*time.Minute), nil), 19},
		"another key":       {w.signed(now, func(f url.Values) { f.Set("app_key", "x") }), 14},
		"no key":            {w.signed(now, func(f url.Values) { f.Del("app_key") }), 15},
		"another signature": {w.signed(now, func(f url.Values) { f.Set("sign", strings.Repeat("0", 64)) }), 16},
		"no signature":      {w.signed(now, func(f url.Values) { f.Del("sign") }), 17},
		"no timestamp":      {w.signed(now, func(f url.Values) { f.Del("timestamp") }), 18},
		"no number":         {w.signed(now, func(f url.Values) { f.Set("timestamp", "soon") }), 19},
	} {
		if code := w.post(t, "/server/v1/auth", c.form); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
	}
	form := w.signed(now, nil)
	w.post(t, "/server/v1/auth", form)
	unicast := "/server/v1/message/notification/unicast"
	if code := w.post(t, unicast, url.Values{}); code != 29 {
		t.Errorf("no access token: %d", code)
	}
	if code := w.post(t, unicast, url.Values{"auth_token": {"x"}}); code != 11 {
		t.Errorf("a false access token: %d", code)
	}
	if code := w.post(t, unicast, url.Values{"auth_token": {form.Get("got")}}); code != 41 {
		t.Errorf("a good access token and no message: %d", code)
	}
	w.clock.Advance(24 * time.Hour)
	if code := w.post(t, unicast, url.Values{"auth_token": {form.Get("got")}}); code != 11 {
		t.Errorf("an old access token: %d", code)
	}
	if code := w.post(t, "/server/v1/nothing", form); code != 20 {
		t.Errorf("a path that there is not: %d", code)
	}
	resp, err := http.Get(w.url + unicast)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, _ := io.ReadAll(resp.Body); !strings.Contains(string(body), `"code":12`) {
		t.Errorf("a GET: %s", body)
	}
}

func TestBrokenMessagesAreRefusedWithOPPOsCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	form := w.signed(w.clock.Now(), nil)
	w.post(t, "/server/v1/auth", form)
	token := form.Get("got")
	a := w.phones.Add("oppo", "")
	for name, c := range map[string]struct {
		note string
		code int
	}{
		"good":                       {`{"title":"t","content":"c"}`, 0},
		"no title":                   {`{"content":"c"}`, 40},
		"no content":                 {`{"title":"t","content":" "}`, 40},
		"title of 51":                {`{"title":"` + strings.Repeat("题", 51) + `","content":"c"}`, 41},
		"sub title of 11":            {`{"title":"t","content":"c","sub_title":"12345678901"}`, 41},
		"content of 51":              {`{"title":"t","content":"` + strings.Repeat("c", 51) + `"}`, 41},
		"long content of 129":        {`{"title":"t","style":2,"content":"` + strings.Repeat("c", 129) + `"}`, 41},
		"style 4":                    {`{"title":"t","style":4,"content":"c"}`, 41},
		"a picture to one":           {`{"title":"t","style":3,"big_picture_id":"p","content":"c"}`, 51},
		"click 3":                    {`{"title":"t","content":"c","click_action_type":3}`, 41},
		"a page without address":     {`{"title":"t","content":"c","click_action_type":2}`, 40},
		"an activity without one":    {`{"title":"t","content":"c","click_action_type":4}`, 40},
		"an address of 2001":         {`{"title":"t","content":"c","click_action_type":5,"click_action_url":"` + strings.Repeat("u", 2001) + `"}`, 41},
		"parameters that are none":   {`{"title":"t","content":"c","action_parameters":"x"}`, 41},
		"parameters of 4001":         {`{"title":"t","content":"c","action_parameters":"{\"k\":\"` + strings.Repeat("u", 4001) + `\"}"}`, 41},
		"kept for 11 days":           {`{"title":"t","content":"c","off_line_ttl":950400}`, 41},
		"shown for 3 days":           {`{"title":"t","content":"c","show_ttl":259200}`, 41},
		"a category that is not":     {`{"title":"t","content":"c","category":"FUN"}`, 67},
		"a level without category":   {`{"title":"t","content":"c","notify_level":2}`, 67},
		"a level that is not":        {`{"title":"t","content":"c","category":"IM","notify_level":5}`, 67},
		"a long address of receipts": {`{"title":"t","content":"c","call_back_url":"` + strings.Repeat("u", 201) + `"}`, 41},
		"a long receipt parameter":   {`{"title":"t","content":"c","call_back_parameter":"` + strings.Repeat("u", 101) + `"}`, 41},
		"a badge operation 2":        {`{"title":"t","content":"c","badge_operation_type":2}`, 41},
		"a number that is none":      {`{"title":"t","content":"c","style":"x"}`, 41},
	} {
		body := `{"target_type":2,"target_value":"` + a + `","notification":` + c.note + `}`
		if code := w.post(t, "/server/v1/message/notification/unicast", url.Values{"auth_token": {token}, "message": {body}}); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
	}
	for name, c := range map[string]struct {
		path string
		form url.Values
		code int
	}{
		"no device":           {"unicast", url.Values{"message": {`{"target_type":2,"notification":{"title":"t","content":"c"}}`}}, 40},
		"an alias":            {"unicast", url.Values{"message": {`{"target_type":5,"target_value":"x","notification":{"title":"t","content":"c"}}`}}, 41},
		"no messages":         {"unicast_batch", url.Values{"messages": {`[]`}}, 41},
		"1001 messages":       {"unicast_batch", url.Values{"messages": {"[" + strings.Join(slices.Repeat([]string{`{}`}, 1001), ",") + "]"}}, 41},
		"saved without title": {"save_message_content", url.Values{"content": {"c"}}, 40},
		"saved badly":         {"save_message_content", url.Values{"title": {"t"}, "content": {"c"}, "style": {"x"}}, 41},
		"no such message":     {"broadcast", url.Values{"message_id": {"x"}, "target_type": {"2"}, "target_value": {a}}, 31},
		"no target":           {"broadcast", url.Values{"message_id": {"x"}, "target_type": {"2"}}, 40},
		"a private broadcast": {"save_message_content", url.Values{"title": {"t"}, "content": {"c"}, "category": {"IM"}}, 67},
	} {
		c.form.Set("auth_token", token)
		if code := w.post(t, "/server/v1/message/notification/"+c.path, c.form); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
	}
}
