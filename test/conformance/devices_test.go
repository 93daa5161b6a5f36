package conformance

import (
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/config"
	"borealis/test/e2e"
)

// libraries are the stock MQTT libraries, each in each version it speaks.
var libraries = []struct {
	name string
	make func(testing.TB) client
}{
	{"paho", newPaho3},
	{"paho.golang", newPaho5},
	{"mqtt.js 3.1.1", newMQTTJS(v311)},
	{"mqtt.js 5", newMQTTJS(v5)},
}

// transports are the schemes of the addresses that a registered device is told.
var transports = []struct {
	scheme string
	secure bool
}{
	{"tcp", false},
	{"ws", false},
	{"mqtts", true},
	{"wss", true},
}

// Each library, over each transport, does all that a device does.
func TestDeviceLibraries(t *testing.T) {
	t.Parallel()
	need(t, "node", "nodejs npm")
	ca := newAuthority(t)
	plain, secure := start(t), startTLS(t, ca)
	for _, library := range libraries {
		for _, transport := range transports {
			t.Run(library.name+" "+transport.scheme, func(t *testing.T) {
				t.Parallel()
				w := walk{n: plain, make: library.make}
				if transport.secure {
					w.n, w.trust = secure, ca
				}
				w.app = w.n.NewApp(t)
				w.device = w.n.Register(t, w.app, "android")
				w.url = endpoint(t, w.device, transport.scheme)
				w.run(t)
			})
		}
	}
}

// walk is one device of an app of its own.
type walk struct {
	n      *e2e.Node
	make   func(testing.TB) client
	trust  *authority
	app    e2e.Credentials
	device e2e.Device
	url    string
}

// who is how the device connects.
func (w *walk) who() credentials {
	return credentials{url: w.url, id: w.device.RegistrationID, user: w.app.Key, password: w.device.Secret, trust: w.trust}
}

func (w *walk) run(t *testing.T) {
	c := w.make(t)
	w.refusals(t, c)
	if code := c.connect(t, w.who()); code != 0 {
		t.Fatalf("CONNACK 0x%02X", code)
	}
	msg := w.exact(t, c)
	w.qualities(t, c)
	w.filters(t, c)
	w.events(t, c, msg)
	w.offline(t, c)
	w.takeover(t, c)
}

// refusals: nobody connects with other credentials than its own.
func (w *walk) refusals(t *testing.T, c client) {
	t.Helper()
	other := w.n.Register(t, w.app, "android")
	for what, change := range map[string]func(*credentials){
		"a secret that is none":   func(c *credentials) { c.password = "wrong" },
		"another device's secret": func(c *credentials) { c.password = other.Secret },
		"another device's id":     func(c *credentials) { c.id = other.RegistrationID },
		"an unknown AppKey":       func(c *credentials) { c.user = strings.Repeat("x", 24) },
	} {
		who := w.who()
		change(&who)
		if code, want := c.connect(t, who), badCredentials.in(c.version()); code != want {
			t.Errorf("%s: CONNACK 0x%02X, want 0x%02X", what, code, want)
		}
	}
}

// exact: without SUBSCRIBE a push arrives at QoS 1, member by member as it was sent, and is counted.
func (w *walk) exact(t *testing.T, c client) string {
	t.Helper()
	const ttl = 3600
	text := "Grüße \"建置 812\" 🚀\t\\" + strings.Repeat("長", 900)
	before := time.Now().UnixMilli()
	msg := push(t, w.n, w.app, map[string]any{
		"platform": []string{"android"}, "audience": map[string]any{"registration_id": []string{w.device.RegistrationID}},
		"notification": map[string]any{
			"alert": "general",
			"android": map[string]any{
				"alert": text, "title": "CI", "priority": 1, "extras": map[string]any{"k": "v", "n": 812, "deep": map[string]any{"a": []any{1, nil, true}}},
			},
		},
		"message": map[string]any{"title": "t", "msg_content": "<c>", "content_type": "text", "extras": map[string]any{"b": "c"}},
		"options": map[string]any{"time_to_live": ttl},
	})
	after := time.Now().UnixMilli()
	m := next(t, c)
	if m.topic != "push" || m.qos != 1 {
		t.Errorf("topic %q, QoS %d without SUBSCRIBE", m.topic, m.qos)
	}
	var got map[string]any
	if err := json.Unmarshal([]byte(m.payload), &got); err != nil {
		t.Fatalf("payload %q: %v", m.payload, err)
	}
	expires, _ := got["expires_at"].(float64)
	if e := int64(expires); e < before+ttl*1000 || e > after+ttl*1000 {
		t.Errorf("expires_at %d, accepted between %d and %d with %d s to live", e, before, after, ttl)
	}
	want := map[string]any{
		"id": msg, "type": "notification", "title": "CI", "alert": text,
		"extras":  map[string]any{"k": "v", "n": 812.0, "deep": map[string]any{"a": []any{1.0, nil, true}}},
		"options": map[string]any{"priority": 1.0},
		"message": map[string]any{"title": "t", "content": "<c>", "content_type": "text", "extras": map[string]any{"b": "c"}},

		"expires_at": expires,
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("payload %v\nwant    %v", got, want)
	}
	awaitReceipt(t, w.n, w.app, msg)
	w.reported(t, msg)
	return msg
}

// reported: the other reports agree about a message that was delivered to the device.
func (w *walk) reported(t *testing.T, msg string) {
	t.Helper()
	var detail []map[string]any
	w.n.Call(t, w.app, http.MethodGet, "/v3/received/detail?msg_ids="+msg, nil, &detail)
	if len(detail) != 1 || detail[0]["msg_id"] != msg || detail[0]["jpush_received"] != 1.0 {
		t.Errorf("received/detail: %v", detail)
	}
	var status map[string]map[string]int
	w.n.Call(t, w.app, http.MethodPost, "/v3/status/message", map[string]any{"msg_id": msg, "registration_ids": []string{w.device.RegistrationID}}, &status)
	if s, known := status[w.device.RegistrationID]["status"]; !known || s != 0 || len(status) != 1 {
		t.Errorf("status/message: %v", status)
	}
}

// qualities: SUBSCRIBE to push is granted as asked, up to QoS 1, and what follows comes at that quality.
func (w *walk) qualities(t *testing.T, c client) {
	t.Helper()
	for _, step := range []struct{ asked, granted byte }{{0, 0}, {1, 1}, {0, 0}, {2, 1}} {
		if code := c.subscribe(t, "push", step.asked); code != int(step.granted) {
			t.Fatalf("SUBSCRIBE push at QoS %d: SUBACK 0x%02X", step.asked, code)
		}
		msg := push(t, w.n, w.app, alert(fmt.Sprint("QoS ", step.asked), w.device.RegistrationID))
		m := next(t, c)
		if m.topic != "push" || m.qos != step.granted || idOf(t, m) != msg {
			t.Errorf("subscribed at QoS %d: got %+v, want message %s at QoS %d", step.asked, m, msg, step.granted)
		}
		awaitReceipt(t, w.n, w.app, msg)
	}
}

// filters: every other filter is refused, and the connection goes on.
func (w *walk) filters(t *testing.T, c client) {
	t.Helper()
	for _, filter := range []string{"other", "#", "+", "push/#", "push/x", "up/events", "$SYS/#"} {
		code, want := c.subscribe(t, filter, 1), filterRefused.in(c.version())
		if code == unsent && c.version() == v5 && strings.ContainsAny(filter, "#+") {
			continue // the CONNACK says that there are no wildcards, and the library heeds it
		}
		if code != want {
			t.Errorf("SUBSCRIBE %s: SUBACK 0x%02X, want 0x%02X", filter, code, want)
		}
	}
	msg := push(t, w.n, w.app, alert("still here", w.device.RegistrationID))
	if m := next(t, c); idOf(t, m) != msg {
		t.Errorf("got %+v, want message %s", m, msg)
	}
}

// events: what the device reports is counted once, and only for messages addressed to it.
func (w *walk) events(t *testing.T, c client, msg string) {
	t.Helper()
	other := w.n.Register(t, w.app, "android")
	join(t, w.n, w.app, other)
	foreign := push(t, w.n, w.app, alert("not for you", other.RegistrationID))
	report := func(id string, events ...string) string {
		var list []map[string]any
		for _, e := range events {
			list = append(list, map[string]any{"id": id, "event": e, "at": time.Now().UnixMilli()})
		}
		data, err := json.Marshal(map[string]any{"events": list})
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	for _, payload := range []string{report(foreign, "displayed", "clicked"), report(msg, "displayed"), report(msg, "clicked", "displayed")} {
		if code := c.publish(t, "up/events", payload); code != 0 {
			t.Fatalf("PUBLISH up/events: PUBACK 0x%02X", code)
		}
	}
	awaitFunnel(t, w.n, w.app, msg, funnel{Targets: 1, Sent: 1, Delivered: 1, Displayed: 1, Clicked: 1, Failed: map[string]int{}})
	awaitFunnel(t, w.n, w.app, foreign, funnel{Targets: 1, Failed: map[string]int{}})
}

// offline: what was sent meanwhile arrives after CONNACK, in order.
func (w *walk) offline(t *testing.T, c client) {
	t.Helper()
	c.disconnect(t)
	var sent []string
	for i := range 3 {
		sent = append(sent, push(t, w.n, w.app, alert(fmt.Sprint("offline ", i), w.device.RegistrationID)))
	}
	if code := c.connect(t, w.who()); code != 0 {
		t.Fatalf("CONNACK 0x%02X", code)
	}
	for _, msg := range sent {
		if m := next(t, c); idOf(t, m) != msg || m.qos != 1 {
			t.Errorf("got %+v, want message %s", m, msg)
		}
		awaitReceipt(t, w.n, w.app, msg)
	}
}

// takeover: a newer connection ends the older one; a PUBLISH to another topic is refused.
func (w *walk) takeover(t *testing.T, older client) {
	t.Helper()
	newer := w.make(t)
	if code := newer.connect(t, w.who()); code != 0 {
		t.Fatalf("CONNACK 0x%02X", code)
	}
	if code, want := awaitGone(t, older), takenOver.in(older.version()); code != want {
		t.Errorf("the older connection ended with %#x, want %#x", code, want)
	}
	msg := push(t, w.n, w.app, alert("to the newer", w.device.RegistrationID))
	if m := next(t, newer); idOf(t, m) != msg {
		t.Errorf("got %+v, want message %s", m, msg)
	}
	if code, want := newer.publish(t, "push", "{}"), topicRefused.in(newer.version()); code != want {
		t.Errorf("PUBLISH push: %#x, want %#x", code, want)
	}
}

// Device calls over HTTP name no app, and work from the first device of an app on. The second app is the one for which
// what is known of the first must not be all that is looked at.
func TestDeviceCallsOfNewApps(t *testing.T) {
	t.Parallel()
	n := start(t)
	for range 2 {
		app := n.NewApp(t)
		d := n.Register(t, app, "android")
		status := n.Call(t, e2e.Credentials{Key: d.RegistrationID, Secret: d.Secret}, http.MethodGet, "/device/v1/profile", nil, nil)
		if status != http.StatusOK {
			t.Errorf("GET /device/v1/profile of a device just registered: status %d", status)
		}
	}
}

// A server behind a proxy tells devices the address it is known by, and not what the proxy calls it.
func TestPublicURL(t *testing.T) {
	t.Parallel()
	n := e2e.Start(t, func(c *config.Config) { c.PublicURL = "https://push.example.com" })
	d := n.Register(t, n.NewApp(t), "android")
	if !slices.Contains(d.MQTT, "wss://push.example.com/mqtt") {
		t.Errorf("with a public URL the device is told %q", d.MQTT)
	}
	for _, address := range d.MQTT {
		if strings.Contains(address, "127.0.0.1") {
			t.Errorf("the device is told %s, which only the proxy reaches", address)
		}
	}
}

// idOf is the message id in a payload.
func idOf(t testing.TB, m received) string {
	t.Helper()
	var frame struct {
		ID string `json:"id"`
	}
	if err := json.Unmarshal([]byte(m.payload), &frame); err != nil {
		t.Fatalf("payload %q: %v", m.payload, err)
	}
	return frame.ID
}
