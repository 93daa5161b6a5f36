package webhook

import (
	"context"
	"encoding/binary"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

const (
	testKind   = "test"
	testSecret = "the secret of app 7"
)

// rig is a service whose loop does not run; the test calls look.
type rig struct {
	*Service
	t    *testing.T
	fake *clock.Fake
	d    *dispatcher
	reg  *prometheus.Registry
}

// counter is the value of a counter without labels.
func (r *rig) counter(name string) float64 {
	r.t.Helper()
	families, err := r.reg.Gather()
	if err != nil {
		r.t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	r.t.Fatalf("no metric %s", name)
	return 0
}

func loopback() []netip.Prefix { return []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")} }

func newRig(t *testing.T, d *db.DB, change func(*Deps)) *rig {
	t.Helper()
	return nextRig(t, d, clock.NewFake(time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC)), change)
}

// nextRig is a service as a new process would have it, on a database that others may have used.
func nextRig(t *testing.T, d *db.DB, fake *clock.Fake, change func(*Deps)) *rig {
	t.Helper()
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	reg := prometheus.NewRegistry()
	deps := Deps{DB: d, Clock: fake, Log: slog.New(slog.DiscardHandler), Metrics: reg, Allow: loopback()}
	if change != nil {
		change(&deps)
	}
	r := &rig{Service: New(deps), t: t, fake: fake, reg: reg}
	r.Register(testKind, func(_ context.Context, d Delivery) (Credentials, error) {
		c := Credentials{Secret: testSecret}
		if d.Basic {
			c.User, c.Password = "key", "master"
		}
		return c, nil
	})
	r.d = &dispatcher{s: r.Service, attempts: context.Background()}
	t.Cleanup(r.client.transport.CloseIdleConnections)
	return r
}

func (r *rig) enqueue(deliveries ...Delivery) {
	r.t.Helper()
	for i := range deliveries {
		d := &deliveries[i]
		d.Kind = testKind
		if d.Body == nil {
			d.Body = []byte(`[{"n":1}]`)
		}
	}
	err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return r.Enqueue(ctx, tx, deliveries...) })
	if err != nil {
		r.t.Fatal(err)
	}
}

// look sends what is due and waits for the outcomes.
func (r *rig) look() {
	r.t.Helper()
	if err := r.d.everywhere(context.Background()); err != nil {
		r.t.Fatal(err)
	}
	r.sending.Wait()
}

// run runs the loop until the test ends, or until the returned function is called.
func (r *rig) run() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := r.Run(ctx); err != nil {
			r.t.Error(err)
		}
	}()
	stop = func() { cancel(); <-done }
	r.t.Cleanup(stop)
	return stop
}

func (r *rig) entries() []Entry {
	r.t.Helper()
	list, _, err := r.List(context.Background(), Filter{Owner: 7, Kind: testKind, Limit: 5000})
	if err != nil {
		r.t.Fatal(err)
	}
	return list
}

func (r *rig) only() Entry {
	r.t.Helper()
	list := r.entries()
	if len(list) != 1 {
		r.t.Fatalf("%d deliveries are listed, want one", len(list))
	}
	return list[0]
}

// bodies counts the rows of the other table: it must always agree.
func (r *rig) bodies() (n int) {
	r.t.Helper()
	if err := r.db.QueryRow(context.Background(), `select count(*) from webhook_body`).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

// got is a request that a receiver saw.
type got struct {
	*http.Request
	body []byte
}

// receiver is an HTTP server on an address of its own that keeps what it was asked.
type receiver struct {
	*httptest.Server
	mu  sync.Mutex
	all []got
}

func newReceiver(t *testing.T, address string, answer http.HandlerFunc) *receiver {
	t.Helper()
	rc := unstarted(t, address, answer)
	rc.Start()
	return rc
}

func unstarted(t *testing.T, address string, answer http.HandlerFunc) *receiver {
	t.Helper()
	rc := &receiver{}
	listener, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	rc.Server = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		rc.mu.Lock()
		rc.all = append(rc.all, got{r, body})
		rc.mu.Unlock()
		if answer != nil {
			answer(w, r)
		}
	}))
	rc.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	_ = rc.Listener.Close()
	rc.Listener = listener
	t.Cleanup(rc.Close)
	return rc
}

func (rc *receiver) requests() []got {
	rc.mu.Lock()
	defer rc.mu.Unlock()
	return append([]got(nil), rc.all...)
}

// eventually waits for a condition that other goroutines bring about.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !cond(); {
		if time.Now().After(end) {
			t.Fatalf("never: %s", what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// nameServer is a DNS server on loopback that knows the names it is told, and a resolver that asks it.
type nameServer struct {
	mu    sync.Mutex
	names map[string][]netip.Addr
}

func newNameServer(t *testing.T) (*nameServer, *net.Resolver) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	n := &nameServer{names: map[string][]netip.Addr{}}
	go func() {
		buf := make([]byte, 1500)
		for {
			size, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			if answer := n.answer(buf[:size]); answer != nil {
				_, _ = conn.WriteTo(answer, from)
			}
		}
	}()
	return n, &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
}

func (n *nameServer) set(name string, addresses ...string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.names[name] = nil
	for _, a := range addresses {
		n.names[name] = append(n.names[name], netip.MustParseAddr(a))
	}
}

// answer builds a response to a query with one question: its header and question come back, with A records or, for
// other types, none.
func (n *nameServer) answer(query []byte) []byte {
	const header, typeA = 12, 1
	var name string
	at := header
	for at < len(query) && query[at] != 0 {
		size := int(query[at])
		if at+1+size >= len(query) {
			return nil
		}
		name += string(query[at+1:at+1+size]) + "."
		at += 1 + size
	}
	if at+5 > len(query) {
		return nil
	}
	kind := binary.BigEndian.Uint16(query[at+1:])
	out := append([]byte(nil), query[:at+5]...)
	out[2], out[3] = 0x84, 0x80 // response, authoritative, recursion available
	n.mu.Lock()
	addresses, known := n.names[name]
	n.mu.Unlock()
	if !known {
		out[3] |= 3 // no such name
	}
	count := uint16(0)
	for _, a := range addresses {
		if kind != typeA {
			break
		}
		ip := a.As4()
		out = append(out, 0xc0, header, 0, typeA, 0, 1, 0, 0, 0, 0, 0, 4) // name: the question's; class; time to live 0
		out = append(out, ip[:]...)
		count++
	}
	binary.BigEndian.PutUint16(out[4:], 1)
	binary.BigEndian.PutUint16(out[6:], count)
	binary.BigEndian.PutUint32(out[8:], 0)
	return out
}
