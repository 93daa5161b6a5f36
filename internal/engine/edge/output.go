package edge

import (
	"slices"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

// send writes MQTT bytes to a session; false: it is not open any more. b is not kept.
func (l *loop) send(s *session, b []byte) bool {
	if s.ws != nil {
		l.scratch = appendFrameHeader(l.scratch[:0], opBinary, len(b))
		l.scratch = append(l.scratch, b...)
		b = l.scratch
	}
	return l.sendRaw(s, b)
}

// sendRaw writes bytes to the socket of a session.
func (l *loop) sendRaw(s *session, b []byte) bool {
	if s.state >= lingering {
		return false
	}
	buffered := s.sock.OutboundBuffered()
	if buffered+len(b) > l.edge.limits.OutboundMax {
		l.drop(s, endOverflow)
		return false
	}
	size := len(b)
	if buffered == 0 && s.fd > 0 {
		b = b[sendNow(int(s.fd), b):]
	}
	if len(b) > 0 {
		if _, err := s.sock.Write(b); err != nil || s.state >= lingering {
			l.drop(s, endPeer)
			return false
		}
		buffered = s.sock.OutboundBuffered()
	}
	l.counts.bytesOut += uint64(size)
	if s.more != nil {
		s.more.handed += int64(size)
	}
	if buffered > 0 {
		l.watch(s)
	}
	return true
}

// watch puts a session whose socket has unsent bytes on the list that each tick looks at.
func (l *loop) watch(s *session) {
	if s.has(watched) {
		return
	}
	s.set(watched)
	x := s.extra()
	x.progress, x.left = l.tick, s.sock.OutboundBuffered()
	x.handed = int64(x.left)
	l.sockets = append(l.sockets, s)
}

// drained looks whether the socket of a watched session has taken something; true: it need not be watched further.
func (l *loop) drained(s *session) bool {
	if s.state >= lingering {
		return true
	}
	x := s.more
	left := s.sock.OutboundBuffered()
	l.settleUnsent(s, left)
	switch {
	case left == 0:
		l.refill(s)
		if s.state >= lingering {
			return true
		}
		if x.left = s.sock.OutboundBuffered(); x.left == 0 {
			s.clear(watched)
			s.trim()
			return true
		}
		x.progress = l.tick
	case left != x.left:
		x.left, x.progress = left, l.tick
		l.refill(s)
	case l.tick-x.progress >= ticks(l.edge.limits.StallTimeout) && l.tick >= x.progress:
		l.drop(s, endStalled)
		return true
	}
	return s.state >= lingering
}

// settleUnsent reports the QoS 0 messages that the socket has taken completely.
func (l *loop) settleUnsent(s *session, left int) {
	x := s.more
	if x == nil || len(x.unsent) == 0 {
		return
	}
	taken := x.handed - int64(left)
	n := 0
	for n < len(x.unsent) && x.unsent[n].end <= taken {
		l.settled(s, x.unsent[n].f.msg, x.unsent[n].f.wide)
		n++
	}
	x.unsent = slices.Delete(x.unsent, 0, n)
}

// settled records that the device has the message.
func (l *loop) settled(s *session, msg int64, wide bool) {
	l.tally.add(s.ros.app, msg, edgewire.Delivered, s.ordinal, wide)
	if s.has(loading) {
		x := s.extra()
		x.settled = append(x.settled, msg)
	}
}

// roomFor reports whether the window of the session takes one more message after the given number of bytes.
func (l *loop) roomFor(s *session, bytes int) bool {
	return (s.has(qos0) || s.inFlight() < int(s.window)) && s.sock.OutboundBuffered()+bytes <= l.edge.limits.OutboundHigh
}

// offer writes messages to a session, oldest first, in one write; what the window does not take waits, and what
// cannot wait is reloaded later.
func (l *loop) offer(s *session, frames []*frame) {
	if s.state != online {
		return
	}
	if len(frames) == 1 && l.offerOne(s, frames[0]) {
		return
	}
	batch := l.batch(s)
	for _, f := range frames {
		l.admit(s, f, &batch)
	}
	l.flush(s, &batch)
	if s.state == online && s.more != nil && len(s.more.pending) > 0 {
		// What did not go into the batch may find room now; otherwise an acknowledgement or the socket, which is then
		// watched, goes on.
		l.refill(s)
	}
}

// admit decides what becomes of one message for one session.
func (l *loop) admit(s *session, f *frame, b *batch) {
	switch {
	case s.has(loading):
		// Newer than what is being asked for: it follows after that.
		if s.holds(f.msg) || s.waits(f.msg) {
			l.counts.deliveries[deliveryDuplicate]++
			return
		}
		l.wait(s, f)
	case s.has(behind):
		l.counts.deliveries[deliveryBehind]++ // the reload has it
	case s.more != nil && len(s.more.pending) > 0:
		if s.holds(f.msg) || s.waits(f.msg) {
			l.counts.deliveries[deliveryDuplicate]++
			return
		}
		l.wait(s, f)
	default:
		if !l.write(s, f, b) {
			l.wait(s, f)
		}
	}
}

// wait keeps a message for later, or leaves the session behind.
func (l *loop) wait(s *session, f *frame) {
	x := s.extra()
	if len(x.pending) >= l.edge.limits.Pending {
		s.set(behind | moved) // an answer that has this message is one that the session has not seen
		l.counts.deliveries[deliveryBehind]++
		return
	}
	x.pending = append(x.pending, f)
}

// batch is what is gathered for one session to be written at once.
type batch struct {
	head   int
	frames int
	bytes  int
	zero   []*frame // those at QoS 0; loop.zeros
}

func (l *loop) batch(s *session) batch {
	l.scratch = l.scratch[:0]
	if s.ws != nil {
		// Room for the longest header; the real one is put in front of the packets when their size is known.
		l.scratch = append(l.scratch, make([]byte, maxServerHeader)...)
	}
	return batch{head: s.head(), zero: l.zeros[:0]}
}

// writable reports whether a message may be written to the session at all, and counts it if not.
func (l *loop) writable(s *session, f *frame, head int) bool {
	switch {
	case f.expired(l.now):
		l.counts.deliveries[deliveryExpired]++
		return false
	case l.edge.withdrawn.has(f.msg):
		l.counts.deliveries[deliveryWithdrawn]++
		return false
	case s.maxPacket > 0 && f.size(head) > int(s.maxPacket):
		l.counts.deliveries[deliveryTooLarge]++
		return false
	}
	return true
}

// write adds a message to the batch; false: the window is full. Messages that must not be written are dropped here.
func (l *loop) write(s *session, f *frame, b *batch) bool {
	switch {
	case s.holds(f.msg):
		l.counts.deliveries[deliveryDuplicate]++
		return true
	case !l.writable(s, f, b.head):
		return true
	case !l.roomFor(s, b.bytes):
		return false
	}
	if s.has(qos0) {
		l.scratch = f.append(l.scratch, b.head, 0)
		b.zero = append(b.zero, f)
	} else {
		l.scratch = f.append(l.scratch, b.head, s.launch(f))
	}
	b.bytes += f.size(b.head)
	b.frames++
	if x := s.more; x != nil && l.tick < x.forget && len(x.recent) < recentKept {
		x.recent = append(x.recent, f.msg)
	}
	l.tally.add(s.ros.app, f.msg, edgewire.Sent, s.ordinal, f.wide)
	return true
}

// flush writes the batch.
func (l *loop) flush(s *session, b *batch) {
	if b.frames == 0 {
		return
	}
	out := l.scratch
	if s.ws != nil {
		out = putFrameHeader(out, opBinary)
	}
	l.zeros = b.zero
	if len(b.zero) == 0 {
		if l.sendRaw(s, out) {
			l.counts.deliveries[deliveryWritten] += uint64(b.frames)
		}
		return
	}
	l.flushZero(s, b, out)
}

// flushZero writes a batch of QoS 0 messages and reports those the socket has taken.
func (l *loop) flushZero(s *session, b *batch, out []byte) {
	if !l.sendRaw(s, out) {
		return
	}
	l.counts.deliveries[deliveryWritten] += uint64(b.frames)
	left := s.sock.OutboundBuffered()
	if left == 0 {
		l.settleUnsent(s, 0)
		for _, f := range b.zero {
			l.settled(s, f.msg, f.wide)
		}
		return
	}
	// The bytes of the batch end where everything handed over so far ends.
	x := s.extra()
	end := x.handed
	for _, v := range slices.Backward(b.zero) {
		x.unsent = append(x.unsent, unsent{v, end})
		end -= int64(v.size(b.head))
	}
	slices.Reverse(x.unsent[len(x.unsent)-len(b.zero):])
	l.settleUnsent(s, left)
}

// offerOne is offer for the common case of a single message to an idle plain session, without the detour through a
// batch. It reports whether the case applied.
func (l *loop) offerOne(s *session, f *frame) bool {
	if s.ws != nil || s.has(loading|behind) || s.more != nil || s.first.id != 0 ||
		f.expired(l.now) || s.maxPacket > 0 || s.sock.OutboundBuffered() > 0 {
		return false
	}
	var id uint16
	if !s.has(qos0) {
		id = s.launch(f)
	}
	l.scratch = f.append(l.scratch[:0], s.head(), id)
	l.tally.add(s.ros.app, f.msg, edgewire.Sent, s.ordinal, f.wide)
	if !l.sendRaw(s, l.scratch) {
		return true
	}
	l.counts.deliveries[deliveryWritten]++
	switch {
	case id != 0:
	case s.more == nil:
		l.settled(s, f.msg, f.wide)
	default: // the socket did not take all of it
		s.more.unsent = append(s.more.unsent, unsent{f, s.more.handed})
	}
	return true
}

// acked handles the PUBACK of a device.
func (l *loop) acked(s *session, id uint16) {
	fl, ok := s.land(id)
	if !ok {
		return // not ours, or of an earlier connection
	}
	l.settled(s, fl.msg, fl.wide)
	if s.more != nil || s.has(behind) {
		l.refill(s)
	}
	if s.state == online && s.has(stuck) && s.idle() {
		l.load(s, true)
	}
}

// refill writes what waits for the window, and reloads when the session was left behind and has caught up.
func (l *loop) refill(s *session) {
	if s.state != online {
		return
	}
	for s.more != nil && len(s.more.pending) > 0 && !s.has(loading) && l.roomFor(s, 0) {
		l.writePending(s)
		if s.state != online {
			return
		}
	}
	if s.has(behind) && !s.has(loading) && s.idle() {
		s.clear(behind)
		l.load(s, true)
	}
	s.trim()
}

// writePending writes at least one of the pending messages; there is room for it.
func (l *loop) writePending(s *session) {
	x := s.more
	batch := l.batch(s)
	n := 0
	for n < len(x.pending) && l.write(s, x.pending[n], &batch) {
		x.pending[n] = nil
		n++
	}
	if x.pending = x.pending[n:]; len(x.pending) == 0 {
		x.pending = nil
	}
	l.flush(s, &batch)
}

// replyBytes is how much is gathered of answers to one read.
const replyBytes = 16 << 10

// control writes a small answer: at once, or while input of the session is being handled together with the other
// answers to it. A peer that sends a thousand pings at once gets one write.
func (l *loop) control(s *session, b []byte) {
	if l.replying != s {
		l.send(s, b)
		return
	}
	l.replies = append(l.replies, b...)
	if len(l.replies) >= replyBytes {
		l.reply()
	}
}

// reply writes the answers that have been gathered.
func (l *loop) reply() {
	s, b := l.replying, l.replies
	if l.replies = l.replies[:0]; s != nil && len(b) > 0 {
		l.send(s, b)
	}
}

// answerPing writes a PINGRESP.
func (l *loop) answerPing(s *session) {
	var buf [2]byte
	l.control(s, mqtt.AppendPingresp(buf[:0]))
}
