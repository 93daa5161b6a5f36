package borealis

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// MQTT 5 as far as a device needs it: CONNECT and what answers it, PUBLISH and PUBACK at QoS 0 and 1, PINGREQ and
// DISCONNECT.

const (
	typeConnect    = 1
	typeConnack    = 2
	typePublish    = 3
	typePuback     = 4
	typePingreq    = 12
	typePingresp   = 13
	typeDisconnect = 14

	codeIdentifierInvalid = 0x85
	codeBadCredentials    = 0x86
	codeNotAuthorized     = 0x87
	codeTakenOver         = 0x8E
	codeQuota             = 0x97
	codeInvalidPayload    = 0x99
	codeUseAnotherServer  = 0x9C
	codeServerMoved       = 0x9D

	propSessionExpiry    = 0x11
	propServerKeepAlive  = 0x13
	propServerReference  = 0x1C
	propReasonString     = 0x1F
	propReceiveMaximum   = 0x21
	propUser             = 0x26
	propMaximumPacket    = 0x27
	maxPacket            = 256 << 10 // bytes of a packet from the server
	receiveMaximum       = 32
	noExpiry             = 0xFFFFFFFF
	serverTimeProperty   = "server_time"
	topicPush            = "push"
	topicEvents          = "up/events"
	topicProfile         = "up/profile"
	topicTokens          = "up/tokens"
	flagCredentials      = 0xC0
	flagQoS1             = 0x02
	longestLengthInBytes = 4
)

var errMalformed = errors.New("malformed MQTT packet")

type packet struct {
	kind, flags byte
	body        []byte
}

// readPacket reads one packet.
func readPacket(r *bufio.Reader) (packet, error) {
	first, err := r.ReadByte()
	if err != nil {
		return packet{}, err
	}
	size := 0
	for i := range longestLengthInBytes {
		b, err := r.ReadByte()
		if err != nil {
			return packet{}, unexpected(err)
		}
		size |= int(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			break
		}
		if i == longestLengthInBytes-1 {
			return packet{}, errMalformed
		}
	}
	if size > maxPacket {
		return packet{}, fmt.Errorf("%w: %d bytes", errMalformed, size)
	}
	p := packet{kind: first >> 4, flags: first & 0x0f, body: make([]byte, size)}
	if _, err := io.ReadFull(r, p.body); err != nil {
		return packet{}, unexpected(err)
	}
	return p, nil
}

func unexpected(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

func appendPacket(dst []byte, first byte, body []byte) []byte {
	return append(appendVarint(append(dst, first), len(body)), body...)
}

func appendVarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst = append(dst, byte(n)|0x80)
		n >>= 7
	}
	return append(dst, byte(n))
}

func appendText(dst []byte, s string) []byte {
	return append(binary.BigEndian.AppendUint16(dst, uint16(len(s))), s...)
}

// connectPacket asks for a connection; keepAlive in seconds.
func connectPacket(clientID, user, password string, keepAlive int) []byte {
	props := binary.BigEndian.AppendUint32([]byte{propSessionExpiry}, noExpiry)
	props = binary.BigEndian.AppendUint16(append(props, propReceiveMaximum), receiveMaximum)
	props = binary.BigEndian.AppendUint32(append(props, propMaximumPacket), maxPacket)
	body := append(appendText(nil, "MQTT"), 5, flagCredentials)
	body = binary.BigEndian.AppendUint16(body, uint16(keepAlive))
	body = append(appendVarint(body, len(props)), props...)
	for _, s := range [...]string{clientID, user, password} {
		body = appendText(body, s)
	}
	return appendPacket(nil, typeConnect<<4, body)
}

func publishPacket(topic string, id uint16, payload []byte) []byte {
	body := binary.BigEndian.AppendUint16(appendText(nil, topic), id)
	return appendPacket(nil, typePublish<<4|flagQoS1, append(append(body, 0), payload...))
}

func pubackPacket(id uint16) []byte {
	return appendPacket(nil, typePuback<<4, binary.BigEndian.AppendUint16(nil, id))
}

func pingPacket() []byte { return []byte{typePingreq << 4, 0} }

func disconnectPacket() []byte { return []byte{typeDisconnect << 4, 0} }

// fields reads the fields of a packet's body; after the first that is not there, broken is set and all are zero.
type fields struct {
	data   []byte
	broken bool
}

func (f *fields) take(n int) []byte {
	if f.broken || n > len(f.data) {
		f.broken = true
		return make([]byte, min(n, longestLengthInBytes))
	}
	out := f.data[:n]
	f.data = f.data[n:]
	return out
}

func (f *fields) byte() byte     { return f.take(1)[0] }
func (f *fields) uint16() uint16 { return binary.BigEndian.Uint16(f.take(2)) }

func (f *fields) text() string {
	n := int(f.uint16())
	if b := f.take(n); !f.broken {
		return string(b)
	}
	return ""
}

func (f *fields) varint() int {
	n := 0
	for i := range longestLengthInBytes {
		b := f.byte()
		n |= int(b&0x7f) << (7 * i)
		if b&0x80 == 0 {
			return n
		}
	}
	f.broken = true
	return 0
}

// properties are those a device looks at.
type properties struct {
	keepAlive         int // seconds, -1 if not given
	reference, reason string
	user              map[string]string
}

func (f *fields) properties() properties {
	p := properties{keepAlive: -1}
	if len(f.data) == 0 { // packets may end before them
		return p
	}
	n := f.varint()
	if n > len(f.data) {
		f.broken = true
	}
	if f.broken {
		return p
	}
	in := fields{data: f.take(n)}
	for len(in.data) > 0 && !in.broken {
		switch id := in.byte(); id {
		case propServerKeepAlive:
			p.keepAlive = int(in.uint16())
		case propServerReference:
			p.reference = in.text()
		case propReasonString:
			p.reason = in.text()
		case propUser:
			name, value := in.text(), in.text()
			if p.user == nil {
				p.user = map[string]string{}
			}
			p.user[name] = value
		case 0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A: // one byte
			in.take(1)
		case 0x21, 0x22, 0x23: // two bytes
			in.take(2)
		case 0x02, propSessionExpiry, 0x18, propMaximumPacket: // four bytes
			in.take(4)
		case 0x0B:
			in.varint()
		case 0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A: // text or bytes
			in.text()
		default:
			in.broken = true
		}
	}
	f.broken = f.broken || in.broken
	return p
}

// answered is a CONNACK, a PUBACK or a DISCONNECT.
type answered struct {
	properties
	id   uint16 // of a PUBACK
	code int
}

func (p packet) answer() (answered, error) {
	f := fields{data: p.body}
	a := answered{properties: properties{keepAlive: -1}}
	switch p.kind {
	case typeConnack:
		f.byte() // session present
		a.code = int(f.byte())
	case typePuback:
		a.id = f.uint16()
		fallthrough
	default:
		if len(f.data) > 0 {
			a.code = int(f.byte())
		}
	}
	a.properties = f.properties()
	if f.broken {
		return a, errMalformed
	}
	return a, nil
}

// published is a PUBLISH.
type published struct {
	topic   string
	id      uint16 // 0 at QoS 0
	payload []byte
}

func (p packet) published() (published, error) {
	f := fields{data: p.body}
	out := published{topic: f.text()}
	switch p.flags >> 1 & 3 {
	case 0:
	case 1:
		if out.id = f.uint16(); out.id == 0 {
			return out, errMalformed
		}
	default:
		return out, errMalformed // never asked for
	}
	if len(f.data) == 0 {
		return out, errMalformed
	}
	f.properties()
	out.payload = f.data
	if f.broken {
		return out, errMalformed
	}
	return out, nil
}
