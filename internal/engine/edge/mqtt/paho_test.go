package mqtt

import (
	"bytes"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	v5 "github.com/eclipse/paho.golang/packets"
	v3 "github.com/eclipse/paho.mqtt.golang/packets"
	"pgregory.net/rapid"
)

// through lets another implementation read a packet and write it again.
func through(t *rapid.T, v Version, packet []byte) []byte {
	t.Helper()
	var out bytes.Buffer
	if v == V5 {
		p, err := v5.ReadPacket(bytes.NewReader(packet))
		if err != nil {
			t.Fatalf("paho cannot read % x: %v", packet, err)
		}
		if _, err := p.WriteTo(&out); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	p, err := v3.ReadPacket(bytes.NewReader(packet))
	if err != nil {
		t.Fatalf("paho cannot read % x: %v", packet, err)
	}
	if err := p.Write(&out); err != nil {
		t.Fatal(err)
	}
	return out.Bytes()
}

// cut takes the one packet off b.
func cut(t *rapid.T, b []byte, want Type) Packet {
	t.Helper()
	p, n, err := Next(b, len(b))
	if err != nil || n != len(b) || p.Type != want {
		t.Fatalf("% x: type %d, %d of %d bytes, %v", b, p.Type, n, len(b), err)
	}
	return p
}

// content is a property list without its order, which means nothing except among user properties.
func content(p Properties) map[string]string {
	out := map[string]string{}
	for id := range lastProperty + 1 {
		k, _ := id.describe()
		switch k {
		case unknownKind, pairKind:
		case stringKind, binaryKind:
			if v, ok := p.Bytes(id); ok {
				out[fmt.Sprint(id)] = string(v)
			}
		default:
			if v, ok := p.Uint(id); ok {
				out[fmt.Sprint(id)] = fmt.Sprint(v)
			}
		}
	}
	i := 0
	for name, value := range p.User() {
		out[fmt.Sprint("user ", i)] = fmt.Sprintf("%q=%q", name, value)
		i++
	}
	return out
}

func sameProperties(t *rapid.T, got, want Properties) {
	t.Helper()
	if g, w := content(got), content(want); !maps.Equal(g, w) {
		t.Fatalf("properties %v, want %v", g, w)
	}
}

var (
	words = rapid.StringMatching(`[a-zé世 /]{1,12}`)
	bin   = rapid.SliceOfN(rapid.Byte(), 1, 20)
	id    = rapid.Uint16Range(1, 65535)
)

// drawProperties makes a list of some of the properties allowed in the packet.
func drawProperties(t *rapid.T, v Version, where Type) Properties {
	if v != V5 {
		return nil
	}
	var p Properties
	for id := range lastProperty + 1 {
		k, allowed := id.describe()
		if where == will && id != WillDelay && id != UserProperty {
			continue // paho reads the others but does not write them
		}
		if k == unknownKind || allowed&(1<<where) == 0 || !rapid.Bool().Draw(t, "property") {
			continue
		}
		switch k {
		case boolKind:
			p = p.WithUint(id, rapid.Uint32Range(0, 1).Draw(t, "bool"))
		case uint16Kind:
			p = p.WithUint(id, rapid.Uint32Range(1, 65535).Draw(t, "uint16"))
		case uint32Kind:
			p = p.WithUint(id, rapid.Uint32Min(1).Draw(t, "uint32"))
		case varintKind:
			p = p.WithUint(id, rapid.Uint32Range(1, maxRemainingLength).Draw(t, "varint"))
		case stringKind:
			p = p.WithString(id, words.Draw(t, "string"))
		case binaryKind:
			if id != AuthData { // stands only with a method
				p = p.WithString(id, string(bin.Draw(t, "binary")))
			}
		case pairKind:
			for range rapid.IntRange(1, 3).Draw(t, "pairs") {
				p = p.WithUser(words.Draw(t, "name"), words.Draw(t, "value"))
			}
		}
	}
	return p
}

func eachVersion(t *testing.T, check func(*rapid.T, Version)) {
	for _, v := range []Version{V311, V5} {
		t.Run(fmt.Sprint(v), func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) { check(t, v) })
		})
	}
}

func TestConnectThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		want := Connect{
			Version: v, CleanStart: rapid.Bool().Draw(t, "clean"), KeepAlive: rapid.Uint16().Draw(t, "keepalive"),
			ClientID: []byte(words.Draw(t, "client")), Properties: drawProperties(t, v, CONNECT),
		}
		if want.HasUsername = rapid.Bool().Draw(t, "has user"); want.HasUsername {
			want.Username = []byte(words.Draw(t, "user"))
		}
		if want.HasPassword = want.HasUsername && rapid.Bool().Draw(t, "has password"); want.HasPassword {
			want.Password = bin.Draw(t, "password")
		}
		if want.HasWill = rapid.Bool().Draw(t, "has will"); want.HasWill {
			want.WillQoS, want.WillRetain = rapid.ByteRange(0, 2).Draw(t, "will qos"), rapid.Bool().Draw(t, "will retain")
			want.WillTopic, want.WillPayload = []byte(words.Draw(t, "topic")), bin.Draw(t, "payload")
			want.WillProperties = drawProperties(t, v, will)
		}
		got, err := ParseConnect(cut(t, through(t, v, want.Append(nil)), CONNECT).Body)
		if err != nil {
			t.Fatal(err)
		}
		sameProperties(t, got.Properties, want.Properties)
		sameProperties(t, got.WillProperties, want.WillProperties)
		got.Properties, got.WillProperties, want.Properties, want.WillProperties = nil, nil, nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestConnackThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		want := Connack{Properties: drawProperties(t, v, CONNACK)}
		if rapid.Bool().Draw(t, "refused") {
			want.Code = rapid.SampledFrom([]Code{0x86, 0x87, 0x97, 0x88, 0x84, 0x85}).Draw(t, "code")
		} else {
			want.SessionPresent = rapid.Bool().Draw(t, "present")
		}
		got, err := ParseConnack(v, cut(t, through(t, v, want.Append(nil, v)), CONNACK).Body)
		if err != nil {
			t.Fatal(err)
		}
		code := want.Code
		if v == V311 {
			code = Code(want.Code.ConnectCode())
		}
		if got.Code != code || got.SessionPresent != want.SessionPresent {
			t.Fatalf("got %+v, want %+v", got, want)
		}
		sameProperties(t, got.Properties, want.Properties)
	})
}

func TestPublishThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		want := Publish{
			Retain: rapid.Bool().Draw(t, "retain"), QoS: rapid.ByteRange(0, 2).Draw(t, "qos"),
			Topic: []byte(words.Draw(t, "topic")), Payload: rapid.SliceOfN(rapid.Byte(), 0, 20_000).Draw(t, "payload"),
			Properties: drawProperties(t, v, PUBLISH),
		}
		if want.QoS > 0 {
			want.Dup, want.PacketID = rapid.Bool().Draw(t, "dup"), 1
		}
		packet := want.Append(nil, v)
		if want.QoS > 0 {
			want.PacketID = id.Draw(t, "id")
			PutPacketID(packet, want.PacketIDOffset(v), want.PacketID)
		}
		p := cut(t, through(t, v, packet), PUBLISH)
		got, err := ParsePublish(v, p.Flags, p.Body)
		if err != nil {
			t.Fatal(err)
		}
		sameProperties(t, got.Properties, want.Properties)
		got.Properties, want.Properties = nil, nil
		if !bytes.Equal(got.Payload, want.Payload) {
			t.Fatal("another payload")
		}
		got.Payload, want.Payload = nil, nil
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}

func TestPubackThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		want := Puback{PacketID: id.Draw(t, "id")}
		if v == V5 {
			want.Code = rapid.SampledFrom([]Code{0, 0x10, 0x87, 0x97, 0x99}).Draw(t, "code")
			want.Properties = drawProperties(t, v, PUBACK)
		}
		got, err := ParsePuback(v, cut(t, through(t, v, want.Append(nil, v)), PUBACK).Body)
		if err != nil || got.PacketID != want.PacketID || got.Code != want.Code {
			t.Fatalf("got %+v %v, want %+v", got, err, want)
		}
		sameProperties(t, got.Properties, want.Properties)
	})
}

func TestSubscribeThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		packetID, properties := id.Draw(t, "id"), drawProperties(t, v, SUBSCRIBE)
		var want []Filter
		for range rapid.IntRange(1, 4).Draw(t, "filters") {
			f := Filter{Topic: []byte(words.Draw(t, "filter")), QoS: rapid.ByteRange(0, 2).Draw(t, "qos")}
			if v == V5 {
				f.NoLocal, f.RetainAsPublished = rapid.Bool().Draw(t, "no local"), rapid.Bool().Draw(t, "as published")
				f.RetainHandling = rapid.ByteRange(0, 2).Draw(t, "handling")
			}
			want = append(want, f)
		}
		got, err := ParseSubscribe(v, cut(t, through(t, v, AppendSubscribe(nil, v, packetID, properties, want...)), SUBSCRIBE).Body)
		if err != nil || got.PacketID != packetID {
			t.Fatalf("%+v %v", got, err)
		}
		sameProperties(t, got.Properties, properties)
		if filters := slices.Collect(got.Filters(v)); !reflect.DeepEqual(filters, want) {
			t.Fatalf("got %+v, want %+v", filters, want)
		}
	})
}

func TestSubackThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		for _, kind := range []Type{SUBACK, UNSUBACK} {
			want := Suback{PacketID: id.Draw(t, "id"), Properties: drawProperties(t, v, kind)}
			if v == V5 || kind == SUBACK {
				codes := []byte{0, 1, 2, 0x80}
				if v == V5 {
					codes = append(codes, 0x87)
				}
				want.Codes = rapid.SliceOfN(rapid.SampledFrom(codes), 1, 5).Draw(t, "codes")
			}
			got, err := ParseSuback(v, kind, cut(t, through(t, v, want.Append(nil, v, kind)), kind).Body)
			if err != nil || got.PacketID != want.PacketID || !bytes.Equal(got.Codes, want.Codes) {
				t.Fatalf("got %+v %v, want %+v", got, err, want)
			}
			sameProperties(t, got.Properties, want.Properties)
		}
	})
}

func TestUnsubscribeThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		packetID, properties := id.Draw(t, "id"), drawProperties(t, v, UNSUBSCRIBE)
		want := rapid.SliceOfN(words, 1, 4).Draw(t, "topics")
		got, err := ParseUnsubscribe(v, cut(t, through(t, v, AppendUnsubscribe(nil, v, packetID, properties, want...)), UNSUBSCRIBE).Body)
		if err != nil || got.PacketID != packetID {
			t.Fatalf("%+v %v", got, err)
		}
		sameProperties(t, got.Properties, properties)
		var topics []string
		for topic := range got.Topics() {
			topics = append(topics, string(topic))
		}
		if !slices.Equal(topics, want) {
			t.Fatalf("got %q, want %q", topics, want)
		}
	})
}

func TestDisconnectAndPingsThroughPaho(t *testing.T) {
	eachVersion(t, func(t *rapid.T, v Version) {
		var want Disconnect
		if v == V5 {
			// Without 0, whose shortest form is empty: paho cannot read that.
			want.Code = rapid.SampledFrom([]Code{0x04, 0x8e, 0x81, 0x9c}).Draw(t, "code")
			want.Properties = drawProperties(t, v, DISCONNECT)
		}
		got, err := ParseDisconnect(v, cut(t, through(t, v, want.Append(nil, v)), DISCONNECT).Body)
		if err != nil || got.Code != want.Code {
			t.Fatalf("got %+v %v, want %+v", got, err, want)
		}
		sameProperties(t, got.Properties, want.Properties)
		for kind, packet := range map[Type][]byte{PINGREQ: AppendPingreq(nil), PINGRESP: AppendPingresp(nil)} {
			if err := ParseEmpty(cut(t, through(t, v, packet), kind).Body); err != nil {
				t.Fatal(err)
			}
		}
	})
}
