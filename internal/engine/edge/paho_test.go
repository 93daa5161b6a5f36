package edge

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/eclipse/paho.golang/paho"
	v3 "github.com/eclipse/paho.mqtt.golang"
	"github.com/gorilla/websocket"

	"borealis/internal/engine/edge/edgewire"
)

// transport is one way to reach an edge, as a URL for paho.
type transport struct {
	name string
	url  func(*servers) string
}

var transports = []transport{
	{"tcp", func(s *servers) string { return "tcp://" + s.edge.Addr().String() }},
	{"tls", func(s *servers) string { return "ssl://" + s.edge.TLSAddr().String() }},
	{"ws", func(s *servers) string { return strings.Replace(s.plain.URL, "http", "ws", 1) + "/mqtt" }},
	{"wss", func(s *servers) string { return strings.Replace(s.secure.URL, "http", "ws", 1) + "/mqtt" }},
}

// servers is an edge on all transports.
type servers struct {
	core          *core
	edge          *Edge
	plain, secure *httptest.Server
	trust         *tls.Config
}

func startServers(t *testing.T) *servers {
	t.Helper()
	s := &servers{core: newCore(t)}
	certificate, pool := selfSigned(t)
	s.trust = &tls.Config{RootCAs: pool}
	s.edge = startEdge(t, s.core, func(o *Options) {
		o.TLSAddr, o.TLS = "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}}
	})
	mux := http.NewServeMux()
	mux.HandleFunc("/mqtt", s.edge.ServeWebSocket)
	s.plain = httptest.NewServer(mux)
	t.Cleanup(s.plain.Close)
	s.secure = httptest.NewUnstartedServer(mux)
	s.secure.TLS = &tls.Config{Certificates: []tls.Certificate{certificate}}
	s.secure.StartTLS()
	t.Cleanup(s.secure.Close)
	return s
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(certificate)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

func TestPahoV3(t *testing.T) {
	t.Parallel()
	s := startServers(t)
	for i, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			ordinal := uint32(100 + i)
			id, secret := s.core.identity(ordinal)
			s.core.owe(message(int64(1000+i), "owed"), ordinal)
			got := make(chan string, 10)
			options := v3.NewClientOptions().AddBroker(tr.url(s)).SetClientID(id).SetUsername(testAppKey).SetPassword(secret).
				SetTLSConfig(s.trust).SetAutoReconnect(false).SetCleanSession(false).SetProtocolVersion(4).
				SetDefaultPublishHandler(func(_ v3.Client, m v3.Message) { got <- m.Topic() + " " + string(m.Payload()) })
			client := v3.NewClient(options)
			if token := client.Connect(); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
				t.Fatalf("connect: %v", token.Error())
			}
			defer client.Disconnect(0)
			expect(t, got, "push owed")
			s.core.push(message(int64(2000+i), "live"), ordinal)
			expect(t, got, "push live")
			eventually(t, "both delivered", func() bool {
				return s.core.reached(int64(1000+i), edgewire.Delivered, ordinal) && s.core.reached(int64(2000+i), edgewire.Delivered, ordinal) &&
					s.core.reached(int64(2000+i), edgewire.Sent, ordinal)
			})
			eventually(t, "online", func() bool { return s.core.isOnline("edge-1", ordinal) })
			if token := client.Subscribe("push", 1, nil); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
				t.Fatalf("subscribe: %v", token.Error())
			}
			if token := client.Publish(topicEvents, 1, false, `{"events":[]}`); !token.WaitTimeout(5*time.Second) || token.Error() != nil {
				t.Fatalf("publish: %v", token.Error())
			}
			client.Disconnect(100)
			eventually(t, "offline", func() bool { return !s.core.isOnline("edge-1", ordinal) })
		})
	}
}

func TestPahoV5(t *testing.T) {
	t.Parallel()
	s := startServers(t)
	for i, tr := range transports {
		t.Run(tr.name, func(t *testing.T) {
			t.Parallel()
			ordinal := uint32(200 + i)
			id, secret := s.core.identity(ordinal)
			s.core.owe(message(int64(1000+i), "owed"), ordinal)
			got := make(chan string, 10)
			client := paho.NewClient(paho.ClientConfig{
				Conn: dial(t, tr.url(s), s.trust),
				OnPublishReceived: []func(paho.PublishReceived) (bool, error){func(r paho.PublishReceived) (bool, error) {
					got <- r.Packet.Topic + " " + string(r.Packet.Payload)
					return true, nil
				}},
			})
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			ack, err := client.Connect(ctx, &paho.Connect{
				ClientID: id, Username: testAppKey, UsernameFlag: true, Password: []byte(secret), PasswordFlag: true, KeepAlive: 30, CleanStart: true,
			})
			if err != nil {
				t.Fatalf("connect: %v (%+v)", err, ack)
			}
			expect(t, got, "push owed")
			s.core.push(message(int64(2000+i), strings.Repeat("live", 1000)), ordinal)
			expect(t, got, "push "+strings.Repeat("live", 1000))
			eventually(t, "both delivered", func() bool {
				return s.core.reached(int64(1000+i), edgewire.Delivered, ordinal) && s.core.reached(int64(2000+i), edgewire.Delivered, ordinal)
			})
			if sub, err := client.Subscribe(ctx, &paho.Subscribe{Subscriptions: []paho.SubscribeOptions{{Topic: "push", QoS: 2}}}); err != nil || sub.Reasons[0] != 1 {
				t.Fatalf("subscribe: %v %+v", err, sub)
			}
			if _, err := client.Publish(ctx, &paho.Publish{Topic: topicProfile, QoS: 1, Payload: []byte(`{}`)}); err != nil {
				t.Fatalf("publish: %v", err)
			}
			if _, err := client.Publish(ctx, &paho.Publish{Topic: "elsewhere", QoS: 1, Payload: []byte(`{}`)}); err == nil {
				t.Fatal("publish to another topic was accepted")
			}
			if err := client.Disconnect(&paho.Disconnect{}); err != nil {
				t.Fatalf("disconnect: %v", err)
			}
			eventually(t, "offline", func() bool { return !s.core.isOnline("edge-1", ordinal) })
		})
	}
}

func expect(t *testing.T, got <-chan string, want string) {
	t.Helper()
	select {
	case v := <-got:
		if v != want {
			t.Fatalf("got %.60q, want %.60q", v, want)
		}
	case <-time.After(10 * time.Second):
		t.Fatalf("nothing came, want %.60q", want)
	}
}

// dial opens a connection for paho v5, which brings no transports of its own.
func dial(t *testing.T, address string, trust *tls.Config) net.Conn {
	t.Helper()
	u, err := url.Parse(address)
	if err != nil {
		t.Fatal(err)
	}
	var conn net.Conn
	switch u.Scheme {
	case "tcp":
		conn, err = net.Dial("tcp", u.Host)
	case "ssl":
		conn, err = tls.Dial("tcp", u.Host, trust)
	default:
		dialer := websocket.Dialer{Subprotocols: []string{"mqtt"}, TLSClientConfig: trust}
		var ws *websocket.Conn
		if ws, _, err = dialer.Dial(address, nil); err == nil {
			conn = &wsConn{Conn: ws.NetConn(), ws: ws}
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return conn
}

// wsConn is the byte stream inside a WebSocket.
type wsConn struct {
	net.Conn
	ws   *websocket.Conn
	mu   sync.Mutex // paho writes from several goroutines
	rest []byte
}

func (c *wsConn) Read(p []byte) (int, error) {
	for len(c.rest) == 0 {
		_, data, err := c.ws.ReadMessage()
		if err != nil {
			return 0, err
		}
		c.rest = data
	}
	n := copy(p, c.rest)
	c.rest = c.rest[n:]
	return n, nil
}

func (c *wsConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(p), c.ws.WriteMessage(websocket.BinaryMessage, p)
}
