package conformance

import (
	"context"
	"errors"
	"net/url"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/autopaho"
	"github.com/eclipse/paho.golang/paho"
)

// paho5 is Eclipse paho.golang, MQTT 5.
type paho5 struct {
	inner *autopaho.ConnectionManager
	in    chan received
	end   chan int
}

func newPaho5(testing.TB) client {
	return &paho5{in: make(chan received, 100), end: make(chan int, 10)}
}

func (*paho5) version() version            { return v5 }
func (p *paho5) messages() <-chan received { return p.in }
func (p *paho5) gone() <-chan int          { return p.end }

func (p *paho5) connect(t testing.TB, c credentials) int {
	t.Helper()
	server, err := url.Parse(c.url)
	if err != nil {
		t.Fatal(err)
	}
	var (
		ctx, cancel = context.WithCancel(context.Background())
		up          = make(chan struct{}, 1)
		failed      = make(chan error, 1)
	)
	config := autopaho.ClientConfig{
		ServerUrls: []*url.URL{server}, KeepAlive: 60, CleanStartOnInitialConnection: true, ConnectTimeout: patience,
		ConnectUsername: c.user, ConnectPassword: []byte(c.password),
		ReconnectBackoff: func(attempt int) time.Duration { return time.Duration(attempt) * time.Hour }, // one attempt
		OnConnectionUp:   func(*autopaho.ConnectionManager, *paho.Connack) { up <- struct{}{} },
		OnConnectError:   func(err error) { failed <- err },
		OnConnectionDown: func() bool { return false },
		ClientConfig: paho.ClientConfig{
			ClientID: c.id,
			// One of the two is called when the server ends the connection, none when the client does.
			OnServerDisconnect: func(d *paho.Disconnect) { p.end <- int(d.ReasonCode) },
			OnClientError:      func(error) { p.end <- broken },
			OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
				p.in <- received{r.Packet.Topic, r.Packet.QoS, string(r.Packet.Payload)}
				return true, nil
			}},
		},
	}
	if c.trust != nil {
		config.TlsCfg = c.trust.client()
	}
	p.inner, err = autopaho.NewConnection(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	manager := p.inner
	t.Cleanup(func() { cancel(); <-manager.Done() })
	select {
	case <-up:
		return 0
	case err := <-failed:
		refusal, refused := errors.AsType[*autopaho.ConnackError](err)
		if !refused {
			t.Fatalf("connect to %s: %v", c.url, err)
		}
		return int(refusal.ReasonCode)
	case <-time.After(patience):
		t.Fatalf("connect to %s: no answer", c.url)
		return broken
	}
}

func (p *paho5) subscribe(t testing.TB, filter string, qos byte) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ack, err := p.inner.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: filter, QoS: qos}}})
	if errors.Is(err, paho.ErrInvalidArguments) {
		return unsent
	}
	if ack == nil || len(ack.Reasons) != 1 {
		t.Fatalf("subscribe to %s: %v", filter, err)
	}
	return int(ack.Reasons[0])
}

func (p *paho5) publish(t testing.TB, topic, payload string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	ack, err := p.inner.Publish(ctx, &paho.Publish{Topic: topic, QoS: 1, Payload: []byte(payload)})
	if ack == nil {
		t.Logf("publish to %s: %v", topic, err)
		return broken
	}
	return int(ack.ReasonCode)
}

func (p *paho5) disconnect(t testing.TB) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := p.inner.Disconnect(ctx); err != nil {
		t.Fatalf("disconnect: %v", err)
	}
}
