package conformance

import (
	"net/http"
	"strings"
	"testing"
)

// Device calls that are refused. None of them changes the device.
func TestRefusedDeviceCalls(t *testing.T) {
	n := start(t)
	x := newTarget(t, n)
	stranger := newTarget(t, n)
	device := "/v3/devices/" + x.rid
	setup := send(t, n, x.app, request{path: device, body: map[string]any{"alias": "ann", "tags": with("add", []string{"beta"}), "mobile": "13800000000"}})
	if setup.status != http.StatusOK || string(setup.body) != "{}" {
		t.Fatalf("status %d, %s", setup.status, setup.body)
	}
	get := func(path string) request { return request{method: http.MethodGet, path: path} }
	ids := func(name string, list any) any { return with("registration_ids", with(name, list)) }
	refuse(t, n, x.app, map[string]refusal{
		"get an unknown device":       {get("/v3/devices/nobody"), 400, 7002},
		"get another app's device":    {get("/v3/devices/" + stranger.rid), 400, 7002},
		"set an unknown device":       {request{path: "/v3/devices/nobody", body: with("alias", "a")}, 400, 7002},
		"set nothing":                 {request{path: device, body: "{}"}, 400, 7002},
		"set without a body":          {request{path: device}, 400, 7002},
		"set null":                    {request{path: device, body: "null"}, 400, 7002},
		"truncated":                   {request{path: device, body: `{"alias":"b"`}, 400, 7002},
		"invalid UTF-8":               {request{path: device, body: "{\"alias\":\"b\xff\"}"}, 400, 7002},
		"an array":                    {request{path: device, body: `["alias"]`}, 400, 7002},
		"alias a number":              {request{path: device, body: with("alias", 5)}, 400, 7002},
		"alias of 41 bytes":           {request{path: device, body: with("alias", strings.Repeat("a", 41))}, 400, 7002},
		"alias with a space":          {request{path: device, body: with("alias", "a b")}, 400, 7002},
		"tags a list":                 {request{path: device, body: with("tags", []string{"a"})}, 400, 7002},
		"tag a number":                {request{path: device, body: with("tags", with("add", []int{1}))}, 400, 7002},
		"tag with a space":            {request{path: device, body: with("tags", with("add", []string{"fine", "a b"}))}, 400, 7002},
		"101 tags":                    {request{path: device, body: with("tags", with("add", many(101)))}, 400, 7002},
		"tags of 1,001 bytes":         {request{path: device, body: with("tags", with("add", longNames(26)))}, 400, 7002},
		"alias with a bad tag":        {request{path: device, body: map[string]any{"alias": "other", "tags": with("add", []string{""})}}, 400, 7002},
		"body of 1 MiB":               {request{path: device, body: `{"alias":"` + strings.Repeat("x", 1<<20) + `"}`}, 400, 7002},
		"status of nobody":            {request{path: "/v3/devices/status", body: with("registration_ids", []string{})}, 400, 7002},
		"status of 1,001":             {request{path: "/v3/devices/status", body: with("registration_ids", many(1001))}, 400, 7002},
		"status of a text":            {request{path: "/v3/devices/status", body: with("registration_ids", x.rid)}, 400, 7002},
		"list of an impossible alias": {get("/v3/aliases/a%20b"), 400, 7002},
		"alias of a platform unknown": {get("/v3/aliases/ann?platform=symbian"), 400, 7002},
		"unbind nobody":               {request{path: "/v3/aliases/ann", body: ids("remove", []string{})}, 400, 7002},
		"unbind 1,001":                {request{path: "/v3/aliases/ann", body: ids("remove", many(1001))}, 400, 7002},
		"unbind partly":               {request{path: "/v3/aliases/ann", body: ids("remove", []string{x.rid, "nobody"})}, 400, 7013},
		"delete an impossible alias":  {request{method: http.MethodDelete, path: "/v3/aliases/a%20b"}, 400, 7002},
		"delete alias of a platform":  {request{method: http.MethodDelete, path: "/v3/aliases/ann?platform=symbian"}, 400, 7002},
		"tag nobody":                  {request{path: "/v3/tags/beta", body: ids("add", []string{})}, 400, 7002},
		"tag 1,001":                   {request{path: "/v3/tags/beta", body: ids("add", many(1001))}, 400, 7002},
		"tag partly":                  {request{path: "/v3/tags/gamma", body: ids("add", []string{x.rid, "nobody"})}, 400, 7013},
		"tag another app's device":    {request{path: "/v3/tags/gamma", body: ids("add", []string{x.rid, stranger.rid})}, 400, 7013},
		"untag partly":                {request{path: "/v3/tags/beta", body: ids("remove", []string{x.rid, "nobody"})}, 400, 7013},
		"an impossible tag":           {request{path: "/v3/tags/a%20b", body: ids("add", []string{x.rid})}, 400, 7002},
		"tag of an unknown device":    {get("/v3/tags/beta/registration_ids/nobody"), 400, 7002},
		"delete tag of a platform":    {request{method: http.MethodDelete, path: "/v3/tags/beta?platform=symbian"}, 400, 7002},
		"delete an impossible tag":    {request{method: http.MethodDelete, path: "/v3/tags/a%20b"}, 400, 7002},
	})
	if a := send(t, n, x.app, request{path: "/v3/tags/gamma", body: ids("add", []string{x.rid, "nobody"})}); len(a.illegal) != 1 || a.illegal[0] != "nobody" {
		t.Errorf("illegal_rids: %s", a.body)
	}
	if a := send(t, n, x.app, get(device)); string(a.body) != `{"tags":["beta"],"alias":"ann","mobile":"13800000000"}` {
		t.Errorf("after refused calls the device is %s", a.body)
	}
	if a := send(t, n, x.app, get("/v3/tags")); string(a.body) != `{"tags":["beta"]}` {
		t.Errorf("after refused calls the tags are %s", a.body)
	}
}

// longNames is n different names of 40 bytes.
func longNames(n int) []string {
	out := many(n)
	for i, name := range out {
		out[i] = name + strings.Repeat("x", 40-len(name))
	}
	return out
}

// An alias has ten devices; the eleventh keeps what it had.
func TestElevenDevicesOfAnAlias(t *testing.T) {
	t.Parallel()
	n := start(t)
	app := n.NewApp(t)
	var last string
	for i := range 11 {
		last = n.Register(t, app, "android").RegistrationID
		a := send(t, n, app, request{path: "/v3/devices/" + last, body: with("alias", "ann")})
		if i < 10 && a.status != http.StatusOK {
			t.Fatalf("device %d: status %d, %s", i, a.status, a.body)
		}
		if i == 10 && (a.status != http.StatusBadRequest || a.code != 7015) {
			t.Errorf("the eleventh device: status %d, %s; want 400, 7015", a.status, a.body)
		}
	}
	if alias := send(t, n, app, request{method: http.MethodGet, path: "/v3/devices/" + last}).object(t)["alias"]; alias != "" {
		t.Errorf("the eleventh device has the alias %q", alias)
	}
}
