// Package bus carries messages between the parts of Borealis, in one process or in many.
//
// It wraps NATS, embedded in the process or external. The bus wakes and carries; it is never the truth: whatever
// must survive a crash is in the database first, and whoever starts rescans it. Nothing here relies on a message
// arriving, so core NATS is enough and no JetStream stream is created.
//
// Messages are CBOR (RFC 8949) with integer keys: compact, binary-safe, and additive (an unknown key is ignored, a
// missing one is the zero value), so nodes of neighbouring versions understand each other.
package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/fxamacker/cbor/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// ErrNoResponder is returned by Request when nobody serves the subject right now. The caller retries: a node that
// took over the work may not have subscribed yet.
var ErrNoResponder = errors.New("bus: nobody serves this subject")

// Options say which NATS server to use.
type Options struct {
	// URL of an external NATS server or cluster ("nats://host:4222,…"). Empty: a server inside this process that
	// listens on no port.
	URL string
	// Name of this node, shown in the server's connection list.
	Name string
}

// Bus is one node's connection. All methods are safe for concurrent use.
type Bus struct {
	conn     *nats.Conn
	embedded *server.Server
}

// Msg is a received message.
type Msg struct {
	Subject string
	raw     *nats.Msg
}

// Decode unmarshals the payload into v.
func (m *Msg) Decode(v any) error {
	if err := cbor.Unmarshal(m.raw.Data, v); err != nil {
		return fmt.Errorf("bus: decode %s: %w", m.Subject, err)
	}
	return nil
}

// WantsReply reports whether the sender waits for Respond.
func (m *Msg) WantsReply() bool { return m.raw.Reply != "" }

// Respond answers a Request.
func (m *Msg) Respond(v any) error {
	data, err := cbor.Marshal(v)
	if err != nil {
		return fmt.Errorf("bus: encode answer to %s: %w", m.Subject, err)
	}
	return m.raw.Respond(data)
}

// Subscription is one registered handler.
type Subscription struct{ sub *nats.Subscription }

// Unsubscribe stops delivery; a handler that is running finishes.
func (s *Subscription) Unsubscribe() error { return s.sub.Unsubscribe() }

// Pending is the number of received messages whose handler has not run yet.
func (s *Subscription) Pending() int {
	n, _, err := s.sub.Pending()
	if err != nil {
		return 0
	}
	return n
}

// Open starts the embedded server when no URL is given, and connects.
func Open(ctx context.Context, o Options) (*Bus, error) {
	b := &Bus{}
	opts := []nats.Option{
		nats.Name(o.Name),
		nats.MaxReconnects(-1),
		nats.ReconnectWait(200 * time.Millisecond),
		nats.ReconnectJitter(100*time.Millisecond, 500*time.Millisecond),
		nats.ReconnectBufSize(4 << 20),
		nats.PingInterval(10 * time.Second),
		nats.MaxPingsOutstanding(2),
	}
	url := o.URL
	if url == "" {
		srv, err := server.NewServer(&server.Options{
			ServerName: o.Name,
			DontListen: true,
			NoSigs:     true,
			NoLog:      true,
			MaxPayload: MaxPayload,
			MaxPending: 256 << 20,
		})
		if err != nil {
			return nil, fmt.Errorf("bus: embedded server: %w", err)
		}
		srv.Start()
		if !srv.ReadyForConnections(5 * time.Second) {
			srv.Shutdown()
			return nil, errors.New("bus: embedded server did not start within 5 s")
		}
		b.embedded = srv
		opts = append(opts, nats.InProcessServer(srv))
	}
	conn, err := nats.Connect(url, opts...)
	if err != nil {
		b.shutdown()
		return nil, fmt.Errorf("bus: connect: %w", err)
	}
	b.conn = conn
	if limit := conn.MaxPayload(); limit < MaxPayload {
		b.Close()
		return nil, fmt.Errorf("bus: the NATS server allows messages of %d bytes, Borealis needs max_payload: %d", limit, MaxPayload)
	}
	return b, ctx.Err()
}

// MaxPayload is the largest message the bus must carry: a target set of ten million devices without structure is
// about 1.3 MB, so 8 MB leaves room and an external server is configured with max_payload: 8MB.
const MaxPayload = 8 << 20

// Publish sends v to every subscriber of the subject, at most once.
func (b *Bus) Publish(subject string, v any) error {
	data, err := cbor.Marshal(v)
	if err != nil {
		return fmt.Errorf("bus: encode %s: %w", subject, err)
	}
	return b.conn.Publish(subject, data)
}

// Request sends in and decodes the first answer into out (nil: the answer is only awaited).
func (b *Bus) Request(ctx context.Context, subject string, in, out any) error {
	data, err := cbor.Marshal(in)
	if err != nil {
		return fmt.Errorf("bus: encode %s: %w", subject, err)
	}
	msg, err := b.conn.RequestWithContext(ctx, subject, data)
	switch {
	case errors.Is(err, nats.ErrNoResponders):
		return ErrNoResponder
	case err != nil:
		return fmt.Errorf("bus: request %s: %w", subject, err)
	case out == nil:
		return nil
	}
	if err := cbor.Unmarshal(msg.Data, out); err != nil {
		return fmt.Errorf("bus: decode answer of %s: %w", subject, err)
	}
	return nil
}

// Subscribe calls handle for each message of the subject, one at a time and in order of arrival. With a queue name
// only one member of the queue receives each message. A handler that may block starts a goroutine itself.
func (b *Bus) Subscribe(subject, queue string, handle func(*Msg)) (*Subscription, error) {
	sub, err := b.conn.QueueSubscribe(subject, queue, func(m *nats.Msg) {
		handle(&Msg{Subject: m.Subject, raw: m})
	})
	if err != nil {
		return nil, fmt.Errorf("bus: subscribe %s: %w", subject, err)
	}
	// Bounded: beyond this the client drops and the sender's sequence shows the gap.
	if err := sub.SetPendingLimits(1<<18, 256<<20); err != nil {
		return nil, fmt.Errorf("bus: subscribe %s: %w", subject, err)
	}
	return &Subscription{sub: sub}, nil
}

// OnReconnect registers fn to run after every reconnect to an external server, after the functions registered before:
// messages sent in between are lost, so whoever keeps state from messages reloads it.
func (b *Bus) OnReconnect(fn func()) {
	prev := b.conn.ReconnectHandler()
	b.conn.SetReconnectHandler(func(c *nats.Conn) {
		if prev != nil {
			prev(c)
		}
		fn()
	})
}

// OnDrop registers fn to run when a subscription of this node overflowed and lost messages, after the functions
// registered before.
func (b *Bus) OnDrop(fn func(subject string)) {
	prev := b.conn.ErrorHandler()
	b.conn.SetErrorHandler(func(c *nats.Conn, sub *nats.Subscription, err error) {
		if prev != nil {
			prev(c, sub, err)
		}
		if errors.Is(err, nats.ErrSlowConsumer) && sub != nil {
			fn(sub.Subject)
		}
	})
}

// Flush waits until the server has processed all that was published before.
func (b *Bus) Flush(ctx context.Context) error { return b.conn.FlushWithContext(ctx) }

// Connected reports whether the bus is usable now.
func (b *Bus) Connected() bool { return b.conn.IsConnected() }

// Close drops all subscriptions and stops the embedded server.
func (b *Bus) Close() {
	if b.conn != nil {
		b.conn.Close()
	}
	b.shutdown()
}

func (b *Bus) shutdown() {
	if b.embedded != nil {
		b.embedded.Shutdown()
		b.embedded.WaitForShutdown()
	}
}
