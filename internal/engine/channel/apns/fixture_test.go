package apns_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/json"
	"encoding/pem"
	"maps"
	"math/big"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const (
	bundle = "com.example.courier"
	device = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"
)

var now = time.Date(2026, 3, 5, 9, 40, 0, 0, time.UTC)

// newKey is a signing key and the text of its file.
func newKey(t testing.TB, curve elliptic.Curve) (*ecdsa.PrivateKey, string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	return key, string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}))
}

// newCertificate is a PEM text with a certificate and its key. An empty topic is none.
func newCertificate(t testing.TB, topic string, notAfter time.Time) string {
	t.Helper()
	key, keyText := newKey(t, elliptic.P256())
	subject := pkix.Name{CommonName: "Apple Push Services: " + topic}
	if topic != "" {
		subject.ExtraNames = []pkix.AttributeTypeAndValue{{Type: asn1.ObjectIdentifier{0, 9, 2342, 19200300, 100, 1, 1}, Value: topic}}
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: subject, NotBefore: notAfter.AddDate(-1, 0, 0), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})) + keyText
}

// credentials are the fields of an app with a key.
func credentials(t testing.TB) map[string]any {
	t.Helper()
	_, key := newKey(t, elliptic.P256())
	return map[string]any{"team_id": "TEAM123456", "key_id": "KEY1234567", "private_key": key, "bundle_id": bundle}
}

func parse(t testing.TB, v *apns.Vendor, fields map[string]any, more ...map[string]any) wire.Credentials {
	t.Helper()
	all := maps.Clone(fields)
	for _, m := range more {
		maps.Copy(all, m)
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	c, err := v.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// serve runs a server that speaks HTTP/2 without TLS and nothing else.
func serve(t testing.TB, handler http.HandlerFunc, change ...func(*http.Server)) *httptest.Server {
	t.Helper()
	s := httptest.NewUnstartedServer(handler)
	s.Config.Protocols = new(http.Protocols)
	s.Config.Protocols.SetUnencryptedHTTP2(true)
	for _, c := range change {
		c(s.Config)
	}
	s.Start()
	t.Cleanup(s.Close)
	return s
}

// accept answers as Apple does.
func accept(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Apns-Id", r.Header.Get("Apns-Id"))
	w.WriteHeader(http.StatusOK)
}

func refuse(w http.ResponseWriter, status int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"reason": reason})
}

func devices(n int) []wire.Token {
	out := make([]wire.Token, n)
	for i := range out {
		out[i].Value = device
	}
	return out
}

func hello() *wire.Message {
	return &wire.Message{ID: "7", Kind: wire.Notification, TTL: time.Hour, Apple: &wire.Apple{Alert: json.RawMessage(`"hello"`)}}
}

func fake() *clock.Fake { return clock.NewFake(now) }
