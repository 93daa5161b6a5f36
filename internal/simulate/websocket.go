package simulate

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"

	"github.com/gobwas/ws"
)

// frames takes MQTT out of WebSocket frames. Frames are cut off the bytes that are there, so that a deadline that passes
// in the middle of one loses nothing.
type frames struct {
	raw []byte // received and not taken apart yet
}

// errFrame says that the server broke the WebSocket protocol or used a part of it that MQTT has no use for.
var errFrame = errors.New("the server sent a WebSocket frame that is not allowed here")

// upgrade makes a WebSocket of a socket.
func upgrade(socket net.Conn, u *url.URL) (*frames, error) {
	dialer := ws.Dialer{Protocols: []string{"mqtt"}}
	early, _, err := dialer.Upgrade(socket, u)
	if err != nil {
		return nil, fmt.Errorf("WebSocket handshake: %w", err)
	}
	f := &frames{}
	if early != nil {
		f.raw = make([]byte, early.Buffered())
		if _, err := io.ReadFull(early, f.raw); err != nil {
			return nil, fmt.Errorf("WebSocket handshake: %w", err)
		}
		ws.PutReader(early)
	}
	return f, nil
}

// fill waits until some payload has been added to c.in.
func (f *frames) fill(c *Conn) error {
	for before := len(c.in); ; {
		taken, err := f.take(c)
		f.raw = f.raw[:copy(f.raw, f.raw[taken:])]
		if err != nil || len(c.in) > before {
			return err
		}
		if len(f.raw) == 0 && cap(f.raw) > keepSize {
			f.raw = nil
		}
		if f.raw, err = c.receive(f.raw); err != nil {
			return err
		}
	}
}

// take handles the whole frames at the beginning of raw and returns their length.
func (f *frames) take(c *Conn) (taken int, err error) {
	for {
		rest := f.raw[taken:]
		in := bytes.NewReader(rest)
		h, err := ws.ReadHeader(in)
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return taken, nil
		case err != nil:
			return taken, fmt.Errorf("%w: %w", errFrame, err)
		case h.Masked, h.Rsv != 0, h.Length > maxPacket:
			return taken, errFrame
		}
		width := len(rest) - in.Len()
		if int64(in.Len()) < h.Length {
			return taken, nil
		}
		taken += width + int(h.Length)
		payload := rest[width : width+int(h.Length)]
		switch h.OpCode {
		case ws.OpBinary, ws.OpContinuation:
			c.in = append(c.in, payload...)
		case ws.OpPing:
			err = c.writeRaw(masked(ws.OpPong, payload))
		case ws.OpPong:
		case ws.OpClose:
			err = io.EOF
		default:
			err = errFrame
		}
		if err != nil {
			return taken, err
		}
	}
}

// frame is one binary message of a client.
func frame(payload []byte) []byte { return masked(ws.OpBinary, payload) }

func masked(op ws.OpCode, payload []byte) []byte {
	h := ws.Header{Fin: true, OpCode: op, Masked: true, Mask: ws.NewMask(), Length: int64(len(payload))}
	out := bytes.NewBuffer(make([]byte, 0, ws.HeaderSize(h)+len(payload)))
	_ = ws.WriteHeader(out, h) // to memory, with a length that fits
	at := out.Len()
	out.Write(payload)
	b := out.Bytes()
	ws.Cipher(b[at:], h.Mask, 0)
	return b
}
