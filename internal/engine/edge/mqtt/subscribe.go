package mqtt

import (
	"bytes"
	"iter"
)

// Filter is one topic filter of a SUBSCRIBE.
type Filter struct {
	Topic []byte
	// QoS is the highest the client wants, 0 to 2.
	QoS byte
	// NoLocal, RetainAsPublished and RetainHandling (0 to 2) exist at MQTT 5.0.
	NoLocal           bool
	RetainAsPublished bool
	RetainHandling    byte
}

// Subscribe is the SUBSCRIBE packet as it was received.
type Subscribe struct {
	PacketID   uint16
	Properties Properties
	filters    []byte
}

// ParseSubscribe reads the body of a SUBSCRIBE and checks every filter.
func ParseSubscribe(v Version, body []byte) (Subscribe, error) {
	var p Subscribe
	in := cursor{b: body}
	p.PacketID = in.packetID()
	if v == V5 {
		p.Properties = in.properties(SUBSCRIBE)
	}
	if in.err != nil {
		return p, in.err
	}
	p.filters = in.b
	if len(p.filters) == 0 {
		return p, errNoFilter
	}
	for len(in.b) > 0 {
		if _, err := in.filter(v); err != nil {
			return p, err
		}
	}
	return p, nil
}

func (c *cursor) filter(v Version) (Filter, error) {
	f := Filter{Topic: c.string()}
	options := c.byte()
	f.QoS = options & 3
	switch {
	case c.err != nil:
		return f, c.err
	case len(f.Topic) == 0:
		return f, errFilter
	case f.QoS == 3:
		return f, errQoS
	case v != V5:
		if options > 2 {
			return f, errSubOptions
		}
		return f, nil
	case options&0xC0 != 0:
		return f, errSubOptions
	}
	f.NoLocal, f.RetainAsPublished, f.RetainHandling = options&4 != 0, options&8 != 0, options>>4&3
	switch {
	case f.RetainHandling == 3:
		return f, errRetainHandling
	case f.NoLocal && bytes.HasPrefix(f.Topic, []byte("$share/")):
		return f, errSharedNoLocal
	}
	return f, nil
}

// Filters yields the filters in order. The version must be the one the packet was parsed with.
func (p *Subscribe) Filters(v Version) iter.Seq[Filter] {
	return func(yield func(Filter) bool) {
		in := cursor{b: p.filters}
		for len(in.b) > 0 {
			if f, err := in.filter(v); err != nil || !yield(f) {
				return
			}
		}
	}
}

// AppendSubscribe writes a SUBSCRIBE.
func AppendSubscribe(dst []byte, v Version, id uint16, p Properties, filters ...Filter) []byte {
	size := 2 + p.size(v)
	for _, f := range filters {
		size += stringLen(f.Topic) + 1
	}
	dst = appendUint16(appendHeader(dst, SUBSCRIBE, 2, size), id)
	dst = p.append(dst, v)
	for _, f := range filters {
		options := f.QoS & 3
		if v == V5 {
			if f.NoLocal {
				options |= 4
			}
			if f.RetainAsPublished {
				options |= 8
			}
			options |= f.RetainHandling & 3 << 4
		}
		dst = append(appendString(dst, f.Topic), options)
	}
	return dst
}

// Unsubscribe is the UNSUBSCRIBE packet as it was received.
type Unsubscribe struct {
	PacketID   uint16
	Properties Properties
	topics     []byte
}

// ParseUnsubscribe reads the body of an UNSUBSCRIBE and checks every filter.
func ParseUnsubscribe(v Version, body []byte) (Unsubscribe, error) {
	var p Unsubscribe
	in := cursor{b: body}
	p.PacketID = in.packetID()
	if v == V5 {
		p.Properties = in.properties(UNSUBSCRIBE)
	}
	if in.err != nil {
		return p, in.err
	}
	p.topics = in.b
	if len(p.topics) == 0 {
		return p, errNoFilter
	}
	for len(in.b) > 0 {
		if topic := in.string(); len(topic) == 0 && in.err == nil {
			return p, errFilter
		}
	}
	return p, in.err
}

// Topics yields the filters in order.
func (p *Unsubscribe) Topics() iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		in := cursor{b: p.topics}
		for len(in.b) > 0 {
			if topic := in.string(); in.err != nil || !yield(topic) {
				return
			}
		}
	}
}

// AppendUnsubscribe writes an UNSUBSCRIBE.
func AppendUnsubscribe(dst []byte, v Version, id uint16, p Properties, topics ...string) []byte {
	size := 2 + p.size(v)
	for _, topic := range topics {
		size += stringLen(topic)
	}
	dst = appendUint16(appendHeader(dst, UNSUBSCRIBE, 2, size), id)
	dst = p.append(dst, v)
	for _, topic := range topics {
		dst = appendString(dst, topic)
	}
	return dst
}

// Suback is the SUBACK packet, and with type UNSUBACK the UNSUBACK packet.
type Suback struct {
	PacketID   uint16
	Properties Properties
	// Codes, one for each filter: reason codes at MQTT 5.0, return codes at MQTT 3.1.1. An UNSUBACK has none at
	// MQTT 3.1.1.
	Codes []byte
}

// ParseSuback reads the body of a SUBACK or UNSUBACK.
func ParseSuback(v Version, t Type, body []byte) (Suback, error) {
	var p Suback
	in := cursor{b: body}
	p.PacketID = in.packetID()
	if v == V5 {
		p.Properties = in.properties(t)
	}
	if in.err != nil {
		return p, in.err
	}
	if v != V5 && t == UNSUBACK {
		return p, in.end()
	}
	p.Codes = in.b
	if len(p.Codes) == 0 {
		return p, errNoCodes
	}
	if v != V5 {
		for _, code := range p.Codes {
			if code > 2 && code != SubscribeFailure311 {
				return p, errReturnCode
			}
		}
	}
	return p, nil
}

// Append writes the packet as type t, SUBACK or UNSUBACK.
func (p *Suback) Append(dst []byte, v Version, t Type) []byte {
	codes := p.Codes
	if v != V5 && t == UNSUBACK {
		codes = nil
	}
	dst = appendUint16(appendHeader(dst, t, 0, 2+p.Properties.size(v)+len(codes)), p.PacketID)
	dst = p.Properties.append(dst, v)
	return append(dst, codes...)
}
