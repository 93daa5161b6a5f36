package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/simulate"
)

// DeviceCmd is `borealis device`.
type DeviceCmd struct {
	AppKey   string   `required:"" help:"AppKey of the app whose devices these are." placeholder:"KEY"`
	URL      string   `name:"url" default:"http://127.0.0.1:8080" help:"Base URL of the server."`
	MQTT     string   `name:"mqtt" help:"Connect here instead of where the server says: tcp://host:1883, mqtts://…, ws://host:8080/mqtt, wss://…." placeholder:"URL"`
	Count    int      `default:"1" help:"Number of devices." placeholder:"N"`
	Platform string   `default:"android" enum:"android,ios,quickapp,hmos,web,desktop,iot" help:"Platform of the devices: ${enum}."`
	Tags     []string `help:"Tags that every device sets." placeholder:"TAG"`
	Alias    string   `help:"Alias that every device sets." placeholder:"ALIAS"`
	Display  bool     `default:"true" negatable:"" help:"Report notifications as displayed."`
	Click    bool     `help:"Report displayed notifications as clicked."`
	QoS0     bool     `name:"qos0" help:"Ask for messages at QoS 0: sent once, not acknowledged."`
	V3       bool     `name:"v3" help:"Speak MQTT 3.1.1 instead of 5."`
	Quiet    bool     `help:"Print messages only, no state."`
}

// fewDevices is how many devices have a line of their own for each change of state.
const fewDevices = 10

// Run registers and connects the devices and prints one JSON line per message until the context ends.
func (c *DeviceCmd) Run(ctx context.Context) error {
	if c.Count < 1 {
		return errors.New("--count must be at least 1")
	}
	out := &devicePrinter{lines: json.NewEncoder(os.Stdout), each: c.Count <= fewDevices && !c.Quiet}
	fleet, err := simulate.NewFleet(c.fleet(out))
	if err != nil {
		return err
	}
	if !c.Quiet {
		stop := make(chan struct{})
		defer close(stop)
		go progress(fleet, c.Count, stop)
	}
	return explain(fleet.Run(ctx), c.URL)
}

func (c *DeviceCmd) fleet(out *devicePrinter) simulate.FleetOptions {
	o := simulate.FleetOptions{
		URL: c.URL, AppKey: c.AppKey, Count: c.Count,
		Registration: simulate.RegisterOptions{Platform: c.Platform, Device: simulate.Info{Model: "simulated", SDKVersion: version}},
		Device:       simulate.Options{QoS0: c.QoS0, OnMessage: out.message, OnState: out.state},
	}
	if len(c.Tags) > 0 {
		o.Profile.Tags = &simulate.Tags{Set: c.Tags}
	}
	if c.Alias != "" {
		o.Profile.Alias = &c.Alias
	}
	if c.MQTT != "" {
		o.Device.Addresses = []string{c.MQTT}
	}
	if c.V3 {
		o.Device.Version = mqtt.V311
	}
	if c.Display || c.Click {
		o.Device.Displays = 1
	}
	if c.Click {
		o.Device.Clicks = 1
	}
	return o
}

// explain turns what a person can do something about into a sentence.
func explain(err error, url string) error {
	if errors.Is(err, simulate.ErrUnreachable) {
		return fmt.Errorf("nothing answers at %s (is the server running? --url names another): %w", url, err)
	}
	return err
}

// progress tells on stderr when all devices are online, and every few seconds how many are while they come.
func progress(fleet *simulate.Fleet, count int, stop <-chan struct{}) {
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-stop:
			return
		case <-fleet.Ready():
			fmt.Fprintf(os.Stderr, "%d of %d devices online\n", count, count)
			return
		case <-tick.C:
			fmt.Fprintf(os.Stderr, "%d of %d devices online\n", fleet.Online(), count)
		}
	}
}

// devicePrinter writes lines of many devices, one at a time.
type devicePrinter struct {
	each  bool
	mu    sync.Mutex
	lines *json.Encoder
}

type deviceLine struct {
	deviceName
	simulate.Message
	At int64 `json:"at"`
}

type deviceName struct {
	RegistrationID string `json:"registration_id"`
}

func (p *devicePrinter) message(d *simulate.Device, m simulate.Message) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if err := p.lines.Encode(deviceLine{deviceName{d.RegistrationID()}, m, m.At.UnixMilli()}); err != nil {
		fmt.Fprintln(os.Stderr, "borealis: print message:", err)
	}
}

func (p *devicePrinter) state(d *simulate.Device, online bool, err error) {
	_, turnedAway := errors.AsType[*simulate.RefusedError](err)
	if !p.each && !turnedAway {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if online {
		fmt.Fprintf(os.Stderr, "%s online\n", d.RegistrationID())
		return
	}
	fmt.Fprintf(os.Stderr, "%s offline: %v\n", d.RegistrationID(), err)
}
