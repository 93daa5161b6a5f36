// Package vendor calls the REST API of Jiguang, or of whatever speaks it: the few calls that moving away from it needs.
//
// It verifies TLS, follows no redirect and talks to one address only. What it reads is bounded. It neither waits nor
// repeats: an Answer says how long the vendor wants to be left alone (Pause), and the caller knows what a repetition means.
package vendor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// The vendor's addresses. A single origin may serve both.
const (
	PushURL   = "https://api.jpush.cn"
	DeviceURL = "https://device.jpush.cn"
)

const (
	// maxAnswer is how much of an answer is read, in bytes: a device with 1,000 tags of 40 is less than a tenth.
	maxAnswer = 1 << 20
	// timeout of one call.
	timeout = 30 * time.Second
	// MaxPause bounds what an answer can ask for.
	MaxPause = 10 * time.Minute
	// defaultPause is how long a window of the vendor's limit is.
	defaultPause = time.Minute
)

// AddressError is an address that credentials are not sent to.
type AddressError struct{ Reason string }

// Error makes *AddressError an error.
func (e *AddressError) Error() string { return e.Reason }

// CheckURL says, as an *AddressError, why a text is no address to send credentials to: it must be https, or http to this machine itself.
func CheckURL(text string) error {
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return &AddressError{fmt.Sprintf("%q is not an address like %s", text, PushURL)}
	case u.Scheme == "https", u.Scheme == "http" && loopback(u.Hostname()):
		return nil
	}
	return &AddressError{fmt.Sprintf("%q must begin with https://, because the master secret is sent there", text)}
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// Client makes calls with the credentials of one app. It is safe for concurrent use.
type Client struct {
	base        string
	key, secret string
	http        *http.Client
}

// HTTPClient is a client for New: with its timeout, and without redirects. transport may be nil.
func HTTPClient(transport http.RoundTripper) *http.Client {
	return &http.Client{Transport: transport, Timeout: timeout, CheckRedirect: func(*http.Request, []*http.Request) error {
		return http.ErrUseLastResponse // the credentials go to one address
	}}
}

// New returns a client for the address, which CheckURL must like. h is made by HTTPClient.
func New(h *http.Client, address, key, secret string) (*Client, error) {
	if err := CheckURL(address); err != nil {
		return nil, err
	}
	return &Client{base: strings.TrimRight(address, "/"), key: key, secret: secret, http: h}, nil
}

// Answer is what the vendor answered.
type Answer struct {
	Status int
	// Code and Message of an error; 0 if the answer is none, or not the vendor's.
	Code    int
	Message string
	body    []byte
	// pause is what the headers ask for, 0 for nothing.
	pause time.Duration
}

// OK tells whether the call succeeded.
func (a Answer) OK() bool { return a.Status == http.StatusOK }

// Pause is how long no further call should be made: after a 429, or when the answer used up the window.
func (a Answer) Pause() time.Duration { return a.pause }

// String is what went wrong, for people.
func (a Answer) String() string {
	if a.Code == 0 {
		return fmt.Sprintf("HTTP status %d", a.Status)
	}
	return fmt.Sprintf("HTTP status %d, code %d: %s", a.Status, a.Code, a.Message)
}

// Call makes one call. The error says that there was no complete answer: what became of the call is then unknown.
func (c *Client) Call(ctx context.Context, method, path string, body []byte) (Answer, error) {
	var reader io.Reader
	if body != nil {
		reader = bytes.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, reader)
	if err != nil {
		return Answer{}, fmt.Errorf("vendor: %w", err)
	}
	req.SetBasicAuth(c.key, c.secret)
	req.Header.Set("Accept", "application/json")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return Answer{}, fmt.Errorf("vendor: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, fmt.Errorf("vendor: read answer: %w", err)
	}
	if len(data) > maxAnswer {
		return Answer{}, fmt.Errorf("vendor: the answer has more than %d bytes", maxAnswer)
	}
	a := Answer{Status: resp.StatusCode, body: data, pause: pauseOf(resp)}
	if !a.OK() {
		var e struct {
			Error struct {
				Code    int    `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if json.Unmarshal(data, &e) == nil {
			a.Code, a.Message = e.Error.Code, shorten(e.Error.Message)
		}
	}
	return a, nil
}

// maxMessage is how much of the vendor's text is kept, in bytes.
const maxMessage = 300

func shorten(s string) string {
	s = strings.ToValidUTF8(s, "\uFFFD")
	if len(s) <= maxMessage {
		return s
	}
	return strings.ToValidUTF8(s[:maxMessage], "")
}

// pauseOf reads the vendor's headers, and Retry-After of whoever stands before it.
func pauseOf(resp *http.Response) time.Duration {
	seconds := func(name string) (time.Duration, bool) {
		n, err := strconv.Atoi(strings.TrimSpace(resp.Header.Get(name)))
		if err != nil || n < 0 {
			return 0, false
		}
		return min(time.Duration(min(n, int(MaxPause/time.Second)))*time.Second, MaxPause), true
	}
	_, limited := seconds("X-Rate-Limit-Limit")
	remaining := resp.Header.Get("X-Rate-Limit-Remaining")
	reset, hasReset := seconds("X-Rate-Limit-Reset")
	after, hasAfter := seconds("Retry-After")
	switch {
	case resp.StatusCode == http.StatusTooManyRequests && hasReset:
		return max(reset, time.Second)
	case hasAfter && (resp.StatusCode == http.StatusTooManyRequests || resp.StatusCode >= http.StatusInternalServerError):
		return max(after, time.Second)
	case resp.StatusCode == http.StatusTooManyRequests:
		return defaultPause
	case limited && remaining == "0" && hasReset:
		return max(reset, time.Second)
	}
	return 0
}

// errShape says that a successful answer is not what the call answers.
var errShape = errors.New("vendor: the answer has another shape than this call's")

// CIDs asks for idempotency keys of pushes; the vendor may give fewer than n.
func (c *Client) CIDs(ctx context.Context, n int) ([]string, Answer, error) {
	a, err := c.Call(ctx, http.MethodGet, "/v3/push/cid?type=push&count="+strconv.Itoa(n), nil)
	if err != nil || !a.OK() {
		return nil, a, err
	}
	var out struct {
		List []string `json:"cidlist"`
	}
	if err := json.Unmarshal(a.body, &out); err != nil || len(out.List) == 0 {
		return nil, a, errShape
	}
	return out.List, a, nil
}

// Push sends a push object and returns the vendor's id of the message. The error says that what became of it is unknown.
func (c *Client) Push(ctx context.Context, object []byte) (string, Answer, error) {
	a, err := c.Call(ctx, http.MethodPost, "/v3/push", object)
	if err != nil || !a.OK() {
		return "", a, err
	}
	var out struct {
		MsgID json.RawMessage `json:"msg_id"`
	}
	id := ""
	if json.Unmarshal(a.body, &out) == nil {
		id = strings.Trim(string(out.MsgID), `"`)
	}
	if id == "" || len(id) > 32 {
		return "", a, errShape
	}
	return id, a, nil
}

// Withdraw takes a push back.
func (c *Client) Withdraw(ctx context.Context, id string) (Answer, error) {
	return c.Call(ctx, http.MethodDelete, "/v3/push/"+url.PathEscape(id), nil)
}

// Device is what the vendor knows of a device.
type Device struct {
	Tags   []string
	Alias  string
	Mobile string
}

// Device asks for one device.
func (c *Client) Device(ctx context.Context, registrationID string) (Device, Answer, error) {
	a, err := c.Call(ctx, http.MethodGet, "/v3/devices/"+url.PathEscape(registrationID), nil)
	if err != nil || !a.OK() {
		return Device{}, a, err
	}
	var out struct {
		Tags   []string        `json:"tags"`
		Alias  *string         `json:"alias"`
		Mobile json.RawMessage `json:"mobile"`
	}
	if err := json.Unmarshal(a.body, &out); err != nil {
		return Device{}, a, errShape
	}
	d := Device{Tags: out.Tags}
	if out.Alias != nil {
		d.Alias = *out.Alias
	}
	if m := strings.Trim(string(out.Mobile), `"`); m != "null" {
		d.Mobile = m
	}
	return d, a, nil
}
