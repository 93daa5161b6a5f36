package conformance

import (
	"testing"

	paho "github.com/eclipse/paho.mqtt.golang"
)

// paho3 is Eclipse paho for Go, MQTT 3.1.1.
type paho3 struct {
	inner paho.Client
	in    chan received
	end   chan int
}

func newPaho3(testing.TB) client {
	return &paho3{in: make(chan received, 100), end: make(chan int, 10)}
}

func (*paho3) version() version            { return v311 }
func (p *paho3) messages() <-chan received { return p.in }
func (p *paho3) gone() <-chan int          { return p.end }
func (p *paho3) disconnect(testing.TB)     { p.inner.Disconnect(100) }

func (p *paho3) connect(t testing.TB, c credentials) int {
	t.Helper()
	options := paho.NewClientOptions().AddBroker(c.url).SetClientID(c.id).SetUsername(c.user).SetPassword(c.password).
		SetProtocolVersion(uint(v311)).SetAutoReconnect(false).SetConnectTimeout(patience).
		SetConnectionLostHandler(func(paho.Client, error) { p.end <- broken }).
		SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) {
			p.in <- received{m.Topic(), m.Qos(), string(m.Payload())}
		})
	if c.trust != nil {
		options.SetTLSConfig(c.trust.client())
	}
	p.inner = paho.NewClient(options)
	token, _ := p.inner.Connect().(*paho.ConnectToken)
	done(t, token)
	code := int(token.ReturnCode())
	if code == 0 && token.Error() != nil {
		t.Fatalf("connect to %s: %v", c.url, token.Error())
	}
	if code == 0 {
		t.Cleanup(func() { p.inner.Disconnect(0) })
	}
	return code
}

func (p *paho3) subscribe(t testing.TB, filter string, qos byte) int {
	t.Helper()
	token, _ := p.inner.Subscribe(filter, qos, nil).(*paho.SubscribeToken)
	done(t, token)
	code, answered := token.Result()[filter]
	if !answered {
		t.Fatalf("subscribe to %s: %v", filter, token.Error())
	}
	return int(code)
}

func (p *paho3) publish(t testing.TB, topic, payload string) int {
	t.Helper()
	token := p.inner.Publish(topic, 1, false, payload)
	done(t, token)
	if token.Error() != nil {
		return broken
	}
	return 0
}

func done(t testing.TB, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(patience) {
		t.Fatalf("no answer within %s", patience)
	}
}
