package mqtt

import "encoding/binary"

// Version is the protocol level of CONNECT.
type Version byte

// Supported protocol versions.
const (
	V311 Version = 4
	V5   Version = 5
)

// Type is the control packet type.
type Type byte

// Control packet types.
const (
	CONNECT Type = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH
)

// Packet is one control packet as Next cuts it off: the fixed header taken apart, the rest not yet read.
type Packet struct {
	Type Type
	// Flags are the low four bits of the first byte.
	Flags byte
	// Body is everything after the fixed header; it aliases the input.
	Body []byte
}

// Next cuts the first packet off buf and returns how many bytes it took; 0 and no error mean that buf does not hold a
// whole packet yet. A packet longer than limit bytes, fixed header included, is refused as soon as its length is known.
func Next(buf []byte, limit int) (p Packet, n int, err error) {
	if len(buf) == 0 {
		return p, 0, nil
	}
	p.Type, p.Flags = Type(buf[0]>>4), buf[0]&0x0f
	if err := checkFlags(p.Type, p.Flags); err != nil {
		return p, 0, err
	}
	remaining, width, err := varint(buf[1:])
	if err != nil || width == 0 {
		return p, 0, err
	}
	total := 1 + width + int(remaining)
	switch {
	case total > limit:
		return p, 0, errTooLarge
	case len(buf) < total:
		return p, 0, nil
	}
	p.Body = buf[1+width : total : total]
	return p, total, nil
}

func checkFlags(t Type, flags byte) error {
	switch t {
	case 0:
		return errType
	case PUBLISH:
		switch qos := flags >> 1 & 3; {
		case qos == 3:
			return errQoS
		case qos == 0 && flags&0x08 != 0:
			return errDup
		}
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		if flags != 2 {
			return errFlags
		}
	default:
		if flags != 0 {
			return errFlags
		}
	}
	return nil
}

// varint reads a variable byte integer; width 0 means that b ends inside it.
func varint(b []byte) (v uint32, width int, err error) {
	for i := range 4 {
		if i >= len(b) {
			return 0, 0, nil
		}
		v |= uint32(b[i]&0x7f) << (7 * i)
		if b[i] < 0x80 {
			if i > 0 && b[i] == 0 {
				return 0, 0, errRemaining // a shorter encoding exists
			}
			return v, i + 1, nil
		}
	}
	return 0, 0, errRemaining
}

func varintLen(v int) int {
	switch {
	case v < 1<<7:
		return 1
	case v < 1<<14:
		return 2
	case v < 1<<21:
		return 3
	}
	return 4
}

func appendVarint(dst []byte, v int) []byte {
	for v >= 0x80 {
		dst = append(dst, byte(v)|0x80)
		v >>= 7
	}
	return append(dst, byte(v))
}

func appendHeader(dst []byte, t Type, flags byte, remaining int) []byte {
	return appendVarint(append(dst, byte(t)<<4|flags), min(remaining, maxRemainingLength))
}

func appendUint16(dst []byte, v uint16) []byte { return binary.BigEndian.AppendUint16(dst, v) }

func appendString[S ~string | ~[]byte](dst []byte, s S) []byte {
	n := min(len(s), maxStringLen)
	return append(appendUint16(dst, uint16(n)), s[:n]...)
}

func stringLen[S ~string | ~[]byte](s S) int { return 2 + min(len(s), maxStringLen) }
