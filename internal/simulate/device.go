package simulate

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"golang.org/x/sync/semaphore"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

// Topics of the device protocol.
const (
	TopicPush    = "push"
	TopicEvents  = "up/events"
	TopicProfile = "up/profile"
)

// Events a device reports about a message.
const (
	Displayed = "displayed"
	Clicked   = "clicked"
	Dismissed = "dismissed"
)

// Options say what a Device is and does. AppKey and Credentials are required.
type Options struct {
	AppKey      string
	Credentials Credentials
	// Addresses to connect to instead of Credentials.MQTT, tried in turn.
	Addresses []string
	// Version of MQTT; 0: 5.
	Version mqtt.Version
	// QoS0 asks for messages without acknowledgement.
	QoS0 bool
	// KeepAlive instead of Credentials.KeepAlive.
	KeepAlive time.Duration
	Backoff   Backoff
	// Displays and Clicks are the probabilities, 0 to 1, that a shown notification is reported as displayed, and a
	// displayed one as clicked.
	Displays, Clicks float64
	// Slots bounds how many devices connect at once; nil: no bound.
	Slots *semaphore.Weighted
	// Dial and TLS as in ConnOptions.
	Dial DialFunc
	TLS  *tls.Config

	// OnMessage is called for each message that is shown, once for its (id, type).
	OnMessage func(*Device, Message)
	// OnState is called when the device came online (err nil) or is no longer (err says why; an attempt to connect that
	// failed counts).
	OnState func(d *Device, online bool, err error)
	// OnAck is called when the server has answered an up; code says whether it was taken.
	OnAck func(d *Device, topic string, code mqtt.Code)
	// Clock is where the time comes from; nil: the system.
	Clock clock.Clock
	// Random returns numbers in [0,1) for jitter and probabilities; nil: math/rand.
	Random func() float64

	// change is told +1 when the device came online and -1 when it no longer is.
	change func(int)
}

// Device is one simulated device. Its methods may be called from any goroutine, callbacks included.
type Device struct {
	o      Options
	recent recent // of Run's goroutine

	mu   sync.Mutex
	conn *Conn // nil while offline
	out  outbox
}

// NewDevice checks the options; Run starts the device.
func NewDevice(o Options) (*Device, error) {
	if o.AppKey == "" || o.Credentials.RegistrationID == "" {
		return nil, errors.New("simulate: AppKey and credentials are required")
	}
	if len(o.Addresses) == 0 {
		o.Addresses = o.Credentials.MQTT
	}
	if len(o.Addresses) == 0 {
		return nil, errors.New("simulate: there is no MQTT address to connect to")
	}
	for _, a := range o.Addresses {
		if _, err := parseEndpoint(a); err != nil {
			return nil, fmt.Errorf("simulate: %w", err)
		}
	}
	if o.KeepAlive == 0 {
		o.KeepAlive = o.Credentials.KeepAlive
	}
	if o.Clock == nil {
		o.Clock = clock.System{}
	}
	if o.Random == nil {
		o.Random = rand.Float64
	}
	return &Device{o: o}, nil
}

// RegistrationID is the device's id.
func (d *Device) RegistrationID() string { return d.o.Credentials.RegistrationID }

// Run keeps the device connected until ctx ends, which is no error, or until the server says that trying again is no
// use (*RefusedError).
func (d *Device) Run(ctx context.Context) error {
	address, failures := 0, 0
	for {
		addresses := d.o.Addresses
		began := d.o.Clock.Now()
		online, err := d.session(ctx, addresses[address%len(addresses)])
		select {
		case <-ctx.Done():
			return nil
		default:
		}
		if d.o.OnState != nil {
			d.o.OnState(d, false, err)
		}
		refused, ok := errors.AsType[*RefusedError](err)
		switch {
		case ok && refused.Permanent():
			return err
		case ok && refused.Reference != "":
			d.o.Addresses = d.moved(refused.Reference)
			address = 0
		case !online:
			address++
		}
		// A connection that lasted shows that the server is well; one that came and went at once does not.
		if failures++; online && d.o.Clock.Now().Sub(began) > d.o.Backoff.delay(failures, 1) {
			failures = 1
		}
		_ = pause(ctx, d.o.Backoff.delay(failures, d.o.Random())) // cut short by the end of ctx only
	}
}

// moved puts the server that another one pointed to in front of the addresses.
func (d *Device) moved(reference string) []string {
	to := "tcp://" + reference
	rest := slices.DeleteFunc(slices.Clone(d.o.Addresses), func(a string) bool { return a == to })
	return append([]string{to}, rest...)
}

// session is one connection from beginning to end; online: it was accepted.
func (d *Device) session(ctx context.Context, address string) (online bool, err error) {
	c, err := d.connect(ctx, address)
	if err != nil {
		return false, err
	}
	defer func() { _ = c.Abort() }()
	stop := context.AfterFunc(ctx, func() { _ = c.Close() })
	defer stop()
	if d.o.QoS0 {
		if _, err := c.Subscribe(TopicPush, 0); err != nil {
			return false, err
		}
	}
	d.mu.Lock()
	d.conn = c
	d.out.restart()
	err = d.out.send(c.Window(), c.Publish)
	d.mu.Unlock()
	if d.o.change != nil {
		d.o.change(+1)
		defer d.o.change(-1)
	}
	if d.o.OnState != nil {
		d.o.OnState(d, true, nil)
	}
	if err == nil {
		err = c.Serve()
	}
	d.mu.Lock()
	d.conn = nil
	d.mu.Unlock()
	return true, err
}

func (d *Device) connect(ctx context.Context, address string) (*Conn, error) {
	if d.o.Slots != nil {
		if err := d.o.Slots.Acquire(ctx, 1); err != nil {
			return nil, err
		}
		defer d.o.Slots.Release(1)
	}
	return Connect(ctx, ConnOptions{
		Address: address, Dial: d.o.Dial, TLS: d.o.TLS, Version: d.o.Version, KeepAlive: d.o.KeepAlive,
		ClientID: d.o.Credentials.RegistrationID, Username: d.o.AppKey, Password: d.o.Credentials.Secret,
		Handler: (*deviceHandler)(d),
	})
}

// Report tells the server about a message: events are Displayed, Clicked or Dismissed. It is sent now, or when the
// device is online again. The error is ErrBusy.
func (d *Device) Report(id string, events ...string) error {
	type event struct {
		ID    string `json:"id"`
		Event string `json:"event"`
		At    int64  `json:"at"`
	}
	at := clock.Millis(d.o.Clock.Now())
	list := make([]event, len(events))
	for i, name := range events {
		list[i] = event{id, name, at}
	}
	return d.say(TopicEvents, map[string]any{"events": list})
}

// Change changes the device's profile; OnAck tells whether the server took it. The error is ErrBusy.
func (d *Device) Change(p Profile) error { return d.say(TopicProfile, p) }

func (d *Device) say(topic string, body any) error {
	payload, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encode %s: %w", topic, err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err := d.out.add(topic, payload); err != nil {
		return err
	}
	d.sendLocked()
	return nil
}

// sendLocked sends what may be sent. A socket that fails ends the connection: its reader hears of it.
func (d *Device) sendLocked() {
	if d.conn == nil {
		return
	}
	if err := d.out.send(d.conn.Window(), d.conn.Publish); err != nil {
		_ = d.conn.Abort()
	}
}

// deviceHandler is the Device as its connection sees it.
type deviceHandler Device

// Published implements Handler.
func (h *deviceHandler) Published(p *mqtt.Publish) {
	d := (*Device)(h)
	if string(p.Topic) != TopicPush {
		return
	}
	m, err := ParseMessage(p.Payload)
	if err != nil || !d.recent.add(m.ID, m.Type) {
		return // a device can do nothing about a payload it does not understand, but must not get it forever
	}
	m.At, m.QoS = d.o.Clock.Now(), p.QoS
	if d.o.OnMessage != nil {
		d.o.OnMessage(d, m)
	}
	if m.Type != TypeNotification || d.o.Displays == 0 || d.o.Random() >= d.o.Displays {
		return
	}
	events := []string{Displayed}
	if d.o.Random() < d.o.Clicks {
		events = append(events, Clicked)
	}
	_ = d.Report(m.ID, events...) // what does not fit is lost, as with a user who is faster than the network
}

// Acked implements Handler.
func (h *deviceHandler) Acked(id uint16, code mqtt.Code) {
	d := (*Device)(h)
	d.mu.Lock()
	topic := d.out.acked(id)
	d.sendLocked()
	d.mu.Unlock()
	if topic != "" && d.o.OnAck != nil {
		d.o.OnAck(d, topic, code)
	}
}
