package device

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// server serves the device API of a node.
func (n *node) server() *httptest.Server {
	mux := http.NewServeMux()
	n.Routes(humago.New(mux, huma.DefaultConfig("test", "1")))
	s := httptest.NewServer(mux)
	n.t.Cleanup(s.Close)
	return s
}

type call struct {
	method, path, body string
	user, password     string
	header             map[string]string
}

type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) decode(t testing.TB, v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(a.body), v); err != nil {
		t.Fatalf("%s: %v", a.body, err)
	}
}

func send(t testing.TB, s *httptest.Server, c call) answer {
	t.Helper()
	req, err := http.NewRequest(c.method, s.URL+c.path, strings.NewReader(c.body))
	if err != nil {
		t.Fatal(err)
	}
	if c.body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for k, v := range c.header {
		req.Header.Set(k, v)
	}
	if c.user != "" {
		req.SetBasicAuth(c.user, c.password)
	}
	res, err := s.Client().Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{res.StatusCode, res.Header, string(body)}
}

func TestDeviceAPI(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		n := newNode(t, d)
		n.Endpoints = func(host string) []string { return []string{"ws://" + host + "/mqtt"} }
		s := n.server()
		var reg struct {
			RegistrationID string   `json:"registration_id"`
			Secret         string   `json:"secret"`
			MQTT           []string `json:"mqtt"`
			KeepAlive      int      `json:"keep_alive"`
			ServerTime     int64    `json:"server_time"`
		}
		a := send(t, s, call{method: "POST", path: "/device/v1/register", body: `{"app_key":"` + n.app(2).Key + `","install_id":"` + installA + `",
			"platform":"web","device":{"model":"x","timezone":"Asia/Shanghai","more":1},"consent":{"version":"1","purposes":["push"]},"future":{}}`})
		if a.status != 200 {
			t.Fatalf("register: %d %s", a.status, a.body)
		}
		a.decode(t, &reg)
		if len(reg.RegistrationID) != 20 || reg.KeepAlive != 240 || reg.ServerTime != start.UnixMilli() ||
			len(reg.MQTT) != 1 || reg.MQTT[0] != "ws://"+strings.TrimPrefix(s.URL, "http://")+"/mqtt" {
			t.Errorf("registered %+v", reg)
		}
		if got := n.who(2, audience.Expr{All: true}); len(got) != 0 {
			t.Error("joined by registering")
		}
		own := func(method, path, body string, header map[string]string) answer {
			return send(t, s, call{method: method, path: "/device/v1/" + path, body: body, user: reg.RegistrationID, password: reg.Secret, header: header})
		}
		for name, a := range map[string]answer{
			"without the app":  own("PATCH", "profile", `{"tags":{"add":["a","b"]},"alias":"u1","silence":{"from":"22:00","to":"07:00"}}`, nil),
			"app in a header":  own("PATCH", "profile", `{"attributes":{"k":"v"}}`, map[string]string{"X-App-Key": n.app(2).Key}),
			"app in the query": own("PUT", "tokens?app_key="+n.app(2).Key, `{"channel":"webpush","token":"{}"}`, nil),
		} {
			if a.status != 204 {
				t.Errorf("%s: %d %s", name, a.status, a.body)
			}
		}
		if got := n.who(2, audience.Expr{Tag: []string{"a"}}); len(got) != 1 {
			t.Error("an authenticated call did not let the device join")
		}
		a = own("GET", "profile", "", nil)
		var p struct {
			Tags       []string          `json:"tags"`
			Alias      string            `json:"alias"`
			Attributes map[string]string `json:"attributes"`
			Silence    *Silence          `json:"silence"`
			Platform   string            `json:"platform"`
			Push       bool              `json:"push_enabled"`
		}
		a.decode(t, &p)
		if a.status != 200 || len(p.Tags) != 2 || p.Alias != "u1" || p.Attributes["k"] != "v" || p.Silence == nil || p.Platform != "web" || !p.Push {
			t.Errorf("profile: %d %s", a.status, a.body)
		}
		if a := own("PATCH", "profile", `{"silence":null}`, nil); a.status != 204 || n.profile(2, 1).Silence != nil {
			t.Errorf("cleared: %d %s", a.status, a.body)
		}
		if a := own("DELETE", "registration", "", nil); a.status != 204 {
			t.Errorf("delete: %d %s", a.status, a.body)
		}
		if a := own("GET", "profile", "", nil); a.status != 401 || a.header.Get("WWW-Authenticate") == "" {
			t.Errorf("after the end: %d %s", a.status, a.body)
		}
	})
}

type denying struct{ asked []netip.Addr }

func (d *denying) AllowRegistration(_ int64, from netip.Addr) bool {
	d.asked = append(d.asked, from)
	return false
}

func TestDeviceAPIRefusals(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	s := n.server()
	n.publish(1, func(a *gate.App) { a.Settings.AliasDevices, a.Settings.DeviceAlias = 1, "device" })
	n.publish(3, func(a *gate.App) { a.State = gate.Disabled })
	dev, other := n.joined(1, audience.Web), n.joined(1, audience.Web)
	if err := n.set(1, other.Ordinal, ProfileChange{Alias: new("taken")}); err != nil {
		t.Fatal(err)
	}
	foreign := n.joined(2, audience.Web)
	register := func(members string) call { return call{method: "POST", path: "/device/v1/register", body: members} }
	key := `"app_key":"` + n.app(1).Key + `"`
	profile := func(body string) call {
		return call{method: "PATCH", path: "/device/v1/profile", body: body, user: dev.RegistrationID, password: dev.Secret}
	}
	for name, c := range map[string]struct {
		call
		status int
		field  string
	}{
		"unknown app":      {register(`{"app_key":"nobody","platform":"web"}`), 404, "body.app_key"},
		"disabled app":     {register(`{"app_key":"` + n.app(3).Key + `","platform":"web"}`), 403, ""},
		"no JSON":          {register(`{`), 400, "body"},
		"no body":          {register(``), 400, ""},
		"no platform":      {register(`{` + key + `}`), 422, "body"},
		"other platform":   {register(`{` + key + `,"platform":"amiga"}`), 422, "body.platform"},
		"winphone":         {register(`{` + key + `,"platform":"winphone"}`), 422, "body.platform"},
		"short install id": {register(`{` + key + `,"platform":"web","install_id":"a"}`), 422, "body.install_id"},
		"invalid UTF-8":    {register(`{` + key + `,"platform":"web","package":"` + "\xff" + `"}`), 422, "body"},
		"escaped NUL":      {register(`{` + key + `,"platform":"web","device":{"model":"a\u0000"}}`), 422, "body.device.model"},
		"too large":        {register(`{` + key + `,"platform":"web","package":"` + strings.Repeat("x", 70_000) + `"}`), 413, ""},
		"wrong secret": {register(`{` + key + `,"platform":"web","registration_id":"` + dev.RegistrationID + `","secret":"` + other.Secret + `"}`),
			401, ""},
		"no credentials":     {call{method: "GET", path: "/device/v1/profile"}, 401, ""},
		"secret of another":  {call{method: "GET", path: "/device/v1/profile", user: dev.RegistrationID, password: other.Secret}, 401, ""},
		"nonsense":           {call{method: "GET", path: "/device/v1/profile", user: "x", password: "y"}, 401, ""},
		"id of another app":  {call{method: "GET", path: "/device/v1/profile", user: foreign.RegistrationID, password: foreign.Secret, header: map[string]string{"X-App-Key": n.app(1).Key}}, 401, ""},
		"unknown app key":    {call{method: "GET", path: "/device/v1/profile", user: dev.RegistrationID, password: dev.Secret, header: map[string]string{"X-App-Key": "no"}}, 404, "body.app_key"},
		"alias taken":        {profile(`{"alias":"taken"}`), 409, "body.alias"},
		"alias grammar":      {profile(`{"alias":"a b"}`), 422, "body.alias"},
		"tag grammar":        {profile(`{"tags":{"add":["ok","a b"]}}`), 422, "body.tags.add[1]"},
		"wrong type":         {profile(`{"push_enabled":"yes"}`), 422, "body.push_enabled"},
		"profile not object": {profile(`[1]`), 422, "body"},
		"token channel":      {call{method: "PUT", path: "/device/v1/tokens", body: `{"channel":"pigeon","token":"t"}`, user: dev.RegistrationID, password: dev.Secret}, 422, "body.channel"},
	} {
		a := send(t, s, c.call)
		var p struct {
			Status int    `json:"status"`
			Detail string `json:"detail"`
			Errors []struct {
				Location string `json:"location"`
				Message  string `json:"message"`
			} `json:"errors"`
		}
		if a.status != c.status || a.header.Get("Content-Type") != "application/problem+json" {
			t.Errorf("%s: %d %s %s", name, a.status, a.header.Get("Content-Type"), a.body)
			continue
		}
		a.decode(t, &p)
		if p.Status != c.status || p.Detail == "" || c.field != "" && (len(p.Errors) == 0 || p.Errors[0].Location != c.field || p.Errors[0].Message == "") {
			t.Errorf("%s: %s", name, a.body)
		}
	}
	var rows int
	if err := n.db.QueryRow(context.Background(), `select count(*) from device_device`).Scan(&rows); err != nil || rows != 3 {
		t.Errorf("%d devices are stored (%v)", rows, err)
	}
	limit := &denying{}
	n.Limiter = limit
	if a := send(t, s, register(`{`+key+`,"platform":"web"}`)); a.status != 429 || a.header.Get("Retry-After") == "" ||
		!strings.Contains(a.body, "too many registrations from this address or of this app") {
		t.Errorf("limited: %d %s", a.status, a.body)
	}
	if len(limit.asked) != 1 || !limit.asked[0].IsLoopback() {
		t.Errorf("limited by %v", limit.asked)
	}
}

func TestAuthenticateFindsNewApps(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	auth := func(d Registered) (int64, error) {
		req := httptest.NewRequest("GET", "/", nil)
		req.SetBasicAuth(d.RegistrationID, d.Secret)
		app, _, err := n.Authenticate(context.Background(), req)
		if err != nil {
			return 0, err
		}
		return app.ID, nil
	}
	one := n.register(1, Registration{Platform: audience.Web})
	if app, err := auth(one); app != 1 || err != nil {
		t.Errorf("app %d (%v)", app, err)
	}
	two := n.register(2, Registration{Platform: audience.Web})
	if app, err := auth(two); app != 2 || err != nil {
		t.Errorf("app %d (%v)", app, err)
	}
}

func TestOpenAPIDocument(t *testing.T) {
	t.Parallel()
	n := newNode(t, dbtest.SQLite(t))
	api := humago.New(http.NewServeMux(), huma.DefaultConfig("test", "1"))
	n.Routes(api)
	doc, err := api.OpenAPI().MarshalJSON()
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(doc, []byte("octet-stream")) || !bytes.Contains(doc, []byte(`"device":{`)) {
		t.Errorf("document: %s", doc)
	}
}
