package mqtt

import (
	"encoding/binary"
	"iter"
)

// Property is the identifier of an MQTT 5.0 property.
type Property byte

// Properties of MQTT 5.0, section 2.2.2.2.
const (
	PayloadFormat        Property = 0x01 // byte
	MessageExpiry        Property = 0x02 // seconds
	ContentType          Property = 0x03 // string
	ResponseTopic        Property = 0x08 // string
	CorrelationData      Property = 0x09 // binary
	SubscriptionID       Property = 0x0B // variable byte integer
	SessionExpiry        Property = 0x11 // seconds
	AssignedClientID     Property = 0x12 // string
	ServerKeepAlive      Property = 0x13 // seconds, 16 bits
	AuthMethod           Property = 0x15 // string
	AuthData             Property = 0x16 // binary
	RequestProblemInfo   Property = 0x17 // 0 or 1
	WillDelay            Property = 0x18 // seconds
	RequestResponseInfo  Property = 0x19 // 0 or 1
	ResponseInfo         Property = 0x1A // string
	ServerReference      Property = 0x1C // string
	ReasonString         Property = 0x1F // string
	ReceiveMaximum       Property = 0x21 // 16 bits
	TopicAliasMaximum    Property = 0x22 // 16 bits
	TopicAlias           Property = 0x23 // 16 bits
	MaximumQoS           Property = 0x24 // 0 or 1
	RetainAvailable      Property = 0x25 // 0 or 1
	UserProperty         Property = 0x26 // two strings
	MaximumPacketSize    Property = 0x27 // bytes, 32 bits
	WildcardsAvailable   Property = 0x28 // 0 or 1
	SubIDsAvailable      Property = 0x29 // 0 or 1
	SharedSubsAvailable  Property = 0x2A // 0 or 1
	lastProperty                  = SharedSubsAvailable
	will                 Type     = 0 // where a will's properties stand in the table below
	anywhere             uint16   = 0xffff
	reasonStringAllowed  uint16   = 1<<CONNACK | 1<<PUBACK | 1<<PUBREC | 1<<PUBREL | 1<<PUBCOMP | 1<<SUBACK | 1<<UNSUBACK | 1<<DISCONNECT | 1<<AUTH
	publishOrWill        uint16   = 1<<PUBLISH | 1<<will
	connectOrConnack     uint16   = 1<<CONNECT | 1<<CONNACK
	authenticatedPackets uint16   = connectOrConnack | 1<<AUTH
)

// kind is how a property's value is written.
type kind byte

const (
	unknownKind kind = iota
	boolKind
	uint16Kind
	uint32Kind
	varintKind
	stringKind
	binaryKind
	pairKind
)

// describe gives the kind of a property and the packets it may appear in, as bits 1<<Type.
func (p Property) describe() (kind, uint16) {
	switch p {
	case PayloadFormat:
		return boolKind, publishOrWill
	case MessageExpiry:
		return uint32Kind, publishOrWill
	case ContentType, ResponseTopic:
		return stringKind, publishOrWill
	case CorrelationData:
		return binaryKind, publishOrWill
	case SubscriptionID:
		return varintKind, 1<<PUBLISH | 1<<SUBSCRIBE
	case SessionExpiry:
		return uint32Kind, connectOrConnack | 1<<DISCONNECT
	case AssignedClientID, ResponseInfo:
		return stringKind, 1 << CONNACK
	case ServerKeepAlive:
		return uint16Kind, 1 << CONNACK
	case AuthMethod:
		return stringKind, authenticatedPackets
	case AuthData:
		return binaryKind, authenticatedPackets
	case RequestProblemInfo, RequestResponseInfo:
		return boolKind, 1 << CONNECT
	case WillDelay:
		return uint32Kind, 1 << will
	case ServerReference:
		return stringKind, 1<<CONNACK | 1<<DISCONNECT
	case ReasonString:
		return stringKind, reasonStringAllowed
	case ReceiveMaximum, TopicAliasMaximum:
		return uint16Kind, connectOrConnack
	case TopicAlias:
		return uint16Kind, 1 << PUBLISH
	case MaximumQoS, RetainAvailable, WildcardsAvailable, SubIDsAvailable, SharedSubsAvailable:
		return boolKind, 1 << CONNACK
	case UserProperty:
		return pairKind, anywhere
	case MaximumPacketSize:
		return uint32Kind, connectOrConnack
	}
	return unknownKind, 0
}

// zeroForbidden reports whether the specification calls the value 0 a protocol error.
func (p Property) zeroForbidden() bool {
	switch p {
	case ReceiveMaximum, MaximumPacketSize, SubscriptionID:
		return true
	}
	return false
}

// Properties is the encoded property list of a packet without its length. A list that came out of a Parse function is
// valid: known properties, allowed in that packet, each at most once except UserProperty (and SubscriptionID in a
// PUBLISH), values in range. The zero value is the empty list.
type Properties []byte

// properties reads the length and the list, and checks it for the given packet type.
func (c *cursor) properties(t Type) Properties {
	raw := c.take(int(c.varint()))
	if c.err != nil || len(raw) == 0 {
		return nil
	}
	if err := checkProperties(raw, t); err != nil {
		c.fail(err)
		return nil
	}
	return raw
}

func checkProperties(raw []byte, t Type) error {
	var seen uint64
	in := cursor{b: raw}
	for len(in.b) > 0 {
		// Identifiers are variable byte integers, but all that exist fit in one byte.
		id := Property(in.byte())
		k, where := id.describe()
		if id > lastProperty || where&(1<<t) == 0 {
			return errProperty
		}
		if seen&(1<<id) != 0 && id != UserProperty && (id != SubscriptionID || t != PUBLISH) {
			return errPropertyTwice
		}
		seen |= 1 << id
		value, _ := in.value(k)
		switch {
		case in.err != nil:
			return in.err
		case k == boolKind && value > 1, value == 0 && id.zeroForbidden():
			return errPropertyValue
		case value == 0 && id == TopicAlias:
			return errTopicAlias
		}
	}
	if seen&(1<<AuthData) != 0 && seen&(1<<AuthMethod) == 0 {
		return errAuthData
	}
	return nil
}

// value reads one value of kind k: number for the numeric kinds, data for strings, binaries and (the first string of)
// pairs.
func (c *cursor) value(k kind) (number uint32, data []byte) {
	switch k {
	case boolKind:
		return uint32(c.byte()), nil
	case uint16Kind:
		return uint32(c.uint16()), nil
	case uint32Kind:
		return c.uint32(), nil
	case varintKind:
		return c.varint(), nil
	case stringKind:
		return 0, c.string()
	case binaryKind:
		return 0, c.binary()
	case pairKind:
		data = c.string()
		c.string()
		return 0, data
	}
	c.fail(errProperty)
	return 0, nil
}

// Uint is the value of a numeric property, and whether it is there.
func (p Properties) Uint(id Property) (uint32, bool) {
	number, _, ok := p.find(id)
	return number, ok
}

// UintOr is the value of a numeric property, or the given default.
func (p Properties) UintOr(id Property, absent uint32) uint32 {
	if number, _, ok := p.find(id); ok {
		return number
	}
	return absent
}

// Bytes is the value of a string or binary property, and whether it is there.
func (p Properties) Bytes(id Property) ([]byte, bool) {
	_, data, ok := p.find(id)
	return data, ok
}

func (p Properties) find(id Property) (number uint32, data []byte, ok bool) {
	in := cursor{b: p}
	for len(in.b) > 0 {
		at := Property(in.byte())
		k, _ := at.describe()
		number, data = in.value(k)
		if in.err != nil {
			return 0, nil, false
		}
		if at == id {
			return number, data, true
		}
	}
	return 0, nil, false
}

// User yields the user properties in order.
func (p Properties) User() iter.Seq2[[]byte, []byte] {
	return func(yield func(name, value []byte) bool) {
		in := cursor{b: p}
		for len(in.b) > 0 {
			at := Property(in.byte())
			if at == UserProperty {
				name, value := in.string(), in.string()
				if in.err != nil || !yield(name, value) {
					return
				}
				continue
			}
			k, _ := at.describe()
			if in.value(k); in.err != nil {
				return
			}
		}
	}
}

// WithUint appends a numeric property.
func (p Properties) WithUint(id Property, v uint32) Properties {
	p = append(p, byte(id))
	switch k, _ := id.describe(); k {
	case uint16Kind:
		return appendUint16(p, uint16(v))
	case uint32Kind:
		return binary.BigEndian.AppendUint32(p, v)
	case varintKind:
		return appendVarint(p, int(min(v, maxRemainingLength)))
	}
	return append(p, byte(v))
}

// WithString appends a string or binary property.
func (p Properties) WithString(id Property, v string) Properties {
	return appendString(append(p, byte(id)), v)
}

// WithUser appends a user property.
func (p Properties) WithUser(name, value string) Properties {
	return appendString(appendString(append(p, byte(UserProperty)), name), value)
}

// size is the length of the list with its length prefix at MQTT 5.0, and 0 at MQTT 3.1.1.
func (p Properties) size(v Version) int {
	if v != V5 {
		return 0
	}
	return varintLen(len(p)) + len(p)
}

func (p Properties) append(dst []byte, v Version) []byte {
	if v != V5 {
		return dst
	}
	return append(appendVarint(dst, len(p)), p...)
}
