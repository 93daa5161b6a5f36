package apns

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/http/httptrace"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"borealis/internal/kernel/clock"
)

const (
	dialTimeout = 15 * time.Second
	// tries of a request that the host surely did not look at, each on another connection.
	tries = 10
	// silent is how many connections in a row may end without any answer. Then, as after one that could not be made, the
	// host is left alone for a while: Apple takes connections in quick succession as an attack.
	silent = 2
	alone  = time.Second
)

// mux makes all requests to a host on one connection, as many at once as the host's SETTINGS allow; the others wait. A new connection
// has one request until the first answer is there: Apple allows no more before it knows the team. It is an http.RoundTripper.
//
// http.Transport is not enough: it opens another connection for each request above the limit, or (with
// StrictMaxConcurrentRequests) counts those that wait against the limit and stands still when they are as many.
type mux struct {
	transport *http.Transport
	clock     clock.Clock

	mu    sync.Mutex
	peers map[string]*peer
}

func newMux(t *http.Transport, c clock.Clock) *mux {
	return &mux{transport: t, clock: c, peers: make(map[string]*peer)}
}

// RoundTrip makes a request.
func (m *mux) RoundTrip(req *http.Request) (*http.Response, error) {
	p := m.peer(req)
	trace := httptrace.ContextClientTrace(req.Context())
	for left := tries; ; left-- {
		if trace != nil && trace.GetConn != nil {
			trace.GetConn(p.address)
		}
		l, err := p.acquire(req.Context())
		if err != nil {
			closeBody(req)
			return nil, err
		}
		if trace != nil && trace.GotConn != nil {
			trace.GotConn(httptrace.GotConnInfo{})
		}
		var wrote atomic.Bool
		ctx := httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{WroteHeaderField: func(string, []string) { wrote.Store(true) }})
		resp, err := l.conn.RoundTrip(req.WithContext(ctx))
		if p.heard(l, err) {
			left = min(left, silent)
		}
		if err == nil || left <= 1 || req.Context().Err() != nil || wrote.Load() && !refusedUnseen(err) {
			return resp, err
		}
		if req.GetBody != nil {
			body, rewound := req.GetBody()
			if rewound != nil {
				return nil, err
			}
			req = req.Clone(req.Context())
			req.Body = body
		}
	}
}

func closeBody(req *http.Request) {
	if req.Body != nil {
		_ = req.Body.Close()
	}
}

// close gives the connections up. Requests under way end first.
func (m *mux) close() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range m.peers {
		p.mu.Lock()
		l := p.link
		p.mu.Unlock()
		if l != nil {
			p.retire(l)
		}
	}
}

func (m *mux) peer(req *http.Request) *peer {
	address := req.URL.Host
	if req.URL.Port() == "" {
		port := "443"
		if req.URL.Scheme == "http" {
			port = "80"
		}
		address = net.JoinHostPort(req.URL.Hostname(), port)
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	p := m.peers[req.URL.Scheme+" "+address]
	if p == nil {
		p = &peer{transport: m.transport, clock: m.clock, scheme: req.URL.Scheme, address: address}
		m.peers[p.scheme+" "+address] = p
	}
	return p
}

// streamError has the fields of the error that net/http has for the end of one stream, which fills it (errors.As).
type streamError struct {
	StreamID uint32
	Code     uint32
	Cause    error
}

func (e streamError) Error() string { return "stream refused" }

// refusedUnseen tells whether the other side said that it did not look at a request that was written: REFUSED_STREAM, or a
// GOAWAY whose last stream is an earlier one. net/http has only a text for the second.
func refusedUnseen(err error) bool {
	if s, ok := errors.AsType[streamError](err); ok {
		return s.Code == 0x7
	}
	return err.Error() == "http2: Transport received Server's graceful shutdown GOAWAY"
}

// peer is one host.
type peer struct {
	transport       *http.Transport
	clock           clock.Clock
	scheme, address string

	mu   sync.Mutex
	link *link // nil: there is none
	dial *dial // the one under way
	// failures are the connections in a row that ended without any answer.
	failures int
	// until is when the host may be called again, trouble why not before.
	until   time.Time
	trouble error
	waiting []*turn
}

// link is a connection. The fields but conn are guarded by the peer.
type link struct {
	conn *http.ClientConn
	// greeted: an answer came. greeting: the request that waits for it is under way.
	greeted, greeting bool
}

// turn is somebody who waits.
type turn struct {
	come chan struct{} // closed when it is worth to try again
	err  error         // or when it is not
}

type dial struct {
	done chan struct{}
	err  error
}

// errNoRoom is a connection that takes no request from the start.
var errNoRoom = errors.New("the connection takes no request")

// acquire is the connection, with room for one request on it that the caller has to make.
func (p *peer) acquire(ctx context.Context) (*link, error) {
	for {
		p.mu.Lock()
		if p.link != nil && p.link.conn.Err() != nil {
			p.link = nil
		}
		if p.link == nil && p.clock.Now().Before(p.until) {
			err := p.trouble
			p.wake(len(p.waiting), err)
			p.mu.Unlock()
			return nil, err
		}
		if p.link == nil {
			d := p.connect(ctx)
			p.mu.Unlock()
			select {
			case <-d.done:
			case <-ctx.Done():
				return nil, ctx.Err()
			}
			if d.err != nil {
				return nil, d.err
			}
			continue
		}
		l, own := p.link, &turn{come: make(chan struct{})}
		p.waiting = append(p.waiting, own) // before the try, so that what changes after it is not missed
		first := !l.greeted
		try := !first || !l.greeting
		l.greeting = l.greeting || first
		p.mu.Unlock()
		if try && l.conn.Reserve() == nil {
			p.leave(own)
			return l, nil
		}
		switch {
		case try && first:
			p.heard(l, errNoRoom)
		case try && spent(l.conn):
			p.retire(l)
		}
		select {
		case <-own.come:
		case <-ctx.Done():
			p.leave(own)
			return nil, ctx.Err()
		}
		if own.err != nil {
			return nil, own.err
		}
	}
}

// connect is the attempt to connect, begun if there is none. It outlives the request that needs it, as others wait for it too.
// The caller holds mu.
func (p *peer) connect(ctx context.Context) *dial {
	if p.dial != nil {
		return p.dial
	}
	d := &dial{done: make(chan struct{})}
	p.dial = d
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), dialTimeout)
	go func() {
		defer cancel()
		conn, err := p.transport.NewClientConn(ctx, p.scheme, p.address)
		p.mu.Lock()
		p.dial, d.err = nil, err
		if err == nil {
			p.link = &link{conn: conn}
			p.wake(len(p.waiting), nil)
		} else {
			p.rest(err)
		}
		p.mu.Unlock()
		if err == nil {
			conn.SetStateHook(p.changed)
		}
		close(d.done)
	}()
	return d
}

// changed is called when a connection has more room or has ended.
func (p *peer) changed(conn *http.ClientConn) {
	room := conn.Available()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.wake(max(1, room), nil)
}

// spent tells whether a connection that had no room has ended, or will without any more requests: a GOAWAY came. net/http does not tell
// this from a full connection, but then some requests are under way. As others change that meanwhile, it is looked at several times.
func spent(conn *http.ClientConn) bool {
	for range 5 {
		if conn.Err() != nil {
			return true
		}
		if conn.InFlight() > 0 || conn.Available() > 0 {
			return false
		}
	}
	return true
}

// heard says how a request ended, and tells whether the connection ended without having answered any. Only the first one changes something.
func (p *peer) heard(l *link, err error) (mute bool) {
	_, reset := errors.AsType[streamError](err)
	answered := err == nil || reset && !refusedUnseen(err) // the end of a stream by the host is an answer too
	room := l.conn.Available()
	p.mu.Lock()
	if l.greeted {
		p.mu.Unlock()
		return false
	}
	l.greeted, l.greeting = answered, false
	if answered {
		p.failures = 0
	}
	if answered || errors.Is(err, context.Canceled) && l.conn.Err() == nil {
		p.wake(max(1, room), nil)
		p.mu.Unlock()
		return false
	}
	if p.failures++; p.failures >= silent {
		p.failures = 0
		p.rest(err)
	}
	p.mu.Unlock()
	p.retire(l)
	return true
}

// rest leaves the host alone and tells everybody. The caller holds mu.
func (p *peer) rest(why error) {
	p.until, p.trouble = p.clock.Now().Add(alone), why
	p.wake(len(p.waiting), why)
}

// leave stops waiting. Who was woken and does not need it hands it on.
func (p *peer) leave(own *turn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if i := slices.Index(p.waiting, own); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		return
	}
	p.wake(1, nil)
}

// wake lets up to n requests try again, or fail if there is an error. The caller holds mu.
func (p *peer) wake(n int, err error) {
	n = min(n, len(p.waiting))
	for _, w := range p.waiting[:n] {
		w.err = err
		close(w.come)
	}
	p.waiting = slices.Delete(p.waiting, 0, n)
}

// retire takes a connection away from later requests and ends it when the last one under way has ended.
func (p *peer) retire(l *link) {
	p.mu.Lock()
	if p.link == l {
		p.link = nil
	}
	p.wake(len(p.waiting), nil)
	p.mu.Unlock()
	end := func(c *http.ClientConn) {
		if c.InFlight() == 0 {
			go func() { _ = c.Close() }()
		}
	}
	l.conn.SetStateHook(end)
	end(l.conn)
}
