package simulatetest

import (
	"net"
	"sync"

	"borealis/internal/engine/edge/mqtt"
)

// session is one MQTT connection.
type session struct {
	server *Server
	socket net.Conn

	mu      sync.Mutex
	id      string // set when CONNECT was accepted, under Server.mu
	version mqtt.Version
	qos     byte
	packet  uint16
}

const maxPacket = 1 << 20

func (s *Server) accept() {
	for {
		socket, err := s.mqtt.Accept()
		if err != nil {
			return
		}
		one := &session{server: s, socket: socket, qos: 1}
		s.mu.Lock()
		if s.closed {
			socket.Close()
		}
		s.sessions[one] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			one.read()
			socket.Close()
			s.mu.Lock()
			delete(s.sessions, one)
			s.mu.Unlock()
		})
	}
}

func (o *session) read() {
	var (
		buf   []byte
		chunk [4096]byte
	)
	for {
		p, n, err := mqtt.Next(buf, maxPacket)
		if err != nil {
			return
		}
		if n == 0 {
			got, err := o.socket.Read(chunk[:])
			if err != nil {
				return
			}
			buf = append(buf, chunk[:got]...)
			continue
		}
		if !o.handle(p) {
			return
		}
		buf = buf[n:]
	}
}

// handle works on one packet; false ends the connection.
func (o *session) handle(p mqtt.Packet) bool {
	switch p.Type {
	case mqtt.CONNECT:
		return o.connect(p.Body)
	case mqtt.PUBLISH:
		return o.published(p)
	case mqtt.PUBACK:
		ack, err := mqtt.ParsePuback(o.version, p.Body)
		o.server.mu.Lock()
		defer o.server.mu.Unlock()
		o.server.acks = append(o.server.acks, ack.PacketID)
		return err == nil
	case mqtt.SUBSCRIBE:
		in, err := mqtt.ParseSubscribe(o.version, p.Body)
		if err != nil {
			return false
		}
		out := mqtt.Suback{PacketID: in.PacketID}
		for f := range in.Filters(o.version) {
			out.Codes = append(out.Codes, f.QoS)
			o.mu.Lock()
			o.qos = f.QoS
			o.mu.Unlock()
		}
		o.write(out.Append(nil, o.version, mqtt.SUBACK))
		return true
	case mqtt.PINGREQ:
		o.write(mqtt.AppendPingresp(nil))
		return true
	default:
		return false
	}
}

func (o *session) connect(body []byte) bool {
	in, err := mqtt.ParseConnect(body)
	if err != nil {
		return false
	}
	s := o.server
	s.mu.Lock()
	defer s.mu.Unlock()
	o.version = in.Version
	s.connects = append(s.connects, Connect{in.Version, string(in.ClientID), string(in.Username), string(in.Password), in.KeepAlive})
	out := mqtt.Connack{}
	switch {
	case s.refuse > 0:
		s.refuse--
		out.Code = s.refusal
	case string(in.Username) != s.AppKey || string(in.Password) != SecretOf(string(in.ClientID)):
		out.Code = mqtt.BadUserNameOrPassword
	default:
		o.id = string(in.ClientID)
	}
	o.write(out.Append(nil, o.version))
	return out.Code == mqtt.Success
}

func (o *session) published(p mqtt.Packet) bool {
	in, err := mqtt.ParsePublish(o.version, p.Flags, p.Body)
	if err != nil {
		return false
	}
	s := o.server
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ups = append(s.ups, Up{o.id, string(in.Topic), string(in.Payload), in.QoS, in.Dup})
	if in.QoS > 0 && !s.silent {
		ack := mqtt.Puback{PacketID: in.PacketID, Code: s.upCode}
		o.write(ack.Append(nil, o.version))
	}
	return true
}

// write ignores errors: the reader hears of them.
func (o *session) write(b []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, _ = o.socket.Write(b)
}

func (o *session) granted() byte {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.qos
}

func (o *session) packetID() uint16 {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.packet++
	return max(o.packet, 1)
}
