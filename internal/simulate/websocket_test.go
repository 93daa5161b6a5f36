package simulate

import (
	"bytes"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"pgregory.net/rapid"
)

// serverFrame is a frame as a server sends it.
func serverFrame(op ws.OpCode, fin bool, payload string) []byte {
	var b bytes.Buffer
	_ = ws.WriteHeader(&b, ws.Header{Fin: fin, OpCode: op, Length: int64(len(payload))})
	b.WriteString(payload)
	return b.Bytes()
}

func readFrame(r io.Reader) (ws.Frame, error) {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return ws.Frame{}, err
	}
	f := ws.Frame{Header: h, Payload: make([]byte, h.Length)}
	_, err = io.ReadFull(r, f.Payload)
	return f, err
}

// wire is a socket whose bytes come in given pieces.
type wire struct {
	net.Conn
	pieces [][]byte
	sent   bytes.Buffer
}

func (w *wire) Read(b []byte) (int, error) {
	if len(w.pieces) == 0 {
		return 0, io.EOF
	}
	n := copy(b, w.pieces[0])
	if w.pieces[0] = w.pieces[0][n:]; len(w.pieces[0]) == 0 {
		w.pieces = w.pieces[1:]
	}
	return n, nil
}
func (w *wire) Write(b []byte) (int, error)    { return w.sent.Write(b) }
func (*wire) SetWriteDeadline(time.Time) error { return nil }

// However the frames are cut and fragmented, the payload is the same stream, and pings are answered.
func TestFramesInAnyPieces(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var raw []byte
		var want, pings string
		for range rapid.IntRange(0, 10).Draw(t, "messages") {
			text := rapid.StringN(0, 300, 700).Draw(t, "payload")
			want += text
			cut := rapid.IntRange(0, len(text)).Draw(t, "fragment")
			raw = append(raw, serverFrame(ws.OpBinary, false, text[:cut])...)
			if rapid.Bool().Draw(t, "ping") {
				raw = append(raw, serverFrame(ws.OpPing, true, "p")...)
				pings += "p"
			}
			raw = append(raw, serverFrame(ws.OpPong, true, "")...)
			raw = append(raw, serverFrame(ws.OpContinuation, true, text[cut:])...)
		}
		raw = append(raw, serverFrame(ws.OpClose, true, "")...)
		w := &wire{}
		for len(raw) > 0 {
			n := rapid.IntRange(1, len(raw)).Draw(t, "piece")
			w.pieces, raw = append(w.pieces, raw[:n]), raw[n:]
		}
		c := &Conn{socket: w, frames: &frames{}}
		var (
			got []byte
			err error
		)
		for err == nil {
			err = c.fill()
			got = append(got, c.in...)
			c.at = len(c.in)
		}
		if !errors.Is(err, io.EOF) || string(got) != want {
			t.Fatalf("got %q, not %q: %v", got, want, err)
		}
		for range pings {
			f, err := readFrame(&w.sent)
			if f = ws.UnmaskFrame(f); err != nil || f.Header.OpCode != ws.OpPong || string(f.Payload) != "p" {
				t.Fatalf("answer to a ping: %+v, %v", f, err)
			}
		}
		if w.sent.Len() > 0 {
			t.Fatalf("%d bytes too many were sent", w.sent.Len())
		}
	})
}

func FuzzFrames(f *testing.F) {
	f.Add(serverFrame(ws.OpBinary, true, "x"))
	f.Add(serverFrame(ws.OpText, true, "x"))
	f.Add([]byte{0x82, 0x7f, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, raw []byte) {
		c := &Conn{socket: &wire{pieces: [][]byte{raw}}, frames: &frames{}}
		var err error
		for n := 0; err == nil; n++ {
			err = c.fill()
			c.at = len(c.in)
			if n > len(raw) {
				t.Fatal("no end")
			}
		}
	})
}

func TestOurFramesAreMasked(t *testing.T) {
	t.Parallel()
	for _, n := range []int{0, 1, 125, 126, 70_000} {
		payload := bytes.Repeat([]byte{'a'}, n)
		f, err := readFrame(bytes.NewReader(frame(payload)))
		if err != nil || !f.Header.Masked || !f.Header.Fin || f.Header.OpCode != ws.OpBinary || !bytes.Equal(ws.UnmaskFrame(f).Payload, payload) {
			t.Errorf("%d bytes: %+v, %v", n, f.Header, err)
		}
	}
}
