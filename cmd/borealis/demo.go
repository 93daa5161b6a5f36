package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"borealis/internal/app"
	"borealis/internal/kernel/config"
	"borealis/internal/simulate"
)

// DemoCmd is `borealis demo`.
type DemoCmd struct {
	DataDir  string `help:"Keep the data here; a temporary directory if empty." placeholder:"DIR"`
	HTTPAddr string `default:"127.0.0.1:8080" help:"Address of the APIs; a free port if it is taken." placeholder:"ADDR"`
	MQTTAddr string `default:"127.0.0.1:1883" help:"Address for devices; a free port if it is taken." placeholder:"ADDR"`
	Devices  int    `default:"200" help:"Number of simulated devices."`
	Exit     bool   `help:"End after the funnel instead of going on to serve."`
}

// demoPush is what the demo sends; the audience is everybody with the tag.
const demoPush = `{"platform":"all","audience":{"tag":["demo"]},"notification":{"alert":"Hello from Borealis"},"options":{"time_to_live":3600}}`

// Run starts a server and devices, sends a push, prints what became of it and serves on.
func (c *DemoCmd) Run(ctx context.Context) error {
	if c.Devices < 1 {
		return errors.New("--devices must be at least 1")
	}
	cfg, err := c.config(ctx)
	if err != nil {
		return err
	}
	if c.DataDir == "" {
		defer func() { _ = os.RemoveAll(cfg.DataDir) }()
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	phones, err := startPhones(ctx)
	if err != nil {
		return err
	}
	cfg.VendorURL = phones.url
	node, err := app.Open(ctx, cfg, newLogger("warn", "auto"))
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- node.Run(ctx) }()
	err = c.show(ctx, node, cfg, phones, served)
	if err == nil && !c.Exit {
		fmt.Println("\nServing until Ctrl-C.")
		<-ctx.Done()
	}
	cancel()
	return errors.Join(err, <-served)
}

func (c *DemoCmd) config(ctx context.Context) (*config.Config, error) {
	cfg, err := config.Default()
	if err != nil {
		return nil, err
	}
	cfg.DataDir = c.DataDir
	if cfg.DataDir == "" {
		if cfg.DataDir, err = os.MkdirTemp("", "borealis-demo-"); err != nil {
			return nil, err
		}
	}
	cfg.HTTPAddr, cfg.MQTTAddr, cfg.InternalAddr = usable(ctx, c.HTTPAddr), usable(ctx, c.MQTTAddr), ""
	cfg.RegistrationsPerMinute = 0 // the simulated devices come all at once
	return &cfg, cfg.Validate()
}

// usable is addr, or the same host with any free port if addr is taken.
func usable(ctx context.Context, addr string) string {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", addr)
	if err != nil {
		host, _, _ := net.SplitHostPort(addr)
		return net.JoinHostPort(host, "0")
	}
	_ = l.Close()
	return addr
}

func (c *DemoCmd) show(ctx context.Context, node *app.App, cfg *config.Config, phones *demoPhones, served chan error) error {
	for node.Ready() != nil {
		select {
		case err := <-served:
			served <- nil
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
	base := "http://" + node.HTTPAddr().String()
	fmt.Printf("server    %s, devices at %s, data in %s\n", base, node.MQTTAddr(), cfg.DataDir)
	key, secret, err := node.CreateApp(ctx, "demo")
	if err != nil {
		return err
	}
	fmt.Printf("app       key %s, master secret %s\n", key, secret)
	if err := c.connect(ctx, base, key); err != nil {
		return err
	}
	fmt.Printf("devices   %d connected: MQTT over TCP, tag \"demo\"\n", c.Devices)
	caller := demoCaller{base: base, key: key, secret: secret}
	var sent struct {
		MsgID string `json:"msg_id"`
	}
	start := time.Now()
	if err := caller.call(ctx, http.MethodPost, "/v3/push", demoPush, &sent); err != nil {
		return err
	}
	fmt.Printf("push      POST /v3/push %s\n          answered in %s: message %s\n", demoPush, time.Since(start).Round(100*time.Microsecond), sent.MsgID)
	f, err := caller.funnel(ctx, sent.MsgID)
	if err != nil {
		return err
	}
	fmt.Printf("funnel    targets %d → sent %d → delivered %d → displayed %d → clicked %d\n", f.Targets, f.Sent, f.Delivered, f.Displayed, f.Clicked)
	if err := phones.show(ctx, &caller); err != nil {
		return err
	}
	fmt.Printf("\nPush again:\n  curl -u %s:%s %s/v3/push -d '{\"platform\":\"all\",\"audience\":\"all\",\"notification\":{\"alert\":\"Hi\"}}'\n", key, secret, base)
	fmt.Printf("Watch a device of your own:\n  bin/borealis device --app-key %s --url %s\n", key, base)
	return nil
}

// connect brings simulated devices of several platforms online. They stay until ctx ends.
func (c *DemoCmd) connect(ctx context.Context, base, key string) error {
	failed := make(chan error, 3)
	var fleets []*simulate.Fleet
	left := c.Devices
	for _, share := range []struct {
		platform string
		part     int
	}{{"ios", c.Devices / 4}, {"hmos", c.Devices / 8}, {"android", c.Devices}} {
		count := min(share.part, left)
		if count == 0 {
			continue
		}
		left -= count
		fleet, err := simulate.NewFleet(simulate.FleetOptions{
			URL: base, AppKey: key, Count: count,
			Registration: simulate.RegisterOptions{Platform: share.platform, Device: simulate.Info{Model: "simulated", SDKVersion: version}},
			Profile:      simulate.Profile{Tags: &simulate.Tags{Set: []string{"demo", share.platform}}},
			Device:       simulate.Options{Displays: 0.9, Clicks: 0.3},
		})
		if err != nil {
			return err
		}
		fleets = append(fleets, fleet)
		go func() { failed <- fleet.Run(ctx) }()
	}
	for _, fleet := range fleets {
		select {
		case <-fleet.Ready():
		case err := <-failed:
			return fmt.Errorf("simulated devices: %w", err)
		case <-time.After(time.Minute):
			return errors.New("the simulated devices did not connect within a minute")
		}
	}
	return nil
}

// demoCaller calls the HTTP APIs with the credentials of the app.
type demoCaller struct{ base, key, secret string }

func (d *demoCaller) call(ctx context.Context, method, path, body string, out any) error {
	req, err := http.NewRequestWithContext(ctx, method, d.base+path, bytes.NewBufferString(body))
	if err != nil {
		return err
	}
	req.SetBasicAuth(d.key, d.secret)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK && resp.StatusCode != http.StatusNoContent {
		return fmt.Errorf("%s %s: %s %s", method, path, resp.Status, data)
	}
	if out == nil {
		return nil
	}
	return json.Unmarshal(data, out)
}

type demoFunnel struct {
	Targets   int `json:"targets"`
	Sent      int `json:"sent"`
	Delivered int `json:"delivered"`
	Displayed int `json:"displayed"`
	Clicked   int `json:"clicked"`
}

// funnel waits until everything is delivered and nothing has changed for a second.
func (d *demoCaller) funnel(ctx context.Context, msg string) (demoFunnel, error) {
	var (
		last    demoFunnel
		changed = time.Now()
	)
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); {
		var out struct {
			Total demoFunnel `json:"total"`
		}
		if err := d.call(ctx, http.MethodGet, "/api/v1/apps/"+d.key+"/messages/"+msg, "", &out); err != nil {
			return last, err
		}
		if out.Total != last {
			last, changed = out.Total, time.Now()
		}
		if last.Delivered == last.Targets && time.Since(changed) > time.Second {
			break
		}
		select {
		case <-ctx.Done():
			return last, ctx.Err()
		case <-time.After(50 * time.Millisecond):
		}
	}
	return last, nil
}
