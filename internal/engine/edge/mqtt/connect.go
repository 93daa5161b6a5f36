package mqtt

import "bytes"

// Connect is the CONNECT packet.
type Connect struct {
	Version    Version
	CleanStart bool // Clean Session at MQTT 3.1.1
	// KeepAlive in seconds; 0: none.
	KeepAlive  uint16
	ClientID   []byte
	Properties Properties

	HasUsername, HasPassword bool
	Username, Password       []byte

	// HasWill says that the fields below are used.
	HasWill        bool
	WillQoS        byte
	WillRetain     bool
	WillTopic      []byte
	WillPayload    []byte
	WillProperties Properties
}

const (
	connectReserved = 1 << 0
	connectClean    = 1 << 1
	connectWill     = 1 << 2
	connectRetain   = 1 << 5
	connectPassword = 1 << 6
	connectUsername = 1 << 7
)

// ParseConnect reads the body of a CONNECT. With an error of code UnsupportedProtocolVersion, Version is the version
// to answer in.
func ParseConnect(body []byte) (Connect, error) {
	p := Connect{Version: V311}
	in := cursor{b: body}
	name, level := in.string(), Version(in.byte())
	switch {
	case in.err != nil:
		return p, in.err
	case !bytes.Equal(name, []byte("MQTT")) || (level != V311 && level != V5):
		if level > V5 {
			p.Version = V5
		}
		return p, errProtocolName
	}
	p.Version = level
	flags := in.byte()
	p.KeepAlive = in.uint16()
	if err := p.setFlags(flags); err != nil && in.err == nil {
		return p, err
	}
	if p.Version == V5 {
		p.Properties = in.properties(CONNECT)
	}
	p.ClientID = in.string()
	if p.HasWill {
		if p.Version == V5 {
			p.WillProperties = in.properties(will)
		}
		p.WillTopic = in.string()
		p.WillPayload = in.binary()
		if in.err == nil && !validTopic(p.WillTopic) {
			in.fail(errTopic)
		}
	}
	if p.HasUsername {
		p.Username = in.string()
	}
	if p.HasPassword {
		p.Password = in.binary()
	}
	return p, in.end()
}

func (p *Connect) setFlags(flags byte) error {
	p.CleanStart = flags&connectClean != 0
	p.HasWill = flags&connectWill != 0
	p.WillQoS = flags >> 3 & 3
	p.WillRetain = flags&connectRetain != 0
	p.HasPassword = flags&connectPassword != 0
	p.HasUsername = flags&connectUsername != 0
	switch {
	case flags&connectReserved != 0,
		p.WillQoS == 3,
		!p.HasWill && (p.WillQoS != 0 || p.WillRetain),
		p.Version == V311 && p.HasPassword && !p.HasUsername:
		return errConnectFlags
	}
	return nil
}

func (p *Connect) flags() (flags byte) {
	if p.CleanStart {
		flags |= connectClean
	}
	if p.HasWill {
		flags |= connectWill | p.WillQoS&3<<3
		if p.WillRetain {
			flags |= connectRetain
		}
	}
	if p.HasPassword {
		flags |= connectPassword
	}
	if p.HasUsername {
		flags |= connectUsername
	}
	return flags
}

// Append writes the packet.
func (p *Connect) Append(dst []byte) []byte {
	size := connectVariableMinLen + p.Properties.size(p.Version) + stringLen(p.ClientID)
	if p.HasWill {
		size += p.WillProperties.size(p.Version) + stringLen(p.WillTopic) + stringLen(p.WillPayload)
	}
	if p.HasUsername {
		size += stringLen(p.Username)
	}
	if p.HasPassword {
		size += stringLen(p.Password)
	}
	dst = appendHeader(dst, CONNECT, 0, size)
	dst = appendString(dst, "MQTT")
	dst = append(dst, byte(p.Version), p.flags())
	dst = appendUint16(dst, p.KeepAlive)
	dst = p.Properties.append(dst, p.Version)
	dst = appendString(dst, p.ClientID)
	if p.HasWill {
		dst = p.WillProperties.append(dst, p.Version)
		dst = appendString(dst, p.WillTopic)
		dst = appendString(dst, p.WillPayload)
	}
	if p.HasUsername {
		dst = appendString(dst, p.Username)
	}
	if p.HasPassword {
		dst = appendString(dst, p.Password)
	}
	return dst
}

// Connack is the CONNACK packet. Code is a reason code of MQTT 5.0 in both versions when written; at MQTT 3.1.1 the
// closest return code goes out, and what came in is a return code.
type Connack struct {
	SessionPresent bool
	Code           Code
	Properties     Properties
}

// ParseConnack reads the body of a CONNACK.
func ParseConnack(v Version, body []byte) (Connack, error) {
	var p Connack
	in := cursor{b: body}
	flags := in.byte()
	p.SessionPresent = flags == 1
	p.Code = Code(in.byte())
	switch {
	case in.err != nil:
	case flags > 1:
		in.fail(errFlags)
	case p.SessionPresent && p.Code != Success:
		in.fail(errPresent)
	case v == V5:
		p.Properties = in.properties(CONNACK)
	case byte(p.Code) > maxConnectReturnCode:
		in.fail(errReturnCode)
	}
	return p, in.end()
}

// Append writes the packet.
func (p *Connack) Append(dst []byte, v Version) []byte {
	var present byte
	if p.SessionPresent {
		present = 1
	}
	code := byte(p.Code)
	if v != V5 {
		code = p.Code.ConnectCode()
	}
	dst = appendHeader(dst, CONNACK, 0, 2+p.Properties.size(v))
	dst = append(dst, present, code)
	return p.Properties.append(dst, v)
}
