package edge

import (
	"context"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

// up is a PUBLISH of a device that waits for the core. Those of one connection are handed over one after the other,
// because their order matters (tags added and removed).
type up struct {
	topic   string
	payload []byte
	id      uint16 // packet identifier; 0 at QoS 0
}

// published handles a PUBLISH of a device.
func (l *loop) published(s *session, p *mqtt.Publish) {
	_, alias := p.Properties.Uint(mqtt.TopicAlias)
	topic := upTopic(p.Topic)
	switch {
	case alias:
		l.end(s, mqtt.TopicAliasInvalid, endProtocol)
	case p.QoS == 2:
		l.end(s, mqtt.QoSNotSupported, endProtocol)
	case p.Retain && s.version == mqtt.V5:
		l.end(s, mqtt.RetainNotSupported, endProtocol)
	case topic == "" && (s.version != mqtt.V5 || p.QoS == 0):
		l.end(s, mqtt.NotAuthorized, endProtocol)
	case topic == "":
		ack := mqtt.Puback{PacketID: p.PacketID, Code: mqtt.NotAuthorized}
		l.control(s, ack.Append(nil, s.version))
	default:
		l.enqueueUp(s, topic, p)
	}
}

// upTopic is the constant for a topic devices may publish to, or empty.
func upTopic(topic []byte) string {
	switch string(topic) {
	case topicEvents:
		return topicEvents
	case topicProfile:
		return topicProfile
	case topicTokens:
		return topicTokens
	}
	return ""
}

func (l *loop) enqueueUp(s *session, topic string, p *mqtt.Publish) {
	x := s.extra()
	limit := l.edge.limits.Ups
	if len(x.ups) >= limit && s.version == mqtt.V5 && p.QoS == 1 {
		l.end(s, mqtt.ReceiveMaximumExceeded, endProtocol)
		return
	}
	x.ups = append(x.ups, up{topic: topic, payload: append([]byte(nil), p.Payload...), id: p.PacketID})
	x.upBytes += len(p.Payload)
	if l.upsFull(s) {
		s.set(paused)
	}
	l.startUp(s)
}

// upsFull reports whether the session is not read further until an up message is answered: there are as many as a
// client may send that knows a limit, or more than one large packet's worth of bytes.
func (l *loop) upsFull(s *session) bool {
	x, limits := s.more, &l.edge.limits
	if x == nil {
		return false
	}
	most := limits.Ups
	if s.version == mqtt.V5 {
		most++ // so that one beyond the limit is seen and answered with its code
	}
	return len(x.ups) >= most || x.upBytes > limits.UpPacket
}

// startUp hands the oldest up message to the core if none is under way.
func (l *loop) startUp(s *session) {
	x := s.more
	if x == nil || x.upsBusy || len(x.ups) == 0 {
		return
	}
	x.upsBusy = true
	e, first := l.edge, x.ups[0]
	ask := edgewire.Up{App: s.ros.app, Ordinal: s.ordinal, Topic: first.topic, Payload: first.payload}
	accepted := e.ups.submit(func(ctx context.Context) {
		var reply edgewire.UpReply
		if err := e.ask(ctx, edgewire.SubjectUp(ask.App), ask, &reply); err != nil {
			reply = edgewire.UpReply{Code: edgewire.UpBusy}
		}
		l.post(func() { l.answerUp(s, reply) })
	})
	if !accepted {
		l.post(func() { l.answerUp(s, edgewire.UpReply{Code: edgewire.UpBusy}) })
	}
}

// maxReason bounds the Reason String sent to a device, in bytes.
const maxReason = 200

// answerUp acknowledges the up message that was under way, and goes on.
func (l *loop) answerUp(s *session, reply edgewire.UpReply) {
	x := s.more
	if s.state != online || x == nil || !x.upsBusy {
		return
	}
	first := x.ups[0]
	x.ups[0] = up{}
	x.upBytes -= len(first.payload)
	x.ups = x.ups[1:]
	x.upsBusy = false
	l.edge.metrics.ups.WithLabelValues(upLabel(reply.Code)).Inc()
	// At MQTT 3.1.1 an acknowledgement means it will not be repeated, so there is none for what was not processed.
	if first.id != 0 && (s.version == mqtt.V5 || reply.Code != edgewire.UpBusy) {
		ack := mqtt.Puback{PacketID: first.id, Code: upCode(reply.Code)}
		if len(reply.Reason) > 0 && len(reply.Reason) <= maxReason && s.has(wantsProblems) {
			withReason := ack
			withReason.Properties = mqtt.Properties(nil).WithString(mqtt.ReasonString, reply.Reason)
			if packet := withReason.Append(nil, s.version); s.maxPacket == 0 || len(packet) <= int(s.maxPacket) {
				ack = withReason
			}
		}
		if l.control(s, ack.Append(nil, s.version)); s.state != online {
			return
		}
	}
	l.startUp(s)
	if s.has(paused) && !l.upsFull(s) {
		s.clear(paused)
		l.input(s, nil)
	}
	if s.state == online {
		s.trim()
	}
}

func upCode(c edgewire.UpCode) mqtt.Code {
	switch c {
	case edgewire.UpOK:
		return mqtt.Success
	case edgewire.UpInvalid:
		return mqtt.PayloadFormatInvalid
	case edgewire.UpDenied:
		return mqtt.NotAuthorized
	case edgewire.UpQuota:
		return mqtt.QuotaExceeded
	}
	return mqtt.ImplementationError
}
