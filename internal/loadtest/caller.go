package loadtest

import (
	"bufio"
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"borealis/internal/kernel/clock"
)

// caller makes push calls over one keep-alive connection. It is leaner than http.Client, because it shares the
// machine with the server it measures. It is for one goroutine.
type caller struct {
	conn net.Conn
	in   *bufio.Reader
	head []byte
	out  []byte
}

// callTime bounds one call.
const callTime = 30 * time.Second

func dialCaller(ctx context.Context, t *Target) (*caller, error) {
	u, err := url.Parse(t.HTTP)
	if err != nil {
		return nil, fmt.Errorf("server URL: %w", err)
	}
	if u.Scheme != "http" {
		return nil, fmt.Errorf("server URL %q: only http is measured", t.HTTP)
	}
	address := u.Host
	if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "80")
	}
	var d net.Dialer
	conn, err := d.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("connect to the API: %w", err)
	}
	credentials := base64.StdEncoding.EncodeToString([]byte(t.AppKey + ":" + t.Secret))
	head := "POST /v3/push HTTP/1.1\r\nHost: " + u.Host + "\r\nAuthorization: Basic " + credentials +
		"\r\nContent-Type: application/json\r\nContent-Length: "
	return &caller{conn: conn, in: bufio.NewReaderSize(conn, 4<<10), head: []byte(head)}, nil
}

func (c *caller) close() { c.conn.Close() }

// push makes one call and returns when it has been accepted.
func (c *caller) push(body []byte) error {
	c.out = append(c.out[:0], c.head...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), body...)
	if err := c.conn.SetDeadline(clock.System{}.Now().Add(callTime)); err != nil {
		return fmt.Errorf("call: %w", err)
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return fmt.Errorf("call: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 64<<10))
	if err != nil {
		return fmt.Errorf("call: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("the server refused a push: %s: %.300s", resp.Status, bytes.TrimSpace(answer))
	}
	return nil
}

// timeToLive of the messages sent, in seconds: longer than any round takes.
const timeToLive = 600

// everybody is the audience of a broadcast.
const everybody = `"all"`

// pushBody is a push with a custom message to an audience (JSON). The content must need no escaping in JSON, which is
// true of marks.
func pushBody(audience, content string) []byte {
	return []byte(`{"platform":"all","audience":` + audience + `,"message":{"msg_content":"` + content +
		`"},"options":{"time_to_live":` + strconv.Itoa(timeToLive) + `}}`)
}

// oneDevice is the audience of a single device.
func oneDevice(registrationID string) string { return `{"registration_id":["` + registrationID + `"]}` }
