package web_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/web"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// logBuffer is a log that tests read.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// stack returns a stack with a fake clock that logs to the buffer at the given level.
func stack(level slog.Level) (web.Stack, *logBuffer, *clock.Fake) {
	log := &logBuffer{}
	c := clock.NewFake(time.UnixMilli(0))
	return web.Stack{Log: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: level})), Clock: c}, log, c
}

func get(h http.Handler, method, target string, body io.Reader, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, body)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestRequestID(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.WriteString(w, web.RequestID(r.Context()))
	}))
	if w := get(h, "GET", "/", nil, "X-Request-Id", "abc.DEF_1-2"); w.Body.String() != "abc.DEF_1-2" || w.Header().Get("X-Request-Id") != "abc.DEF_1-2" {
		t.Errorf("given id: %q %q", w.Body, w.Header())
	}
	seen := map[string]bool{}
	for _, bad := range []string{"", "a b", "a\"b", strings.Repeat("x", 65), "号"} {
		id := get(h, "GET", "/", nil, "X-Request-Id", bad).Body.String()
		if id == bad || len(id) < 8 || seen[id] {
			t.Errorf("for %q: %q", bad, id)
		}
		seen[id] = true
	}
}

func TestPanicBecomesAProblem(t *testing.T) {
	t.Parallel()
	s, log, _ := stack(slog.LevelInfo)
	var records []web.Record
	s.Observe = func(r web.Record) { records = append(records, r) }
	h := s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic("boom") }))
	w := get(h, "GET", "/", nil, "X-Request-Id", "id1")
	if w.Code != 500 || w.Header().Get("Content-Type") != "application/problem+json" {
		t.Errorf("answer %d %v", w.Code, w.Header())
	}
	var p web.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != 500 || p.Title != "Internal Server Error" || p.Instance != "urn:request:id1" {
		t.Errorf("problem %s, %v", w.Body, err)
	}
	if strings.Contains(w.Body.String(), "boom") || !strings.Contains(log.String(), "panic=boom") || !strings.Contains(log.String(), "request_id=id1") {
		t.Errorf("body %s\nlog %s", w.Body, log)
	}
	if len(records) != 1 || records[0].Status != 500 {
		t.Errorf("records %+v", records)
	}
}

func TestPanicAfterTheAnswerBegan(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "part")
		panic("boom")
	}))
	defer func() {
		if cause, _ := recover().(error); !errors.Is(cause, http.ErrAbortHandler) {
			t.Errorf("panic %v", cause)
		}
	}()
	get(h, "GET", "/", nil)
}

func TestOwnPanicAnswer(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	s.Panic = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(503) }
	if w := get(s.Wrap(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(1) })), "GET", "/", nil); w.Code != 503 {
		t.Errorf("status %d", w.Code)
	}
}

func TestObserveAndAccessLog(t *testing.T) {
	t.Parallel()
	s, log, c := stack(slog.LevelInfo)
	var records []web.Record
	s.Observe = func(r web.Record) { records = append(records, r) }
	mux := http.NewServeMux()
	mux.HandleFunc("GET /a/{id}", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "12345") })
	mux.HandleFunc("GET /empty", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /slow", func(http.ResponseWriter, *http.Request) { c.Advance(time.Second) })
	mux.HandleFunc("GET /bad", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(502) })
	h := s.Wrap(mux)
	for _, path := range []string{"/a/7?token=hunter2", "/empty", "/nothing", "/slow", "/bad"} {
		get(h, "GET", path, nil)
	}
	want := []web.Record{
		{Route: "GET /a/{id}", Method: "GET", Status: 200, Bytes: 5},
		{Route: "GET /empty", Method: "GET", Status: 200},
		{Route: "", Method: "GET", Status: 404, Bytes: 19},
		{Route: "GET /slow", Method: "GET", Status: 200, Took: time.Second},
		{Route: "GET /bad", Method: "GET", Status: 502},
	}
	if fmt.Sprint(records) != fmt.Sprint(want) {
		t.Errorf("records\n%+v\n%+v", records, want)
	}
	text := log.String()
	if strings.Count(text, "\n") != 2 || !strings.Contains(text, "level=WARN msg=request") || !strings.Contains(text, "route=\"GET /slow\"") ||
		!strings.Contains(text, "level=ERROR msg=request") {
		t.Errorf("log %s", text)
	}
	s2, log2, _ := stack(slog.LevelDebug)
	get(s2.Wrap(mux), "GET", "/a/7?token=hunter2", nil)
	if text := log2.String(); strings.Count(text, "\n") != 1 || strings.Contains(text, "hunter2") {
		t.Errorf("debug log %s", text)
	}
}

func TestBodyLimit(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	s.MaxBody = 10
	var got []byte
	var err error
	h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/upload" {
			web.AllowBody(r, 20)
		}
		got, err = io.ReadAll(r.Body)
		if web.IsTooLarge(err) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	}))
	cases := []struct {
		path    string
		size    int
		chunked bool
		ok      bool
	}{
		{"/", 10, false, true},
		{"/", 10, true, true},
		{"/", 11, false, false},
		{"/", 11, true, false},
		{"/", 0, false, true},
		{"/upload", 20, false, true},
		{"/upload", 21, true, false},
	}
	for _, c := range cases {
		var body io.Reader = strings.NewReader(strings.Repeat("x", c.size))
		if c.chunked {
			body = io.MultiReader(body) // hides the length
		}
		w := get(h, "POST", c.path, body)
		if ok := err == nil; ok != c.ok || ok && len(got) != c.size || !ok && (w.Code != 413 || w.Header().Get("Connection") != "close") {
			t.Errorf("%+v: read %d, %v, status %d", c, len(got), err, w.Code)
		}
	}
}

func TestBodyLimitIsSticky(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	s.MaxBody = 3
	get(s.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 2)
		total := 0
		for range 10 {
			n, err := r.Body.Read(buf)
			total += n
			if err != nil && !web.IsTooLarge(err) {
				t.Errorf("error %v", err)
			}
		}
		if total != 3 {
			t.Errorf("read %d bytes", total)
		}
	})), "POST", "/", io.MultiReader(strings.NewReader("abcdefgh")))
}

// serve starts a real server and stops it at the end of the test.
func serve(t *testing.T, h http.Handler) *web.Server {
	t.Helper()
	s := web.NewServer(web.ServerOptions{Addr: "127.0.0.1:0", Handler: h, Log: slog.New(slog.DiscardHandler)})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- s.Serve() }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second) // t.Context has ended when cleanups run
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Errorf("shutdown: %v", err)
		}
		if err := <-done; err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return s
}

func TestHijackThroughTheStack(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	records := make(chan web.Record, 2)
	s.Observe = func(r web.Record) { records <- r }
	hijack := map[string]func(http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error){
		"/interface": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"/controller": func(w http.ResponseWriter) (net.Conn, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	}
	srv := serve(t, s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := hijack[r.URL.Path](w)
		if err != nil {
			t.Errorf("hijack: %v", err)
			return
		}
		_, _ = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\nhello")
		_ = conn.Close()
	})))
	for path := range hijack {
		conn, err := net.Dial("tcp", srv.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		_, _ = fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: x\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n", path)
		all, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(all), "HTTP/1.1 101") || !strings.HasSuffix(string(all), "hello") {
			t.Errorf("%s: %q, %v", path, all, err)
		}
		_ = conn.Close()
		if r := <-records; r.Status != 101 {
			t.Errorf("%s: %+v", path, r)
		}
	}
}

func TestFlushThroughTheStack(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	release := make(chan struct{})
	srv := serve(t, s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first")
		w.(http.Flusher).Flush()
		<-release
	})))
	resp, err := http.Get("http://" + srv.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	buf := make([]byte, 5)
	if _, err := io.ReadFull(resp.Body, buf); err != nil || string(buf) != "first" {
		t.Errorf("%q, %v", buf, err)
	}
	close(release)
	_ = resp.Body.Close()
	http.DefaultClient.CloseIdleConnections()
}

// A body beyond the limit is answered, and then the connection ends instead of being read to the end.
func TestTooLargeBodyEndsTheConnection(t *testing.T) {
	t.Parallel()
	s, _, _ := stack(slog.LevelInfo)
	s.MaxBody = 10
	srv := serve(t, s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := io.ReadAll(r.Body); web.IsTooLarge(err) {
			web.WriteProblem(w, r, web.Problem{Status: 413})
		}
	})))
	conn, err := net.Dial("tcp", srv.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000000\r\n\r\nabc")
	if err := conn.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 413 || !resp.Close {
		t.Errorf("%+v, %v", resp, err)
	}
}

func TestShutdownLetsRequestsFinish(t *testing.T) {
	t.Parallel()
	entered, release := make(chan struct{}), make(chan struct{})
	s := web.NewServer(web.ServerOptions{Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(entered)
			<-release
			_, _ = io.WriteString(w, "done")
		})})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	served, shut, answered := make(chan error, 1), make(chan error, 1), make(chan string, 1)
	go func() { served <- s.Serve() }()
	go func() {
		resp, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Get("http://" + s.Addr().String())
		if err != nil {
			answered <- err.Error()
			return
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		answered <- string(body)
	}()
	<-entered
	go func() { shut <- s.Shutdown(t.Context()) }()
	if err := <-served; err != nil { // returns at once, while the request runs
		t.Errorf("serve: %v", err)
	}
	close(release)
	if err := <-shut; err != nil {
		t.Errorf("shutdown: %v", err)
	}
	if got := <-answered; got != "done" {
		t.Errorf("answer %q", got)
	}
}

func TestShutdownCutsAfterTheDeadline(t *testing.T) {
	t.Parallel()
	entered, ended := make(chan struct{}), make(chan struct{})
	s := web.NewServer(web.ServerOptions{Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(entered)
			<-r.Context().Done()
			close(ended)
		})})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve() }()
	conn, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	_, _ = io.WriteString(conn, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	<-entered
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := s.Shutdown(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("shutdown: %v", err)
	}
	<-ended
	if err := <-served; err != nil {
		t.Errorf("serve: %v", err)
	}
}

func TestShutdownBeforeServe(t *testing.T) {
	t.Parallel()
	s := web.NewServer(web.ServerOptions{Addr: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err := s.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := net.Dial("tcp", s.Addr().String()); err == nil {
		t.Error("still listening")
	}
	if err := s.Serve(); err != nil {
		t.Errorf("serve after shutdown: %v", err)
	}
}

func TestListenErrorNamesTheAddress(t *testing.T) {
	t.Parallel()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	s := web.NewServer(web.ServerOptions{Addr: ln.Addr().String(), Log: slog.New(slog.DiscardHandler)})
	if err := s.Listen(t.Context()); err == nil || !strings.Contains(err.Error(), ln.Addr().String()) {
		t.Errorf("error %v", err)
	}
}

func TestProblemDocument(t *testing.T) {
	t.Parallel()
	w := httptest.NewRecorder()
	web.WriteProblem(w, httptest.NewRequest("GET", "/", nil), web.Problem{
		Status: 422, Type: "https://x.example/invalid", Detail: "d", Errors: []web.FieldError{{Location: "body.name", Message: "is empty"}}})
	want := `{"type":"https://x.example/invalid","title":"Unprocessable Entity","status":422,"detail":"d","errors":[{"location":"body.name","message":"is empty"}]}`
	if w.Code != 422 || w.Body.String() != want || w.Header().Get("Content-Length") != fmt.Sprint(len(want)) {
		t.Errorf("%d %s %v", w.Code, w.Body, w.Header())
	}
}

func TestClientIP(t *testing.T) {
	t.Parallel()
	p, err := web.ParseProxies([]string{"10.0.0.0/8", "::1/128"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ peer, forwarded, want string }{
		{"1.2.3.4:5", "", "1.2.3.4"},
		{"1.2.3.4:5", "9.9.9.9", "1.2.3.4"},
		{"10.0.0.1:5", "", "10.0.0.1"},
		{"10.0.0.1:5", "9.9.9.9", "9.9.9.9"},
		{"10.0.0.1:5", "8.8.8.8, 9.9.9.9", "9.9.9.9"},
		{"10.0.0.1:5", "8.8.8.8, 10.0.0.2", "8.8.8.8"},
		{"10.0.0.1:5", "10.0.0.3,10.0.0.2", "10.0.0.3"},
		{"10.0.0.1:5", "8.8.8.8, junk, 10.0.0.2", "10.0.0.2"},
		{"[::1]:5", "2001:db8::1", "2001:db8::1"},
		{"[::ffff:10.0.0.1]:5", "::ffff:9.9.9.9", "9.9.9.9"},
		{"10.0.0.1:5", strings.Repeat("10.0.0.9,", 100) + "10.0.0.9", "10.0.0.9"},
		{"@", "9.9.9.9", "invalid IP"},
	} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = c.peer
		if c.forwarded != "" {
			r.Header.Set("X-Forwarded-For", c.forwarded)
		}
		if got := p.ClientIP(r).String(); got != c.want {
			t.Errorf("%s forwarded for %q: %s, want %s", c.peer, c.forwarded, got, c.want)
		}
	}
	if _, err := web.ParseProxies([]string{"10.0.0.1"}); err == nil {
		t.Error("an address is not a network")
	}
}

// discard is not io.Discard, for which slog would take short cuts.
type discard struct{}

func (discard) Write(b []byte) (int, error) { return len(b), nil }

type nullWriter struct{ h http.Header }

func (w nullWriter) Header() http.Header         { return w.h }
func (w nullWriter) Write(b []byte) (int, error) { return len(b), nil }
func (w nullWriter) WriteHeader(int)             {}

// The stack is paid for on every API call.
func BenchmarkStack(b *testing.B) {
	s := web.Stack{Log: slog.New(slog.NewJSONHandler(discard{}, nil)), Clock: clock.System{}}
	h := s.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(200) }))
	r := httptest.NewRequest("GET", "/", nil)
	w := nullWriter{h: http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}
