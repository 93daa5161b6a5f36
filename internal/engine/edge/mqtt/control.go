package mqtt

// Disconnect is the DISCONNECT packet. MQTT 3.1.1 has no fields in it and only clients send it.
type Disconnect struct {
	Code       Code
	Properties Properties
}

// ParseDisconnect reads the body of a DISCONNECT.
func ParseDisconnect(v Version, body []byte) (Disconnect, error) {
	var p Disconnect
	in := cursor{b: body}
	if v == V5 && len(in.b) > 0 {
		p.Code = Code(in.byte())
		if len(in.b) > 0 {
			p.Properties = in.properties(DISCONNECT)
		}
	}
	return p, in.end()
}

// Append writes the packet in its shortest form.
func (p *Disconnect) Append(dst []byte, v Version) []byte {
	switch {
	case v != V5, p.Code == Success && len(p.Properties) == 0:
		return appendHeader(dst, DISCONNECT, 0, 0)
	case len(p.Properties) == 0:
		return append(appendHeader(dst, DISCONNECT, 0, 1), byte(p.Code))
	}
	dst = append(appendHeader(dst, DISCONNECT, 0, 1+p.Properties.size(v)), byte(p.Code))
	return p.Properties.append(dst, v)
}

// ParseEmpty checks the body of a PINGREQ or PINGRESP, which is empty.
func ParseEmpty(body []byte) error {
	if len(body) > 0 {
		return errTrailing
	}
	return nil
}

// AppendPingreq writes a PINGREQ.
func AppendPingreq(dst []byte) []byte { return appendHeader(dst, PINGREQ, 0, 0) }

// AppendPingresp writes a PINGRESP.
func AppendPingresp(dst []byte) []byte { return appendHeader(dst, PINGRESP, 0, 0) }
