package edge

import (
	"net"
	"net/netip"
	"slices"
	"sync/atomic"

	"borealis/internal/engine/edge/mqtt"
)

// socket is what a session needs of a transport. gnet.Conn is one. All calls come from the session's loop.
type socket interface {
	// Write takes all of b (what the peer does not take at once is copied and sent later) or fails and closes.
	Write(b []byte) (int, error)
	// OutboundBuffered is the number of bytes that the peer has not taken yet.
	OutboundBuffered() int
	// Close sends what is buffered as far as the peer takes it, and closes; the transport then tells the loop.
	Close() error
	// RemoteAddr of the peer.
	RemoteAddr() net.Addr
}

// state of a session.
type state uint8

const (
	// handshake: CONNECT has not arrived.
	handshake state = iota
	// admitting: the core is asked; no CONNACK yet.
	admitting
	// online: CONNACK sent, in the roster.
	online
	// lingering: out of the roster, the last packet is sent, the peer may still read it.
	lingering
	// closed: the transport is gone.
	closed
)

// Flags of a session.
type flags uint16

const (
	// resumes, wantsProblems: from CONNECT.
	resumes flags = 1 << iota
	wantsProblems
	// qos0: the device subscribed at QoS 0.
	qos0
	// halfOpen: counted against its address until CONNECT is accepted.
	halfOpen
	// loading: what it is owed is being asked for; again: once more after that.
	loading
	again
	// behind: messages were left out for lack of room; they are reloaded when the window is empty.
	behind
	// paused: input is kept and not read further, until an up message is answered or the admission is.
	paused
	// watched: in its loop's list of sockets with unsent bytes.
	watched
	// moved: the last answer to what it is owed had a message that is written, in flight or acknowledged meanwhile, or
	// one has been left out since; so another answer is a different one.
	moved
	// stuck: there is more owed, but the core's answer has only what cannot be written; the next acknowledgement asks
	// again.
	stuck
)

// session is one connection. It is small because there is one per idle device: what most devices do not need most of
// the time is in extra.
type session struct {
	sock  socket
	ros   *roster // of its app; nil before it is online
	ws    *webSocket
	more  *extra
	in    []byte // the beginning of a packet, or everything since paused
	conn  uint64 // server-issued connection number
	first flight // the oldest message in flight; the others are in extra

	fd        int32 // of a plain socket; 0: the transport has its own way
	ordinal   uint32
	index     uint32 // in loop.sessions
	heard     uint32 // tick of the last byte received; of the start until CONNECT
	maxPacket uint32 // what the client takes; 0: anything
	gone      atomic.Bool
	state     state
	version   mqtt.Version
	flags     flags
	keepAlive uint16 // seconds; 0: none
	window    uint16 // messages in flight at most
	nextID    uint16
	loop      uint16 // index of its loop
}

// flight is a message in flight: written at QoS 1 and not acknowledged.
type flight struct {
	msg  int64
	id   uint16 // packet identifier; 0: none
	wide bool
}

// extra is the part of a session that exists only while there is something in it.
type extra struct {
	flights []flight // after session.first, oldest first
	pending []*frame // wait for the window, oldest first
	// settled lists what was acknowledged while owed messages are being asked for: the answer may still have it.
	settled []int64
	// recent lists what has been written since owed messages came, until forget: the delivery of a message that was
	// owed already may still be on its way through the bus, when the device has long acknowledged it.
	recent []int64
	forget uint32 // tick
	// unsent lists QoS 0 messages whose bytes the socket has not taken, with the value of sent at which it has.
	unsent []unsent
	// handed is the number of bytes handed to the socket since unsent or watched began.
	handed int64
	// progress is the tick at which the socket last took something, and left what was left then.
	progress uint32
	left     int
	// ups wait for the core, or are under way: the first, if upsBusy.
	ups     []up
	upBytes int
	upsBusy bool
}

type unsent struct {
	f   *frame
	end int64
}

func (s *session) has(f flags) bool { return s.flags&f != 0 }
func (s *session) set(f flags)      { s.flags |= f }
func (s *session) clear(f flags)    { s.flags &^= f }

func (s *session) extra() *extra {
	if s.more == nil {
		s.more = &extra{}
	}
	return s.more
}

// trim gives extra back when nothing is in it.
func (s *session) trim() {
	if x := s.more; x != nil && len(x.flights)+len(x.pending)+len(x.settled)+len(x.recent)+len(x.unsent)+len(x.ups) == 0 &&
		!x.upsBusy && !s.has(watched) {
		s.more = nil
	}
}

// inFlight is the number of messages in flight.
func (s *session) inFlight() int {
	n := 0
	if s.first.id != 0 {
		n = 1
	}
	if s.more != nil {
		n += len(s.more.flights)
	}
	return n
}

// idle reports whether no message is in flight, waits, or has bytes in the socket.
func (s *session) idle() bool {
	return s.inFlight() == 0 && (s.more == nil || len(s.more.pending)+len(s.more.unsent) == 0)
}

// launch records a message as in flight and gives its packet identifier.
func (s *session) launch(f *frame) uint16 {
	for {
		s.nextID++
		if s.nextID != 0 && !s.idUsed(s.nextID) {
			break
		}
	}
	fl := flight{msg: f.msg, id: s.nextID, wide: f.wide}
	if s.first.id == 0 && (s.more == nil || len(s.more.flights) == 0) {
		s.first = fl
	} else {
		x := s.extra()
		x.flights = append(x.flights, fl)
	}
	return s.nextID
}

func (s *session) idUsed(id uint16) bool {
	if s.first.id == id {
		return true
	}
	if s.more != nil {
		for i := range s.more.flights {
			if s.more.flights[i].id == id {
				return true
			}
		}
	}
	return false
}

// land takes the message with the packet identifier out of flight.
func (s *session) land(id uint16) (fl flight, ok bool) {
	x := s.more
	if s.first.id == id {
		fl = s.first
		s.first = flight{}
		if x != nil && len(x.flights) > 0 {
			s.first = x.flights[0]
			x.dropFlight(0)
		}
		return fl, true
	}
	if x != nil {
		for i := range x.flights {
			if x.flights[i].id == id {
				fl = x.flights[i]
				x.dropFlight(i)
				return fl, true
			}
		}
	}
	return fl, false
}

func (x *extra) dropFlight(i int) {
	x.flights = append(x.flights[:i], x.flights[i+1:]...)
	if len(x.flights) == 0 {
		x.flights = nil
	}
}

// holds reports whether the message is on its way or was written recently.
func (s *session) holds(msg int64) bool {
	return s.onItsWay(msg) || s.more != nil && slices.Contains(s.more.recent, msg)
}

// onItsWay reports whether the message is in flight, or its bytes wait in the socket at QoS 0.
func (s *session) onItsWay(msg int64) bool {
	if s.first.id != 0 && s.first.msg == msg {
		return true
	}
	x := s.more
	if x == nil {
		return false
	}
	for i := range x.flights {
		if x.flights[i].msg == msg {
			return true
		}
	}
	for i := range x.unsent {
		if x.unsent[i].f.msg == msg {
			return true
		}
	}
	return false
}

// waits reports whether the message is pending.
func (s *session) waits(msg int64) bool {
	if s.more == nil {
		return false
	}
	for _, f := range s.more.pending {
		if f.msg == msg {
			return true
		}
	}
	return false
}

// head is the index of the frame head for this session.
func (s *session) head() int {
	if s.has(qos0) {
		return headIndex(s.version, 0)
	}
	return headIndex(s.version, 1)
}

// close closes the socket. The loop learns from the transport when that is done; an error means that it was closed
// before.
func (s *session) close() { _ = s.sock.Close() }

// address of the peer; the zero value if the transport does not tell.
func (s *session) address() netip.Addr { return addressOf(s.sock.RemoteAddr()) }

func addressOf(a net.Addr) netip.Addr {
	if tcp, ok := a.(*net.TCPAddr); ok {
		ip, _ := netip.AddrFromSlice(tcp.IP)
		return ip.Unmap()
	}
	return netip.Addr{}
}
