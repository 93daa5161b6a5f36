package simulate

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"borealis/internal/engine/edge/mqtt"
)

// Handler hears what a Conn receives. Its calls come one after the other, from the goroutine that reads.
type Handler interface {
	// Published is called for every PUBLISH, repeated ones included; p is valid during the call. A message of QoS 1 is
	// acknowledged afterwards.
	Published(p *mqtt.Publish)
	// Acked is called for every PUBACK. At MQTT 3.1.1 code is always mqtt.Success.
	Acked(id uint16, code mqtt.Code)
}

// DialFunc opens a stream; net.Dialer.DialContext is one.
type DialFunc func(ctx context.Context, network, address string) (net.Conn, error)

// ConnOptions say how to connect. Address and Handler are required.
type ConnOptions struct {
	// Address is tcp://host:port, mqtts://…, ws://…/path or wss://….
	Address string
	// Dial opens the socket; nil: a plain net.Dialer.
	Dial DialFunc
	// TLS is used by mqtts and wss; nil: the system's roots.
	TLS *tls.Config
	// Version of MQTT; 0: 5.
	Version                      mqtt.Version
	ClientID, Username, Password string
	CleanStart                   bool
	// KeepAlive in whole seconds; 0: none. The server may set another (Conn.KeepAlive).
	KeepAlive time.Duration
	// ReceiveMaximum is the number of unacknowledged messages wanted at once; 0: the protocol's default. MQTT 5 only.
	ReceiveMaximum uint16
	// Timeout of dialling with all handshakes, and of each write; 0: 10 s.
	Timeout time.Duration
	Handler Handler
}

const (
	defaultTimeout = 10 * time.Second
	// readSize is the buffer of an idle connection.
	readSize = 512
	// keepSize is the largest buffer that an idle connection keeps.
	keepSize = 4 << 10
	// maxPacket is the largest packet taken from a server.
	maxPacket = 1 << 20
	// maxAcks is how many bytes of acknowledgements are gathered before they are sent.
	maxAcks = 256
)

// Conn is an accepted MQTT connection. Serve and Subscribe are for one goroutine; Publish and Close for any.
type Conn struct {
	socket  net.Conn
	frames  *frames // nil: the socket speaks MQTT directly
	handler Handler
	version mqtt.Version
	timeout time.Duration

	present   bool
	keepAlive time.Duration
	window    uint16

	in     []byte // received; in[at:] is not parsed yet
	at     int
	acks   []byte // to be sent before the next wait
	pub    mqtt.Publish
	heard  bool // since the last ping
	pinged bool
	// early: the read deadline is that of the handshake, not of the next ping.
	early bool
}

// Connect opens a connection and waits until the server accepts it. Errors: *RefusedError, ErrUnreachable, or what
// else went wrong on the way. ctx bounds the connecting alone.
func Connect(ctx context.Context, o ConnOptions) (*Conn, error) {
	if o.Version == 0 {
		o.Version = mqtt.V5
	}
	if o.Timeout == 0 {
		o.Timeout = defaultTimeout
	}
	at, err := parseEndpoint(o.Address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	socket, err := o.open(ctx, at)
	if err != nil {
		return nil, err
	}
	c := &Conn{socket: socket, handler: o.Handler, version: o.Version, timeout: o.Timeout, keepAlive: o.KeepAlive, early: true}
	stop := context.AfterFunc(ctx, func() { socket.Close() })
	err = c.handshake(ctx, &o, at)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		socket.Close()
		if ctx.Err() != nil {
			err = fmt.Errorf("%w: %w", ctx.Err(), err)
		}
		return nil, fmt.Errorf("connect to %s: %w", o.Address, err)
	}
	return c, nil
}

// open dials and, where asked for, begins TLS.
func (o *ConnOptions) open(ctx context.Context, at endpoint) (net.Conn, error) {
	dial := o.Dial
	if dial == nil {
		var d net.Dialer
		dial = d.DialContext
	}
	socket, err := dial(ctx, "tcp", at.address)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w: %w", o.Address, ErrUnreachable, err)
	}
	if !at.tls {
		return socket, nil
	}
	cfg := &tls.Config{}
	if o.TLS != nil {
		cfg = o.TLS.Clone()
	}
	if cfg.ServerName == "" {
		cfg.ServerName = at.host
	}
	secured := tls.Client(socket, cfg)
	if err := secured.HandshakeContext(ctx); err != nil {
		socket.Close()
		return nil, fmt.Errorf("connect to %s: %w", o.Address, err)
	}
	return secured, nil
}

func (c *Conn) handshake(ctx context.Context, o *ConnOptions, at endpoint) (err error) {
	if at.ws != nil {
		if c.frames, err = upgrade(c.socket, at.ws); err != nil {
			return err
		}
	}
	hello := mqtt.Connect{
		Version: o.Version, CleanStart: o.CleanStart, KeepAlive: uint16(o.KeepAlive / time.Second), ClientID: []byte(o.ClientID),
		HasUsername: o.Username != "", Username: []byte(o.Username), HasPassword: o.Password != "", Password: []byte(o.Password),
	}
	if o.Version == mqtt.V5 {
		hello.Properties = hello.Properties.WithUint(mqtt.MaximumPacketSize, maxPacket)
		if !o.CleanStart {
			hello.Properties = hello.Properties.WithUint(mqtt.SessionExpiry, 1<<32-1)
		}
		if o.ReceiveMaximum > 0 {
			hello.Properties = hello.Properties.WithUint(mqtt.ReceiveMaximum, uint32(o.ReceiveMaximum))
		}
	}
	if err := c.write(hello.Append(nil)); err != nil {
		return err
	}
	p, err := c.next()
	switch {
	case err != nil:
		return err
	case p.Type != mqtt.CONNACK:
		return fmt.Errorf("the server answered CONNECT with packet type %d", p.Type)
	}
	ack, err := mqtt.ParseConnack(c.version, p.Body)
	if err != nil {
		return fmt.Errorf("read CONNACK: %w", err)
	}
	if ack.Code != mqtt.Success {
		return c.refusal(ack.Code, ack.Properties, false)
	}
	c.present = ack.SessionPresent
	c.window = uint16(ack.Properties.UintOr(mqtt.ReceiveMaximum, 65_535))
	if seconds, ok := ack.Properties.Uint(mqtt.ServerKeepAlive); ok {
		c.keepAlive = time.Duration(seconds) * time.Second
	}
	return ctx.Err()
}

func (c *Conn) refusal(code mqtt.Code, p mqtt.Properties, accepted bool) error {
	e := &RefusedError{Version: c.version, Code: code, Accepted: accepted}
	if text, ok := p.Bytes(mqtt.ReasonString); ok {
		e.Reason = string(text)
	}
	if text, ok := p.Bytes(mqtt.ServerReference); ok {
		e.Reference = string(text)
	}
	return e
}

// SessionPresent reports whether the server continued a session.
func (c *Conn) SessionPresent() bool { return c.present }

// KeepAlive is the time between signs of life that holds; 0: none.
func (c *Conn) KeepAlive() time.Duration { return c.keepAlive }

// Window is the number of unacknowledged QoS 1 messages the server takes.
func (c *Conn) Window() uint16 { return c.window }

// Publish sends a message; id is 0 at QoS 0. It blocks while the socket takes nothing, up to the timeout.
func (c *Conn) Publish(p *mqtt.Publish) error { return c.write(p.Append(nil, c.version)) }

// PublishAll sends messages in one write.
func (c *Conn) PublishAll(list ...mqtt.Publish) error {
	var out []byte
	for i := range list {
		out = list[i].Append(out, c.version)
	}
	return c.write(out)
}

// errSubscription says that the server did not grant a subscription.
var errSubscription = errors.New("subscription refused")

// Subscribe subscribes and waits for the answer; what is published meanwhile goes to the handler. It must be called
// before Serve. The granted QoS is returned.
func (c *Conn) Subscribe(filter string, qos byte) (byte, error) {
	const id = 1
	if err := c.deadline(c.timeout); err != nil {
		return 0, err
	}
	if err := c.write(mqtt.AppendSubscribe(nil, c.version, id, nil, mqtt.Filter{Topic: []byte(filter), QoS: qos})); err != nil {
		return 0, err
	}
	for {
		p, err := c.next()
		if err != nil {
			return 0, fmt.Errorf("subscribe to %s: %w", filter, err)
		}
		if p.Type != mqtt.SUBACK {
			if err := c.dispatch(p); err != nil {
				return 0, fmt.Errorf("subscribe to %s: %w", filter, err)
			}
			continue
		}
		ack, err := mqtt.ParseSuback(c.version, p.Type, p.Body)
		switch {
		case err != nil:
			return 0, fmt.Errorf("subscribe to %s: %w", filter, err)
		case len(ack.Codes) != 1 || ack.Codes[0] >= mqtt.SubscribeFailure311:
			return 0, fmt.Errorf("subscribe to %s: %w", filter, errSubscription)
		}
		return ack.Codes[0], nil
	}
}

// Close says goodbye and closes the socket; Serve then returns.
func (c *Conn) Close() error {
	bye := mqtt.Disconnect{}
	_ = c.write(bye.Append(nil, c.version)) // the socket may be gone already
	return c.socket.Close()
}

// Abort closes the socket as a crash would: the peer hears nothing but the end of the stream.
func (c *Conn) Abort() error { return c.socket.Close() }

func (c *Conn) write(b []byte) error {
	if c.frames != nil {
		b = frame(b)
	}
	return c.writeRaw(b)
}
