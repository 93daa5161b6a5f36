package edge

import (
	"context"
	"errors"
	"strconv"
	"time"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

// minPacket is the smallest Maximum Packet Size a client may ask for: what a CONNACK takes.
const minPacket = 64

// connect handles the first packet of a connection. What it finds wrong itself it refuses; the rest waits for the
// core.
func (l *loop) connect(s *session, body []byte) {
	p, err := mqtt.ParseConnect(body)
	s.version = p.Version
	if err != nil {
		var broken *mqtt.Error
		if !errors.As(err, &broken) {
			broken = &mqtt.Error{Code: mqtt.MalformedPacket}
		}
		if p.Version == mqtt.V311 && broken.Code != mqtt.UnsupportedProtocolVersion {
			l.drop(s, endProtocol) // MQTT 3.1.1 has no code for it
			return
		}
		l.refuse(s, broken.Code)
		return
	}
	switch {
	case p.Version == mqtt.V5 && p.Properties.UintOr(mqtt.MaximumPacketSize, minPacket) < minPacket:
		l.refuse(s, mqtt.PacketTooLarge)
		return
	case p.Version == mqtt.V5 && hasAuthMethod(p.Properties):
		l.refuse(s, mqtt.BadAuthenticationMethod)
		return
	case len(p.ClientID) == 0:
		l.refuse(s, mqtt.ClientIdentifierNotValid)
		return
	case !p.HasUsername || !p.HasPassword || !isAppKey(p.Username):
		l.refuse(s, mqtt.BadUserNameOrPassword)
		return
	}
	l.takeTerms(s, &p)
	s.state = admitting
	s.set(paused)
	e := l.edge
	who := applicant{appKey: string(p.Username), id: string(p.ClientID), secret: string(p.Password)}
	accepted := !e.stopping.Load() && e.admits.submit(func(ctx context.Context) {
		if s.gone.Load() {
			return
		}
		v := e.judge(ctx, who)
		l.post(func() { l.admitted(s, v) })
	})
	if !accepted {
		l.refuse(s, mqtt.ServerUnavailable)
	}
}

func hasAuthMethod(p mqtt.Properties) bool {
	_, ok := p.Bytes(mqtt.AuthMethod)
	return ok
}

// takeTerms notes what the client asks for in its CONNECT.
func (l *loop) takeTerms(s *session, p *mqtt.Connect) {
	s.keepAlive = p.KeepAlive
	s.window = uint16(l.edge.limits.Inflight)
	resume := !p.CleanStart
	if p.Version == mqtt.V5 {
		s.window = min(s.window, uint16(p.Properties.UintOr(mqtt.ReceiveMaximum, 65_535)))
		s.maxPacket = p.Properties.UintOr(mqtt.MaximumPacketSize, 0)
		resume = resume && p.Properties.UintOr(mqtt.SessionExpiry, 0) > 0
		if p.Properties.UintOr(mqtt.RequestProblemInfo, 1) == 1 {
			s.set(wantsProblems)
		}
	}
	if resume {
		s.set(resumes)
	}
}

// admitted goes on after the core has answered: online first, then CONNACK, then what is owed.
func (l *loop) admitted(s *session, v verdict) {
	key := deviceKey{v.app, v.ordinal}
	if s.state != admitting {
		if v.code == mqtt.Success {
			l.edge.admissions.end(key, v.conn)
		}
		return
	}
	if v.code != mqtt.Success {
		l.refuse(s, v.code)
		return
	}
	s.conn, s.ordinal = v.conn, v.ordinal
	l.releaseHalfOpen(s)
	taken := l.enterRoster(s, v.app)
	code, kicked := l.edge.admissions.end(key, v.conn)
	if taken && !kicked {
		code, kicked = mqtt.SessionTakenOver, true
	}
	if !l.greet(s, v) {
		return
	}
	l.edge.metrics.connects.WithLabelValues(labelAccepted).Inc()
	if kicked {
		l.end(s, code, endTakenOver)
		return
	}
	l.load(s, false)
	s.clear(paused)
	l.input(s, nil)
}

// enterRoster marks the session online and ends an older connection of the device; true: this one is the older.
func (l *loop) enterRoster(s *session, app int64) (taken bool) {
	s.state = online
	s.heard = l.tick
	r := l.rosters[app]
	if r == nil {
		r = &roster{app: app, online: map[uint32]*session{}}
	}
	if older := r.online[s.ordinal]; older != nil {
		if older.conn > s.conn {
			return true
		}
		l.end(older, mqtt.SessionTakenOver, endTakenOver)
	}
	l.rosters[app] = r // ending the older one may have dropped it
	r.online[s.ordinal] = s
	s.ros = r
	if l.edge.presence.enter(app, s.ordinal, l.index) {
		l.edge.claim(deviceKey{app, s.ordinal}, s.conn, l)
	}
	return false
}

// claim tells the other loops that a connection of the device exists here.
func (e *Edge) claim(key deviceKey, conn uint64, from *loop) {
	for _, other := range e.loops {
		if other != from {
			other.post(func() { other.claimed(key, conn) })
		}
	}
}

// claimed ends this loop's connection of the device if it is the older one, and claims it back if it is the newer.
func (l *loop) claimed(key deviceKey, conn uint64) {
	r := l.rosters[key.app]
	if r == nil {
		return
	}
	s := r.online[key.ordinal]
	switch {
	case s == nil || s.conn == conn:
	case s.conn < conn:
		l.end(s, mqtt.SessionTakenOver, endTakenOver)
	default:
		l.edge.claim(key, s.conn, l)
	}
}

// propertyServerTime names the User Property of a CONNACK with the server's clock, Unix milliseconds in decimal.
const propertyServerTime = "server_time"

// greet sends the CONNACK.
func (l *loop) greet(s *session, v verdict) bool {
	p := mqtt.Connack{Code: mqtt.Success, SessionPresent: s.has(resumes) && v.known}
	if s.version == mqtt.V5 {
		limits := &l.edge.limits
		p.Properties = make(mqtt.Properties, 0, 64).
			WithUint(mqtt.ReceiveMaximum, uint32(limits.Ups)).
			WithUint(mqtt.MaximumQoS, 1).
			WithUint(mqtt.RetainAvailable, 0).
			WithUint(mqtt.MaximumPacketSize, uint32(limits.UpPacket)).
			WithUint(mqtt.WildcardsAvailable, 0).
			WithUint(mqtt.SubIDsAvailable, 0).
			WithUint(mqtt.SharedSubsAvailable, 0)
		if v.keepAlive > 0 && v.keepAlive != s.keepAlive {
			s.keepAlive = v.keepAlive
			p.Properties = p.Properties.WithUint(mqtt.ServerKeepAlive, uint32(v.keepAlive))
		}
		// Devices date their reports by it: their own clocks are what they are. It still fits into minPacket.
		p.Properties = p.Properties.WithUser(propertyServerTime, strconv.FormatInt(clock.Millis(l.edge.clock.Now()), 10))
	}
	if s.keepAlive == 0 {
		// Without a keep-alive only the kernel can notice that the peer is gone.
		if probe, ok := s.sock.(interface{ SetKeepAlivePeriod(time.Duration) error }); ok {
			if err := probe.SetKeepAlivePeriod(noKeepAliveProbe); err != nil {
				l.edge.log.Debug("TCP keep-alive not set", "error", err)
			}
		}
	}
	return l.send(s, p.Append(make([]byte, 0, 96), s.version))
}
