package webhook

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"borealis/internal/kernel/netguard"
)

const (
	// attemptTimeout is the default of Deps.Timeout.
	attemptTimeout = 10 * time.Second
	connectTimeout = 5 * time.Second
	maxRedirects   = 3
	maxHeader      = 16 << 10
	// maxDrain is how much of an answer is read so that its connection can be used again.
	maxDrain = 4 << 10
	// idleTimeout of kept connections. A name that moved is noticed by then.
	idleTimeout = 30 * time.Second
)

// client makes HTTP requests to addresses that strangers chose.
type client struct {
	transport *http.Transport
	timeout   time.Duration
}

func newClient(g netguard.Guard, resolver *net.Resolver, roots *x509.CertPool, timeout time.Duration) *client {
	dialer := &net.Dialer{Timeout: connectTimeout, Control: g.Control, Resolver: resolver}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true) // one request, one connection: nothing for a receiver to multiplex or to hang
	return &client{timeout: timeout, transport: &http.Transport{
		Proxy:                  nil, // a proxy would dial for us, beyond the guard
		DialContext:            dialer.DialContext,
		TLSClientConfig:        &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout:    connectTimeout,
		Protocols:              protocols,
		DisableCompression:     true, // what is not read need not be unpacked
		MaxResponseHeaderBytes: maxHeader,
		MaxIdleConns:           maxSending,
		MaxIdleConnsPerHost:    maxPerHost,
		IdleConnTimeout:        idleTimeout,
	}}
}

// request is one attempt.
type request struct {
	method string
	to     *url.URL
	header http.Header
	body   []byte
	// user and password are sent to the origin of to and nowhere else; no user, no credentials.
	user, password string
	// want is how many bytes of the answer are needed.
	want int64
}

var (
	errRedirects = fmt.Errorf("more than %d redirects", maxRedirects)
	errDowngrade = errors.New("redirect from https to http")
	errLocation  = errors.New("redirect to no usable address")
)

// do sends a request and follows redirects. The status is that of the last answer. An error says that there is none.
func (c *client) do(ctx context.Context, r request) (status int, body []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	at, trusted := r.to, r.user != ""
	for hop := 0; ; hop++ {
		resp, err := c.once(ctx, r, at, trusted) //nolint:bodyclose // finish closes it, in both branches
		if err != nil {
			return 0, nil, err
		}
		if !redirects(resp) {
			return finish(resp, r.want)
		}
		_, _, _ = finish(resp, 0)
		if hop == maxRedirects {
			return 0, nil, errRedirects
		}
		next, err := location(at, resp.Header.Get("Location"))
		if err != nil {
			return 0, nil, err
		}
		trusted = trusted && origin(next) == origin(at)
		at = next
	}
}

func (c *client) once(ctx context.Context, r request, at *url.URL, trusted bool) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, r.method, at.String(), bytes.NewReader(r.body))
	if err != nil {
		return nil, err
	}
	for name, values := range r.header {
		req.Header[name] = slices.Clone(values)
	}
	req.Header.Set("User-Agent", "Borealis")
	if trusted {
		req.SetBasicAuth(r.user, r.password)
	}
	return c.transport.RoundTrip(req) // an http.Client would follow redirects in its own way
}

// redirects tells whether an answer asks for the same request elsewhere. 303 asks for another one, which would not
// carry the body: no success.
func redirects(resp *http.Response) bool {
	switch resp.StatusCode {
	case http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return resp.Header.Get("Location") != ""
	}
	return false
}

func location(from *url.URL, text string) (*url.URL, error) {
	next, err := from.Parse(text)
	if err != nil {
		return nil, errLocation
	}
	if from.Scheme == "https" && next.Scheme == "http" {
		return nil, errDowngrade
	}
	if _, err := ParseURL(next.String()); err != nil {
		return nil, errLocation
	}
	return next, nil
}

// finish reads what is wanted of an answer and closes it. The status stands, whatever happens to the rest.
func finish(resp *http.Response, want int64) (status int, body []byte, err error) {
	defer func() { _ = resp.Body.Close() }()
	if want == 0 {
		_, _ = io.CopyN(io.Discard, resp.Body, maxDrain)
		return resp.StatusCode, nil, nil
	}
	body, err = io.ReadAll(io.LimitReader(resp.Body, want))
	return resp.StatusCode, body, err
}

// maxReason bounds what is told of a failure, in bytes.
const maxReason = 200

// reason says in a few words why there was no answer. It names no address that a look-up found.
func reason(err error) string {
	var (
		lookup *net.DNSError
		cert   *tls.CertificateVerificationError
		op     *net.OpError
	)
	switch {
	case errors.Is(err, netguard.ErrAddress):
		return netguard.ErrAddress.Error()
	case errors.As(err, &lookup):
		return "the name of the host was not found"
	case errors.Is(err, context.DeadlineExceeded) || isTimeout(err):
		return "no answer in time"
	case errors.As(err, &cert):
		return clip("the certificate is not valid: " + cert.Err.Error())
	case errors.As(err, &op) && op.Err != nil:
		return clip("no connection: " + op.Err.Error())
	}
	return clip(err.Error())
}

func isTimeout(err error) bool {
	var t net.Error
	return errors.As(err, &t) && t.Timeout()
}

// clip makes a text that any database takes.
func clip(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	if len(s) > maxReason {
		s = strings.ToValidUTF8(s[:maxReason], "")
	}
	return s
}
