package webpush

import (
	"crypto/tls"
	"io"
	"net"
	"net/http"
	"net/netip"
	"syscall"
	"time"

	"borealis/internal/kernel/netguard"
)

// guarded makes calls to addresses that devices named: with https where the guard permits, with http only where it
// lists.
type guarded struct{ https, http *http.Transport }

func newGuarded(allow []netip.Prefix, config *tls.Config) *guarded {
	guard := netguard.New(allow)
	return &guarded{https: newTransport(guard.Control, config), http: newTransport(guard.ControlListed, config)}
}

// maxAnswer is how much of an answer is read, in bytes: services say little, and strangers must not fill the memory.
const maxAnswer = 16 << 10

// RoundTrip makes one call.
func (g *guarded) RoundTrip(r *http.Request) (*http.Response, error) {
	transport := g.http
	if r.URL.Scheme == "https" {
		transport = g.https
	}
	resp, err := transport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	resp.Body = struct {
		io.Reader
		io.Closer
	}{io.LimitReader(resp.Body, maxAnswer), resp.Body}
	return resp, nil
}

// newTransport keeps connections to the few services that most browsers use, and holds few of others.
func newTransport(control func(network, address string, c syscall.RawConn) error, config *tls.Config) *http.Transport {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy:                  nil, // it would look up the name itself, beyond the guard
		DialContext:            (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second, Control: control}).DialContext,
		TLSClientConfig:        config,
		TLSHandshakeTimeout:    10 * time.Second,
		MaxResponseHeaderBytes: 64 << 10,
		MaxIdleConns:           256,
		MaxIdleConnsPerHost:    32,
		IdleConnTimeout:        5 * time.Minute,
		Protocols:              protocols,
		HTTP2:                  &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second},
	}
}
