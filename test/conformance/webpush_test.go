package conformance

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/webpush"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/e2e"
	"borealis/test/sim/phone"
	webpushsim "borealis/test/sim/webpush"
)

// stockWebPush is web-push and http_ece of npm, driven by node/webpush.cjs.
type stockWebPush struct{ *driver }

func newStockWebPush(t testing.TB, trust *authority) stockWebPush {
	t.Helper()
	cmd := nodeScript(t, "webpush.cjs")
	if trust != nil {
		cmd.Env = append(cmd.Env, "NODE_EXTRA_CA_CERTS="+trust.caFile)
	}
	return stockWebPush{startDriver(t, cmd, object{})}
}

// ask makes a call that must succeed and decodes its result.
func (s stockWebPush) ask(t testing.TB, name string, args, result any) {
	t.Helper()
	a := s.call(t, name, "", args)
	if !a.OK {
		t.Fatalf("%s: %s", name, a.text)
	}
	var out struct {
		Result json.RawMessage `json:"result"`
	}
	if err := json.Unmarshal([]byte(a.text), &out); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(out.Result, result); err != nil {
		t.Fatalf("%s: %s: %v", name, a.text, err)
	}
}

// browserKeys are the member "keys" of a subscription.
type browserKeys struct {
	P256DH string `json:"p256dh"`
	Auth   string `json:"auth"`
}

func browserSubscription(endpoint string, keys any) string {
	out, _ := json.Marshal(object{"endpoint": endpoint, "expirationTime": nil, "keys": keys})
	return string(out)
}

// What our channel sends, a browser's library decrypts.
func TestWebPushMessagesAreDecryptedByAStockLibrary(t *testing.T) {
	t.Parallel()
	stock := newStockWebPush(t, nil)
	bodies := make(chan []byte, 10)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		bodies <- body
		w.WriteHeader(http.StatusCreated)
	}))
	defer service.Close()
	v := webpush.New(wire.Deps{BaseURL: service.URL, Clock: clock.System{}})
	var pair struct{ PublicKey, PrivateKey string }
	stock.ask(t, "keys", object{}, &pair)
	c, err := v.Parse([]byte(`{"public_key":"` + pair.PublicKey + `","private_key":"` + pair.PrivateKey + `","subject":"https://example.com"}`))
	if err != nil {
		t.Fatalf("keys that the library made: %v", err)
	}
	for _, text := range []string{"", "short", "极光推送 <&> 😀", strings.Repeat("x", 5000)} {
		var keys browserKeys
		stock.ask(t, "browser", object{}, &keys)
		m := &wire.Message{ID: "4611686018427387", Kind: wire.Notification, Title: "T", Body: text, TTL: time.Hour, Truncate: true}
		if o := v.Send(t.Context(), c, []wire.Token{{Value: browserSubscription(service.URL+"/a", keys)}}, m)[0]; o.Status != wire.Accepted {
			t.Fatalf("%+v", o)
		}
		var read string
		stock.ask(t, "decrypt", object{"p256dh": keys.P256DH, "encoding": "aes128gcm", "body": base64.StdEncoding.EncodeToString(<-bodies)}, &read)
		var got struct {
			ID    string `json:"_j_msgid"`
			Alert string `json:"alert"`
		}
		if err := json.Unmarshal([]byte(read), &got); err != nil || got.ID != m.ID || !strings.HasPrefix(text, got.Alert) || len(text) < 4000 && got.Alert != text {
			t.Errorf("%s, %v", read, err)
		}
	}
}

// What the stock sender sends, the simulated push service takes: it holds our channel to the rules of the world.
func TestTheSimulatedPushServiceTakesAStockSender(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	stock := newStockWebPush(t, ca)
	phones := phone.NewNetwork(clock.System{})
	sim := webpushsim.New(phone.Deps{Phones: phones, Faults: &phone.Faults{}, Clock: clock.System{}})
	service := httptest.NewUnstartedServer(sim)
	service.TLS = ca.server(t)
	service.StartTLS()
	defer service.Close()
	var pair object
	stock.ask(t, "keys", object{}, &pair)
	token := sim.Subscribe(service.URL, pair["publicKey"].(string))
	options := object{"vapidDetails": object{"subject": "mailto:ops@example.com", "publicKey": pair["publicKey"], "privateKey": pair["privateKey"]}, "TTL": 60, "urgency": "high", "topic": "a_b-C"}
	var answer struct{ Status int }
	stock.ask(t, "send", object{"subscription": json.RawMessage(token), "payload": `{"_j_msgid":"1","type":"notification","title":"T","alert":"Hello"}`, "options": options}, &answer)
	p, _ := phones.Find("webpush", token)
	if answer.Status != http.StatusCreated || len(p.Got) != 1 || p.Got[0].Body != "Hello" {
		t.Errorf("%d, %+v", answer.Status, p.Got)
	}
	var other object
	stock.ask(t, "keys", object{}, &other)
	options["vapidDetails"] = object{"subject": "mailto:ops@example.com", "publicKey": other["publicKey"], "privateKey": other["privateKey"]}
	if a := stock.call(t, "send", "", object{"subscription": json.RawMessage(token), "payload": "x", "options": options}); a.OK || a.Error.Status == nil || *a.Error.Status != http.StatusForbidden {
		t.Errorf("another key: %s", a.text)
	}
}

// deviceFrame is what a device gets for a message that was posted to its endpoint.
type deviceFrame struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	WebPush struct {
		Instance   string `json:"instance"`
		Body       string `json:"body"`
		Encoding   string `json:"encoding"`
		Topic      string `json:"topic"`
		Urgency    string `json:"urgency"`
		Encryption string `json:"encryption"`
		CryptoKey  string `json:"crypto_key"`
	} `json:"webpush"`
}

// parameter is a value of a header of the encoding aesgcm.
func parameter(header, name string) string {
	for _, part := range strings.FieldsFunc(header, func(r rune) bool { return r == ';' || r == ',' }) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(part), name+"="); ok {
			return value
		}
	}
	return ""
}

// A stock sender posts to the endpoint of a device, which gets over MQTT what a stock library decrypts: in both encodings, bound to the
// sender's key and not, at once and after the device was away.
func TestAStockSenderReachesADeviceByWebPush(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	n := startTLS(t, ca)
	stock := newStockWebPush(t, ca)
	app := n.NewApp(t)
	d := n.Register(t, app, "android")
	who := e2e.Credentials{Key: d.RegistrationID, Secret: d.Secret}
	var pair, other object
	stock.ask(t, "keys", object{}, &pair)
	stock.ask(t, "keys", object{}, &other)
	var keys browserKeys
	stock.ask(t, "browser", object{}, &keys)
	subscribe := func(instance string, vapid any) json.RawMessage {
		t.Helper()
		body := object{"instance": instance}
		if vapid != nil {
			body["vapid"] = vapid
		}
		var out struct{ Endpoint string }
		if status := n.Call(t, who, http.MethodPost, "/device/v1/webpush/subscriptions", body, &out); status != http.StatusCreated {
			t.Fatalf("subscribe: status %d", status)
		}
		return json.RawMessage(browserSubscription(out.Endpoint, keys))
	}
	open, bound := subscribe("open", nil), subscribe("bound", pair["publicKey"])
	signed := func(by object, more object) object {
		o := object{"vapidDetails": object{"subject": "mailto:ops@example.com", "publicKey": by["publicKey"], "privateKey": by["privateKey"]}, "TTL": 600}
		maps.Copy(o, more)
		return o
	}
	type sent struct {
		Status        int
		Location, TTL string
	}
	send := func(to json.RawMessage, text string, options object) sent {
		t.Helper()
		var out sent
		stock.ask(t, "send", object{"subscription": to, "payload": text, "options": options}, &out)
		if out.Status != http.StatusCreated || out.Location == "" || out.TTL != "600" {
			t.Errorf("%s: %+v", text, out)
		}
		return out
	}
	device := newPaho5(t)
	login := credentials{url: endpoint(t, d, "mqtts"), id: d.RegistrationID, user: app.Key, password: d.Secret, trust: ca}
	if code := device.connect(t, login); code != 0 {
		t.Fatalf("CONNACK 0x%02X", code)
	}
	gets := func(instance, text string) deviceFrame {
		t.Helper()
		var f deviceFrame
		m := next(t, device)
		if err := json.Unmarshal([]byte(m.payload), &f); err != nil || f.Type != "webpush" || m.topic != "push" || m.qos != 1 {
			t.Fatalf("%+v, %v", m, err)
		}
		var read string
		stock.ask(t, "decrypt", object{
			"p256dh": keys.P256DH, "encoding": f.WebPush.Encoding, "body": f.WebPush.Body,
			"salt": parameter(f.WebPush.Encryption, "salt"), "dh": parameter(f.WebPush.CryptoKey, "dh"),
		}, &read)
		// What the sender said of topic and urgency is for the push service alone (RFC 8030, 5.3 and 5.4).
		if read != text || f.WebPush.Instance != instance || strings.Contains(m.payload, `"topic"`) || strings.Contains(m.payload, `"urgency"`) {
			t.Errorf("%q in %+v, want %q for %s", read, f, text, instance)
		}
		return f
	}

	send(open, "nobody in particular", object{"TTL": 600})
	gets("open", "nobody in particular") // the library's default
	send(bound, "极光 😀", signed(pair, object{"topic": "news", "urgency": "high"}))
	gets("bound", "极光 😀")
	legacy := object{"contentEncoding": "aesgcm"}
	send(open, "as it was in 2017", object{"contentEncoding": "aesgcm", "TTL": 600})
	if f := gets("open", "as it was in 2017"); f.WebPush.Encoding != "aesgcm" {
		t.Errorf("%+v", f)
	}
	send(bound, "signed as it was", signed(pair, legacy))
	gets("bound", "signed as it was")
	longest := strings.Repeat("x", 3993)
	send(open, longest, signed(other, object{"contentEncoding": "aes128gcm"}))
	gets("open", longest)

	for _, refused := range []struct {
		name, text string
		to         json.RawMessage
		options    object
		status     int
	}{
		{"one byte more", longest + "x", open, signed(other, nil), http.StatusRequestEntityTooLarge},
		{"unsigned", "x", bound, object{"TTL": 600}, http.StatusUnauthorized},
		{"another's key", "x", bound, signed(other, nil), http.StatusForbidden},
		{"another's key in drafts", "x", bound, signed(other, legacy), http.StatusForbidden},
	} {
		a := stock.call(t, "send", "", object{"subscription": refused.to, "payload": refused.text, "options": refused.options})
		if a.OK || a.Error.Status == nil || *a.Error.Status != refused.status {
			t.Errorf("%s: %s", refused.name, a.text)
		}
	}

	device.disconnect(t)
	send(bound, "older", signed(pair, object{"topic": "news"}))
	send(open, "beside it", object{"TTL": 600})
	send(bound, "newer", signed(pair, object{"topic": "news"}))
	device = newPaho5(t)
	if code := device.connect(t, login); code != 0 {
		t.Fatalf("CONNACK 0x%02X", code)
	}
	gets("open", "beside it")
	gets("bound", "newer")
}
