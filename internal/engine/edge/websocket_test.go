package edge

import (
	"bytes"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/gobwas/ws"
	"github.com/gorilla/websocket"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

// startWebSocket serves the edge over HTTP and returns the URL.
func startWebSocket(t *testing.T, e *Edge) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(e.ServeWebSocket))
	t.Cleanup(server.Close)
	return strings.Replace(server.URL, "http", "ws", 1)
}

// openWebSocket makes the handshake and returns the raw connection.
func openWebSocket(t *testing.T, url string) *device {
	t.Helper()
	dialer := websocket.Dialer{Subprotocols: []string{"mqtt"}}
	conn, response, err := dialer.Dial(url, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := response.Header.Get("Sec-WebSocket-Protocol"); got != "mqtt" {
		t.Fatalf("subprotocol %q", got)
	}
	t.Cleanup(func() { conn.Close() })
	return &device{t: t, conn: conn.NetConn(), version: mqtt.V5}
}

// clientFrame writes a masked frame.
func clientFrame(op ws.OpCode, fin bool, payload []byte) []byte {
	var mask [4]byte
	for i := range mask {
		mask[i] = byte(rand.Uint32())
	}
	masked := bytes.Clone(payload)
	for i := range masked {
		masked[i] ^= mask[i%4]
	}
	var out bytes.Buffer
	header := ws.Header{Fin: fin, OpCode: op, Masked: true, Mask: mask, Length: int64(len(payload))}
	if err := ws.WriteHeader(&out, header); err != nil {
		panic(err)
	}
	return append(out.Bytes(), masked...)
}

// frame reads one frame of the server.
func (d *device) frame() (ws.OpCode, []byte) {
	d.t.Helper()
	header, err := ws.ReadHeader(d.conn)
	if err != nil {
		d.t.Fatal(err)
	}
	if header.Masked || !header.Fin {
		d.t.Fatalf("server frame %+v", header)
	}
	payload := make([]byte, header.Length)
	if _, err := io.ReadFull(d.conn, payload); err != nil {
		d.t.Fatal(err)
	}
	return header.OpCode, payload
}

func TestWebSocketFraming(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d := openWebSocket(t, startWebSocket(t, e))
	connect := connectAs(c, mqtt.V5, 1, nil).Append(nil)
	// One packet in three fragments, with a ping in between and an empty fragment at the end, byte by byte.
	var stream []byte
	stream = append(stream, clientFrame(ws.OpBinary, false, connect[:7])...)
	stream = append(stream, clientFrame(ws.OpPing, true, []byte("are you there"))...)
	stream = append(stream, clientFrame(ws.OpContinuation, false, connect[7:])...)
	stream = append(stream, clientFrame(ws.OpContinuation, true, nil)...)
	for i := range stream {
		d.send(stream[i : i+1])
	}
	if op, payload := d.frame(); op != ws.OpPong || string(payload) != "are you there" {
		t.Fatalf("%v %q", op, payload)
	}
	op, payload := d.frame()
	if p, _, err := mqtt.Next(payload, 1<<20); op != ws.OpBinary || err != nil || p.Type != mqtt.CONNACK {
		t.Fatalf("%v %v % x", op, err, payload)
	}
	// Several packets in one frame, larger than what a short length holds.
	pings := bytes.Repeat(mqtt.AppendPingreq(nil), 40_000)
	d.send(clientFrame(ws.OpBinary, true, pings))
	for got := 0; got < len(pings); {
		op, payload := d.frame()
		if op != ws.OpBinary {
			t.Fatalf("%v", op)
		}
		got += len(payload)
	}
	c.push(message(1, strings.Repeat("x", 70_000)), 1)
	if _, payload = d.frame(); len(payload) < 70_000 {
		t.Fatalf("%d bytes", len(payload))
	}
	d.send(clientFrame(ws.OpClose, true, []byte{0x03, 0xe8}))
	if op, payload := d.frame(); op != ws.OpClose || !bytes.Equal(payload, []byte{0x03, 0xe8}) {
		t.Fatalf("%v % x", op, payload)
	}
	d.closed()
}

func TestWebSocketViolations(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	url := startWebSocket(t, e)
	unmasked := []byte{0x82, 0x02, 0xc0, 0x00}
	for name, tt := range map[string]struct {
		send []byte
		want []byte // status of the close frame
	}{
		"text":                  {clientFrame(ws.OpText, true, []byte("hello")), []byte{0x03, 0xeb}},
		"unmasked":              {unmasked, []byte{0x03, 0xea}},
		"reserved bit":          {[]byte{0xc2, 0x80, 0, 0, 0, 0}, []byte{0x03, 0xea}},
		"reserved opcode":       {[]byte{0x83, 0x80, 0, 0, 0, 0}, []byte{0x03, 0xea}},
		"fragmented ping":       {clientFrame(ws.OpPing, false, nil), []byte{0x03, 0xea}},
		"long ping":             {clientFrame(ws.OpPing, true, make([]byte, 126)), []byte{0x03, 0xea}},
		"continuation of none":  {clientFrame(ws.OpContinuation, true, nil), []byte{0x03, 0xea}},
		"message in a message":  {append(clientFrame(ws.OpBinary, false, nil), clientFrame(ws.OpBinary, true, nil)...), []byte{0x03, 0xea}},
		"length beyond 63 bits": {[]byte{0x82, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}, []byte{0x03, 0xea}},
	} {
		d := openWebSocket(t, url)
		d.send(tt.send)
		if op, payload := d.frame(); op != ws.OpClose || !bytes.Equal(payload, tt.want) {
			t.Errorf("%s: %v % x", name, op, payload)
		}
		d.closed()
	}
	eventually(t, "all closed", func() bool { return e.gate.open.Load() == 0 })
}

func TestWebSocketHandshake(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, func(o *Options) { o.Limits.Connections = 1 })
	url := startWebSocket(t, e)
	for _, protocols := range [][]string{nil, {"chat"}} {
		dialer := websocket.Dialer{Subprotocols: protocols}
		_, response, err := dialer.Dial(url, nil)
		if err == nil || response.StatusCode != http.StatusBadRequest {
			t.Errorf("%v: %v", protocols, err)
		}
	}
	plain, err := http.Get(strings.Replace(url, "ws", "http", 1))
	if err != nil || plain.StatusCode != http.StatusBadRequest {
		t.Errorf("plain GET: %v", err)
	}
	plain.Body.Close()
	openWebSocket(t, url)
	eventually(t, "open", e.gate.full)
	dialer := websocket.Dialer{Subprotocols: []string{"mqtt"}}
	if _, response, err := dialer.Dial(url, nil); err == nil || response.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("beyond the limit: %v", err)
	}
}

func TestWebSocketDisconnectHasCloseFrame(t *testing.T) {
	t.Parallel()
	c := newCore(t)
	e := startEdge(t, c, nil)
	d := openWebSocket(t, startWebSocket(t, e))
	d.send(clientFrame(ws.OpBinary, true, connectAs(c, mqtt.V5, 1, nil).Append(nil)))
	d.frame()
	d.send(clientFrame(ws.OpBinary, true, []byte{0x00, 0x00}))
	_, payload := d.frame()
	p, _, err := mqtt.Next(payload, 100)
	if err != nil || p.Type != mqtt.DISCONNECT || p.Body[0] != byte(mqtt.MalformedPacket) {
		t.Fatalf("%+v %v", p, err)
	}
	if op, _ := d.frame(); op != ws.OpClose {
		t.Fatalf("%v", op)
	}
	d.closed()
}

// TestFrameHeader checks the server's headers against another implementation.
func TestFrameHeader(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 65_535, 65_536, 100_000} {
		buf := make([]byte, maxServerHeader+n)
		header, err := ws.ReadHeader(bytes.NewReader(putFrameHeader(buf, opBinary)))
		if err != nil || header.Length != int64(n) || header.OpCode != ws.OpBinary || !header.Fin || header.Masked {
			t.Errorf("%d: %+v %v", n, header, err)
		}
	}
}

// nullSocket is a socket that takes everything.
type nullSocket struct{ closed bool }

func (n *nullSocket) Write(b []byte) (int, error) { return len(b), nil }
func (n *nullSocket) OutboundBuffered() int       { return 0 }
func (n *nullSocket) Close() error                { n.closed = true; return nil }
func (n *nullSocket) RemoteAddr() net.Addr        { return nil }

// quietLoop is a loop that no goroutine runs.
func quietLoop(t testing.TB) *loop {
	t.Helper()
	c := newCore(t)
	e, err := New(Options{ID: "quiet", Codec: c.codec, Bus: c.bus, Clock: clock.System{}, Log: quietLog(), Loops: 1})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range e.loops {
		l.wakeUp = func() {}
	}
	t.Cleanup(e.cancel)
	return e.loops[0]
}

// FuzzSession feeds a session arbitrary bytes in arbitrary portions: it must neither panic nor keep more than its
// limits.
func FuzzSession(f *testing.F) {
	l := quietLoop(f)
	f.Add([]byte("\x10\x0e\x00\x04MQTT\x05\x02\x00\x3c\x00\x00\x01a"), uint8(3), false)
	f.Add([]byte("\xc0\x00\x82\x0a\x00\x01\x00\x00\x04push\x01\x32\x0d\x00\x09up/events\x00\x01\x00{}"), uint8(5), false)
	f.Add(clientFrame(ws.OpBinary, true, []byte{0xc0, 0}), uint8(1), true)
	f.Fuzz(func(t *testing.T, data []byte, portion uint8, webSocketed bool) {
		socket := &nullSocket{}
		s := &session{sock: socket}
		if webSocketed {
			s.ws = &webSocket{}
		}
		if !l.opened(s) {
			t.Fatal("not opened")
		}
		l.releaseHalfOpen(s)
		if len(data) > 0 && data[0]&1 == 0 { // half of them as connected devices
			s.version, s.window = mqtt.V5, 10
			s.ordinal = 1
			l.enterRoster(s, testApp)
		}
		for len(data) > 0 {
			n := min(int(portion)+1, len(data))
			l.inputSocket(s, bytes.Clone(data[:n]))
			data = data[n:]
			if len(s.in) > l.pauseLimit(s) {
				t.Fatalf("%d bytes kept", len(s.in))
			}
		}
		l.closedBy(s)
		if l.edge.gate.open.Load() != 0 || len(l.rosters) != 0 || len(l.sessions) != 0 {
			t.Fatal("something is left of the session")
		}
		l.lingers = nil
	})
}
