package apns_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"

	vendor "borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/test/sim/apns"
	"borealis/test/sim/phone"
)

// world is a simulator that listens, with the phones behind it.
type world struct {
	t      *testing.T
	sim    *apns.Sim
	phones *phone.Network
	faults *phone.Faults
	clock  *clock.Fake
	url    string
	client *http.Client
	vendor *vendor.Vendor
	creds  wire.Credentials
}

// open starts a simulator, with TLS if that is asked for.
func open(t *testing.T, encrypted bool) *world {
	t.Helper()
	w := &world{t: t, faults: &phone.Faults{}, clock: clock.NewFake(time.Date(2026, 3, 5, 9, 30, 0, 0, time.UTC))}
	w.phones = phone.NewNetwork(w.clock)
	w.sim = apns.New(phone.Deps{Phones: w.phones, Faults: w.faults, Clock: w.clock})
	server := httptest.NewUnstartedServer(w.sim)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	transport := &http.Transport{Protocols: new(http.Protocols)}
	if encrypted {
		server.TLS = w.sim.TLSConfig()
		server.EnableHTTP2 = true
		server.StartTLS()
		roots := x509.NewCertPool()
		roots.AppendCertsFromPEM(w.sim.Authority())
		transport.TLSClientConfig = &tls.Config{RootCAs: roots}
		transport.Protocols.SetHTTP2(true)
		w.url = strings.Replace(server.URL, "127.0.0.1", "localhost", 1)
	} else {
		server.Config.Protocols = new(http.Protocols)
		server.Config.Protocols.SetHTTP1(true)
		server.Config.Protocols.SetUnencryptedHTTP2(true)
		server.Start()
		transport.Protocols.SetUnencryptedHTTP2(true)
		w.url = server.URL
	}
	t.Cleanup(server.Close)
	t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport}
	w.vendor = vendor.New(wire.Deps{BaseURL: w.url, Transport: transport, Clock: w.clock})
	w.creds = w.parse(w.sim.Credentials())
	return w
}

func (w *world) parse(raw []byte, more ...map[string]string) wire.Credentials {
	w.t.Helper()
	var fields map[string]string
	if err := json.Unmarshal(raw, &fields); err != nil {
		w.t.Fatal(err)
	}
	for _, m := range more {
		maps.Copy(fields, m)
	}
	raw, err := json.Marshal(fields)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := w.vendor.Parse(raw)
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// certificate are credentials with a client certificate alone.
func (w *world) certificate(o apns.CertificateOptions) wire.Credentials {
	w.t.Helper()
	raw, err := json.Marshal(map[string]string{"certificate": w.sim.Issue(o)})
	if err != nil {
		w.t.Fatal(err)
	}
	return w.parse(raw)
}

func (w *world) send(c wire.Credentials, token wire.Token, m *wire.Message) wire.Outcome {
	w.t.Helper()
	return w.vendor.Send(w.t.Context(), c, []wire.Token{token}, m)[0]
}

// got is everything that arrived at a phone.
func (w *world) got(token string) []phone.Notification {
	p, _ := w.phones.Find("apns", token)
	return p.Got
}

func alert() *wire.Message {
	return &wire.Message{
		ID: "4611686018427387", Kind: wire.Notification, TTL: time.Hour,
		Apple: &wire.Apple{Alert: json.RawMessage(`{"title":"Rain","body":"at five"}`)},
	}
}

// token signs a provider token with a key of the simulator.
func (w *world) token(kid, team string, issued time.Time) string {
	w.t.Helper()
	var fields map[string]string
	if err := json.Unmarshal(w.sim.Credentials(), &fields); err != nil {
		w.t.Fatal(err)
	}
	text := fields["private_key"]
	if id, development := w.sim.DevelopmentKey(); id == kid {
		text = development
	}
	if kid == "" {
		kid = fields["key_id"]
	}
	block, _ := pem.Decode([]byte(text))
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil {
		w.t.Fatal(err)
	}
	t := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{"iss": team, "iat": issued.Unix()})
	t.Header["kid"] = kid
	signed, err := t.SignedString(key.(*ecdsa.PrivateKey))
	if err != nil {
		w.t.Fatal(err)
	}
	return signed
}

// reconnect makes the next request by hand use a connection of its own.
func (w *world) reconnect() {
	transport := w.client.Transport.(*http.Transport).Clone()
	w.t.Cleanup(transport.CloseIdleConnections)
	w.client = &http.Client{Transport: transport}
}

// call makes a request by hand and returns the status and the reason, which is "" for a success.
func (w *world) call(method, path string, header http.Header, body string) (int, string, http.Header) {
	w.t.Helper()
	req, err := http.NewRequestWithContext(w.t.Context(), method, w.url+path, bytes.NewReader([]byte(body)))
	if err != nil {
		w.t.Fatal(err)
	}
	req.Header = header
	resp, err := w.client.Do(req)
	if err != nil {
		w.t.Fatal(err)
	}
	defer resp.Body.Close()
	var answer struct{ Reason string }
	if data, _ := io.ReadAll(resp.Body); len(data) > 0 && json.Unmarshal(data, &answer) != nil {
		w.t.Fatalf("%s %s: %s", method, path, data)
	}
	return resp.StatusCode, answer.Reason, resp.Header
}
