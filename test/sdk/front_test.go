package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/gorilla/websocket"
)

// front is what the device takes for the server: an HTTP and an MQTT address of its own, through which the harness sees
// and disturbs everything.
type front struct {
	t          testing.TB
	realHTTP   string // the server's own addresses
	realMQTT   string
	http, mqtt *gate
	web        *http.Server
	proxy      *httputil.ReverseProxy

	mu       sync.Mutex
	deaf     bool
	deafness chan struct{} // closed when it ends
	answers  map[string][]canned
	connacks []byte
	links    []*link // those there are
	greeted  *link   // the newest that the server accepted
	news     chan struct{}
	requests map[string]int
	packets  map[string]int
	events   []sentEvents
	rid      string
	secret   string
	waiting  sync.WaitGroup
}

// canned is an answer without the server.
type canned struct {
	status     int
	retryAfter string
}

// newFront opens the addresses until the end of the test.
func newFront(t testing.TB, base, mqtt string) *front {
	t.Helper()
	f := &front{t: t, realHTTP: base, realMQTT: mqtt, answers: map[string][]canned{}, requests: map[string]int{}, packets: map[string]int{}, news: make(chan struct{})}
	for _, name := range [...]string{"CONNECT", "PUBACK", "up/events", "up/profile", "up/tokens"} {
		f.packets[name] = 0
	}
	f.http, f.mqtt = newGate(t), newGate(t)
	f.proxy = &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			u, err := url.Parse(f.realHTTP)
			if err != nil {
				t.Error(err)
			}
			r.SetURL(u)
		},
		ModifyResponse: f.answered,
		ErrorHandler:   func(_ http.ResponseWriter, _ *http.Request, _ error) { panic(http.ErrAbortHandler) },
		ErrorLog:       log.New(io.Discard, "", 0),
		Transport:      &http.Transport{DisableKeepAlives: true},
	}
	f.web = &http.Server{Handler: http.HandlerFunc(f.serve), ErrorLog: log.New(io.Discard, "", 0)}
	f.waiting.Go(func() { _ = f.web.Serve(f.http) })
	f.waiting.Go(f.serveMQTT)
	t.Cleanup(func() {
		f.hear()
		_ = f.web.Close()
		f.http.shut()
		f.mqtt.shut()
		f.waiting.Wait()
	})
	return f
}

// url is where the device is told that the server is.
func (f *front) url() string { return "http://" + f.http.Addr().String() }

func (f *front) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	deafness := f.deafness
	if r.Method != http.MethodOptions {
		f.requests[r.Method+" "+r.URL.Path]++
	}
	list := f.answers[r.URL.Path]
	var now *canned
	if len(list) > 0 && r.Method != http.MethodOptions {
		now, f.answers[r.URL.Path] = &list[0], list[1:]
	}
	f.mu.Unlock()
	if deafness != nil && r.URL.Path != "/mqtt" {
		select {
		case <-deafness:
		case <-r.Context().Done():
		}
		panic(http.ErrAbortHandler)
	}
	switch {
	case now != nil:
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Access-Control-Expose-Headers", "Retry-After")
		if now.retryAfter != "" {
			w.Header().Set("Retry-After", now.retryAfter)
		}
		w.WriteHeader(now.status)
	case r.URL.Path == "/mqtt":
		f.serveSocket(w, r)
	case r.Method == http.MethodPost && r.URL.Path == "/device/v1/events":
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(http.ErrAbortHandler)
		}
		f.reported(body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		f.proxy.ServeHTTP(w, r)
	default:
		f.proxy.ServeHTTP(w, r)
	}
}

// answered reads the identity off the registration's answer, and leads the device to the front's addresses.
func (f *front) answered(resp *http.Response) error {
	if resp.Request.URL.Path != "/device/v1/register" || resp.Request.Method != http.MethodPost || resp.StatusCode != http.StatusOK {
		return nil
	}
	var body object
	err := json.NewDecoder(resp.Body).Decode(&body)
	if err != nil {
		return err
	}
	f.mu.Lock()
	f.rid, _ = body["registration_id"].(string)
	f.secret, _ = body["secret"].(string)
	f.mu.Unlock()
	body["mqtt"] = []string{"tcp://" + f.mqtt.Addr().String(), "ws://" + f.http.Addr().String() + "/mqtt"}
	data := []byte(text(body))
	resp.Body = io.NopCloser(bytes.NewReader(data))
	resp.ContentLength = int64(len(data))
	resp.Header.Set("Content-Length", strconv.Itoa(len(data)))
	return nil
}

func (f *front) identity() (rid, secret string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.rid, f.secret
}

func (f *front) serveMQTT() {
	for {
		device, err := f.mqtt.Accept()
		if err != nil {
			return
		}
		f.waiting.Go(func() {
			defer device.Close()
			server, err := net.Dial("tcp", strings.TrimPrefix(f.realMQTT, "tcp://"))
			if err != nil {
				return
			}
			f.relay(device, server)
		})
	}
}

func (f *front) serveSocket(w http.ResponseWriter, r *http.Request) {
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}, CheckOrigin: func(*http.Request) bool { return true }}
	dial := websocket.Dialer{Subprotocols: []string{"mqtt"}}
	server, resp, err := dial.Dial(strings.Replace(f.realHTTP, "http", "ws", 1)+"/mqtt", http.Header{"Origin": r.Header["Origin"]})
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	_ = resp.Body.Close()
	device, err := up.Upgrade(w, r, nil)
	if err != nil {
		_ = server.Close()
		return
	}
	f.relay(&socket{Conn: device}, &socket{Conn: server})
}

// socket is a WebSocket as a stream of bytes.
type socket struct {
	*websocket.Conn
	in io.Reader
}

// Read implements io.Reader.
func (s *socket) Read(p []byte) (int, error) {
	for {
		if s.in == nil {
			_, in, err := s.NextReader()
			if err != nil {
				return 0, err
			}
			s.in = in
		}
		n, err := s.in.Read(p)
		if err == io.EOF {
			s.in = nil
			if err = nil; n == 0 {
				continue
			}
		}
		return n, err
	}
}

// Write implements io.Writer.
func (s *socket) Write(p []byte) (int, error) {
	return len(p), s.WriteMessage(websocket.BinaryMessage, p)
}

// answer makes the next requests to a path be answered without the server.
func (f *front) answer(path string, status, times int, retryAfter string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for range times {
		f.answers[path] = append(f.answers[path], canned{status, retryAfter})
	}
}

// cut ends all connections of the device.
func (f *front) cut() {
	f.http.cut()
	f.mqtt.cut()
}

// down cuts, and lets no connection stay until up.
func (f *front) down() {
	f.http.refuse(true)
	f.mqtt.refuse(true)
	f.cut()
}

func (f *front) up() {
	f.http.refuse(false)
	f.mqtt.refuse(false)
}

func (f *front) beDeaf() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.deaf {
		f.deaf, f.deafness = true, make(chan struct{})
	}
}

func (f *front) hear() {
	f.mu.Lock()
	was := f.deaf
	f.deaf = false
	if was {
		close(f.deafness)
		f.deafness = nil
	}
	f.mu.Unlock()
	if was {
		f.cut()
	}
}

// gate is a listener that knows its connections.
type gate struct {
	net.Listener
	mu      sync.Mutex
	open    map[net.Conn]bool
	refused bool
	count   int
}

func newGate(t testing.TB) *gate {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return &gate{Listener: l, open: map[net.Conn]bool{}}
}

// Accept implements net.Listener.
func (g *gate) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		g.mu.Lock()
		g.count++
		refused := g.refused
		k := &kept{Conn: c, gate: g}
		if !refused {
			g.open[k] = true
		}
		g.mu.Unlock()
		if !refused {
			return k, nil
		}
		_ = c.Close()
	}
}

func (g *gate) refuse(yes bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.refused = yes
}

func (g *gate) contacts() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.count
}

func (g *gate) cut() {
	g.mu.Lock()
	var list []net.Conn
	for c := range g.open {
		list = append(list, c)
	}
	g.mu.Unlock()
	for _, c := range list {
		_ = c.Close()
	}
}

func (g *gate) shut() {
	_ = g.Listener.Close()
	g.cut()
}

// kept is a connection of a gate.
type kept struct {
	net.Conn
	gate *gate
}

// Close implements net.Conn.
func (k *kept) Close() error {
	k.gate.mu.Lock()
	delete(k.gate.open, k)
	k.gate.mu.Unlock()
	return k.Conn.Close()
}

// sentEvents are receipts as they passed.
type sentEvents struct {
	at   int64 // Unix ms
	list []struct {
		ID    string `json:"id"`
		Event string `json:"event"`
		At    int64  `json:"at"`
	}
}

func (e *sentEvents) parse(body []byte) error {
	var doc struct {
		Events json.RawMessage `json:"events"`
	}
	if err := json.Unmarshal(body, &doc); err != nil {
		return fmt.Errorf("receipts %.200q: %w", body, err)
	}
	return json.Unmarshal(doc.Events, &e.list)
}
