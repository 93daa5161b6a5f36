package conformance

import (
	"net/http"
	"testing"
	"time"

	"borealis/internal/app"
	"borealis/test/e2e"
)

// set changes one setting of the app.
func (x *target) set(t testing.TB, name, value string) {
	t.Helper()
	x.n.SetApp(t, x.app, app.AdminChange{Name: name, Value: value})
}

// families is one call of each of the vendor's APIs, with the setting that limits it.
func (x *target) families() map[string]request {
	return map[string]request{
		"push_rate":   {path: "/v3/push/validate", body: pushBody(x.rid, nil)},
		"device_rate": {method: http.MethodGet, path: "/v3/devices/" + x.rid},
		"report_rate": {method: http.MethodGet, path: "/v3/received?msg_ids=1"},
	}
}

// Without limits the headers are there all the same, on successes and on refusals of the call itself.
func TestRateHeaders(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	for name, call := range x.families() {
		if r := rateOf(t, send(t, x.n, x.app, call)); r.limit <= 0 || r.remaining <= 0 || r.remaining > r.limit || r.reset <= 0 || r.reset > 60 {
			t.Errorf("%s: %+v", name, r)
		}
	}
	for _, call := range []request{
		{body: "{"}, {body: pushBody("zzz", nil)},
		{method: http.MethodGet, path: "/v3/devices/nobody"}, {method: http.MethodGet, path: "/v3/received"},
	} {
		a := send(t, x.n, x.app, call)
		if r := rateOf(t, a); a.status != http.StatusBadRequest || r.limit <= 0 {
			t.Errorf("%s: status %d, %+v", call.path, a.status, r)
		}
	}
}

// A limit counts the calls of its family, those that fail too, and refuses the next one.
func TestRateLimit(t *testing.T) {
	t.Parallel()
	n := start(t)
	for name := range new(target).families() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			x := newTarget(t, n)
			x.set(t, name, "3")
			calls := x.families()
			for left := 2; left >= 0; left-- {
				call := calls[name]
				if left == 1 && name == "push_rate" {
					call.body = "{"
				}
				a := send(t, n, x.app, call)
				if r := rateOf(t, a); a.status == http.StatusTooManyRequests || r.limit != 3 || r.remaining != left || r.reset < 1 || r.reset > 60 {
					t.Errorf("status %d, %+v, want %d left of 3", a.status, r, left)
				}
			}
			a := send(t, n, x.app, calls[name])
			if r := rateOf(t, a); a.status != http.StatusTooManyRequests || a.code != 2002 || r.limit != 3 || r.remaining != 0 || r.reset < 1 || r.reset > 60 {
				t.Errorf("status %d, %s, %+v; want 429, 2002, none left", a.status, a.body, r)
			}
			for other, call := range calls {
				if a := send(t, n, x.app, call); other != name && a.status != http.StatusOK {
					t.Errorf("%s is used up by %s: status %d, %s", other, name, a.status, a.body)
				}
			}
			if name == "push_rate" {
				for _, path := range []string{"/v3/push/template", "/v3/push/template/schedule", "/v3/push_plan/create"} {
					if a := send(t, n, x.app, request{path: path, body: "{}"}); a.status != http.StatusTooManyRequests || a.code != 2002 {
						t.Errorf("%s: status %d, %s; want 429, 2002", path, a.status, a.body)
					}
				}
				if a := send(t, n, x.app, request{body: pushBody(x.rid, nil)}); a.code != 2002 {
					t.Errorf("push: status %d, %s; want 2002", a.status, a.body)
				}
				x.set(t, name, "0")
				x.untouched(t)
			}
		})
	}
}

// Only addresses of the list may call the server API. Devices are not concerned.
func TestAddressNotAllowed(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	x.set(t, "ip_allow", "10.0.0.0/8,2001:db8::/32")
	for name, call := range x.families() {
		if a := send(t, x.n, x.app, call); a.status != http.StatusForbidden || a.code != 2004 {
			t.Errorf("%s: status %d, %s; want 403, 2004", name, a.status, a.body)
		} else if rateOf(t, a).limit <= 0 {
			t.Errorf("%s: headers %v", name, a.header)
		}
	}
	if a := send(t, x.n, x.app, request{method: http.MethodGet, path: "/v3/push_plan/list"}); a.status != http.StatusForbidden || a.code != 2004 {
		t.Errorf("plans: status %d, %s; want 403, 2004", a.status, a.body)
	}
	forwarded := request{body: pushBody(x.rid, nil), header: map[string]string{"X-Forwarded-For": "10.1.2.3", "X-Real-Ip": "10.1.2.3", "Forwarded": "for=10.1.2.3"}}
	if a := send(t, x.n, x.app, forwarded); a.code != 2004 {
		t.Errorf("a header of the caller opened the list: status %d, %s", a.status, a.body)
	}
	x.n.Register(t, x.app, "android")
	x.set(t, "ip_allow", "10.0.0.0/8,127.0.0.1")
	x.untouched(t)
}

// Everybody can be addressed so many times a day; other pushes go on.
func TestBroadcastCap(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	x.set(t, "broadcast_cap", "2")
	all := request{body: pushBody(x.rid, with("audience", "all"))}
	validate := all
	validate.path = "/v3/push/validate"
	if a := send(t, x.n, x.app, validate); a.status != http.StatusOK {
		t.Fatalf("status %d, %s", a.status, a.body)
	}
	_, first := x.accepted(t, all.body)
	_, second := x.accepted(t, all.body)
	for _, call := range []request{all, all, validate} {
		if a := send(t, x.n, x.app, call); a.status != http.StatusForbidden || a.code != 2008 {
			t.Errorf("%s: status %d, %s; want 403, 2008", call.path, a.status, a.body)
		}
	}
	x.untouched(t, first, second)
}

// Strict apps refuse unknown keys where others drop them.
func TestStrictKeys(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	bodies := map[string]any{
		"options":             pushBody(x.rid, with("options", with("brand_new", 1))),
		"third_party_channel": pushBody(x.rid, with("options", with("third_party_channel", with("xiaomi", map[string]any{"distribution": "ospush", "brand_new": "x"})))),
		"vendor":              pushBody(x.rid, with("options", with("third_party_channel", with("brand_new", with("distribution", "ospush"))))),
	}
	var sent []string
	for name, body := range bodies {
		a := send(t, x.n, x.app, request{body: body})
		if a.status != http.StatusOK {
			t.Errorf("%s: status %d, %s", name, a.status, a.body)
			continue
		}
		msg, _ := a.object(t)["msg_id"].(string)
		sent = append(sent, msg)
	}
	x.set(t, "strict_keys", "true")
	for name, body := range bodies {
		if a := send(t, x.n, x.app, request{body: body}); a.status != http.StatusBadRequest || a.code != 1009 {
			t.Errorf("strict, %s: status %d, %s; want 400, 1009", name, a.status, a.body)
		}
	}
	x.untouched(t, sent...)
}

// A time to live above the maximum is cut to it.
func TestTimeToLiveIsCut(t *testing.T) {
	t.Parallel()
	x := newTarget(t, start(t))
	expiry := func(ttl any) time.Duration {
		t.Helper()
		before := time.Now()
		x.accepted(t, pushBody(x.rid, with("options", with("time_to_live", ttl))))
		var frame struct {
			ExpiresAt int64 `json:"expires_at"`
		}
		decode(t, next(t, x.device).payload, &frame)
		return time.UnixMilli(frame.ExpiresAt).Sub(before).Round(10 * time.Second)
	}
	for _, c := range []struct {
		ttl  any
		want time.Duration
	}{
		{600, 10 * time.Minute}, {"600", 10 * time.Minute}, {864_000, 240 * time.Hour},
		{864_001, 240 * time.Hour}, {1 << 40, 240 * time.Hour}, {int64(1) << 62, 240 * time.Hour},
	} {
		if got := expiry(c.ttl); got != c.want {
			t.Errorf("time_to_live %v lives %s, want %s", c.ttl, got, c.want)
		}
	}
	x.set(t, "max_ttl", "3600")
	if got := expiry(7200); got != time.Hour {
		t.Errorf("with max_ttl 3600, time_to_live 7200 lives %s", got)
	}
}

// A disabled or suspended app: its calls are refused, its devices are disconnected and not let in again, nobody
// registers. Enabled again, everything is as it was.
func TestDisabledApp(t *testing.T) {
	t.Parallel()
	n := start(t)
	for _, state := range []string{"disabled", "suspended"} {
		t.Run(state, func(t *testing.T) {
			t.Parallel()
			x := newTarget(t, n)
			other := newTarget(t, n)
			d := n.Register(t, x.app, "android")
			who := credentials{url: n.MQTT, id: d.RegistrationID, user: x.app.Key, password: d.Secret}
			five := newPaho5(t)
			if code := five.connect(t, who); code != 0 {
				t.Fatalf("CONNACK 0x%02X", code)
			}
			x.set(t, "state", state)
			for name, call := range x.families() {
				if a := send(t, n, x.app, call); a.status != http.StatusForbidden || a.code != 2003 {
					t.Errorf("%s: status %d, %s; want 403, 2003", name, a.status, a.body)
				} else if rateOf(t, a).limit <= 0 {
					t.Errorf("%s: headers %v", name, a.header)
				}
			}
			if code := awaitGone(t, five); code != appDisconnected.v5 {
				t.Errorf("MQTT 5: DISCONNECT %#x, want %#x", code, appDisconnected.v5)
			}
			if code := awaitGone(t, x.device); code != appDisconnected.v311 {
				t.Errorf("MQTT 3.1.1: %#x", code)
			}
			for _, c := range []client{newPaho5(t), newPaho3(t)} {
				if code, want := c.connect(t, who), notAuthorized.in(c.version()); code != want {
					t.Errorf("CONNACK 0x%02X, want 0x%02X", code, want)
				}
				who.password = "wrong" // which is told nothing about the app
				if code, want := c.connect(t, who), badCredentials.in(c.version()); code != want {
					t.Errorf("CONNACK 0x%02X, want 0x%02X", code, want)
				}
				who.password = d.Secret
			}
			register := map[string]any{"app_key": x.app.Key, "platform": "android"}
			if status := n.Call(t, e2e.Credentials{}, http.MethodPost, "/device/v1/register", register, nil); status != http.StatusForbidden {
				t.Errorf("register: status %d, want 403", status)
			}
			other.untouched(t)
			x.set(t, "state", "enabled")
			x.connect(t)
			x.untouched(t)
		})
	}
}
