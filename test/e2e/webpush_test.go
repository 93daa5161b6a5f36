package e2e

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"borealis/internal/kernel/config"
)

// Messages that applications post to endpoints reach the device that subscribed: at once, or when it comes back, the newest
// of a topic, unless they were withdrawn; on one node, and on nodes that share the work.
func TestWebPushServer(t *testing.T) {
	t.Run("sqlite, embedded bus", func(t *testing.T) {
		n := Start(t, nil)
		webPush(t, n, n)
	})
	t.Run("postgres, external bus, core and edge apart", func(t *testing.T) {
		shared := cluster(t)
		core := Start(t, func(c *config.Config) { shared(c); c.Target = config.TargetCore })
		edge := Start(t, func(c *config.Config) { shared(c); c.Target, c.DatabaseURL = config.TargetEdge, "" })
		webPush(t, core, edge)
	})
	t.Run("two nodes that share the work", func(t *testing.T) {
		shared := cluster(t)
		a, b := Start(t, shared), Start(t, shared)
		webPush(t, a, b)
	})
}

// post posts a message and returns the answer.
func post(t *testing.T, endpoint, text string, header ...string) *http.Response {
	t.Helper()
	return do(t, http.MethodPost, endpoint, sealed(text), append([]string{"TTL", "600", "Content-Encoding", "aes128gcm"}, header...)...)
}

// sealed is a text in the outer form of aes128gcm.
func sealed(text string) string {
	return strings.Repeat("s", 20) + "A" + strings.Repeat("k", 65) + text + strings.Repeat("t", 17)
}

func do(t *testing.T, method, url, body string, header ...string) *http.Response {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp
}

// isWebPush says what is wrong with a frame.
func isWebPush(f frame, instance, text string) error {
	body, err := base64.StdEncoding.DecodeString(f.WebPush.Body)
	if err != nil || f.Type != "webpush" || f.WebPush.Instance != instance || f.WebPush.Encoding != "aes128gcm" || string(body) != sealed(text) {
		return fmt.Errorf("frame %+v is not %q for %s", f, text, instance)
	}
	return nil
}

// receiptOf is what a receipt subscription tells of a message.
type receiptOf struct {
	Message string
	Status  int
	At      int64
}

// withReceipt posts a message and asks what becomes of it.
func withReceipt(t *testing.T, endpoint, text string, header ...string) (location, receipts string) {
	t.Helper()
	resp := post(t, endpoint, text, append([]string{"Prefer", "respond-async"}, header...)...)
	link, rel, _ := strings.Cut(resp.Header.Get("Link"), ">; ")
	if resp.StatusCode != http.StatusAccepted || rel != `rel="urn:ietf:params:push:receipt"` {
		t.Fatalf("%s: status %d, %v", text, resp.StatusCode, resp.Header)
	}
	return resp.Header.Get("Location"), strings.TrimPrefix(link, "<")
}

// delivered: whoever waits for the receipt of a message gets it as soon as the device has acknowledged.
func delivered(t *testing.T, n *Node, endpoint string, fresh func() frame) (receipts string) {
	t.Helper()
	location, receipts := withReceipt(t, endpoint, "with a receipt")
	if err := isWebPush(fresh(), "chat", "with a receipt"); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL+receipts, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Prefer", "wait=20")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got struct {
		Receipts []receiptOf
		After    string
	}
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil || len(got.Receipts) != 1 || got.After != "1" {
		t.Fatalf("status %d, %+v, %v", resp.StatusCode, got, err)
	}
	if r := got.Receipts[0]; r.Message != location || r.Status != http.StatusNoContent || r.At == 0 {
		t.Errorf("receipt %+v of %s", r, location)
	}
	return receipts
}

// undelivered: a stream of receipts tells of messages that were withdrawn or are over while the device is away, until it is ended.
func undelivered(t *testing.T, n *Node, endpoint, receipts string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, n.URL+receipts+"?after=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "text/event-stream")
	stream, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer stream.Body.Close()
	lines := bufio.NewScanner(stream.Body)
	event := func() (name string, r receiptOf) {
		t.Helper()
		for lines.Scan() {
			if text, ok := strings.CutPrefix(lines.Text(), "event: "); ok {
				name = text
			}
			if text, ok := strings.CutPrefix(lines.Text(), "data: "); ok {
				if err := json.Unmarshal([]byte(text), &r); err != nil {
					t.Fatalf("%s: %v", text, err)
				}
				return name, r
			}
		}
		t.Fatalf("the stream ended: %v", lines.Err())
		return "", r
	}
	same := []string{"Link", "<" + n.URL + receipts + `>; rel="urn:ietf:params:push:receipt"`}
	location, again := withReceipt(t, endpoint, "to be withdrawn", same...)
	if again != receipts {
		t.Errorf("receipts at %s, want %s", again, receipts)
	}
	if status := do(t, http.MethodDelete, n.URL+location, "").StatusCode; status != http.StatusNoContent {
		t.Fatalf("withdrawal: status %d", status)
	}
	if name, r := event(); name != "receipt" || r.Message != location || r.Status != http.StatusGone {
		t.Errorf("%s %+v of the one withdrawn", name, r)
	}
	location, _ = withReceipt(t, endpoint, "short", append(same, "TTL", "1")...)
	if name, r := event(); name != "receipt" || r.Message != location || r.Status != http.StatusGone {
		t.Errorf("%s %+v of the one that is over", name, r)
	}
	if status := do(t, http.MethodDelete, n.URL+receipts, "").StatusCode; status != http.StatusNoContent {
		t.Fatalf("end of the receipts: status %d", status)
	}
	if name, r := event(); name != "end" || r.Status != http.StatusNotFound {
		t.Errorf("%s %+v at the end", name, r)
	}
}

// webPush calls the APIs on one node while the device is connected to another.
func webPush(t *testing.T, n, edge *Node) {
	t.Helper()
	app := n.CreateApp(t)
	d, other := n.Register(t, app, "android"), n.Register(t, app, "android")
	subscribe := func(d Device, instance string) (id, endpoint string) {
		t.Helper()
		var out struct{ ID, Endpoint string }
		if status := n.Call(t, Credentials{d.RegistrationID, d.Secret}, http.MethodPost, "/device/v1/webpush/subscriptions", map[string]string{"instance": instance}, &out); status != http.StatusCreated {
			t.Fatalf("subscribe: status %d", status)
		}
		return out.ID, out.Endpoint
	}
	chat, chatEndpoint := subscribe(d, "chat")
	_, mailEndpoint := subscribe(d, "mail")
	_, otherEndpoint := subscribe(other, "chat")
	client, got := connectV3(t, edge.MQTT, app, d)
	seen := map[string]bool{}
	fresh := func() frame { // a frame comes again if its receipt was on the way when the device went
		t.Helper()
		for {
			if f := next(t, got); !seen[f.ID] {
				seen[f.ID] = true
				return f
			}
		}
	}
	_, gotOther := connectV3(t, edge.MQTT, app, other)

	resp := post(t, chatEndpoint, "one", "Topic", "news", "Urgency", "high")
	if resp.StatusCode != http.StatusCreated {
		t.Fatalf("status %d", resp.StatusCode)
	}
	f := fresh()
	if err := isWebPush(f, "chat", "one"); err != nil || f.WebPush.Topic != "" || f.WebPush.Urgency != "" || f.ExpiresAt == 0 {
		t.Fatalf("%v: %+v", err, f)
	}
	// It is delivered, so there is nothing to withdraw any more.
	location := n.URL + resp.Header.Get("Location")
	Eventually(t, "the message is acknowledged", func() error {
		if status := do(t, http.MethodDelete, location, "").StatusCode; status != http.StatusNotFound {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	if status := n.Call(t, app, http.MethodGet, "/v3/received/detail?msg_ids="+f.ID, nil, nil); status >= 500 {
		t.Errorf("a report on it: status %d", status)
	}
	// A message for a device that is connected goes to it alone, also with no time to live.
	if resp := post(t, otherEndpoint, "now", "TTL", "0"); resp.StatusCode != http.StatusCreated {
		t.Fatalf("status %d", resp.StatusCode)
	}
	if err := isWebPush(next(t, gotOther), "chat", "now"); err != nil {
		t.Error(err)
	}

	receipts := delivered(t, n, chatEndpoint, fresh)

	client.Disconnect(100)
	undelivered(t, n, chatEndpoint, receipts)
	withdrawn := ""
	for _, m := range []struct{ endpoint, text, topic string }{
		{chatEndpoint, "two", "news"}, {mailEndpoint, "three", "news"}, {chatEndpoint, "withdrawn", ""}, {chatEndpoint, "four", "news"}, {mailEndpoint, "five", ""},
	} {
		resp := post(t, m.endpoint, m.text, "Topic", m.topic)
		if resp.StatusCode != http.StatusCreated {
			t.Fatalf("%s: status %d", m.text, resp.StatusCode)
		}
		if m.text == "withdrawn" {
			withdrawn = n.URL + resp.Header.Get("Location")
		}
	}
	if status := do(t, http.MethodDelete, withdrawn, "").StatusCode; status != http.StatusNoContent {
		t.Errorf("withdrawal: status %d", status)
	}
	n.push(t, app, notification(to(d.RegistrationID), "a push"))
	client, got = connectV3(t, edge.MQTT, app, d)
	for _, want := range []struct{ instance, text string }{{"mail", "three"}, {"chat", "four"}, {"mail", "five"}} {
		if err := isWebPush(fresh(), want.instance, want.text); err != nil {
			t.Error(err)
		}
	}
	if f := fresh(); f.Alert != "a push" {
		t.Errorf("%+v, want the push", f)
	}

	// A subscription that was ended takes nothing, and what waited for it is gone.
	client.Disconnect(100)
	if resp := post(t, chatEndpoint, "never"); resp.StatusCode != http.StatusCreated {
		t.Fatalf("status %d", resp.StatusCode)
	}
	if status := n.Call(t, Credentials{d.RegistrationID, d.Secret}, http.MethodDelete, "/device/v1/webpush/subscriptions/"+chat, nil, nil); status != http.StatusNoContent {
		t.Fatalf("end: status %d", status)
	}
	if resp := post(t, chatEndpoint, "never"); resp.StatusCode != http.StatusGone {
		t.Errorf("after its end: status %d", resp.StatusCode)
	}
	if resp := post(t, mailEndpoint, "six"); resp.StatusCode != http.StatusCreated {
		t.Errorf("the other one: status %d", resp.StatusCode)
	}
	_, got = connectV3(t, edge.MQTT, app, d)
	if err := isWebPush(fresh(), "mail", "six"); err != nil {
		t.Error(err)
	}
	// With the device its subscriptions end.
	if status := n.Call(t, Credentials{d.RegistrationID, d.Secret}, http.MethodDelete, "/device/v1/registration", nil, nil); status != http.StatusNoContent {
		t.Fatalf("end of the device: status %d", status)
	}
	if resp := post(t, mailEndpoint, "seven"); resp.StatusCode != http.StatusGone {
		t.Errorf("after the end of the device: status %d", resp.StatusCode)
	}
}
