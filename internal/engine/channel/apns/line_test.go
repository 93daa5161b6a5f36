package apns_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/channel/apns"
	"borealis/internal/engine/channel/wire"
)

// connections counts those that a server has seen.
func connections(n *atomic.Int64) func(*http.Server) {
	return func(s *http.Server) {
		s.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				n.Add(1)
			}
		}
	}
}

// crowd answers once so many requests are under way at once, and says how many were at most. It answers the first request of all at
// once: a new connection has no second one before.
type crowd struct {
	size        int64
	under, seen atomic.Int64
	full        chan struct{}
	once        sync.Once

	mu      sync.Mutex
	highest int64
}

func (c *crowd) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	n := c.under.Add(1)
	defer c.under.Add(-1)
	if c.seen.Add(1) > 1 {
		c.mu.Lock()
		c.highest = max(c.highest, n)
		c.mu.Unlock()
		if n >= c.size {
			c.once.Do(func() { close(c.full) })
		}
		<-c.full
	} else if n != 1 {
		panic("two requests on a new connection")
	}
	accept(w, r)
}

func TestOneConnectionCarriesAsManyStreamsAsSettingsAllow(t *testing.T) {
	t.Parallel()
	const allowed = 7
	var conns atomic.Int64
	c := &crowd{size: allowed, full: make(chan struct{})}
	s := serve(t, c.ServeHTTP, connections(&conns), func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: allowed} })
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	for i, o := range v.Send(t.Context(), parse(t, v, credentials(t)), devices(300), hello()) {
		if o.Status != wire.Accepted {
			t.Fatalf("token %d: %+v", i, o)
		}
	}
	if c.highest != allowed || conns.Load() != 1 || c.seen.Load() != 300 {
		t.Errorf("%d streams at once on %d connections, %d requests", c.highest, conns.Load(), c.seen.Load())
	}
}

func TestABatchHasAHundredStreamsAtMost(t *testing.T) {
	t.Parallel()
	c := &crowd{size: 100, full: make(chan struct{})}
	s := serve(t, c.ServeHTTP, func(s *http.Server) { s.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: 1000} })
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	out := v.Send(t.Context(), parse(t, v, credentials(t)), devices(500), hello())
	if len(out) != 500 || c.highest != 100 {
		t.Errorf("%d outcomes, %d streams at once", len(out), c.highest)
	}
}

// Apple ties a connection to a team and its apps.
func TestEveryAppHasAConnectionOfItsOwn(t *testing.T) {
	t.Parallel()
	var conns atomic.Int64
	s := serve(t, accept, connections(&conns))
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	shared := credentials(t)
	apps := []map[string]any{
		shared, join(shared, "bundle_id", "com.example.other"), credentials(t), join(shared, "team_id", "TEAM654321"), join(shared, "key_id", "KEY7654321"),
		{"certificate": newCertificate(t, bundle, now.Add(time.Hour))}, {"certificate": newCertificate(t, bundle, now.Add(time.Hour))},
	}
	for range 3 {
		for _, fields := range apps {
			if o := v.Send(t.Context(), parse(t, v, fields), devices(1), hello())[0]; o.Status != wire.Accepted {
				t.Errorf("%+v", o)
			}
		}
	}
	if conns.Load() != int64(len(apps)) {
		t.Errorf("%d connections of %d apps", conns.Load(), len(apps))
	}
}

// New rights count on new connections only.
func TestARefusalOfRightsEndsTheConnection(t *testing.T) {
	t.Parallel()
	var conns, calls atomic.Int64
	s := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch calls.Add(1) {
		case 1:
			refuse(w, http.StatusBadRequest, "TopicDisallowed")
		case 2:
			refuse(w, http.StatusBadRequest, "BadDeviceToken")
		default:
			accept(w, r)
		}
	}, connections(&conns))
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	c := parse(t, v, credentials(t))
	for i, want := range []struct {
		status wire.Status
		conns  int64
	}{{wire.Denied, 1}, {wire.Invalid, 2}, {wire.Accepted, 2}} {
		if o := v.Send(t.Context(), c, devices(1), hello())[0]; o.Status != want.status || conns.Load() != want.conns {
			t.Errorf("call %d: %+v on connection %d", i, o, conns.Load())
		}
	}
}

func TestNobodyListensIsFailed(t *testing.T) {
	t.Parallel()
	s := serve(t, accept)
	address := s.URL
	s.Close()
	v := apns.New(wire.Deps{BaseURL: address, Clock: fake()})
	for _, o := range v.Send(t.Context(), parse(t, v, credentials(t)), devices(3), hello()) {
		if o.Status != wire.Failed {
			t.Errorf("%+v", o)
		}
	}
}

func TestWhatWasGivenUpBeforeItBeganIsFailed(t *testing.T) {
	t.Parallel()
	s := serve(t, func(http.ResponseWriter, *http.Request) { t.Error("called") })
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	out := v.Send(ctx, parse(t, v, credentials(t)), devices(3), hello())
	if len(out) != 3 || out[2].Status != wire.Failed {
		t.Errorf("%+v", out)
	}
}

func TestWhatIsGivenUpUnderWayIsUnknown(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := serve(t, func(_ http.ResponseWriter, r *http.Request) { cancel(); <-r.Context().Done() })
	v := apns.New(wire.Deps{BaseURL: s.URL, Clock: fake()})
	if o := v.Send(ctx, parse(t, v, credentials(t)), devices(1), hello())[0]; o.Status != wire.Unknown {
		t.Errorf("%+v", o)
	}
}

// What a GOAWAY says was not looked at goes over another connection; what it says was is Unknown if the connection ends without an answer.
func TestGoAwaySaysWhatWasLookedAt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		last uint32 // the last stream that was looked at, on the first connection
		want wire.Status
	}{"not looked at": {0, wire.Accepted}, "looked at": {1, wire.Unknown}} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		var streams atomic.Int64
		go func() {
			for n := 0; ; n++ {
				conn, err := listener.Accept()
				if err != nil {
					return
				}
				go speak(conn, func(id uint32) (frames []byte, end bool) {
					streams.Add(1)
					if n == 0 {
						return frame(0x7, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, c.last), 0)), true
					}
					return frame(0x1, 0x4|0x1, id, headers("abc")), false
				})
			}
		}()
		v := apns.New(wire.Deps{BaseURL: "http://" + listener.Addr().String(), Clock: fake()})
		o := v.Send(t.Context(), parse(t, v, credentials(t)), devices(1), hello())[0]
		if o.Status != c.want {
			t.Errorf("%s: %+v", name, o)
		}
		if want := int64(2 - c.last); streams.Load() != want {
			t.Errorf("%s: the request was written %d times", name, streams.Load())
		}
	}
}

// REFUSED_STREAM says that nothing was looked at; another code says nothing.
func TestARefusedStreamIsOpenedAgain(t *testing.T) {
	t.Parallel()
	for code, want := range map[uint32]wire.Status{7: wire.Accepted, 2: wire.Unknown} {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { listener.Close() })
		go func() {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			speak(conn, func(id uint32) ([]byte, bool) {
				if id == 3 {
					return frame(0x3, 0, id, binary.BigEndian.AppendUint32(nil, code)), false
				}
				return frame(0x1, 0x4|0x1, id, headers("abc")), false
			})
		}()
		v := apns.New(wire.Deps{BaseURL: "http://" + listener.Addr().String(), Clock: fake()})
		c := parse(t, v, credentials(t))
		for i, want := range []wire.Status{wire.Accepted, want, wire.Accepted} {
			if o := v.Send(t.Context(), c, devices(1), hello())[0]; o.Status != want {
				t.Errorf("code %d, request %d: %+v", code, i, o)
			}
		}
	}
}

// A connection that ends in good order loses no request and repeats none that was looked at.
func TestConnectionsThatEndLoseNothing(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var answered, conns atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			done := map[uint32]bool{}
			go speak(conn, func(id uint32) (frames []byte, end bool) {
				answered.Add(1)
				done[id] = true
				frames = frame(0x1, 0x4|0x1, id, headers("abc"))
				if len(done) < 150 {
					return frames, false
				}
				next := uint32(1) // the first that did not come whole
				for done[next] {
					next += 2
				}
				return append(frames, frame(0x7, 0, 0, binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, next-1), 0))...), true
			})
		}
	}()
	v := apns.New(wire.Deps{BaseURL: "http://" + listener.Addr().String(), Clock: fake()})
	c := parse(t, v, credentials(t))
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for i, o := range v.Send(t.Context(), c, devices(400), hello()) {
				if o.Status != wire.Accepted {
					t.Errorf("token %d: %+v", i, o)
				}
			}
		})
	}
	wg.Wait()
	if answered.Load() != 1200 || conns.Load() < 8 {
		t.Errorf("%d requests were answered on %d connections", answered.Load(), conns.Load())
	}
}

// A host that takes connections and ends each is not called once for every token.
func TestAHostThatOnlyHangsUpIsLeftAlone(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	var conns atomic.Int64
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			conns.Add(1)
			go speak(conn, func(uint32) ([]byte, bool) { return frame(0x7, 0, 0, make([]byte, 8)), true })
		}
	}()
	v := apns.New(wire.Deps{BaseURL: "http://" + listener.Addr().String(), Clock: fake()})
	failed := 0
	for i, o := range v.Send(t.Context(), parse(t, v, credentials(t)), devices(500), hello()) {
		if o.Status != wire.Failed && o.Status != wire.Unknown {
			t.Errorf("token %d: %+v", i, o)
		}
		if o.Status == wire.Failed {
			failed++
		}
	}
	if conns.Load() > 40 || failed < 400 {
		t.Errorf("%d connections, %d tokens surely not sent", conns.Load(), failed)
	}
}

// frame is a frame of HTTP/2.
func frame(kind, flags byte, stream uint32, payload []byte) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(payload)))[1:]
	out = append(out, kind, flags)
	return append(binary.BigEndian.AppendUint32(out, stream), payload...)
}

// headers are :status 200 and apns-id, as HPACK without Huffman or a table.
func headers(id string) []byte {
	out := append([]byte{0x88, 0x00, 7}, "apns-id"...)
	return append(append(out, byte(len(id))), id...)
}

// speak is the least of a server of HTTP/2: it answers each request that came whole with frames, and ends the connection if it is told to.
func speak(conn net.Conn, answer func(stream uint32) (frames []byte, end bool)) {
	defer conn.Close()
	preface := make([]byte, 24)
	if _, err := io.ReadFull(conn, preface); err != nil {
		return
	}
	if _, err := conn.Write(frame(0x4, 0, 0, nil)); err != nil {
		return
	}
	for head := make([]byte, 9); ; {
		if _, err := io.ReadFull(conn, head); err != nil {
			return
		}
		kind, flags, stream := head[3], head[4], binary.BigEndian.Uint32(head[5:])
		if _, err := io.CopyN(io.Discard, conn, int64(head[0])<<16|int64(head[1])<<8|int64(head[2])); err != nil {
			return
		}
		switch {
		case kind == 0x4 && flags&1 == 0: // SETTINGS
			_, _ = conn.Write(frame(0x4, 1, 0, nil))
		case kind <= 0x1 && flags&1 != 0: // DATA or HEADERS that end the request
			frames, end := answer(stream)
			_, _ = conn.Write(frames)
			if end { // what was written must arrive, so the client ends first
				_ = conn.(*net.TCPConn).CloseWrite()
				_, _ = io.Copy(io.Discard, conn)
				return
			}
		}
	}
}
