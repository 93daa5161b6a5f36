package vivo_test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	vendor "borealis/internal/engine/channel/vivo"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/phone"
	"borealis/test/sim/vivo"
)

type world struct {
	sim    *vivo.Sim
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
	w.sim = vivo.New(phone.Deps{Phones: w.phones, Faults: w.faults, Clock: now})
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
	m := &wire.Message{ID: "1001", Kind: wire.Notification, Title: "您的订单", Body: "已经发货了", TTL: time.Hour}
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
	no := false
	messages := map[string]*wire.Message{
		"plain": message(nil),
		"full": message(func(m *wire.Message) {
			m.Title, m.Body = strings.Repeat("题", 40), strings.Repeat("文", 100)
			m.Extras, m.Category, m.Class, m.Foreground = json.RawMessage(`{"a":"b","n":{"x":1}}`), "IM", wire.System, &no
			m.Click, m.TTL, m.CallbackURL = wire.Click{URL: "shop://x"}, 30*24*time.Hour, "http://127.0.0.1:1/r"
			m.Options = json.RawMessage(`{"add_badge":true,"auditResponse":{"x":1}}`)
		}),
		"cut": message(func(m *wire.Message) {
			m.Title, m.Body, m.Truncate = strings.Repeat("题", 99), strings.Repeat("文", 999), true
		}),
		"short":     message(func(m *wire.Message) { m.Extras = json.RawMessage(`{"vpns_content_forshort":"短的文字"}`) }),
		"page":      message(func(m *wire.Message) { m.Click.URL = "https://example.com/" }),
		"activity":  message(func(m *wire.Message) { m.Click.Activity = "a.B" }),
		"action":    message(func(m *wire.Message) { m.Click.Action = "a.OPEN" }),
		"seconds":   message(func(m *wire.Message) { m.TTL = time.Second }),
		"marketing": message(func(m *wire.Message) { m.Category = "MARKETING" }),
		"receipt":   message(func(m *wire.Message) { m.ReceiptID = "17" }),
		"live": message(func(m *wire.Message) {
			m.Kind, m.ReceiptID = wire.Live, "17"
			m.Options = json.RawMessage(`{"vivo_push_type":7,"vivo_liveMessage":{"notifyId":3,"operation":1,"scene":"TAXI","templateType":1,"templateData":{"a":1}}}`)
		}),
	}
	id := 2000
	for name, m := range messages {
		for _, n := range []int{1, 3} {
			id++
			m.ID = strconv.Itoa(id)
			devices := make([]string, n)
			for i := range devices {
				devices[i] = w.phones.Add("vivo", "")
			}
			for i, o := range w.send(t, m, devices...) {
				p, _ := w.phones.Find("vivo", devices[i])
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
	a, gone, silent := w.phones.Add("vivo", ""), w.phones.Add("vivo", ""), w.phones.Add("vivo", "")
	w.phones.SetState("vivo", gone, phone.Uninstalled)
	w.phones.SetState("vivo", silent, phone.Silent)
	want := []wire.Status{wire.Accepted, wire.Invalid, wire.Silenced, wire.Invalid}
	devices := []string{a, gone, silent, "nobody"}
	for i, o := range w.send(t, message(nil), devices...) {
		if o.Status != want[i] {
			t.Errorf("in a list, device %d: %+v", i, o)
		}
	}
	for i, d := range devices {
		if o := w.send(t, message(func(m *wire.Message) { m.ID = "1002" }), d); o[0].Status != want[i] {
			t.Errorf("alone, device %d: %+v", i, o)
		}
	}
	w.send(t, message(nil), devices...)
	w.send(t, message(func(m *wire.Message) { m.ID = "1002" }), a)
	if p, _ := w.phones.Find("vivo", a); len(p.Got) != 2 || len(p.Screen) != 2 {
		t.Errorf("%d arrived, %d are shown", len(p.Got), len(p.Screen))
	}
}

func TestQuotasAndTheNight(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.sim.SetQuota(1, 1)
	a := w.phones.Add("vivo", "")
	step := 0
	send := func(class wire.Class, test bool) wire.Outcome {
		step++
		return w.send(t, message(func(m *wire.Message) { m.ID, m.Class, m.Test = strconv.Itoa(step), class, test }), a)[0]
	}
	for _, class := range []wire.Class{wire.Marketing, wire.System} {
		if o := send(class, false); o.Status != wire.Accepted {
			t.Fatalf("class %d: %+v", class, o)
		}
		if o := send(class, false); o.Status != wire.Quota || o.After != 6*time.Hour+30*time.Minute {
			t.Fatalf("class %d over the quota: %+v", class, o)
		}
	}
	w.clock.Advance(6*time.Hour + 30*time.Minute) // midnight
	if o := send(wire.System, false); o.Status != wire.Accepted {
		t.Fatalf("a system message at night: %+v", o)
	}
	o := send(wire.Marketing, false)
	if o.Status != wire.Quota || o.Code != "10071" || o.After != 7*time.Hour {
		t.Fatalf("marketing at night: %+v", o)
	}
	if o := send(wire.Marketing, true); o.Status != wire.Rejected || o.Code != "status 4" {
		t.Fatalf("a test for one who is no tester: %+v", o)
	}
	w.sim.AddTester(a)
	if o := send(wire.Marketing, true); o.Status != wire.Accepted {
		t.Fatalf("a test at night: %+v", o)
	}
	w.clock.Advance(o.After)
	if o := send(wire.Marketing, false); o.Status != wire.Accepted {
		t.Fatalf("in the morning: %+v", o)
	}
}

func TestEveryFaultIsUnderstood(t *testing.T) {
	t.Parallel()
	want := map[string]wire.Status{
		"unauthorized": wire.Accepted, "busy": wire.Limited, "closed": wire.Denied, "in_review": wire.Denied, "marketing_quota": wire.Quota, "night": wire.Quota,
		"too_fast": wire.Limited, "system_quota": wire.Quota, "system_off": wire.Rejected, "text": wire.Rejected, "auth_too_fast": wire.Limited,
		"other_app": wire.Denied, "sensitive": wire.Rejected, "no_formal_text": wire.Rejected, "message_gone": wire.Failed, "save_quota": wire.Quota,
		"invalid_regid": wire.Invalid, "unreachable": wire.Silenced, "wrong_key": wire.Denied, "wrong_app": wire.Denied, "wrong_sign": wire.Denied,
		"wrong_time": wire.Denied, "cut": wire.Unknown, "html": wire.Unknown, "http_500": wire.Failed, "http_503": wire.Failed,
	}
	w := newWorld(t)
	a := w.phones.Add("vivo", "")
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
	a := w.phones.Add("vivo", "")
	for i, change := range []func(*wire.Message){
		func(m *wire.Message) { m.CallbackURL = server.URL + "/r" },
		func(m *wire.Message) { m.ReceiptID = "17" },
	} {
		if i == 1 {
			w.sim.ReportTo(server.URL + "/console")
		}
		id := strconv.Itoa(7000 + i)
		w.send(t, message(func(m *wire.Message) { m.ID = id; change(m) }), a)
		want := wire.Receipt{Token: a, ID: id, Event: wire.Arrived, At: clock.Millis(w.clock.Now())}
		if r := <-got; len(r) != 1 || r[0] != want {
			t.Errorf("%+v, want %+v", r, want)
		}
	}
}

func (w *world) post(t *testing.T, path, token string, body map[string]any) (int, map[string]any) {
	t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, w.url+path, bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("authToken", token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	var a map[string]any
	_ = json.NewDecoder(resp.Body).Decode(&a)
	code, ok := a["result"].(float64)
	if !ok {
		return -resp.StatusCode, a
	}
	return int(code), a
}

func (w *world) signed(at time.Time, change func(map[string]any)) map[string]any {
	ms := at.UnixMilli()
	sum := md5.Sum(fmt.Appendf(nil, "103001sim-vivo-app-key%dsim-vivo-app-secret", ms))
	body := map[string]any{"appId": 103001, "appKey": "sim-vivo-app-key", "timestamp": ms, "sign": hex.EncodeToString(sum[:])}
	if change != nil {
		change(body)
	}
	return body
}

func TestAccessTokensAreRefusedWithVivosCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	now := w.clock.Now()
	for name, c := range map[string]struct {
		body map[string]any
		code int
	}{
		"good":              {w.signed(now, nil), 0},
		"ten minutes old":   {w.signed(now.Add(-10*time.Minute), nil), 0},
		"older":             {w.signed(now.Add(-10*time.Minute-time.Millisecond), nil), 10207},
		"from the future":   {w.signed(now.Add(11*time.Minute), nil), 10207},
		"no app":            {w.signed(now, func(b map[string]any) { delete(b, "appId") }), 10200},
		"another app":       {w.signed(now, func(b map[string]any) { b["appId"] = 7 }), 10205},
		"no key":            {w.signed(now, func(b map[string]any) { delete(b, "appKey") }), 10201},
		"another key":       {w.signed(now, func(b map[string]any) { b["appKey"] = "x" }), 10202},
		"no timestamp":      {w.signed(now, func(b map[string]any) { delete(b, "timestamp") }), 10203},
		"no signature":      {w.signed(now, func(b map[string]any) { delete(b, "sign") }), 10204},
		"another signature": {w.signed(now, func(b map[string]any) { b["sign"] = strings.Repeat("0", 32) }), 10206},
		"an upper case one": {w.signed(now, func(b map[string]any) { b["sign"] = strings.ToUpper(b["sign"].(string)) }), 10206},
		"no JSON of it":     {w.signed(now, func(b map[string]any) { b["timestamp"] = "x" }), -400},
	} {
		if code, _ := w.post(t, "/message/auth", "", c.body); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
	}
	w.clock.Advance(time.Second)
	last := 0
	for range 11 {
		last, _ = w.post(t, "/message/auth", "", w.signed(w.clock.Now(), nil))
	}
	if last != 10093 {
		t.Errorf("the eleventh in a second: %d", last)
	}
	w.clock.Advance(time.Second)
	_, a := w.post(t, "/message/auth", "", w.signed(w.clock.Now(), nil))
	token, _ := a["authToken"].(string)
	for name, c := range map[string]struct {
		token string
		body  map[string]any
		code  int
	}{
		"no access token":    {"", good(nil), 10000},
		"a false one":        {"x", good(nil), 10000},
		"that of an app":     {token, good(func(b map[string]any) { b["appId"] = 7 }), 10094},
		"a good one, nobody": {token, good(nil), 10302},
	} {
		if code, _ := w.post(t, "/message/send", c.token, c.body); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
	}
	w.clock.Advance(24 * time.Hour)
	if code, _ := w.post(t, "/message/send", token, good(nil)); code != 10000 {
		t.Errorf("an old access token: %d", code)
	}
}

func good(change func(map[string]any)) map[string]any {
	body := map[string]any{
		"appId": 103001, "regId": "nobody", "notifyType": 4, "title": "您的订单", "content": "已经发货了", "skipType": 1, "requestId": "q", "classification": 0,
	}
	if change != nil {
		change(body)
	}
	return body
}

func TestBrokenMessagesAreRefusedWithVivosCodes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	_, a := w.post(t, "/message/auth", "", w.signed(w.clock.Now(), nil))
	token, _ := a["authToken"].(string)
	device := w.phones.Add("vivo", "")
	long := func(n int) string { return strings.Repeat("长", n) }
	for name, c := range map[string]struct {
		change map[string]any
		code   int
	}{
		"good":                       {nil, 0},
		"no device":                  {map[string]any{"regId": ""}, 10050},
		"class 2":                    {map[string]any{"classification": 2}, 10051},
		"notify type 5":              {map[string]any{"notifyType": 5}, 10054},
		"no title":                   {map[string]any{"title": ""}, 10055},
		"a title of 41":              {map[string]any{"title": long(41)}, 10056},
		"no content":                 {map[string]any{"content": " "}, 10057},
		"a content of 101":           {map[string]any{"content": long(101)}, 10058},
		"59 seconds":                 {map[string]any{"timeToLive": 59}, 10059},
		"more than 7 days":           {map[string]any{"timeToLive": 604801}, 10059},
		"skip type 3":                {map[string]any{"skipType": 3, "skipContent": "x"}, 10060},
		"a page without address":     {map[string]any{"skipType": 2}, 10061},
		"an address of 2049":         {map[string]any{"skipType": 2, "skipContent": long(2049)}, 10061},
		"network type 2":             {map[string]any{"networkType": 2}, 10065},
		"keys of 1025":               {map[string]any{"clientCustomMap": map[string]string{"k": long(1024)}}, 10067},
		"only digits":                {map[string]any{"title": "12345"}, 10085},
		"only letters":               {map[string]any{"content": "hello"}, 10085},
		"digits and signs":           {map[string]any{"content": "12:30!"}, 10085},
		"brackets":                   {map[string]any{"content": "您好[x]"}, 10085},
		"a test":                     {map[string]any{"title": "这是测试"}, 10104},
		"a test in English":          {map[string]any{"content": "这是 Test"}, 10104},
		"a negative notification":    {map[string]any{"notifyId": -1}, 10095},
		"a category that is not":     {map[string]any{"category": "FUN"}, 10096},
		"a category of the other":    {map[string]any{"category": "IM"}, 10097},
		"extra that is not":          {map[string]any{"extra": map[string]string{"x": "y"}}, 10304},
		"a long address of receipts": {map[string]any{"extra": map[string]string{"callback": long(129)}}, 10305},
		"a long receipt parameter":   {map[string]any{"extra": map[string]string{"callback.param": long(193)}}, 10306},
		"no request id":              {map[string]any{"requestId": ""}, 10352},
		"a long request id":          {map[string]any{"requestId": long(65)}, 10353},
		"a push mode 2":              {map[string]any{"pushMode": 2}, 10051},
	} {
		body := good(func(b map[string]any) { b["regId"], b["requestId"] = device, name; maps.Copy(b, c.change) })
		if code, _ := w.post(t, "/message/send", token, body); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
	}
	_, saved := w.post(t, "/message/saveListPayload", token, good(func(b map[string]any) { b["requestId"] = "s" }))
	list := func(change map[string]any) map[string]any {
		b := map[string]any{"appId": 103001, "regIds": []string{device, "x"}, "taskId": saved["taskId"], "requestId": "l"}
		maps.Copy(b, change)
		return b
	}
	many := make([]string, 1001)
	for name, c := range map[string]struct {
		path string
		body map[string]any
		code int
	}{
		"a list":                     {"/message/pushToList", list(nil), 0},
		"a list of nobody":           {"/message/pushToList", list(map[string]any{"regIds": []string{}}), 10150},
		"a list of one":              {"/message/pushToList", list(map[string]any{"regIds": []string{"x"}}), 10153},
		"a list of 1001":             {"/message/pushToList", list(map[string]any{"regIds": many}), 10153},
		"a list without message":     {"/message/pushToList", list(map[string]any{"taskId": ""}), 10151},
		"a list of another message":  {"/message/pushToList", list(map[string]any{"taskId": "x"}), 10155},
		"a list without id":          {"/message/pushToList", list(map[string]any{"requestId": ""}), 10352},
		"a list in test mode":        {"/message/pushToList", list(map[string]any{"pushMode": 1}), 10152},
		"a saved one without title":  {"/message/saveListPayload", good(func(b map[string]any) { b["title"] = "" }), 10055},
		"a live one without number":  {"/livemessage/send", good(nil), 10095},
		"a live one without message": {"/livemessage/send", good(func(b map[string]any) { b["notifyId"] = 1 }), 10051},
		"a live one that creates": {"/livemessage/send", good(func(b map[string]any) {
			b["notifyId"], b["liveMessage"] = 1, map[string]any{"operation": 0, "scene": "TAXI"}
		}), 10051},
		"a live one of template 3": {"/livemessage/send", good(func(b map[string]any) {
			b["notifyId"], b["liveMessage"] = 1, map[string]any{"operation": 1, "scene": "TAXI", "templateType": 3, "templateData": 1}
		}), 10051},
		"a path that there is not": {"/message/all", good(nil), -404},
	} {
		if code, _ := w.post(t, c.path, token, c.body); code != c.code {
			t.Errorf("%s: code %d, want %d", name, code, c.code)
		}
	}
}
