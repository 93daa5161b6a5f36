package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/simulate"
	"borealis/test/sim"
)

// demoPhones are phones whose apps are closed: one at each vendor, all of them simulated.
type demoPhones struct {
	vendors *sim.Server
	url     string
}

// startPhones serves the simulated vendors on a free port until ctx ends.
func startPhones(ctx context.Context) (*demoPhones, error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &demoPhones{vendors: sim.New(clock.System{}), url: "http://" + l.Addr().String()}
	go func() { _ = serveSim(ctx, p.vendors, l) }() // it ends with the demo
	return p, nil
}

// demoClosed is the push to closed apps. Its class is "system": makers deliver marketing by day only, and little of it.
const demoClosed = `{"platform":"all","audience":{"tag":["closed"]},"notification":{"alert":"您的快递已经送达","android":{"title":"快递通知"},"hmos":{"title":"快递通知","category":"IM"}},` +
	`"options":{"classification":1,"third_party_channel":{"huawei":{"category":"IM"},"oppo":{"category":"IM"},"vivo":{"category":"IM"}}}}`

// show gives the app an account at each vendor, registers a phone there, sends one push and says who was reached.
func (p *demoPhones) show(ctx context.Context, d *demoCaller) error {
	var (
		shown []string
		last  simulate.Credentials
	)
	for _, channel := range p.vendors.Channels() {
		if strings.HasPrefix(channel, "sms") {
			continue
		}
		body := fmt.Sprintf(`{"credentials":%s}`, p.vendors.Credentials(channel))
		if err := d.call(ctx, http.MethodPut, "/api/v1/apps/"+d.key+"/channels/"+channel, body, nil); err != nil {
			return err
		}
		c, err := p.add(ctx, d, channel)
		if err != nil {
			return err
		}
		shown, last = append(shown, channel), c
	}
	fmt.Printf("phones    %d with closed apps, reached through simulated vendors: %s\n", len(shown), strings.Join(shown, ", "))
	var sent struct {
		MsgID string `json:"msg_id"`
	}
	if err := d.call(ctx, http.MethodPost, "/v3/push", demoClosed, &sent); err != nil {
		return err
	}
	reached, err := p.wait(ctx, len(shown), sent.MsgID)
	if err != nil {
		return err
	}
	fmt.Printf("push      to their tag: message %s, shown on %d phones\n", sent.MsgID, reached)
	var trace struct {
		Events []struct {
			Channel, What, Detail string
		} `json:"events"`
	}
	path := "/api/v1/apps/" + d.key + "/messages/" + sent.MsgID + "/devices/" + last.RegistrationID
	if err := d.call(ctx, http.MethodGet, path, "", &trace); err != nil {
		return err
	}
	var steps []string
	for _, e := range trace.Events {
		steps = append(steps, strings.TrimSpace(e.Channel+" "+e.What+" "+e.Detail))
	}
	fmt.Printf("trace     of one: %s\n          curl -u %s:%s %s%s\n", strings.Join(steps, " → "), d.key, d.secret, d.base, path)
	return nil
}

// add registers a phone and tells the server its token at the vendor, as the SDK in its app does.
func (p *demoPhones) add(ctx context.Context, d *demoCaller, channel string) (simulate.Credentials, error) {
	platform := "android"
	switch channel {
	case "apns":
		platform = "ios"
	case "hmos":
		platform = "hmos"
	case "webpush":
		platform = "web"
	}
	c, err := simulate.Register(ctx, d.base, d.key, simulate.RegisterOptions{Platform: platform, Device: simulate.Info{Model: "simulated phone", SDKVersion: version}})
	if err != nil {
		return c, err
	}
	token, err := json.Marshal(map[string]string{"channel": channel, "token": p.vendors.Add(channel, p.url)})
	if err != nil {
		return c, err
	}
	for path, body := range map[string][]byte{"/device/v1/tokens": token, "/device/v1/profile": []byte(`{"tags":{"set":["closed"]}}`)} {
		method := http.MethodPut
		if path == "/device/v1/profile" {
			method = http.MethodPatch
		}
		req, err := http.NewRequestWithContext(ctx, method, d.base+path, bytes.NewReader(body))
		if err != nil {
			return c, err
		}
		req.SetBasicAuth(c.RegistrationID, c.Secret)
		req.Header.Set("X-App-Key", d.key)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			return c, err
		}
		_ = resp.Body.Close()
		if resp.StatusCode >= http.StatusBadRequest {
			return c, fmt.Errorf("%s %s: %s", method, path, resp.Status)
		}
	}
	return c, nil
}

// wait counts the phones that show a message, until all do.
func (p *demoPhones) wait(ctx context.Context, all int, msg string) (reached int, err error) {
	for deadline := time.Now().Add(20 * time.Second); reached < all && time.Now().Before(deadline); {
		reached = 0
		for _, phone := range p.vendors.Phones.All("") {
			for _, n := range phone.Screen {
				if n.ID == msg {
					reached++
				}
			}
		}
		select {
		case <-ctx.Done():
			return reached, ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return reached, nil
}
