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
	// batchHead is head of a call with many pushes.
	batchHead []byte
	out       []byte
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
	rest := " HTTP/1.1\r\nHost: " + u.Host + "\r\nAuthorization: Basic " + credentials + "\r\nContent-Type: application/json\r\nContent-Length: "
	return &caller{
		conn: conn, in: bufio.NewReaderSize(conn, 4<<10),
		head: []byte("POST /v3/push" + rest), batchHead: []byte("POST /v3/push/batch/regid/single" + rest),
	}, nil
}

func (c *caller) close() { c.conn.Close() }

// push makes one call and returns when it has been accepted.
func (c *caller) push(body []byte) error {
	_, err := c.call(c.head, body)
	return err
}

// batch makes one call with many pushes and returns when all have been accepted.
func (c *caller) batch(body []byte) error {
	answer, err := c.call(c.batchHead, body)
	if err == nil && bytes.Contains(answer, []byte(`"error"`)) {
		err = fmt.Errorf("the server refused a push of a batch: %.300s", answer)
	}
	return err
}

// call posts a body and returns the answer to it.
func (c *caller) call(head, body []byte) ([]byte, error) {
	c.out = append(c.out[:0], head...)
	c.out = strconv.AppendInt(c.out, int64(len(body)), 10)
	c.out = append(append(c.out, "\r\n\r\n"...), body...)
	if err := c.conn.SetDeadline(clock.System{}.Now().Add(callTime)); err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("call: %w", err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("the server refused a push: %s: %.300s", resp.Status, bytes.TrimSpace(answer))
	}
	return answer, nil
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

// batchBody is one call with a push to each of the devices; their contents have the sequence numbers from first.
func batchBody(appKey string, ids []string, round, first uint32, now time.Time) []byte {
	out := []byte(`{"pushlist":{`)
	for i, id := range ids {
		if i > 0 {
			out = append(out, ',')
		}
		seq := first + uint32(i)
		out = fmt.Appendf(out, `"%s-%d-%d-%d":{"platform":"all","target":"%s","message":{"msg_content":"%s"},"options":{"time_to_live":%d}}`,
			appKey, now.UnixNano(), round, seq, id, mark{round, seq, now}.text(0), timeToLive)
	}
	return append(out, `}}`...)
}
