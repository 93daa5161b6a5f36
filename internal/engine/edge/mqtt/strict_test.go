package mqtt

import (
	"bytes"
	"errors"
	"slices"
	"testing"
)

// parse reads one packet with the parser of its type.
func parse(v Version, b []byte, limit int) (n int, err error) {
	p, n, err := Next(b, limit)
	if err != nil || n == 0 {
		return n, err
	}
	switch p.Type {
	case CONNECT:
		_, err = ParseConnect(p.Body)
	case CONNACK:
		_, err = ParseConnack(v, p.Body)
	case PUBLISH:
		_, err = ParsePublish(v, p.Flags, p.Body)
	case PUBACK:
		_, err = ParsePuback(v, p.Body)
	case SUBSCRIBE:
		_, err = ParseSubscribe(v, p.Body)
	case SUBACK, UNSUBACK:
		_, err = ParseSuback(v, p.Type, p.Body)
	case UNSUBSCRIBE:
		_, err = ParseUnsubscribe(v, p.Body)
	case DISCONNECT:
		_, err = ParseDisconnect(v, p.Body)
	case PINGREQ, PINGRESP:
		err = ParseEmpty(p.Body)
	}
	return n, err
}

func TestStrictness(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		v      Version
		packet string
		code   Code
	}{
		{"type 0", V5, "\x00\x00", MalformedPacket},
		{"flags of PINGREQ", V5, "\xc4\x00", MalformedPacket},
		{"flags of SUBSCRIBE", V5, "\x80\x08\x00\x01\x00\x00\x02ab\x00", MalformedPacket},
		{"flags of PUBREL", V5, "\x60\x02\x00\x01", MalformedPacket},
		{"QoS 3", V5, "\x36\x00", MalformedPacket},
		{"DUP at QoS 0", V5, "\x38\x04\x00\x01a\x00", MalformedPacket},
		{"length of five bytes", V5, "\xc0\x80\x80\x80\x80\x00", MalformedPacket},
		{"length not minimal", V5, "\xc0\x80\x00", MalformedPacket},
		{"longer than the limit", V5, "\x30\xff\xff\x7f", PacketTooLarge},
		{"PINGREQ with a body", V5, "\xc0\x01\x00", MalformedPacket},

		{"protocol name", V5, "\x10\x0c\x00\x04MQTX\x05\x02\x00\x00\x00\x00", UnsupportedProtocolVersion},
		{"protocol level", V5, "\x10\x0c\x00\x04MQTT\x07\x02\x00\x00\x00\x00", UnsupportedProtocolVersion},
		{"reserved connect flag", V311, "\x10\x0c\x00\x04MQTT\x04\x03\x00\x00\x00\x00", MalformedPacket},
		{"will QoS without will", V311, "\x10\x0c\x00\x04MQTT\x04\x0a\x00\x00\x00\x00", MalformedPacket},
		{"will retain without will", V311, "\x10\x0c\x00\x04MQTT\x04\x22\x00\x00\x00\x00", MalformedPacket},
		{"will QoS 3", V311, "\x10\x12\x00\x04MQTT\x04\x1e\x00\x00\x00\x00\x00\x01a\x00\x01b", MalformedPacket},
		{"will topic with wildcard", V311, "\x10\x12\x00\x04MQTT\x04\x06\x00\x00\x00\x00\x00\x01#\x00\x01b", TopicNameInvalid},
		{"password without user name at 3.1.1", V311, "\x10\x0f\x00\x04MQTT\x04\x42\x00\x00\x00\x00\x00\x01a", MalformedPacket},
		{"CONNECT cut off", V311, "\x10\x0a\x00\x04MQTT\x04\x02\x00\x00", MalformedPacket},
		{"CONNECT with something behind", V311, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x00x", MalformedPacket},
		{"client id not UTF-8", V311, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\xff", MalformedPacket},
		{"client id with U+0000", V311, "\x10\x0d\x00\x04MQTT\x04\x02\x00\x00\x00\x01\x00", MalformedPacket},
		{"client id with a surrogate", V311, "\x10\x0f\x00\x04MQTT\x04\x02\x00\x00\x00\x03\xed\xa0\x80", MalformedPacket},

		{"empty topic", V311, "\x30\x02\x00\x00", TopicNameInvalid},
		{"topic with wildcard", V5, "\x30\x05\x00\x02a+\x00", TopicNameInvalid},
		{"PUBLISH packet id 0", V311, "\x32\x05\x00\x01a\x00\x00", ProtocolError},
		{"PUBACK packet id 0", V311, "\x40\x02\x00\x00", ProtocolError},
		{"PUBACK too long at 3.1.1", V311, "\x40\x03\x00\x01\x00", MalformedPacket},
		{"SUBSCRIBE packet id 0", V311, "\x82\x06\x00\x00\x00\x01a\x00", ProtocolError},
		{"SUBSCRIBE without filter", V311, "\x82\x02\x00\x01", ProtocolError},
		{"empty filter", V311, "\x82\x05\x00\x01\x00\x00\x00", ProtocolError},
		{"subscription QoS 3", V5, "\x82\x07\x00\x01\x00\x00\x01a\x03", MalformedPacket},
		{"reserved subscription bits", V5, "\x82\x07\x00\x01\x00\x00\x01a\x40", MalformedPacket},
		{"reserved subscription bits at 3.1.1", V311, "\x82\x06\x00\x01\x00\x01a\x04", MalformedPacket},
		{"retain handling 3", V5, "\x82\x07\x00\x01\x00\x00\x01a\x30", ProtocolError},
		{"no-local on a shared subscription", V5, "\x82\x10\x00\x01\x00\x00\x0a$share/g/a\x04", ProtocolError},
		{"filter cut off", V5, "\x82\x06\x00\x01\x00\x00\x01a", MalformedPacket},
		{"UNSUBSCRIBE without filter", V5, "\xa2\x03\x00\x01\x00", ProtocolError},
		{"UNSUBSCRIBE with an empty filter", V5, "\xa2\x05\x00\x01\x00\x00\x00", ProtocolError},
		{"SUBACK without code", V5, "\x90\x03\x00\x01\x00", MalformedPacket},
		{"SUBACK code at 3.1.1", V311, "\x90\x03\x00\x01\x03", MalformedPacket},
		{"CONNACK flags", V5, "\x20\x03\x02\x00\x00", MalformedPacket},
		{"CONNACK present and refused", V5, "\x20\x03\x01\x87\x00", ProtocolError},
		{"CONNACK code at 3.1.1", V311, "\x20\x02\x00\x06", MalformedPacket},
		{"DISCONNECT with a body at 3.1.1", V311, "\xe0\x01\x00", MalformedPacket},

		{"unknown property", V5, "\xe0\x04\x00\x02\x7f\x00", MalformedPacket},
		{"property of another packet", V5, "\xe0\x05\x00\x03\x21\x00\x01", MalformedPacket},
		{"property twice", V5, "\xe0\x0c\x00\x0a\x11\x00\x00\x00\x01\x11\x00\x00\x00\x01", ProtocolError},
		{"property cut off", V5, "\xe0\x05\x00\x03\x11\x00\x00", MalformedPacket},
		{"property length beyond the packet", V5, "\xe0\x02\x00\x09", MalformedPacket},
		{"receive maximum 0", V5, "\x10\x10\x00\x04MQTT\x05\x02\x00\x00\x03\x21\x00\x00\x00\x00", ProtocolError},
		{"maximum packet size 0", V5, "\x10\x12\x00\x04MQTT\x05\x02\x00\x00\x05\x27\x00\x00\x00\x00\x00\x00", ProtocolError},
		{"request problem information 2", V5, "\x10\x0f\x00\x04MQTT\x05\x02\x00\x00\x02\x17\x02\x00\x00", ProtocolError},
		{"authentication data without method", V5, "\x10\x11\x00\x04MQTT\x05\x02\x00\x00\x04\x16\x00\x01a\x00\x00", ProtocolError},
		{"topic alias 0", V5, "\x30\x07\x00\x01a\x03\x23\x00\x00", TopicAliasInvalid},
		{"subscription identifier 0", V5, "\x82\x09\x00\x01\x02\x0b\x00\x00\x01a\x00", ProtocolError},
		{"user property not UTF-8", V5, "\xe0\x09\x00\x07\x26\x00\x01\xff\x00\x01b", MalformedPacket},
	} {
		_, err := parse(tt.v, []byte(tt.packet), 1<<20)
		var broken *Error
		if !errors.As(err, &broken) || broken.Code != tt.code {
			t.Errorf("%s: got %v, want %#x", tt.name, err, tt.code)
		}
	}
}

func TestAllowed(t *testing.T) {
	t.Parallel()
	for name, packet := range map[string]string{
		"topic alias instead of a topic":       "\x30\x06\x00\x00\x03\x23\x00\x01",
		"several user properties":              "\xe0\x10\x00\x0e\x26\x00\x01a\x00\x01b\x26\x00\x01a\x00\x01b",
		"several subscription ids in PUBLISH":  "\x30\x08\x00\x01a\x04\x0b\x01\x0b\x02",
		"password without user name at MQTT 5": "\x10\x10\x00\x04MQTT\x05\x42\x00\x00\x00\x00\x00\x00\x01a",
		"PUBACK with a code only":              "\x40\x03\x00\x01\x10",
		"empty DISCONNECT":                     "\xe0\x00",
	} {
		if n, err := parse(V5, []byte(packet), 1<<20); err != nil || n != len(packet) {
			t.Errorf("%s: %d %v", name, n, err)
		}
	}
}

// TestIncremental: of a packet that comes byte by byte nothing is taken before its end, and what follows is left.
func TestIncremental(t *testing.T) {
	t.Parallel()
	p := Publish{QoS: 1, PacketID: 7, Topic: []byte("push"), Payload: bytes.Repeat([]byte("x"), 200)}
	packet := p.Append(nil, V5)
	for i := range packet {
		if _, n, err := Next(packet[:i], len(packet)); n != 0 || err != nil {
			t.Fatalf("%d bytes: took %d, %v", i, n, err)
		}
	}
	got, n, err := Next(append(slices.Clone(packet), "rest"...), len(packet))
	if n != len(packet) || err != nil || cap(got.Body) != len(got.Body) {
		t.Fatalf("took %d of %d, %v", n, len(packet), err)
	}
	if _, _, err := Next(packet[:3], len(packet)-1); err == nil {
		t.Fatal("a packet one byte larger than the limit was accepted")
	}
}

func TestParsingDoesNotAllocate(t *testing.T) {
	id := uint16(1)
	p := Publish{QoS: 1, PacketID: id, Topic: []byte("push"), Payload: make([]byte, 256), Properties: Properties(nil).WithUint(MessageExpiry, 60)}
	ack := Puback{PacketID: id}
	stream := ack.Append(p.Append(nil, V5), V5)
	buf := make([]byte, 0, 64)
	allocs := testing.AllocsPerRun(100, func() {
		rest := stream
		for len(rest) > 0 {
			n, err := parse(V5, rest, 1<<20)
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		buf = ack.Append(buf[:0], V5)
	})
	if allocs != 0 {
		t.Fatalf("%v allocations per message", allocs)
	}
}

func TestConnectCodes(t *testing.T) {
	t.Parallel()
	for code, want := range map[Code]byte{
		Success: 0, UnsupportedProtocolVersion: 1, ClientIdentifierNotValid: 2, ServerUnavailable: 3, QuotaExceeded: 3,
		BadUserNameOrPassword: 4, NotAuthorized: 5,
	} {
		if got := code.ConnectCode(); got != want {
			t.Errorf("%#x: got %d, want %d", code, got, want)
		}
	}
}

// FuzzParse: no input makes a parser panic, and whatever is accepted in properties can be read back.
func FuzzParse(f *testing.F) {
	connect := Connect{
		Version: V5, ClientID: []byte("a"), HasUsername: true, Username: []byte("u"), HasPassword: true, Password: []byte("p"),
		HasWill: true, WillTopic: []byte("t"), Properties: Properties(nil).WithUint(ReceiveMaximum, 3).WithUser("a", "b"),
	}
	publish := Publish{QoS: 1, PacketID: 1, Topic: []byte("push"), Payload: []byte("{}")}
	suback := Suback{PacketID: 1, Codes: []byte{1}}
	connack := Connack{Properties: Properties(nil).WithString(ServerReference, "other")}
	for _, seed := range [][]byte{
		connect.Append(nil), publish.Append(nil, V5), publish.Append(nil, V311), suback.Append(nil, V5, SUBACK), connack.Append(nil, V5),
		AppendSubscribe(nil, V5, 1, nil, Filter{Topic: []byte("push"), QoS: 1}), AppendUnsubscribe(nil, V5, 1, nil, "push"),
		AppendPingreq(nil), {0xe0, 0x02, 0x8e, 0x00}, {0x40, 0x02, 0x00, 0x01},
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		for _, v := range []Version{V311, V5} {
			rest := data
			for {
				n, err := parse(v, rest, 1<<16)
				if n > len(rest) || n < 0 {
					t.Fatalf("took %d of %d bytes", n, len(rest))
				}
				if n == 0 || err != nil {
					break
				}
				rest = rest[n:]
			}
		}
		if p, err := ParseConnect(data); err == nil {
			again, err := ParseConnect(cutBody(t, p.Append(nil)))
			if err != nil || !bytes.Equal(again.ClientID, p.ClientID) || !bytes.Equal(again.Properties, p.Properties) {
				t.Fatalf("not the same after writing: %+v, %+v, %v", p, again, err)
			}
		}
	})
}

func cutBody(t *testing.T, packet []byte) []byte {
	t.Helper()
	p, n, err := Next(packet, len(packet))
	if err != nil || n != len(packet) {
		t.Fatalf("took %d of %d bytes: %v", n, len(packet), err)
	}
	return p.Body
}
