package edge

import (
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

// Topics of the device protocol.
const (
	topicPush     = "push"
	topicEvents   = "up/events"
	topicProfile  = "up/profile"
	topicTokens   = "up/tokens"
	frameHeadRoom = 16
)

// frame is a message made ready once for all its receivers: the bytes before the payload for each protocol version
// and quality of service, of which only the packet identifier differs between receivers. It is immutable.
type frame struct {
	app, msg, expires int64
	wide              bool
	payload           []byte
	heads             [4]frameHead
}

// frameHead is the written PUBLISH up to the payload.
type frameHead struct {
	bytes    [frameHeadRoom]byte
	length   uint8
	idOffset uint8 // 0 at QoS 0
}

func newFrame(app int64, in edgewire.Frame) *frame {
	f := &frame{app: app, msg: in.Msg, expires: in.Expires, wide: in.Wide, payload: in.Payload}
	for _, version := range [...]mqtt.Version{mqtt.V311, mqtt.V5} {
		for qos := range byte(2) {
			p := mqtt.Publish{Topic: []byte(topicPush), QoS: qos, Payload: in.Payload}
			head := &f.heads[headIndex(version, qos)]
			head.length = uint8(len(p.AppendHead(head.bytes[:0], version)))
			if qos > 0 {
				head.idOffset = uint8(p.PacketIDOffset(version))
			}
		}
	}
	return f
}

func headIndex(v mqtt.Version, qos byte) int {
	index := int(qos)
	if v == mqtt.V5 {
		index += 2
	}
	return index
}

// size is the length of the packet.
func (f *frame) size(head int) int { return int(f.heads[head].length) + len(f.payload) }

// append writes the packet with the given packet identifier.
func (f *frame) append(dst []byte, head int, id uint16) []byte {
	h := &f.heads[head]
	start := len(dst)
	dst = append(dst, h.bytes[:h.length]...)
	if h.idOffset > 0 {
		mqtt.PutPacketID(dst[start:], int(h.idOffset), id)
	}
	return append(dst, f.payload...)
}

// expired reports whether the message has ended; one without an end never does.
func (f *frame) expired(now int64) bool { return f.expires > 0 && f.expires <= now }
