package edge

import (
	"sync"
	"sync/atomic"
	"time"

	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/clock"
)

// loop owns sessions and does all work on them, on one goroutine.
type loop struct {
	edge  *Edge
	index int
	// wakeUp makes the loop's goroutine call run soon. It may be called from anywhere.
	wakeUp func()

	scheduled atomic.Bool // run is coming
	ticked    atomic.Bool // a tick has passed since the last run
	tally     tally

	mu     sync.Mutex
	calls  []func()
	parcel []*delivery
	// waiting counts what is in parcel or queue.
	waiting, waitingBytes int
	// lost are apps whose deliveries found no room; their devices reload at the next tick.
	lost map[int64]struct{}

	// From here on the loop's goroutine only.

	now      int64  // Unix milliseconds at the start of this run
	tick     uint32 // 100 ms steps since the edge was made
	backlog  []func()
	chores   []func(slice) bool // long work in portions; true: finished
	queue    queue
	rosters  map[int64]*roster
	sessions []*session
	sweeping bool
	swept    int        // where the sweep over sessions continues
	sweepAt  time.Time  // when the next one begins
	sockets  []*session // watched
	lingers  []linger
	retries  []retry
	scratch  []byte
	zeros    []*frame
	replying *session // whose input is being handled
	replies  []byte   // to it, not yet written
	counts   loopCounts
}

// roster is who is online of one app in one loop.
type roster struct {
	app    int64
	online map[uint32]*session
}

type linger struct {
	s     *session
	until uint32
}

type retry struct {
	s      *session
	at     uint32
	reload bool
}

func newLoop(e *Edge, index int) *loop {
	l := &loop{edge: e, index: index, rosters: map[int64]*roster{}}
	l.tally.init(e.receipts.noticed)
	l.refresh()
	return l
}

// refresh reads the clock.
func (l *loop) refresh() {
	now := l.edge.clock.Now()
	l.now = clock.Millis(now)
	l.tick = l.edge.tickAt(now)
}

// post hands the loop a function to run on its goroutine. Any goroutine.
func (l *loop) post(call func()) {
	l.mu.Lock()
	l.calls = append(l.calls, call)
	l.mu.Unlock()
	l.wake()
}

// wake makes run happen. Any goroutine.
func (l *loop) wake() {
	if l.scheduled.CompareAndSwap(false, true) {
		l.wakeUp()
	}
}

// run does what waits, for at most about one slice, and asks to be called again if there is more.
func (l *loop) run() {
	l.scheduled.Store(false)
	l.refresh()
	run := newSlice()
	l.collect()
	for len(l.backlog) > 0 && !run.over() {
		call := l.backlog[0]
		l.backlog[0] = nil
		l.backlog = l.backlog[1:]
		call()
	}
	if len(l.backlog) == 0 {
		l.backlog = nil
	}
	if l.ticked.CompareAndSwap(true, false) {
		l.onTick(run)
	}
	for len(l.chores) > 0 && !run.over() {
		chore := l.chores[0]
		l.chores = l.chores[1:]
		if !chore(run) {
			l.chores = append(l.chores, chore)
		}
	}
	for !l.queue.empty() {
		l.queue.work(l)
		if run.over() {
			break
		}
	}
	l.counts.flush(l.edge.metrics)
	if len(l.backlog) > 0 || len(l.chores) > 0 || !l.queue.empty() {
		l.wake()
	}
}

// collect empties the inbox.
func (l *loop) collect() {
	l.mu.Lock()
	calls, parcel := l.calls, l.parcel
	l.calls, l.parcel = nil, nil
	l.mu.Unlock()
	if l.backlog == nil {
		l.backlog = calls
	} else {
		l.backlog = append(l.backlog, calls...)
	}
	for _, d := range parcel {
		l.queue.push(d)
	}
}

// deliver puts a delivery into the inbox; false: the queue is full. Any goroutine.
func (l *loop) deliver(d *delivery) bool {
	l.mu.Lock()
	limits := &l.edge.limits
	if l.waiting >= limits.QueueItems || l.waitingBytes+d.bytes > limits.QueueBytes {
		l.mu.Unlock()
		return false
	}
	l.waiting++
	l.waitingBytes += d.bytes
	l.parcel = append(l.parcel, d)
	l.mu.Unlock()
	l.wake()
	return true
}

// delivered takes finished deliveries off the count.
func (l *loop) delivered(ds []*delivery) {
	l.mu.Lock()
	for _, d := range ds {
		l.waiting--
		l.waitingBytes -= d.bytes
	}
	l.mu.Unlock()
}

// lose notes that a delivery of the app found no room. Any goroutine.
func (l *loop) lose(app int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.lost == nil {
		l.lost = map[int64]struct{}{}
	}
	l.lost[app] = struct{}{}
}

// reloadLost reloads for the apps of lose.
func (l *loop) reloadLost() {
	l.mu.Lock()
	lost := l.lost
	l.lost = nil
	l.mu.Unlock()
	for app := range lost {
		l.edge.metrics.reloadReasons.WithLabelValues(reloadOverflow.String()).Inc()
		l.reloadRoster(app)
	}
}

// onTick looks at deadlines. The sweep over all sessions goes on over several runs; a new one begins every
// sweepInterval.
func (l *loop) onTick(run slice) {
	for i := 0; i < len(l.sockets); {
		if s := l.sockets[i]; !l.drained(s) {
			i++
			continue
		}
		l.sockets[i] = l.sockets[len(l.sockets)-1]
		l.sockets[len(l.sockets)-1] = nil
		l.sockets = l.sockets[:len(l.sockets)-1]
	}
	kept := l.lingers[:0]
	for _, g := range l.lingers {
		switch {
		case g.s.state == closed:
		case l.tick < g.until:
			kept = append(kept, g)
		default:
			g.s.close()
		}
	}
	clear(l.lingers[len(kept):])
	l.lingers = kept
	l.retryLoads()
	l.reloadLost()
	if !l.sweeping && run.began.After(l.sweepAt) {
		l.sweeping, l.swept = true, 0
		l.sweepAt = run.began.Add(min(sweepInterval, 5*l.edge.limits.Tick))
		l.chores = append(l.chores, l.sweep)
	}
}

// sweep ends sessions whose CONNECT or keep-alive is overdue.
// A session that is closed meanwhile may move one from the end past the sweep; the next sweep sees it.
func (l *loop) sweep(run slice) bool {
	for l.swept < len(l.sessions) {
		for range 256 {
			if l.swept >= len(l.sessions) {
				break
			}
			s := l.sessions[l.swept]
			l.swept++
			l.checkDeadline(s)
		}
		if run.over() {
			return false
		}
	}
	l.sweeping = false
	return true
}

func (l *loop) checkDeadline(s *session) {
	quiet := l.tick - s.heard
	if l.tick < s.heard {
		return // the clock went back
	}
	switch s.state {
	case handshake:
		if quiet >= ticks(l.edge.limits.ConnectTimeout) {
			l.counts.disconnects[endTimeout]++
			s.close()
		}
	case admitting:
		if quiet >= ticks(l.edge.limits.ConnectTimeout+l.edge.limits.CoreWait) {
			l.refuse(s, mqtt.ServerUnavailable)
		}
	case online:
		// One and a half times the keep-alive, in ticks of 100 ms.
		if s.keepAlive > 0 && quiet > uint32(s.keepAlive)*15 {
			l.end(s, mqtt.KeepAliveTimeout, endTimeout)
			return
		}
		if x := s.more; x != nil && x.recent != nil && l.tick >= x.forget {
			x.recent = nil
			s.trim()
		}
	}
}

// opened takes over a new connection; false: it must be closed at once.
func (l *loop) opened(s *session) bool {
	l.refresh()
	if !l.edge.gate.enter(addressOf(s.sock.RemoteAddr())) {
		s.state = closed
		return false
	}
	s.loop = uint16(l.index)
	s.set(halfOpen)
	s.heard = l.tick
	s.index = uint32(len(l.sessions))
	l.sessions = append(l.sessions, s)
	return true
}

// closedBy ends a session whose transport is gone. It is called once per opened session, by the transport.
func (l *loop) closedBy(s *session) {
	if s.state == closed {
		return
	}
	if s.state == online {
		l.counts.disconnects[endPeer]++
	}
	l.detach(s)
	s.state = closed
	last := len(l.sessions) - 1
	moved := l.sessions[last]
	l.sessions[s.index] = moved
	moved.index = s.index
	l.sessions[last] = nil
	l.sessions = l.sessions[:last]
	l.edge.gate.leave()
}

// detach takes a session out of everything but the list of sessions.
func (l *loop) detach(s *session) {
	s.gone.Store(true)
	l.releaseHalfOpen(s)
	if r := s.ros; r != nil {
		l.settleWritten(s)
		s.ros = nil
		if r.online[s.ordinal] == s {
			delete(r.online, s.ordinal)
			l.edge.presence.leave(r.app, s.ordinal, l.index)
			if len(r.online) == 0 {
				delete(l.rosters, r.app)
			}
		}
	}
	s.in, s.more, s.first = nil, nil, flight{}
	s.state = lingering
}

func (l *loop) releaseHalfOpen(s *session) {
	if s.has(halfOpen) {
		s.clear(halfOpen)
		l.edge.gate.connected(s.address())
	}
}

// end closes a connection with a reason: at MQTT 5 a DISCONNECT, at MQTT 3.1.1 nothing.
func (l *loop) end(s *session, code mqtt.Code, why ending) {
	if s.state >= lingering {
		return
	}
	if s.state != online {
		l.refuse(s, code)
		return
	}
	l.counts.disconnects[why]++
	var last []byte
	if s.version == mqtt.V5 {
		p := mqtt.Disconnect{Code: code}
		last = p.Append(nil, mqtt.V5)
	}
	l.part(s, last)
}

// refuse answers a CONNECT with a failure and closes.
func (l *loop) refuse(s *session, code mqtt.Code) {
	if s.state >= lingering {
		return
	}
	l.edge.metrics.connects.WithLabelValues(refusalLabel(code)).Inc()
	var last []byte
	if s.version != 0 {
		p := mqtt.Connack{Code: code}
		last = p.Append(nil, s.version)
	}
	l.part(s, last)
}

// part sends the last packet and closes without losing it: closing a socket that holds unread input would reset the
// connection, so the writing half is closed first and the peer gets a moment to read.
func (l *loop) part(s *session, last []byte) {
	if l.replying == s {
		if l.reply(); s.state >= lingering {
			return
		}
	}
	if len(last) > 0 && !l.send(s, last) {
		return
	}
	if s.ws != nil && !l.sendRaw(s, s.ws.closeFrame()) {
		return
	}
	l.detach(s)
	if s.sock.OutboundBuffered() > 0 || !closeWrite(s) {
		s.close()
		return
	}
	l.lingers = append(l.lingers, linger{s, l.tick + ticks(l.edge.limits.LingerTime)})
}

// drop closes a connection to which nothing more can be said.
func (l *loop) drop(s *session, why ending) {
	if s.state >= lingering {
		return
	}
	l.counts.disconnects[why]++
	l.detach(s)
	s.close()
}

// ticks is a duration in ticks of 100 ms, at least 1.
func ticks(d time.Duration) uint32 { return max(uint32(d/(100*time.Millisecond)), 1) }
