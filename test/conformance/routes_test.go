package conformance

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"borealis/test/e2e"
)

// decode reads JSON text.
func decode(t testing.TB, text string, into any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), into); err != nil {
		t.Fatalf("%q: %v", text, err)
	}
}

// The paths that real clients write, each as good as the plain one.
func TestPaths(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	setup := send(t, x.n, x.app, request{path: "/v3/devices/" + x.rid, body: map[string]any{"alias": "a.b+c", "tags": with("add", []string{"vip", "北京"})}})
	if setup.status != http.StatusOK {
		t.Fatalf("status %d, %s", setup.status, setup.body)
	}
	validate := pushBody(x.rid, nil)
	ids := with("registration_ids", []string{x.rid})
	device := `{"tags":["vip","北京"],"alias":"a.b+c","mobile":""}`
	devices := `{"registration_ids":["` + x.rid + `"]}`
	known := `{"data":[{"registration_id":"` + x.rid + `","platform":"android"`
	for _, c := range []struct {
		method, path string
		body         any
		want         string // how the answer begins; empty: any success
	}{
		{"POST", "/v3/push/validate/", validate, ""},
		{"POST", "/v3//push/validate", validate, ""},
		{"POST", "//v3/push//validate//", validate, ""},
		{"GET", "/v3/push/cid/?count=2", nil, `{"cidlist":["`},

		{"GET", "/v3/devices/" + x.rid + "/", nil, device},
		{"GET", "/v3/devices/" + x.rid, "null", device},
		{"GET", "/v3/devices/" + x.rid, "{", device},
		{"GET", "/v3//devices//" + x.rid, nil, device},
		{"GET", "/v3/device/" + x.rid, nil, device},
		{"POST", "/v3/devices/status/", ids, `{"` + x.rid + `":{"online":true}}`},
		{"POST", "/v3/device/status", ids, `{"` + x.rid + `":{"online":true}}`},
		{"POST", "/v3/device/status/", ids, `{"` + x.rid + `":{"online":true}}`},

		{"GET", "/v3/tags/", nil, `{"tags":["vip","北京"]}`},
		{"GET", "/v3/device/tags", nil, `{"tags":["vip","北京"]}`},
		{"GET", "/v3/device/tags/", nil, `{"tags":["vip","北京"]}`},
		{"GET", "/v3/tags//vip/registration_ids/" + x.rid, nil, `{"result":true}`},
		{"GET", "/v3/device/tags/vip/registration_ids/" + x.rid, nil, `{"result":true}`},
		{"GET", "/v3/tags/" + url.PathEscape("北京") + "/registration_ids/" + x.rid, nil, `{"result":true}`},
		{"GET", "/v3/tags/none/registration_ids/" + x.rid, nil, `{"result":false}`},

		{"GET", "/v3/aliases/a.b+c", nil, devices},
		{"GET", "/v3/aliases/a.b%2Bc", nil, devices},
		{"GET", "/v3/aliases/a.b+c/?platform=android", nil, devices},
		{"GET", "/v3/aliases/a.b+c?platform=", nil, devices},
		{"GET", "/v3/aliases/a.b+c?platform=all", nil, devices},
		{"GET", "/v3/aliases/a.b+c?platform=ios,hmos,quickapp,winphone", nil, `{"registration_ids":[]}`},
		{"GET", "/v3/device/aliases/a.b+c", nil, devices},
		{"GET", "/v3/aliases/a.b+c?new_format=true", nil, known},
		{"GET", "/v3/aliases/a.b+c&new_format=true", nil, known},
		{"GET", "/v3/aliases/a.b+c?platform=android&new_format=true", nil, known},
		{"GET", "/v3/device/aliases/a.b+c&new_format=true", nil, known},

		{"GET", "/v3/received/?msg_ids=1", nil, `[]`},
		{"GET", "/v3/report/received?msg_ids=1", nil, `[]`},
		{"GET", "/v3/report/received/?msg_ids=1", nil, `[]`},
		{"GET", "/v3/report/received/detail?msg_ids=1", nil, `[]`},
		{"GET", "/v3//received/detail/?msg_ids=1", nil, `[]`},
		{"POST", "/v3/report/status/message", map[string]any{"msg_id": "1", "registration_ids": []string{"nobody"}}, `{"nobody":{"status":2}}`},

		// Changes, in an order in which each of them does something.
		{"POST", "/v3/tags//vip/", map[string]any{"registration_ids": with("remove", []string{x.rid})}, `{}`},
		{"POST", "/v3/device/tags/vip", map[string]any{"registration_ids": with("add", []string{x.rid})}, `{}`},
		{"DELETE", "/v3/tags/vip/?platform=android", "null", `{}`},
		{"DELETE", "/v3/device/tags/" + url.PathEscape("北京"), nil, `{}`},
		{"GET", "/v3/tags", nil, `{"tags":[]}`},
		{"DELETE", "/v3/aliases/a.b+c/?platform=ios", nil, `{}`},
		{"GET", "/v3/aliases/a.b+c", nil, devices},
		{"DELETE", "/v3/device/aliases/a.b+c", nil, `{}`},
		{"GET", "/v3/aliases/a.b+c", nil, `{"registration_ids":[]}`},
	} {
		a := send(t, x.n, x.app, request{method: c.method, path: c.path, body: c.body})
		if a.status != http.StatusOK || !strings.HasPrefix(string(a.body), c.want) {
			t.Errorf("%s %s: status %d, %s; want 200, %s", c.method, c.path, a.status, a.body, c.want)
		}
	}
	x.untouched(t)
}

// A push by either zone's path, with what real clients do to headers and bodies, is accepted.
func TestLenientPushes(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	valid := pushBody(x.rid, nil)
	var sent []string
	for name, r := range map[string]request{
		"trailing slash":           {path: "/v3/push/", body: valid},
		"doubled slash":            {path: "//v3//push", body: valid},
		"media type malformed":     {body: valid, header: map[string]string{"Content-Type": "application/json;charset:utf-8"}},
		"media type text":          {body: valid, header: map[string]string{"Content-Type": "text/plain; charset=utf-8"}},
		"media type form":          {body: valid, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
		"no media type":            {body: valid, header: map[string]string{"Content-Type": ""}},
		"unknown length":           {body: `{"platform":"all","audience":{"registration_id":["` + x.rid + `"]},"notification":{"alert":"x"}}`, chunked: true},
		"other headers":            {body: valid, header: map[string]string{"Charset": "UTF-8", "Accept-Charset": "UTF-8", "Accept": "text/html", "Connection": "close"}},
		"lower-case scheme":        {body: valid, header: map[string]string{"Authorization": strings.Replace(basic(x.app), "Basic", "basic", 1)}},
		"platform a text":          {body: pushBody(x.rid, with("platform", "android"))},
		"empty lists":              {body: pushBody(x.rid, with("audience", map[string]any{"registration_id": []string{x.rid}, "tag": []string{}}))},
		"empty array for extras":   {body: pushBody(x.rid, with("notification", with("android", map[string]any{"alert": "x", "extras": []any{}})))},
		"texts for numbers":        {body: pushBody(x.rid, with("options", map[string]any{"time_to_live": "60", "sendno": "5", "apns_production": "false"}))},
		"numbers for booleans":     {body: pushBody(x.rid, with("options", map[string]any{"apns_production": 0}))},
		"a great sendno":           {body: pushBody(x.rid, with("options", with("sendno", 4294967294)))},
		"unknown ids among known":  {body: pushBody(x.rid, with("audience", with("registration_id", []string{strings.Repeat("0", 20), x.rid})))},
		"an empty message":         {body: pushBody(x.rid, with("message", map[string]any{}))},
		"20 tags and 1,000 others": {body: pushBody(x.rid, with("audience", map[string]any{"registration_id": append(many(999), x.rid), "tag_not": many(20)}))},
	} {
		a := send(t, x.n, x.app, r)
		if a.status != http.StatusOK {
			t.Errorf("%s: status %d, %s", name, a.status, a.body)
			continue
		}
		out := a.object(t)
		msg, _ := out["msg_id"].(string)
		sendno, _ := out["sendno"].(string)
		if msg == "" || sendno == "" || len(out) != 2 {
			t.Errorf("%s: %s", name, a.body)
		}
		sent = append(sent, msg)
	}
	x.untouched(t, sent...)
}

// A probe without credentials is answered at once.
func TestHeadOfTheRoot(t *testing.T) {
	t.Parallel()
	n := start(t)
	resp, err := http.Head(n.URL + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != http.StatusOK || len(body) > 0 {
		t.Errorf("status %d, body %q, %v", resp.StatusCode, body, err)
	}
}

// The wrong method is told before credentials are looked at, and which is right.
func TestWrongMethod(t *testing.T) {
	t.Parallel()
	n := start(t)
	for path, allowed := range map[string][]string{
		"/v3/push":                {"POST"},
		"/v3/push/":               {"POST"},
		"/v3/push/validate":       {"DELETE", "POST"}, // DELETE: a message that is named so
		"/v3/push/cid":            {"DELETE", "GET"},
		"/v3/push/1":              {"DELETE"},
		"/v3/push/file":           {"DELETE", "POST"},
		"/v3/push/template":       {"DELETE", "POST"},
		"/v3/push_plan/list":      {"GET"},
		"/v3/push_plan/update/":   {"PUT"},
		"/v3/grouppush":           {"POST"},
		"/v3/schedules":           {"GET", "POST"},
		"/v3/schedules/x":         {"DELETE", "GET", "PUT"},
		"/v3/schedules/x/msg_ids": {"GET"},
		"/v3/devices/x":           {"GET", "POST"},
		"/v3/tags":                {"GET"},
		"/v3/tags/x":              {"DELETE", "POST"},
		"/v3/aliases/x":           {"DELETE", "GET", "POST"},
		"/v3/received":            {"GET"},
		"/v3/received/detail":     {"GET"},
		"/v3/status/message":      {"POST"},
		"/v3/report/received":     {"GET"},
		"/v3/device/aliases/x":    {"DELETE", "GET", "POST"},
		"/v3/device/status":       {"GET", "POST"}, // GET: a device that is named so
		"/v3//push//validate///":  {"DELETE", "POST"},
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"} {
			if slices.Contains(allowed, method) {
				continue
			}
			a := send(t, n, e2e.Credentials{}, request{method: method, path: path, header: map[string]string{"Authorization": ""}})
			if a.status != http.StatusMethodNotAllowed || a.code != 1001 {
				t.Errorf("%s %s: status %d, %s; want 405, 1001", method, path, a.status, a.body)
				continue
			}
			got := strings.Split(a.header.Get("Allow"), ", ")
			if slices.Sort(got); !slices.Equal(got, allowed) {
				t.Errorf("%s %s: Allow %q, want %q", method, path, got, allowed)
			}
		}
	}
}

// What does not exist is told in the same envelope, with or without credentials.
func TestUnknownPath(t *testing.T) {
	t.Parallel()
	n := start(t)
	app := n.NewApp(t)
	for _, path := range []string{
		"/v3", "/v3/", "/v3/nothing", "/v3/push/nothing/here", "/v3/tags/a/b", "/v3/devices", "/v3/devices/a/b", "/v3/aliases", "/v3/aliases/",
		"/v1", "/v1/", "/v1/nothing", "/v3/../api", "/v3/report", "/v3/device",
		"/v3/push/template/other/call", "/v3/push_plan/x",
	} {
		for _, method := range []string{"GET", "POST"} {
			for _, authorization := range []string{"", basic(app)} {
				a := send(t, n, app, request{method: method, path: path, header: map[string]string{"Authorization": authorization}})
				if a.status != http.StatusNotFound || a.code == 0 {
					t.Errorf("%s %s: status %d, %s; want 404 with a code", method, path, a.status, a.body)
				}
			}
		}
	}
}
