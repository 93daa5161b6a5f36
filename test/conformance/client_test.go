package conformance

import (
	"testing"
	"time"
)

// version of MQTT, as CONNECT writes it.
type version byte

const (
	v311 version = 4
	v5   version = 5
)

// reason is a code of MQTT that is written differently in the two versions.
type reason struct{ v311, v5 int }

func (r reason) in(v version) int {
	if v == v5 {
		return r.v5
	}
	return r.v311
}

// broken stands for the end of the connection, where a client waited for an acknowledgement, or got no DISCONNECT.
const broken = -1

// unsent stands for a packet that the library itself refuses to send.
const unsent = -2

var (
	badCredentials  = reason{0x04, 0x86}
	notAuthorized   = reason{0x05, 0x87} // in a CONNACK
	filterRefused   = reason{0x80, 0x87} // in a SUBACK
	topicRefused    = reason{broken, 0x87}
	takenOver       = reason{broken, 0x8E}
	appDisconnected = reason{broken, 0x87} // in a DISCONNECT
)

// credentials are what a device connects with.
type credentials struct {
	url                string
	id, user, password string
	// trust is the only authority believed over TLS; nil without TLS.
	trust *authority
}

// received is a message as a client library reports it.
type received struct {
	topic   string
	qos     byte
	payload string
}

// client is a stock MQTT client of one version. Its methods are called by one goroutine.
type client interface {
	version() version
	// connect returns the code of the CONNACK. After a refusal it may be called again.
	connect(t testing.TB, c credentials) int
	// subscribe returns the code of the SUBACK.
	subscribe(t testing.TB, filter string, qos byte) int
	// publish returns the code of the PUBACK at QoS 1; 0 in MQTT 3.1.1, which has none.
	publish(t testing.TB, topic, payload string) int
	// messages are those that arrive, in order.
	messages() <-chan received
	// gone receives the code of the server's DISCONNECT, or broken, once for each accepted connection that ends.
	gone() <-chan int
	// disconnect ends the connection in the regular way and waits until it has ended.
	disconnect(t testing.TB)
}

// next is the next message.
func next(t testing.TB, c client) received {
	t.Helper()
	select {
	case m := <-c.messages():
		return m
	case code := <-c.gone():
		t.Fatalf("the connection ended with %d instead of a message", code)
	case <-time.After(patience):
		t.Fatalf("no message within %s", patience)
	}
	return received{}
}

// awaitGone is the code with which the server ended the connection.
func awaitGone(t testing.TB, c client) int {
	t.Helper()
	select {
	case code := <-c.gone():
		return code
	case <-time.After(patience):
		t.Fatalf("still connected after %s", patience)
	}
	return 0
}
