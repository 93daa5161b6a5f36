package conformance

import (
	"encoding/json"
	"fmt"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"borealis/test/e2e"
)

// curl is the command line, and nothing else that knows the server.
type curl struct {
	n     *e2e.Node
	app   e2e.Credentials
	extra []string
}

// call makes one call and returns the status and the body.
func (c *curl) call(t testing.TB, method, path, body string) (int, string) {
	t.Helper()
	args := slices.Concat([]string{"--silent", "--show-error", "--max-time", "15", "--write-out", "\n%{http_code} %{content_type}",
		"--request", method, "--user", c.app.Key + ":" + c.app.Secret}, c.extra)
	if body != "" {
		args = append(args, "--data-binary", body) // as a form, which is curl's default and many a script's mistake
	}
	cmd := exec.Command(need(t, "curl", "curl"), append(args, c.n.URL+path)...)
	cmd.Env = []string{} // no proxies, no .curlrc
	code, said := output(t, cmd)
	at := strings.LastIndexByte(said, '\n')
	if code != 0 || at < 0 {
		t.Fatalf("curl %s %s: exit code %d\n%s", method, path, code, said)
	}
	status, kind, _ := strings.Cut(said[at+1:], " ")
	if !strings.HasPrefix(kind, "application/json") {
		t.Errorf("%s %s: Content-Type %q", method, path, kind)
	}
	number, err := strconv.Atoi(status)
	if err != nil {
		t.Fatal(err)
	}
	return number, said[:at]
}

// A shell is enough: curl registers the device and pushes, mosquitto_sub receives, curl reads the reports. Over plain
// HTTP, and over TLS in both versions of HTTP.
func TestCurl(t *testing.T) {
	t.Parallel()
	need(t, "curl", "curl")
	need(t, "mosquitto_sub", "mosquitto-clients")
	ca := newAuthority(t)
	plain, secure := start(t), startTLS(t, ca)
	for name, c := range map[string]*curl{
		"HTTP":          {n: plain, extra: []string{"--http1.1"}},
		"HTTPS":         {n: secure, extra: []string{"--http1.1", "--cacert", ca.caFile}},
		"HTTPS, HTTP 2": {n: secure, extra: []string{"--http2", "--cacert", ca.caFile}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c.app = c.n.NewApp(t)
			c.walk(t, ca)
		})
	}
}

func (c *curl) walk(t *testing.T, ca *authority) {
	status, body := c.call(t, "POST", "/device/v1/register", fmt.Sprintf(`{"app_key":%q,"platform":"android"}`, c.app.Key))
	var d e2e.Device
	if err := json.Unmarshal([]byte(body), &d); err != nil || status != 200 {
		t.Fatalf("register: status %d, %s", status, body)
	}
	m := &mosquitto{v311, credentials{url: endpoint(t, d, "tcp"), id: d.RegistrationID, user: c.app.Key, password: d.Secret}}
	if strings.HasPrefix(c.n.URL, "https:") {
		m.who.url, m.who.trust = endpoint(t, d, "mqtts"), ca
	}
	join(t, c.n, c.app, d)

	rid := d.RegistrationID
	status, body = c.call(t, "POST", "/v3/push", `{"platform":"all","audience":{"registration_id":["`+rid+`"]},"notification":{"alert":"by curl"},"options":{"sendno":12}}`)
	answer := regexp.MustCompile(`^\{"sendno":"12","msg_id":"([0-9]+)"\}$`).FindStringSubmatch(body)
	if status != 200 || answer == nil {
		t.Fatalf("push: status %d, %s", status, body)
	}
	msg := answer[1]
	s := m.subscribe(t, 1, 1)
	if got := s.message(t); idOf(t, got) != msg || !strings.Contains(got.payload, `"alert":"by curl"`) {
		t.Errorf("got %+v, want message %s", got, msg)
	}
	awaitReceipt(t, c.n, c.app, msg)
	s.ended(t)
	c.successes(t, rid, msg)
	c.failures(t, rid)
}

// successes makes each call of the compatible API; want is an expression for the whole body.
func (c *curl) successes(t *testing.T, rid, msg string) {
	t.Helper()
	push := `{"platform":"all","audience":"all","notification":{"alert":"x"}}`
	for _, call := range []struct{ method, path, body, want string }{
		{"POST", "/v3/push", push, `\{"sendno":"0","msg_id":"[0-9]+"\}`},
		{"POST", "/v3/push/validate", push, `\{"sendno":"0","msg_id":"[0-9]+"\}`},
		{"GET", "/v3/push/cid?count=2&type=push", "", `\{"cidlist":\["` + c.app.Key + `-[0-9a-f-]{36}","` + c.app.Key + `-[0-9a-f-]{36}"\]\}`},
		{"POST", "/v3/devices/" + rid, `{"tags":{"add":["a","b"]},"alias":"ann","mobile":"13800000000"}`, `\{\}`},
		{"GET", "/v3/devices/" + rid, "", `\{"tags":\["a","b"\],"alias":"ann","mobile":"13800000000"\}`},
		{"POST", "/v3/devices/" + rid, `{"tags":"","mobile":""}`, `\{\}`},
		{"GET", "/v3/devices/" + rid, "", `\{"tags":\[\],"alias":"ann","mobile":""\}`},
		{"POST", "/v3/devices/status", `{"registration_ids":["` + rid + `"]}`, `\{"` + rid + `":\{"online":true\}\}`},
		{"GET", "/v3/aliases/ann", "", `\{"registration_ids":\["` + rid + `"\]\}`},
		{"GET", "/v3/aliases/ann?new_format=true", "", `\{"data":\[\{"registration_id":"` + rid + `","platform":"android","last_online_date":(null|"[0-9]{4}-[0-9]{2}-[0-9]{2}")\}\]\}`},
		{"POST", "/v3/aliases/ann", `{"registration_ids":{"remove":["` + rid + `"]}}`, `\{\}`},
		{"GET", "/v3/aliases/ann", "", `\{"registration_ids":\[\]\}`},
		{"DELETE", "/v3/aliases/ann", "", `\{\}`},
		{"POST", "/v3/tags/beta", `{"registration_ids":{"add":["` + rid + `"]}}`, `\{\}`},
		{"GET", "/v3/tags", "", `\{"tags":\["beta"\]\}`},
		{"GET", "/v3/tags/beta/registration_ids/" + rid, "", `\{"result":true\}`},
		{"DELETE", "/v3/tags/beta", "", `\{\}`},
		{"GET", "/v3/tags/beta/registration_ids/" + rid, "", `\{"result":false\}`},
		{"GET", "/v3/received?msg_ids=" + msg, "", `\[\{"msg_id":"` + msg + `","android_received":1,"ios_apns_sent":null,"ios_apns_received":null,"ios_msg_received":null,"wp_mpns_sent":null\}\]`},
		{"GET", "/v3/received/detail?msg_ids=" + msg + ",1", "", `\[\{"msg_id":"` + msg + `","jpush_received":1,("[a-z_]+":null,?){14}\}\]`},
		{"POST", "/v3/status/message", `{"msg_id":` + msg + `,"registration_ids":["` + rid + `","nobody"]}`, `\{"` + rid + `":\{"status":0\},"nobody":\{"status":2\}\}|\{"nobody":\{"status":2\},"` + rid + `":\{"status":0\}\}`},
		{"POST", "/v3/status/message", `{"msg_id":"` + msg + `","registration_ids":["` + rid + `"],"data":"2026-01-31"}`, `\{"` + rid + `":\{"status":0\}\}`},
	} {
		status, body := c.call(t, call.method, call.path, call.body)
		if want := regexp.MustCompile(`^(` + call.want + `)$`); status != 200 || !want.MatchString(body) {
			t.Errorf("%s %s %s: status %d, %s; want %s", call.method, call.path, call.body, status, body, want)
		}
	}
}

func (c *curl) failures(t *testing.T, rid string) {
	t.Helper()
	own := c.app
	wrong, unknown := e2e.Credentials{Key: own.Key, Secret: own.Key}, e2e.Credentials{Key: strings.Repeat("x", 24), Secret: own.Secret}
	push := `{"platform":"all","audience":{"registration_id":["` + rid + `"]},"notification":{"alert":"x"}`
	for _, call := range []struct {
		as                 e2e.Credentials
		method, path, body string
		status, code       int
	}{
		{wrong, "POST", "/v3/push", push + "}", 401, 1004},
		{unknown, "POST", "/v3/push", push + "}", 400, 1008},
		{own, "POST", "/v3/push", push, 400, 1003},
		{own, "POST", "/v3/push", push + `,"options":{"time_to_live":-1}}`, 400, 1003},
		{own, "POST", "/v3/push", push + `,"nonsense":1}`, 400, 1009},
		{own, "POST", "/v3/push", `{"platform":"all","audience":{"alias":["nobody"]},"notification":{"alert":"x"}}`, 400, 1011},
		{own, "POST", "/v3/push", "", 400, 1002},
		{own, "GET", "/v3/push", "", 405, 1001},
		{wrong, "GET", "/v3/devices/" + rid, "", 401, 7004},
		{unknown, "GET", "/v3/devices/" + rid, "", 400, 7008},
		{own, "GET", "/v3/devices/nobody", "", 400, 7002},
		{wrong, "GET", "/v3/received?msg_ids=1", "", 401, 3001},
		{unknown, "GET", "/v3/received?msg_ids=1", "", 401, 3001},
	} {
		c.app = call.as
		status, body := c.call(t, call.method, call.path, call.body)
		if status != call.status || !strings.HasPrefix(body, fmt.Sprintf(`{"error":{"code":%d,"message":"`, call.code)) {
			t.Errorf("%s %s %s: status %d, %s; want status %d, code %d", call.method, call.path, call.body, status, body, call.status, call.code)
		}
	}
	c.app = own
}

// Real clients send a body where none is meant, and big ones with wrong keys. Over HTTP/2 an answer that comes before the
// body has been read resets the stream, which libcurl reports as a failed transfer if the status is a success.
func TestUnreadBodies(t *testing.T) {
	need(t, "curl", "curl")
	ca := newAuthority(t)
	n := startTLS(t, ca)
	c := &curl{n: n, app: n.NewApp(t), extra: []string{"--http2", "--cacert", ca.caFile}}
	stranger := &curl{n: n, app: e2e.Credentials{Key: c.app.Key, Secret: c.app.Key}, extra: c.extra}
	big := strings.Repeat("x", 100<<10)
	for name, call := range map[string]struct {
		as                 *curl
		method, path, body string
		status             int
		want               string
	}{
		"GET with null":             {c, "GET", "/v3/tags", "null", 200, `{"tags":[]}`},
		"GET with a big body":       {c, "GET", "/v3/tags", big, 200, `{"tags":[]}`},
		"DELETE with null":          {c, "DELETE", "/v3/tags/a", "null", 200, `{}`},
		"POST with a wrong secret":  {stranger, "POST", "/v3/push", "null", 401, `{"error":{"code":1004`},
		"big with a wrong secret":   {stranger, "POST", "/v3/push", big, 401, `{"error":{"code":1004`},
		"POST to an unknown path":   {c, "POST", "/v3/nothing", "null", 404, `{"error":`},
		"POST by the wrong method":  {c, "PUT", "/v3/push", "null", 405, `{"error":{"code":1001`},
		"big with the wrong method": {c, "PUT", "/v3/push", big, 405, `{"error":{"code":1001`},
	} {
		t.Run(name, func(t *testing.T) {
			for range 5 {
				if status, body := call.as.call(t, call.method, call.path, call.body); status != call.status || !strings.HasPrefix(body, call.want) {
					t.Errorf("status %d, %s; want status %d, %s", status, body, call.status, call.want)
				}
			}
		})
	}
}
