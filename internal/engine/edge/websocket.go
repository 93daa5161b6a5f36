package edge

import (
	"encoding/binary"

	"github.com/gobwas/ws"
)

// WebSocket (RFC 6455) as far as MQTT needs it: binary messages in any fragmentation, whose bytes are one stream;
// ping, pong and close. No extensions.

const (
	opContinuation = 0x0
	opBinary       = 0x2
	opClose        = 0x8
	opPing         = 0x9
	opPong         = 0xA
	finBit         = 0x80
	maskBit        = 0x80
	maxControl     = 125
	// maxClientHeader is the longest header of a client's frame: two bytes, eight of length, four of mask.
	maxClientHeader = 14
	// maxServerHeader is the longest this server writes, for frames below 4 GiB.
	maxServerHeader = 10

	closeNormal   = 1000
	closeProtocol = 1002
	closeKind     = 1003
)

// webSocket is the state of the frame decoder of one connection.
type webSocket struct {
	header    [maxClientHeader]byte
	have      uint8 // bytes of header
	op        byte  // of the frame being read
	inMessage bool  // a fragmented message has begun
	mask      [4]byte
	at        uint8  // position in mask
	remaining uint64 // payload bytes of the frame still to come; meaningful while reading
	reading   bool   // header complete
	control   []byte // payload of the control frame being read
	closing   uint16 // status to close with; 0: normal
}

// inputSocket takes bytes of a session as they come from its socket. data may be changed.
func (l *loop) inputSocket(s *session, data []byte) {
	l.counts.bytesIn += uint64(len(data))
	if s.ws == nil {
		l.input(s, data)
		return
	}
	for s.state < lingering {
		var more bool
		if data, more = l.inputFrame(s, data); !more {
			return
		}
	}
}

// inputFrame reads one frame or the part of it that is there; more: there is something left to do with rest.
func (l *loop) inputFrame(s *session, data []byte) (rest []byte, more bool) {
	w := s.ws
	if !w.reading {
		for !w.reading {
			if len(data) == 0 {
				return nil, false
			}
			w.header[w.have] = data[0]
			w.have++
			data = data[1:]
			if !w.parseHeader() {
				l.failSocket(s, closeProtocol)
				return nil, false
			}
		}
		if w.op != opContinuation && w.op != opBinary && w.op < opClose {
			l.failSocket(s, closeKind) // text
			return nil, false
		}
	}
	n := int(min(uint64(len(data)), w.remaining))
	chunk := data[:n:n]
	ws.Cipher(chunk, w.mask, int(w.at))
	w.at = uint8((int(w.at) + n) % 4)
	w.remaining -= uint64(n)
	if w.remaining == 0 {
		w.reading, w.have = false, 0
	}
	if w.op >= opClose {
		w.control = append(w.control, chunk...)
		if !w.reading {
			l.controlFrame(s)
		}
	} else if n > 0 {
		l.input(s, chunk)
	}
	return data[n:], len(data) > n
}

// parseHeader looks at the header bytes there are; false: they are not allowed. reading tells that it is complete.
func (w *webSocket) parseHeader() bool {
	h := w.header[:w.have]
	if len(h) < 2 {
		return true
	}
	op, fin := h[0]&0x0f, h[0]&finBit != 0
	length := uint64(h[1] &^ maskBit)
	control := op >= opClose
	switch {
	case h[0]&0x70 != 0, // extension bits
		h[1]&maskBit == 0, // clients must mask
		op > opPong, op > opBinary && op < opClose,
		control && (!fin || length > maxControl),
		op == opContinuation && !w.inMessage,
		!control && op != opContinuation && w.inMessage:
		return false
	}
	width := 0
	switch length {
	case 126:
		width = 2
	case 127:
		width = 8
	}
	if len(h) < 2+width+4 {
		return true
	}
	switch width {
	case 2:
		length = uint64(binary.BigEndian.Uint16(h[2:]))
	case 8:
		length = binary.BigEndian.Uint64(h[2:])
		if length > 1<<63-1 {
			return false
		}
	}
	w.op, w.remaining, w.reading, w.at = op, length, true, 0
	copy(w.mask[:], h[2+width:])
	if !control {
		w.inMessage = !fin
	}
	return true
}

// controlFrame answers a complete ping or close.
func (l *loop) controlFrame(s *session) {
	w := s.ws
	payload := w.control
	w.control = nil
	switch w.op {
	case opPing:
		if s.state == online {
			s.heard = l.tick
		}
		l.sendRaw(s, append(appendFrameHeader(nil, opPong, len(payload)), payload...))
	case opClose:
		l.failSocket(s, closeNormal)
	}
}

// failSocket closes a connection on the WebSocket level.
func (l *loop) failSocket(s *session, status uint16) {
	if s.state >= lingering {
		return
	}
	why := endProtocol
	if status == closeNormal {
		why = endPeer
	}
	l.counts.disconnects[why]++
	s.ws.closing = status
	l.part(s, nil)
}

// closeFrame is the close frame to end with.
func (w *webSocket) closeFrame() []byte {
	status := w.closing
	if status == 0 {
		status = closeNormal
	}
	return binary.BigEndian.AppendUint16(appendFrameHeader(nil, opClose, 2), status)
}

// appendFrameHeader writes the header of an unfragmented frame of the server.
func appendFrameHeader(dst []byte, op byte, length int) []byte {
	dst = append(dst, finBit|op)
	switch {
	case length <= maxControl:
		return append(dst, byte(length))
	case length < 1<<16:
		return binary.BigEndian.AppendUint16(append(dst, 126), uint16(length))
	}
	return binary.BigEndian.AppendUint64(append(dst, 127), uint64(length))
}

// putFrameHeader puts the header in front of the payload that follows maxServerHeader free bytes in buf, and returns
// the frame.
func putFrameHeader(buf []byte, op byte) []byte {
	var header [maxServerHeader]byte
	h := appendFrameHeader(header[:0], op, len(buf)-maxServerHeader)
	frame := buf[maxServerHeader-len(h):]
	copy(frame, h)
	return frame
}
