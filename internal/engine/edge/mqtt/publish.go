package mqtt

import (
	"bytes"
	"encoding/binary"
)

// Publish is the PUBLISH packet.
type Publish struct {
	Dup, Retain bool
	// QoS 0 to 2.
	QoS byte
	// PacketID is 0 at QoS 0.
	PacketID uint16
	// Topic may be empty only with a topic alias.
	Topic      []byte
	Properties Properties
	Payload    []byte
}

// ParsePublish reads a PUBLISH; flags are those of its fixed header, as Next has checked them.
func ParsePublish(v Version, flags byte, body []byte) (Publish, error) {
	p := Publish{Dup: flags&8 != 0, QoS: flags >> 1 & 3, Retain: flags&1 != 0}
	in := cursor{b: body}
	p.Topic = in.string()
	if p.QoS > 0 {
		p.PacketID = in.packetID()
	}
	if v == V5 {
		p.Properties = in.properties(PUBLISH)
	}
	if in.err != nil {
		return p, in.err
	}
	if !validTopic(p.Topic) {
		_, alias := p.Properties.Uint(TopicAlias)
		if !alias || len(p.Topic) > 0 {
			return p, errTopic
		}
	}
	p.Payload = in.b
	return p, nil
}

func validTopic(topic []byte) bool {
	return len(topic) > 0 && !bytes.ContainsAny(topic, "+#")
}

// Append writes the packet.
func (p *Publish) Append(dst []byte, v Version) []byte {
	return append(p.AppendHead(dst, v), p.Payload...)
}

// AppendHead writes the packet up to its payload, which the caller appends itself; its length is already counted.
func (p *Publish) AppendHead(dst []byte, v Version) []byte {
	flags := p.QoS & 3 << 1
	if p.Dup {
		flags |= 8
	}
	if p.Retain {
		flags |= 1
	}
	size := stringLen(p.Topic) + p.Properties.size(v) + len(p.Payload)
	if p.QoS > 0 {
		size += 2
	}
	dst = appendHeader(dst, PUBLISH, flags, size)
	dst = appendString(dst, p.Topic)
	if p.QoS > 0 {
		dst = appendUint16(dst, p.PacketID)
	}
	return p.Properties.append(dst, v)
}

// PacketIDOffset is where the packet identifier stands in the written form of p (of QoS > 0), so that one written
// packet can be sent to many receivers with only its identifier changed by PutPacketID.
func (p *Publish) PacketIDOffset(v Version) int {
	size := stringLen(p.Topic) + 2 + p.Properties.size(v) + len(p.Payload)
	return 1 + varintLen(size) + stringLen(p.Topic)
}

// PutPacketID overwrites the packet identifier in a written PUBLISH, at its PacketIDOffset.
func PutPacketID(packet []byte, offset int, id uint16) {
	binary.BigEndian.PutUint16(packet[offset:], id)
}

// Puback is the PUBACK packet. MQTT 3.1.1 carries only the packet identifier.
type Puback struct {
	PacketID   uint16
	Code       Code
	Properties Properties
}

// ParsePuback reads the body of a PUBACK.
func ParsePuback(v Version, body []byte) (Puback, error) {
	var p Puback
	in := cursor{b: body}
	p.PacketID = in.packetID()
	if v == V5 && len(in.b) > 0 {
		p.Code = Code(in.byte())
		if len(in.b) > 0 {
			p.Properties = in.properties(PUBACK)
		}
	}
	return p, in.end()
}

// Append writes the packet in its shortest form.
func (p *Puback) Append(dst []byte, v Version) []byte {
	switch {
	case v != V5, p.Code == Success && len(p.Properties) == 0:
		return appendUint16(appendHeader(dst, PUBACK, 0, 2), p.PacketID)
	case len(p.Properties) == 0:
		return append(appendUint16(appendHeader(dst, PUBACK, 0, 3), p.PacketID), byte(p.Code))
	}
	dst = appendHeader(dst, PUBACK, 0, 3+p.Properties.size(v))
	dst = append(appendUint16(dst, p.PacketID), byte(p.Code))
	return p.Properties.append(dst, v)
}
