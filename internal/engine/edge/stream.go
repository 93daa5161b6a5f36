package edge

import (
	"context"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"borealis/internal/engine/edge/edgewire"
)

// streams runs loops as goroutines, for sockets that only a goroutine can read: TLS, and whatever a WebSocket
// handshake comes out of that is not a plain TCP socket.
type streams struct {
	loops []*loop
	ctx   context.Context // ends when the loops shall end
	stop  context.CancelFunc
	next  atomic.Uint32
	loopW sync.WaitGroup
	connW sync.WaitGroup
}

// startStreams starts the goroutines of the loops. They run until end: they outlast ctx, which gives values only.
func startStreams(ctx context.Context, loops []*loop) *streams {
	t := &streams{loops: loops}
	t.ctx, t.stop = context.WithCancel(context.WithoutCancel(ctx))
	for _, l := range loops {
		wake := make(chan struct{}, 1)
		l.wakeUp = func() {
			select {
			case wake <- struct{}{}:
			default:
			}
		}
		t.loopW.Go(func() {
			for {
				select {
				case <-t.ctx.Done():
					return
				case <-wake:
					l.run()
				}
			}
		})
	}
	return t
}

// end stops the loops; what is still open is closed.
func (t *streams) end() {
	t.stop()
	t.loopW.Wait()
	t.connW.Wait()
}

// stream is a socket with a goroutine that reads and one that writes.
type stream struct {
	conn     net.Conn
	stall    time.Duration
	buffered atomic.Int64

	mu      sync.Mutex
	out     []byte // not yet taken by the writer
	closing bool   // no more comes: close when out is written
	wake    chan struct{}

	writing bool   // from taking out until buffered knows what became of it
	after   func() // called once then
}

const streamBuffer = 4 << 10

// serve runs a connection; it returns at once. early are bytes already read from it.
func (t *streams) serve(conn net.Conn, webSocketed bool, early []byte, stall time.Duration) {
	l := t.loops[int(t.next.Add(1))%len(t.loops)]
	st := &stream{conn: conn, stall: stall, wake: make(chan struct{}, 1)}
	s := &session{sock: st}
	if webSocketed {
		s.ws = &webSocket{}
	}
	t.connW.Go(func() { st.write() })
	t.connW.Go(func() { t.read(l, s, st, early) })
}

// call runs fn on the loop and waits; false: the loop has ended.
func (t *streams) call(l *loop, fn func()) bool {
	done := make(chan struct{})
	l.post(func() {
		fn()
		close(done)
	})
	select {
	case <-done:
		return true
	case <-t.ctx.Done():
		return false
	}
}

func (t *streams) read(l *loop, s *session, st *stream, early []byte) {
	defer st.conn.Close()
	// This also wakes the writer, whoever ends first.
	defer st.close()
	opened := false
	if !t.call(l, func() { opened = l.opened(s) }) || !opened {
		return
	}
	defer context.AfterFunc(t.ctx, func() { st.conn.Close() })()
	if len(early) > 0 && !t.call(l, func() { l.inputSocket(s, early) }) {
		return
	}
	buf := make([]byte, streamBuffer)
	for {
		n, err := st.conn.Read(buf)
		if n > 0 && !t.call(l, func() { l.inputSocket(s, buf[:n]) }) {
			return
		}
		if err != nil {
			t.call(l, func() { l.closedBy(s) })
			return
		}
	}
}

// settleWritten settles the messages at QoS 0 that were written before the peer left: a client that takes one message
// and goes is gone before the loop has looked at what is still buffered. A write that is under way is awaited by the
// writer, not by the loop.
func (l *loop) settleWritten(s *session) {
	st, ok := s.sock.(*stream)
	if x := s.more; !ok || x == nil || len(x.unsent) == 0 {
		return
	}
	app, ordinal, waiting, handed := s.ros.app, s.ordinal, s.more.unsent, s.more.handed
	s.more.unsent = nil
	st.afterWrite(func() {
		written := handed - int64(st.OutboundBuffered())
		l.post(func() {
			for _, u := range waiting {
				if u.end <= written {
					l.tally.add(app, u.f.msg, edgewire.Delivered, ordinal, u.f.wide)
				}
			}
		})
	})
}

// afterWrite calls fn when no write is under way: now, or from the writer.
func (st *stream) afterWrite(fn func()) {
	st.mu.Lock()
	if st.writing {
		st.after = fn
		st.mu.Unlock()
		return
	}
	st.mu.Unlock()
	fn()
}

// Write implements socket.
func (st *stream) Write(b []byte) (int, error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.closing {
		return 0, net.ErrClosed
	}
	st.out = append(st.out, b...)
	st.buffered.Add(int64(len(b)))
	st.poke()
	return len(b), nil
}

// OutboundBuffered implements socket.
func (st *stream) OutboundBuffered() int { return int(st.buffered.Load()) }

// Close implements socket.
func (st *stream) Close() error {
	st.close()
	return nil
}

func (st *stream) close() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.closing = true
	st.poke()
}

// RemoteAddr implements socket.
func (st *stream) RemoteAddr() net.Addr { return st.conn.RemoteAddr() }

func (st *stream) poke() {
	select {
	case st.wake <- struct{}{}:
	default:
	}
}

// write writes what Write leaves until the stream is closed.
func (st *stream) write() {
	if !st.drain() || !st.finish() {
		st.conn.Close() // the reader notices
	}
}

// drain writes until everything before Close is written; false: that failed.
func (st *stream) drain() bool {
	var spare []byte
	for range st.wake {
		st.mu.Lock()
		out, closing := st.out, st.closing
		st.out = spare[:0]
		st.writing = len(out) > 0
		st.mu.Unlock()
		if len(out) > 0 {
			if !st.writeOut(out) {
				return false
			}
		}
		if spare = out; cap(spare) > 4*streamBuffer {
			spare = nil
		}
		if closing {
			return true
		}
	}
	return false
}

func (st *stream) writeOut(out []byte) bool {
	ok := st.conn.SetWriteDeadline(deadlineIn(st.stall)) == nil
	if ok {
		_, err := st.conn.Write(out)
		ok = err == nil
	}
	if ok {
		st.buffered.Add(-int64(len(out)))
	}
	st.mu.Lock()
	after := st.after
	st.writing, st.after = false, nil
	st.mu.Unlock()
	if after != nil {
		after()
	}
	return ok
}

// lingerRead is how long a peer may take to read the last bytes and close.
const lingerRead = 2 * time.Second

// finish closes the writing half and gives the peer a moment: closing a socket with unread input would reset it and
// lose the last bytes. The reader ends when the peer closes, or at the deadline set here. false: it cannot be done.
func (st *stream) finish() bool {
	half, ok := st.conn.(interface{ CloseWrite() error })
	return ok && half.CloseWrite() == nil && st.conn.SetReadDeadline(deadlineIn(lingerRead)) == nil
}

// deadlineIn is d from now for a socket, whose deadlines go by the machine's clock.
func deadlineIn(d time.Duration) time.Time {
	return time.Now().Add(d) //nolint:forbidigo // see above
}
