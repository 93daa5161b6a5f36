package borealis

import (
	"bufio"
	"context"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // RFC 6455 asks for it
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
)

// webSocket is the client's side of RFC 6455 as a stream of bytes: each Write is a binary message.
type webSocket struct {
	net.Conn
	in   *bufio.Reader
	left uint64 // bytes of the frame being read
}

const (
	wsBinary, wsClose, wsPing = 2, 8, 9
	wsPong                    = 10
	wsFin, wsMask             = 0x80, 0x80
	wsControl                 = 125 // most bytes of a control frame
	wsMagic                   = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
)

// upgrade asks the server behind conn to speak MQTT in WebSocket. A deadline of conn bounds it.
func upgrade(ctx context.Context, conn net.Conn, u *url.URL) (*webSocket, error) {
	var nonce [16]byte
	_, _ = rand.Read(nonce[:]) // never fails
	key := base64.StdEncoding.EncodeToString(nonce[:])
	target := *u
	target.Scheme = "http"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, target.String(), nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Connection", "Upgrade")
	req.Header.Set("Upgrade", "websocket")
	req.Header.Set("Sec-WebSocket-Version", "13")
	req.Header.Set("Sec-WebSocket-Key", key)
	req.Header.Set("Sec-WebSocket-Protocol", "mqtt")
	if err := req.Write(conn); err != nil {
		return nil, err
	}
	in := bufio.NewReader(conn)
	resp, err := http.ReadResponse(in, req)
	if err != nil {
		return nil, err
	}
	sum := sha1.Sum([]byte(key + wsMagic)) //nolint:gosec // as above
	if resp.StatusCode != http.StatusSwitchingProtocols || resp.Header.Get("Sec-WebSocket-Accept") != base64.StdEncoding.EncodeToString(sum[:]) {
		_ = resp.Body.Close()
		return nil, fmt.Errorf("no WebSocket: %s", resp.Status)
	}
	return &webSocket{Conn: conn, in: in}, nil
}

// Read gives the payload bytes of data frames and answers pings.
func (w *webSocket) Read(p []byte) (int, error) {
	for w.left == 0 {
		op, n, err := w.header()
		if err != nil {
			return 0, err
		}
		if op < wsClose {
			w.left = n
			continue
		}
		var control [wsControl]byte
		if _, err := io.ReadFull(w.in, control[:n]); err != nil {
			return 0, err
		}
		switch op {
		case wsClose:
			return 0, io.EOF
		case wsPing:
			if _, err := w.Conn.Write(frame(wsPong, control[:n])); err != nil {
				return 0, err
			}
		}
	}
	n, err := w.in.Read(p[:min(uint64(len(p)), w.left)])
	w.left -= uint64(n)
	return n, err
}

func (w *webSocket) header() (op byte, size uint64, err error) {
	var h [8]byte
	if _, err := io.ReadFull(w.in, h[:2]); err != nil {
		return 0, 0, err
	}
	op, size = h[0]&0x0f, uint64(h[1])
	switch {
	case h[1]&wsMask != 0, op > wsBinary && op < wsClose, op == 1:
		return 0, 0, errors.New("not a WebSocket frame of a server that sends MQTT")
	case size == 126:
		_, err = io.ReadFull(w.in, h[:2])
		size = uint64(binary.BigEndian.Uint16(h[:2]))
	case size == 127:
		_, err = io.ReadFull(w.in, h[:])
		size = binary.BigEndian.Uint64(h[:])
	}
	if op >= wsClose && size > wsControl {
		err = errors.New("WebSocket control frame too long")
	}
	return op, size, err
}

// Write sends p as one message.
func (w *webSocket) Write(p []byte) (int, error) {
	if _, err := w.Conn.Write(frame(wsBinary, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// frame is a whole message of a client, which must be masked.
func frame(op byte, payload []byte) []byte {
	out := []byte{wsFin | op}
	switch n := len(payload); {
	case n <= wsControl:
		out = append(out, wsMask|byte(n))
	case n < 1<<16:
		out = binary.BigEndian.AppendUint16(append(out, wsMask|126), uint16(n))
	default:
		out = binary.BigEndian.AppendUint64(append(out, wsMask|127), uint64(n))
	}
	var mask [4]byte
	_, _ = rand.Read(mask[:]) // never fails
	out = append(out, mask[:]...)
	for i, b := range payload {
		out = append(out, b^mask[i%4])
	}
	return out
}
