package wire

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"borealis/internal/kernel/clock"
)

const (
	// callTimeout of one call, below any context of the caller.
	callTimeout = 20 * time.Second
	// maxAnswer is how much of an answer is read, in bytes: a thousand tokens that all failed are about 200 KB.
	maxAnswer = 1 << 20
	// maxPause bounds what a Retry-After can ask for.
	maxPause = time.Hour
)

// Caller makes the calls of one vendor. It follows no redirect, since credentials go to one address, and reads bounded answers. It is safe
// for concurrent use.
type Caller struct {
	base   string
	client *http.Client
	clock  clock.Clock
}

// NewCaller returns the caller of a vendor.
func NewCaller(d Deps) *Caller {
	transport := d.Transport
	if transport == nil {
		transport = NewTransport()
	}
	return &Caller{
		base:  strings.TrimRight(d.BaseURL, "/"),
		clock: d.Clock,
		client: &http.Client{Transport: transport, Timeout: callTimeout, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse
		}},
	}
}

// NewTransport is the transport of a vendor that says nothing about connections. It keeps them open: vendors take a
// connection for each message as an attack.
func NewTransport() *http.Transport {
	var protocols http.Protocols
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	return &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second,
		MaxIdleConnsPerHost: 64,
		IdleConnTimeout:     10 * time.Minute,
		Protocols:           &protocols,
		HTTP2:               &http.HTTP2Config{SendPingTimeout: 30 * time.Second, PingTimeout: 10 * time.Second},
	}
}

// URL is an address of the vendor, or its counterpart at the simulator: https://host/path becomes <base>/path, so hosts
// of one vendor that are told apart by name must not share paths.
func (c *Caller) URL(address string) string {
	if c.base == "" {
		return address
	}
	u, err := url.Parse(address)
	if err != nil {
		return address
	}
	return c.base + u.RequestURI()
}

// Answer is a complete answer of a vendor.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte
	// After is what Retry-After asks for, 0 for nothing.
	After time.Duration
}

// Post makes a POST call. The error says that there was no complete answer, so that what became of the call is unknown, and
// names no credentials.
func (c *Caller) Post(ctx context.Context, address string, header http.Header, body []byte) (Answer, error) {
	return c.Do(ctx, http.MethodPost, address, header, body)
}

// Do makes a call. Address is one of the vendor's (see URL).
func (c *Caller) Do(ctx context.Context, method, address string, header http.Header, body []byte) (Answer, error) {
	var way progress
	req, err := http.NewRequestWithContext(way.watch(ctx), method, c.URL(address), bytes.NewReader(body))
	if err != nil {
		return Answer{}, fmt.Errorf("wire: %w", err)
	}
	maps.Copy(req.Header, header)
	resp, err := c.client.Do(req)
	if err != nil {
		return Answer{}, &CallError{err: err, unsent: way.unsent(err)}
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, &CallError{err: err}
	}
	if len(data) > maxAnswer {
		return Answer{}, fmt.Errorf("wire: the answer has more than %d bytes", maxAnswer)
	}
	return Answer{Status: resp.StatusCode, Header: resp.Header, Body: data, After: RetryAfter(resp.Header, c.clock.Now())}, nil
}

// CallError is a call without a complete answer. Its text leaves out the address, which may carry a token or a credential.
type CallError struct {
	err    error
	unsent bool
}

// Error says what happened on the network.
func (e *CallError) Error() string {
	err := e.err
	if u, ok := err.(*url.Error); ok { //nolint:errorlint // only the outermost one has the address
		err = u.Err
	}
	return "no answer: " + err.Error()
}

// Unwrap is the cause.
func (e *CallError) Unwrap() error { return e.err }

// Unsent tells that surely nothing of the call was sent: the vendor cannot have accepted it. False is no proof of the opposite.
func (e *CallError) Unsent() bool { return e.unsent }

// progress is how far a call came.
type progress struct{ started, connected, wrote atomic.Bool }

// watch makes a call with the context say how far it comes.
func (p *progress) watch(ctx context.Context) context.Context {
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:          func(string) { p.started.Store(true) },
		GotConn:          func(httptrace.GotConnInfo) { p.connected.Store(true) },
		WroteHeaderField: func(string, []string) { p.wrote.Store(true) },
	})
}

// unsent tells whether surely nothing was written before the call failed. A transport that does not say what it does
// proves nothing; nor does a call that was given up on a connection, since it may be written while this is asked.
func (p *progress) unsent(err error) bool {
	if !p.started.Load() || p.wrote.Load() {
		return false
	}
	return !p.connected.Load() || !errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded)
}

// RetryAfter reads the header of that name, seconds or a date, bounded to an hour; 0 if there is none.
func RetryAfter(h http.Header, now time.Time) time.Duration {
	text := strings.TrimSpace(h.Get("Retry-After"))
	if text == "" {
		return 0
	}
	if n, err := strconv.ParseInt(text, 10, 32); err == nil {
		return max(0, min(time.Duration(n)*time.Second, maxPause))
	}
	if at, err := http.ParseTime(text); err == nil {
		return max(0, min(at.Sub(now), maxPause))
	}
	return 0
}

// Undelivered is the outcome of a call without an answer, err being what Do returned: Failed if surely nothing was sent, else Unknown. A
// *RefusalError says it itself.
func Undelivered(err error) Outcome {
	if refused, ok := errors.AsType[*RefusalError](err); ok {
		return refused.Outcome
	}
	if call, ok := errors.AsType[*CallError](err); ok && call.Unsent() {
		return NewOutcome(Failed, "", err.Error())
	}
	return NewOutcome(Unknown, "", err.Error())
}
