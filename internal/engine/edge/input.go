package edge

import (
	"errors"

	"borealis/internal/engine/edge/mqtt"
)

// input takes MQTT bytes of a session, as they come; data is not kept. With data nil it goes on with what was kept.
func (l *loop) input(s *session, data []byte) {
	switch s.state {
	case lingering, closed:
		return
	case online:
		s.heard = l.tick
	}
	if s.has(paused) {
		l.keep(s, data)
		return
	}
	l.replying = s
	l.read(s, data)
	l.reply()
	l.replying = nil
}

// read handles the packets in what was kept and data, and keeps the rest.
func (l *loop) read(s *session, data []byte) {
	kept := len(s.in) > 0
	if kept {
		s.in = append(s.in, data...)
		data = s.in
	}
	for len(data) > 0 && !s.has(paused) {
		p, n, err := mqtt.Next(data, l.packetLimit(s))
		if err != nil {
			l.broken(s, err)
			return
		}
		if n == 0 {
			break
		}
		data = data[n:]
		if l.handle(s, p); s.state >= lingering {
			return
		}
	}
	switch {
	case len(data) == 0:
		s.in = nil
	case kept:
		s.in = append(s.in[:0], data...)
	default:
		s.in = append([]byte(nil), data...)
	}
	if s.has(paused) && len(s.in) > l.pauseLimit(s) {
		l.end(s, mqtt.ReceiveMaximumExceeded, endProtocol)
	}
}

// keep appends input that is not to be read yet.
func (l *loop) keep(s *session, data []byte) {
	if len(s.in)+len(data) > l.pauseLimit(s) {
		l.end(s, mqtt.ReceiveMaximumExceeded, endProtocol)
		return
	}
	s.in = append(s.in, data...)
}

// packetLimit is the largest packet the session may send now.
func (l *loop) packetLimit(s *session) int {
	if s.state == handshake {
		return l.edge.limits.ConnectPacket
	}
	return l.edge.limits.UpPacket
}

// pauseLimit is how many bytes may wait while the session is paused.
func (l *loop) pauseLimit(s *session) int {
	if s.state == online {
		return 2 * l.edge.limits.UpPacket
	}
	return l.edge.limits.ConnectPacket
}

// broken ends a connection whose peer broke the protocol; nobody else is touched.
func (l *loop) broken(s *session, err error) {
	code := mqtt.MalformedPacket
	if e, ok := errors.AsType[*mqtt.Error](err); ok {
		code = e.Code
	}
	l.edge.log.Debug("connection broke the protocol", "error", err)
	if s.state == handshake && s.version == 0 {
		// Nothing is known of the peer, not even that it speaks MQTT: no answer.
		l.drop(s, endProtocol)
		return
	}
	l.end(s, code, endProtocol)
}

// handle does what one packet asks.
func (l *loop) handle(s *session, p mqtt.Packet) {
	if s.state == handshake {
		if p.Type != mqtt.CONNECT {
			l.drop(s, endProtocol)
			return
		}
		l.connect(s, p.Body)
		return
	}
	var err error
	switch p.Type {
	case mqtt.PUBACK:
		var ack mqtt.Puback
		if ack, err = mqtt.ParsePuback(s.version, p.Body); err == nil {
			l.acked(s, ack.PacketID)
		}
	case mqtt.PUBLISH:
		var up mqtt.Publish
		if up, err = mqtt.ParsePublish(s.version, p.Flags, p.Body); err == nil {
			l.published(s, &up)
		}
	case mqtt.PINGREQ:
		if err = mqtt.ParseEmpty(p.Body); err == nil {
			l.answerPing(s)
		}
	case mqtt.SUBSCRIBE:
		var sub mqtt.Subscribe
		if sub, err = mqtt.ParseSubscribe(s.version, p.Body); err == nil {
			l.subscribed(s, &sub)
		}
	case mqtt.UNSUBSCRIBE:
		var unsub mqtt.Unsubscribe
		if unsub, err = mqtt.ParseUnsubscribe(s.version, p.Body); err == nil {
			l.unsubscribed(s, &unsub)
		}
	case mqtt.DISCONNECT:
		if _, err = mqtt.ParseDisconnect(s.version, p.Body); err == nil {
			l.drop(s, endPeer)
		}
	default:
		l.end(s, mqtt.ProtocolError, endProtocol)
	}
	if err != nil {
		l.broken(s, err)
	}
}

// subscribed answers a SUBSCRIBE. Only the topic push exists; everybody gets it anyway, so all that a subscription
// changes is the quality of service of this connection.
func (l *loop) subscribed(s *session, sub *mqtt.Subscribe) {
	if _, has := sub.Properties.Uint(mqtt.SubscriptionID); has {
		l.end(s, mqtt.SubscriptionIDsNotSupported, endProtocol)
		return
	}
	refused := byte(mqtt.NotAuthorized)
	if s.version != mqtt.V5 {
		refused = mqtt.SubscribeFailure311
	}
	ack := mqtt.Suback{PacketID: sub.PacketID}
	for f := range sub.Filters(s.version) {
		if string(f.Topic) != topicPush {
			ack.Codes = append(ack.Codes, refused)
			continue
		}
		ack.Codes = append(ack.Codes, min(f.QoS, 1))
		if f.QoS == 0 {
			s.set(qos0)
		} else {
			s.clear(qos0)
		}
	}
	l.control(s, ack.Append(nil, s.version, mqtt.SUBACK))
}

// unsubscribed answers an UNSUBSCRIBE, which changes nothing: delivery does not depend on a subscription.
func (l *loop) unsubscribed(s *session, unsub *mqtt.Unsubscribe) {
	ack := mqtt.Suback{PacketID: unsub.PacketID}
	for topic := range unsub.Topics() {
		code := mqtt.NoSubscriptionExisted
		if string(topic) == topicPush {
			code = mqtt.Success
		}
		ack.Codes = append(ack.Codes, byte(code))
	}
	l.control(s, ack.Append(nil, s.version, mqtt.UNSUBACK))
}
