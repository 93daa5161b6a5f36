package e2e

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/app"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/config"
	"borealis/test/sim"
	"borealis/test/sim/phone"
)

// vendors is a server with all simulated vendors, and its address.
type vendors struct {
	*sim.Server
	URL string
}

func newVendors(t *testing.T) *vendors {
	t.Helper()
	s := sim.New(clock.System{})
	server := httptest.NewUnstartedServer(s)
	server.Config.Protocols = new(http.Protocols)
	server.Config.Protocols.SetHTTP1(true)
	server.Config.Protocols.SetUnencryptedHTTP2(true)
	server.Start()
	t.Cleanup(server.Close)
	return &vendors{s, server.URL}
}

// start runs a node that takes the simulated vendors for the real ones.
func (v *vendors) start(t *testing.T, change func(*config.Config)) *Node {
	t.Helper()
	return Start(t, func(c *config.Config) {
		c.VendorURL = v.URL
		if change != nil {
			change(c)
		}
	})
}

// account gives an app the vendor's credentials, through the native API.
func (v *vendors) account(t *testing.T, n *Node, c Credentials, channel string, credentials json.RawMessage) {
	t.Helper()
	var problem any
	body := app.AdminChannelChange{Credentials: credentials}
	if status := n.call(t, c, nil, http.MethodPut, "/api/v1/apps/"+c.Key+"/channels/"+channel, body, &problem); status != http.StatusNoContent {
		t.Fatalf("%s: status %d: %v", channel, status, problem)
	}
}

// platformOf a channel's devices.
func platformOf(channel string) string {
	switch channel {
	case "apns":
		return "ios"
	case "hmos", "webpush":
		return map[string]string{"hmos": "hmos", "webpush": "web"}[channel]
	}
	return "android"
}

// phoneOf makes a phone with the app on it: a device that is never connected, with a token of the channel.
func (v *vendors) phoneOf(t *testing.T, n *Node, c Credentials, channel string) (Device, string) {
	t.Helper()
	d := n.Register(t, c, platformOf(channel))
	token := v.Add(channel, v.URL)
	n.token(t, c, d, channel, token)
	return d, token
}

// token uploads a token of a device, as its SDK does.
func (n *Node) token(t *testing.T, c Credentials, d Device, channel, token string) {
	t.Helper()
	body := map[string]string{"channel": channel, "token": token}
	header := http.Header{"X-App-Key": {c.Key}}
	if status := n.call(t, Credentials{d.RegistrationID, d.Secret}, header, http.MethodPut, "/device/v1/tokens", body, nil); status != http.StatusOK && status != http.StatusNoContent {
		t.Fatalf("token of %s: status %d", channel, status)
	}
}

// trace is what happened with a message for a device, in words.
func (n *Node) trace(t *testing.T, c Credentials, msg string, d Device) string {
	t.Helper()
	var out app.AdminTrace
	if status := n.Call(t, c, http.MethodGet, "/api/v1/apps/"+c.Key+"/messages/"+msg+"/devices/"+d.RegistrationID, nil, &out); status != http.StatusOK {
		t.Fatalf("trace: status %d", status)
	}
	var words []string
	for _, e := range out.Events {
		words = append(words, strings.TrimSpace(e.Channel+" "+e.What+" "+e.Code+" "+e.Detail))
	}
	return strings.Join(words, "; ")
}

// funnelOf is the native report on a message.
type funnelOf struct {
	Total struct {
		Targets, Delivered, Clicked, Vendor int64
		Failed                              map[string]int64
	}
	Channels []struct {
		Channel, Status, Code string
		Devices               int64
	}
}

func (n *Node) funnel(t *testing.T, c Credentials, msg string) funnelOf {
	t.Helper()
	var out funnelOf
	if status := n.Call(t, c, http.MethodGet, "/api/v1/apps/"+c.Key+"/messages/"+msg, nil, &out); status != http.StatusOK {
		t.Fatalf("funnel: status %d", status)
	}
	return out
}

// vendorChannels are the channels of vendors, without the providers of short messages.
func vendorChannels(s *sim.Server) []string {
	return slices.DeleteFunc(s.Channels(), func(name string) bool { return strings.HasPrefix(name, "sms") })
}

// Each vendor, as its documents have it, takes what we send for the real thing, and the phone shows it.
func TestEveryVendorReachesAPhone(t *testing.T) {
	t.Parallel()
	v := newVendors(t)
	n := v.start(t, nil)
	for _, channel := range vendorChannels(v.Server) {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			c := n.NewApp(t)
			v.account(t, n, c, channel, v.Credentials(channel))
			var probe app.AdminProbe
			if status := n.Call(t, c, http.MethodPost, "/api/v1/apps/"+c.Key+"/channels/"+channel+"/probe", nil, &probe); status != http.StatusOK || !probe.OK {
				t.Errorf("probe: %d %+v", status, probe)
			}
			d, token := v.phoneOf(t, n, c, channel)
			body := notification(to(d.RegistrationID), "hello")
			body["options"] = map[string]any{"classification": 1, "third_party_channel": map[string]any{"vivo": map[string]any{"category": "IM"}, "oppo": map[string]any{"category": "IM"}}}
			body["notification"] = map[string]any{"alert": "您的快递已经送达", "android": map[string]any{"title": "快递通知", "extras": map[string]any{"k": "v"}}, "ios": map[string]any{"extras": map[string]any{"k": "v"}},
				"hmos": map[string]any{"title": "T", "category": "IM", "extras": map[string]any{"k": "v"}}}
			msg := n.push(t, c, body)
			await(t, 20*time.Second, "the phone shows it", func() error {
				p, _ := v.Phones.Find(channel, token)
				if len(p.Screen) != 1 {
					return errors.New(n.trace(t, c, msg, d))
				}
				return nil
			})
			p, _ := v.Phones.Find(channel, token)
			if got := p.Screen[0]; got.Body != "您的快递已经送达" || got.ID != msg {
				t.Errorf("shown: %+v", got)
			}
			if channel != "webpush" && !strings.Contains(string(p.Screen[0].Data), msg) { // a service worker reads the whole message
				t.Errorf("the app is not told the id: %s", p.Screen[0].Data)
			}
			await(t, 20*time.Second, "counted", func() error {
				if f := n.funnel(t, c, msg); f.Total.Vendor != 1 {
					return fmt.Errorf("%+v", f)
				}
				return nil
			})
			var list struct{ Channels []app.AdminChannel }
			if status := n.Call(t, c, http.MethodGet, "/api/v1/apps/"+c.Key+"/channels", nil, &list); status != http.StatusOK || len(list.Channels) != 1 || list.Channels[0].Devices != 1 || list.Channels[0].Problem != "" {
				t.Errorf("channels: %d %+v", status, list)
			}
		})
	}
}

// A phone whose app was removed is forgotten, and the credentials of a stranger are told to the operator.
func TestDeadTokensAndStrangers(t *testing.T) {
	t.Parallel()
	v := newVendors(t)
	n := v.start(t, nil)
	for _, channel := range vendorChannels(v.Server) {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			c := n.NewApp(t)
			v.account(t, n, c, channel, v.Credentials(channel))
			d, token := v.phoneOf(t, n, c, channel)
			v.Phones.SetState(channel, token, phone.Uninstalled)
			msg := n.push(t, c, notification(to(d.RegistrationID), "x"))
			await(t, 20*time.Second, "the vendor has answered", func() error {
				if f := n.funnel(t, c, msg); len(f.Channels) == 0 {
					return errors.New(n.trace(t, c, msg, d))
				}
				return nil
			})
			if p, _ := v.Phones.Find(channel, token); len(p.Screen) > 0 {
				t.Error("a phone without the app shows it")
			}
		})
	}
}

// passing are documented failures of vendors in which nothing was accepted, or in which nobody learns whether it was.
var passing = map[string][]string{
	"fcm":    {"html", "cut", "INTERNAL"}, // UNAVAILABLE asks for half a minute
	"huawei": {"81000001", "cut", "flow_control", "html", "80200003"},
	"honor":  {"429", "500", "502", "503", "81000001", "no_answer", "lost_answer", "html", "http_500", "http_503"},
	"oppo":   {"cut", "html", "http_500", "http_503", "flow_control", "unavailable", "too_frequent"},
	"vivo":   {"cut", "html", "http_500", "http_503", "busy", "too_fast", "unreachable"},
}

// Vendors that fail at random, as their documents say they can: every target ends in exactly one way, no phone shows a message twice,
// access tokens are fetched once, and no phone gets more marketing than its vendor allows on a day.
func TestFiftyThousandVendorSends(t *testing.T) {
	t.Parallel()
	const phones, pushes = 500, 20 // of each of five vendors
	v := newVendors(t)
	n := v.start(t, nil)
	c := n.NewApp(t, app.AdminChange{Name: "vendor_distribution", Value: "ospush"})
	var wg sync.WaitGroup
	var mu sync.Mutex
	tokens := make(map[string][]string)
	for channel := range passing {
		v.account(t, n, c, channel, v.Credentials(channel))
		wg.Go(func() {
			for range phones {
				_, token := v.phoneOf(t, n, c, channel)
				mu.Lock()
				tokens[channel] = append(tokens[channel], token)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	for channel, faults := range passing {
		v.Faults(channel).Sometimes(0.05, seed, faults...)
	}
	send := func(count, class int) (sent []string) {
		for i := range count {
			sent = append(sent, n.push(t, c, map[string]any{
				"platform": "all", "audience": "all", "notification": map[string]any{"alert": fmt.Sprintf("您的第 %d 件快递已经送达", i), "android": map[string]any{"title": "快递通知"}},
				"options": map[string]any{"classification": class, "third_party_channel": map[string]any{
					"huawei": map[string]any{"category": "IM"}, "oppo": map[string]any{"category": "IM"}, "vivo": map[string]any{"category": "IM"}}},
			}))
		}
		return sent
	}
	// ended waits until every target of the messages ended, and adds up how.
	ended := func(sent []string) (accepted, unreachable int64) {
		for _, msg := range sent {
			await(t, 4*time.Minute, "every target ends", func() error {
				f := n.funnel(t, c, msg)
				if f.Total.Vendor+f.Total.Failed["unreachable"] != f.Total.Targets || f.Total.Targets != int64(len(passing)*phones) {
					return fmt.Errorf("%+v", f)
				}
				return nil
			})
			f := n.funnel(t, c, msg)
			accepted, unreachable = accepted+f.Total.Vendor, unreachable+f.Total.Failed["unreachable"]
		}
		return accepted, unreachable
	}
	important := send(pushes, 1)
	accepted, unreachable := ended(important)
	t.Logf("%d accepted, %d unreachable of %d", accepted, unreachable, len(passing)*phones*pushes)
	if shown := v.shown(t, tokens, important); int64(shown) < accepted || int64(shown) > accepted+unreachable {
		t.Errorf("%d accepted, %d shown", accepted, shown) // what was accepted in answers that were all cut off is shown although nobody knows
	}
	for _, channel := range []string{"oppo", "vivo"} {
		if auths := v.Simulator(channel).(interface{ Auths() int }).Auths(); auths != 1 {
			t.Errorf("%s: %d access tokens were fetched within one life of them", channel, auths)
		}
	}
	for channel := range passing {
		v.Faults(channel).Sometimes(0, 0)
	}
	offers := send(4, 0)
	ended(offers)
	for channel, most := range map[string]int{"huawei": 2, "honor": 2, "oppo": 2} {
		for _, token := range tokens[channel] {
			p, _ := v.Phones.Find(channel, token)
			got := slices.DeleteFunc(p.Screen, func(s phone.Notification) bool { return !slices.Contains(offers, s.ID) })
			if len(got) > most {
				t.Errorf("a phone of %s got %d marketing messages on a day", channel, len(got))
			}
		}
	}
}

// shown counts what the phones show of messages; none shows one twice, or anything else.
func (v *vendors) shown(t *testing.T, tokens map[string][]string, sent []string) (count int) {
	t.Helper()
	for channel, list := range tokens {
		for _, token := range list {
			p, _ := v.Phones.Find(channel, token)
			seen := make(map[string]bool)
			for _, got := range p.Screen {
				if seen[got.ID] || !slices.Contains(sent, got.ID) {
					t.Errorf("a phone of %s shows %s twice, or nobody sent it", channel, got.ID)
				}
				seen[got.ID] = true
			}
			count += len(seen)
		}
	}
	return count
}

// What a vendor reports later is counted, and a message that is taken back leaves the screens where the vendor can do that.
func TestVendorsReportAndTakeBack(t *testing.T) {
	t.Parallel()
	v := newVendors(t)
	addr := freeAddr(t)
	n := v.start(t, func(c *config.Config) { c.HTTPAddr, c.PublicURL = addr, "http://"+addr })
	for _, channel := range []string{"apns", "fcm", "webpush"} {
		if v.reports(t, channel, "http://x.example") {
			t.Errorf("%s reports, and nobody looks at it here", channel)
		}
	}
	for _, channel := range []string{"huawei", "hmos", "honor", "xiaomi", "oppo", "vivo", "meizu"} {
		t.Run(channel, func(t *testing.T) {
			t.Parallel()
			c := n.NewApp(t)
			v.account(t, n, c, channel, v.Credentials(channel))
			var list struct{ Channels []app.AdminChannel }
			n.Call(t, c, http.MethodGet, "/api/v1/apps/"+c.Key+"/channels", nil, &list)
			if !v.reports(t, channel, list.Channels[0].Receipts) {
				t.Fatal("the vendor reports nothing")
			}
			d, token := v.phoneOf(t, n, c, channel)
			msg := n.push(t, c, map[string]any{"platform": "all", "audience": to(d.RegistrationID), "notification": map[string]any{"alert": "您的快递已经送达", "android": map[string]any{"title": "快递通知"}, "hmos": map[string]any{"title": "t", "category": "IM"}},
				"options": map[string]any{"receipt_id": "RCP1", "classification": 1, "third_party_channel": map[string]any{"vivo": map[string]any{"category": "IM"}, "oppo": map[string]any{"category": "IM"}}}})
			await(t, 20*time.Second, "the vendor reports it", func() error {
				if f := n.funnel(t, c, msg); f.Total.Delivered != 1 {
					return errors.New(n.trace(t, c, msg, d))
				}
				return nil
			})
			if status := n.call(t, Credentials{}, nil, http.MethodPost, "/channel/v1/receipts/"+c.Key+"/"+channel+"/guessed", map[string]any{}, nil); status != http.StatusNotFound {
				t.Errorf("a guessed address: status %d", status)
			}
			if channel != "hmos" && channel != "xiaomi" {
				return // the others take nothing back
			}
			if status := n.Call(t, c, http.MethodDelete, "/v3/push/"+msg, nil, nil); status != http.StatusOK {
				t.Fatalf("withdraw: status %d", status)
			}
			await(t, 20*time.Second, "it leaves the screen", func() error {
				if p, _ := v.Phones.Find(channel, token); len(p.Screen) > 0 {
					return errors.New(n.trace(t, c, msg, d))
				}
				return nil
			})
		})
	}
}

// reports has a vendor report to an address; false if it reports nothing.
func (v *vendors) reports(t *testing.T, channel, url string) bool {
	t.Helper()
	body, _ := json.Marshal(map[string]string{"url": url})
	resp, err := http.Post(v.URL+"/sim/receipts/"+channel, "application/json", strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	return resp.StatusCode == http.StatusOK
}

// An SMS follows a push that did not arrive in time, and goes along with one that asks for it at once; only to numbers that the app's server gave.
func TestShortMessagesSupplementPushes(t *testing.T) {
	t.Parallel()
	v := newVendors(t)
	gateway := filepath.Join(t.TempDir(), "gateway.json")
	if err := os.WriteFile(gateway, v.Gateway("https://gateway.example"), 0o600); err != nil {
		t.Fatal(err)
	}
	n := v.start(t, func(c *config.Config) { c.SMSGateway = gateway })
	for _, provider := range []string{"aliyun", "tencent", "generic"} {
		t.Run(provider, func(t *testing.T) {
			t.Parallel()
			c := n.NewApp(t)
			v.account(t, n, c, "sms", withProvider(t, provider, v.Credentials("sms_"+provider)))
			other := n.Register(t, c, "android")
			_, got := connectV3(t, n.MQTT, c, other)
			for _, delay := range []int{0, 1} { // with a phone each: providers count what a number gets in a minute
				number := fmt.Sprintf("138%08d", rand.IntN(100_000_000))
				v.Phones.Add("sms", "+86"+number)
				d := n.Register(t, c, "android")
				n.token(t, c, d, "fcm", "not used "+number) // its first call makes the device a target
				n.number(t, c, d, number)
				n.number(t, c, other, fmt.Sprintf("139%08d", rand.IntN(100_000_000)))
				msg := n.push(t, c, map[string]any{"platform": "all", "audience": to(d.RegistrationID, other.RegistrationID), "notification": map[string]any{"alert": "x"},
					"sms_message": map[string]any{"temp_id": 1, "delay_time": delay, "temp_para": map[string]any{"code": "1234", "minutes": 5}}})
				next(t, got)
				await(t, 20*time.Second, "the text arrives", func() error {
					if texts := v.texts(number); len(texts) != 1 || !strings.Contains(texts[0].Body, "1234") {
						return fmt.Errorf("%v: %s", texts, n.trace(t, c, msg, d))
					}
					return nil
				})
				if f := n.funnel(t, c, msg); f.Total.Delivered != 1 || f.Total.Vendor != 0 {
					t.Errorf("a supplement ends nothing: %+v", f)
				}
				if delay > 0 && strings.Contains(n.trace(t, c, msg, other), "sms accepted") {
					t.Error("who got the push got a text too")
				}
			}
		})
	}
}

// texts are the short messages of a number.
func (v *vendors) texts(number string) []phone.Notification {
	p, _ := v.Phones.Find("sms", "+86"+number)
	return p.Got
}

func withProvider(t *testing.T, name string, credentials json.RawMessage) json.RawMessage {
	t.Helper()
	fields := map[string]any{}
	if err := json.Unmarshal(credentials, &fields); err != nil {
		t.Fatal(err)
	}
	fields["provider"] = name
	out, err := json.Marshal(fields)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// number gives a device a mobile number, as the app's server does.
func (n *Node) number(t *testing.T, c Credentials, d Device, number string) {
	t.Helper()
	if status := n.Call(t, c, http.MethodPost, "/v3/devices/"+d.RegistrationID, map[string]string{"mobile": number}, nil); status != http.StatusOK {
		t.Fatalf("mobile: status %d", status)
	}
}

// Nodes that share the work share the vendors too: an account given to one serves pushes through the other, and what a vendor reports to
// either is counted.
func TestVendorsServeEveryNode(t *testing.T) {
	t.Parallel()
	v := newVendors(t)
	shared := cluster(t)
	addrs := []string{freeAddr(t), freeAddr(t)}
	var nodes []*Node
	for _, addr := range addrs {
		nodes = append(nodes, v.start(t, func(c *config.Config) { shared(c); c.HTTPAddr, c.PublicURL = addr, "http://"+addr }))
	}
	c := nodes[0].NewApp(t)
	Eventually(t, "the other node knows the app", func() error {
		if status := nodes[1].Call(t, c, http.MethodGet, "/v3/push/cid", nil, nil); status != http.StatusOK {
			return fmt.Errorf("status %d", status)
		}
		return nil
	})
	v.account(t, nodes[0], c, "huawei", v.Credentials("huawei"))
	for i, n := range nodes {
		var list struct{ Channels []app.AdminChannel }
		Eventually(t, "the node knows the account", func() error {
			n.Call(t, c, http.MethodGet, "/api/v1/apps/"+c.Key+"/channels", nil, &list)
			if len(list.Channels) != 1 {
				return fmt.Errorf("%+v", list)
			}
			return nil
		})
		// Which apps have channels is a second old at most, so pushes go out until one is routed.
		v.reports(t, "huawei", list.Channels[0].Receipts)
		d, token := v.phoneOf(t, nodes[1-i], c, "huawei")
		var msg string
		Eventually(t, "routed", func() error {
			msg = n.push(t, c, map[string]any{"platform": "all", "audience": to(d.RegistrationID), "notification": map[string]any{"alert": "您的快递已经送达", "android": map[string]any{"title": "快递通知"}},
				"options": map[string]any{"receipt_id": "RCP1", "classification": 1}})
			p, _ := v.Phones.Find("huawei", token)
			if len(p.Screen) == 0 {
				return errors.New(n.trace(t, c, msg, d))
			}
			msg = p.Screen[0].ID
			return nil
		})
		await(t, 20*time.Second, "reported", func() error {
			if f := nodes[1-i].funnel(t, c, msg); f.Total.Delivered != 1 {
				return errors.New(n.trace(t, c, msg, d))
			}
			return nil
		})
	}
}
