package conformance

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/webpush"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
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
		var clear string
		stock.ask(t, "decrypt", object{"p256dh": keys.P256DH, "encoding": "aes128gcm", "body": base64.StdEncoding.EncodeToString(<-bodies)}, &clear)
		var got struct {
			ID    string `json:"_j_msgid"`
			Alert string `json:"alert"`
		}
		if err := json.Unmarshal([]byte(clear), &got); err != nil || got.ID != m.ID || !strings.HasPrefix(text, got.Alert) || len(text) < 4000 && got.Alert != text {
			t.Errorf("%s, %v", clear, err)
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
