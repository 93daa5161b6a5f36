package device

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// compatServer serves the vendor-compatible calls; the user name is the number of the app.
func (n *node) compatServer() *httptest.Server {
	mux := http.NewServeMux()
	n.CompatRoutes(func(pattern string, h CompatHandler) {
		mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			app := n.app(1)
			if user, _, _ := r.BasicAuth(); user == "2" {
				app = n.app(2)
			}
			h(w, r, app)
		})
	})
	s := httptest.NewServer(mux)
	n.t.Cleanup(s.Close)
	return s
}

type compatError struct {
	Error struct {
		Code    int      `json:"code"`
		Message string   `json:"message"`
		Illegal []string `json:"illegal_rids"`
	} `json:"error"`
}

func TestCompatCalls(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		s := n.compatServer()
		android, ios, web := n.joined(1, audience.Android), n.joined(1, audience.IOS), n.joined(1, audience.Web)
		foreign := n.joined(2, audience.IOS)
		if err := n.FlushSeen(context.Background()); err != nil {
			t.Fatal(err)
		}
		n.clock.Advance(24 * time.Hour)
		n.online[ios.Ordinal] = true
		r1, r2, r3 := android.RegistrationID, ios.RegistrationID, web.RegistrationID
		for _, step := range []struct{ call, body, want string }{
			{"POST /v3/devices/" + r1, `{"tags":{"add":["beta","中文.+"],"remove":["trial"]},"alias":"u1001","mobile":"13800000000"}`, `{}`},
			{"GET /v3/devices/" + r1, "null", `{"tags":["beta","中文.+"],"alias":"u1001","mobile":"13800000000"}`},
			{"GET /v3/devices/" + r2, "", `{"tags":[],"alias":"","mobile":""}`},
			{"POST /v3/devices/" + r1, `{"tags":{}}`, `{}`},
			{"POST /v3/devices/" + r1, `{"tags":[],"alias":null}`, `{}`},
			{"GET /v3/devices/" + r1, "", `{"tags":["beta","中文.+"],"alias":"u1001","mobile":"13800000000"}`},
			{"POST /v3/devices/" + r1, `{"tags":{"add":null,"remove":["beta"]},"mobile":13900000000}`, `{}`},
			{"GET /v3/devices/" + r1, "", `{"tags":["中文.+"],"alias":"u1001","mobile":"13900000000"}`},
			{"POST /v3/devices/" + r1, `{"tags":"","mobile":""}`, `{}`},
			{"GET /v3/devices/" + r1, "", `{"tags":[],"alias":"u1001","mobile":""}`},

			{"POST /v3/devices/" + r2, `{"alias":"u1001"}`, `{}`},
			{"POST /v3/devices/" + r3, `{"alias":"u1001"}`, `{}`},
			{"GET /v3/aliases/u1001", "", `{"registration_ids":["` + r1 + `","` + r2 + `","` + r3 + `"]}`},
			{"GET /v3/aliases/u1001?platform=android,ios", "", `{"registration_ids":["` + r1 + `","` + r2 + `"]}`},
			{"GET /v3/aliases/u1001?platform=", "", `{"registration_ids":["` + r1 + `","` + r2 + `","` + r3 + `"]}`},
			{"GET /v3/aliases/u1001?new_format=true", "", `{"data":[{"registration_id":"` + r1 + `","platform":"android","last_online_date":"2027-02-28"},{"registration_id":"` + r2 + `","platform":"ios","last_online_date":"2027-02-28"}]}`},
			{"GET /v3/aliases/u1001&new_format=true", "", `{"data":[{"registration_id":"` + r1 + `","platform":"android","last_online_date":"2027-02-28"},{"registration_id":"` + r2 + `","platform":"ios","last_online_date":"2027-02-28"}]}`},
			{"GET /v3/aliases/nobody", "", `{"registration_ids":[]}`},
			{"GET /v3/aliases/nobody?new_format=true", "", `{"data":[]}`},
			{"POST /v3/aliases/u1001", `{"registration_ids":{"remove":["` + r3 + `"]}}`, `{}`},
			{"DELETE /v3/aliases/u1001?platform=ios", "null", `{}`},
			{"GET /v3/aliases/u1001", "", `{"registration_ids":["` + r1 + `"]}`},
			{"DELETE /v3/aliases/u1001", "", `{}`},
			{"GET /v3/aliases/u1001", "", `{"registration_ids":[]}`},

			{"POST /v3/devices/status", `{"registration_ids":["` + r1 + `","` + r2 + `","` + foreign.RegistrationID + `","bad"]}`,
				`{"` + r1 + `":{"online":false,"last_online_time":"2027-02-28 20:00:00"},"` + r2 + `":{"online":true},"` + foreign.RegistrationID + `":null,"bad":null}`},

			{"GET /v3/tags", "", `{"tags":[]}`},
			{"POST /v3/tags/a+b", `{"registration_ids":{"add":["` + r1 + `","` + r3 + `"],"remove":[]}}`, `{}`},
			{"POST /v3/tags/%E4%B8%AD%E6%96%87", `{"registration_ids":{"add":["` + r2 + `"]}}`, `{}`},
			{"GET /v3/tags", "", `{"tags":["a+b","中文"]}`},
			{"GET /v3/tags/a+b/registration_ids/" + r1, "", `{"result":true}`},
			{"GET /v3/tags/a%2Bb/registration_ids/" + r2, "", `{"result":false}`},
			{"GET /v3/tags/中文/registration_ids/" + r2, "", `{"result":true}`},
			{"DELETE /v3/tags/a+b?platform=android,ios", "", `{}`},
			{"GET /v3/tags/a+b/registration_ids/" + r1, "", `{"result":false}`},
			{"GET /v3/tags/a+b/registration_ids/" + r3, "", `{"result":true}`},
			{"DELETE /v3/tags/a+b", "", `{}`},
			{"DELETE /v3/tags/never", "", `{}`},
			{"GET /v3/tags", "", `{"tags":["中文"]}`},
		} {
			method, path, _ := strings.Cut(step.call, " ")
			a := send(t, s, call{method: method, path: path, body: step.body})
			if a.status != 200 || !sameJSON(a.body, step.want) || !strings.HasPrefix(a.header.Get("Content-Type"), "application/json") ||
				a.header.Get("Content-Length") != fmt.Sprint(len(a.body)) {
				t.Errorf("%s %s: %d %s\nwant %s", step.call, step.body, a.status, a.body, step.want)
			}
		}
	})
}

func sameJSON(a, b string) bool {
	norm := func(s string) string {
		var v any
		if json.Unmarshal([]byte(s), &v) != nil {
			return "no JSON: " + s
		}
		out, _ := json.Marshal(v)
		return string(out)
	}
	return norm(a) == norm(b)
}

func TestCompatRefusals(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		n.publish(1, func(a *gate.App) { a.Settings.AliasDevices = 1 })
		s := n.compatServer()
		dev, other, foreign := n.joined(1, audience.IOS), n.joined(1, audience.IOS), n.joined(2, audience.IOS)
		if err := n.set(1, other.Ordinal, ProfileChange{Alias: new("full")}); err != nil {
			t.Fatal(err)
		}
		tags := make([]string, 101)
		for i := range tags {
			tags[i] = fmt.Sprintf("%q", fmt.Sprint(i))
		}
		ids := `"` + strings.Repeat(dev.RegistrationID+`","`, 1000) + dev.RegistrationID + `"`
		me, bad := "/v3/devices/"+dev.RegistrationID, foreign.RegistrationID
		for _, c := range []struct {
			call, body string
			code       int
			illegal    []string
		}{
			{"GET /v3/devices/" + bad, "", 7002, []string{bad}},
			{"POST /v3/devices/" + bad, `{"alias":"x"}`, 7002, []string{bad}},
			{"POST " + me, ``, 7002, nil},
			{"POST " + me, `{}`, 7002, nil},
			{"POST " + me, `{"alias":5}`, 7002, nil},
			{"POST " + me, `{"alias":"a b"}`, 7002, nil},
			{"POST " + me, `{"alias":"full"}`, 7015, nil},
			{"POST " + me, `{"mobile":"call me"}`, 7002, nil},
			{"POST " + me, `{"mobile":1.5}`, 7002, nil},
			{"POST " + me, `{"tags":"x"}`, 7002, nil},
			{"POST " + me, `{"tags":{"add":["a",null]}}`, 7002, nil},
			{"POST " + me, `{"tags":{"add":[""]}}`, 7002, nil},
			{"POST " + me, `{"tags":{"add":[` + strings.Join(tags, ",") + `]}}`, 7002, nil},
			{"POST " + me, `{"alias":"x"`, 7002, nil},
			{"POST " + me, "{\"alias\":\"\xff\"}", 7002, nil},
			{"POST " + me, `{"alias":"` + strings.Repeat("x", 600_000) + `"}`, 7002, nil},
			{"POST /v3/devices/status", `{}`, 7002, nil},
			{"POST /v3/devices/status", `{"registration_ids":[` + ids + `]}`, 7002, nil},
			{"GET /v3/aliases/a%20b", "", 7002, nil},
			{"GET /v3/aliases/a%FF", "", 7002, nil},
			{"GET /v3/aliases/a?platform=amiga", "", 7002, nil},
			{"POST /v3/aliases/full", `{"registration_ids":{}}`, 7002, nil},
			{"POST /v3/aliases/full", `{"registration_ids":{"remove":["` + other.RegistrationID + `","` + bad + `"]}}`, 7013, []string{bad}},
			{"DELETE /v3/aliases/full?platform=none", "", 7002, nil},
			{"GET /v3/tags/a%20b/registration_ids/" + dev.RegistrationID, "", 7002, nil},
			{"GET /v3/tags/a/registration_ids/" + bad, "", 7002, []string{bad}},
			{"POST /v3/tags/beta", `{"registration_ids":{"add":["` + dev.RegistrationID + `"],"remove":["bad"]}}`, 7013, []string{"bad"}},
			{"POST /v3/tags/beta", `{"registration_ids":{"add":[` + ids + `]}}`, 7002, nil},
			{"POST /v3/tags/beta", `null`, 7002, nil},
		} {
			method, path, _ := strings.Cut(c.call, " ")
			a := send(t, s, call{method: method, path: path, body: c.body})
			var e compatError
			a.decode(t, &e)
			if a.status != 400 || e.Error.Code != c.code || e.Error.Message == "" || !slices.Equal(e.Error.Illegal, c.illegal) {
				t.Errorf("%s %.80s: %d %s, want %d", c.call, c.body, a.status, a.body, c.code)
			}
		}
		if p := n.profile(1, dev.Ordinal); len(p.Tags)+len(p.Alias)+len(p.Mobile) > 0 {
			t.Errorf("something was stored: %+v", p)
		}
		if p := n.profile(1, other.Ordinal); p.Alias != "full" {
			t.Errorf("something was stored: %+v", p)
		}
	})
}

func FuzzCompatDevice(f *testing.F) {
	for _, s := range []string{`{"tags":{"add":["a"]}}`, `{"tags":"","alias":""}`, `null`, `[]`, `{"mobile":1}`, `{"tags":[]}`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseMembers("the body", data)
		if err != nil {
			return
		}
		c, err := deviceChange(m)
		if err == nil && c.Tags == nil && c.Alias == nil && c.Mobile == nil {
			t.Errorf("%q changes nothing and is accepted", data)
		}
	})
}

// A call whose time is up changes nothing, and is told so in the code that clients try again on.
func TestBusyIsToldInTheVendorsCode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		id := n.joined(1, audience.Android).RegistrationID
		ctx, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
		defer cancel()
		mux := http.NewServeMux()
		n.CompatRoutes(func(pattern string, h CompatHandler) {
			mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h(w, r, n.app(1)) })
		})
		for call, body := range map[string]string{"POST /v3/devices/" + id: `{"alias":"ann"}`, "GET /v3/devices/" + id: ""} {
			method, path, _ := strings.Cut(call, " ")
			w := httptest.NewRecorder()
			mux.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body)))
			if want := `{"error":{"code":7030,"message":"busy, try again"}}`; w.Code != 503 || w.Body.String() != want {
				t.Errorf("%s: %d %s", call, w.Code, w.Body)
			}
		}
		w := httptest.NewRecorder()
		if mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/v3/devices/"+id, nil)); !strings.Contains(w.Body.String(), `"alias":""`) {
			t.Errorf("the device has changed: %s", w.Body)
		}
	})
}
