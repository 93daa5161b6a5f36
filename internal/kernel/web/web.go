// Package web is what every HTTP surface of Borealis stands on: the middleware stack in its fixed order, the server
// with its time limits, and the problem document of RFC 9457.
//
// Order of the stack, outermost first, visible in Stack.Wrap: recover → request id → access log → body limit. What
// follows (authenticate → scope → rate limit) belongs to the surfaces.
//
// The response writer that handlers see supports http.ResponseController and http.Hijacker, so WebSocket upgrades
// work through the stack. Nothing here logs query strings, bodies, or header values: they carry personal data.
package web

import (
	"bufio"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"time"

	"borealis/internal/kernel/clock"
)

// Record is one finished request.
type Record struct {
	// Route is the pattern of the mux that matched ("POST /v3/push"), empty if none did. It is bounded, unlike paths.
	Route  string
	Method string
	// Status sent; 101 for a hijacked connection.
	Status int
	// Bytes of body written.
	Bytes int64
	// Took is from the request's header being read to the handler's return.
	Took time.Duration
}

// Stack configures the middlewares that are around every handler.
type Stack struct { //nolint:recvcheck // Wrap fills in defaults on a copy of its own
	// Log is required.
	Log *slog.Logger
	// Clock is required.
	Clock clock.Clock
	// MaxBody is the largest request body in bytes a handler can read unless it calls AllowBody; 0 means 2 MiB.
	MaxBody int64
	// Slow is the duration from which a request is logged as a warning; 0 means 1 s.
	Slow time.Duration
	// Observe is called once per finished request, e.g. to count it. Optional.
	Observe func(Record)
	// Panic answers a request whose handler panicked before it wrote anything. Optional; a problem document otherwise.
	Panic func(http.ResponseWriter, *http.Request)
}

// Wrap puts the stack around next.
func (s Stack) Wrap(next http.Handler) http.Handler {
	if s.MaxBody == 0 {
		s.MaxBody = 2 << 20
	}
	if s.Slow == 0 {
		s.Slow = time.Second
	}
	if s.Panic == nil {
		s.Panic = func(w http.ResponseWriter, r *http.Request) {
			WriteProblem(w, r, Problem{Status: http.StatusInternalServerError})
		}
	}
	ids := newRequestIDs()
	return s.recovering(s.identifying(ids, s.logging(s.limiting(next))))
}

// recovering keeps a panic from ending the connection without an answer.
func (s *Stack) recovering(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w := &response{ResponseWriter: rw}
		defer func() {
			cause := recover()
			if cause == nil {
				return
			}
			if cause == http.ErrAbortHandler { //nolint:errorlint // a sentinel thrown as is
				panic(cause)
			}
			s.Log.Error("handler panicked", "request_id", w.id, "method", r.Method, "panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			if w.status == 0 {
				s.Panic(w, r)
				return
			}
			// The answer has begun and cannot be taken back; breaking the connection tells the caller.
			panic(http.ErrAbortHandler)
		}()
		next.ServeHTTP(w, r)
	})
}

// logging reports every request to Observe, and to the log: failures and slow ones always, others at debug level.
func (s *Stack) logging(next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		begin := s.Clock.Now()
		panicked := true
		defer func() {
			w, _ := rw.(*response)
			rec := Record{Route: r.Pattern, Method: r.Method, Status: w.status, Bytes: w.bytes, Took: s.Clock.Now().Sub(begin)}
			switch {
			case panicked:
				rec.Status = http.StatusInternalServerError
			case rec.Status == 0:
				rec.Status = http.StatusOK // net/http sends it when a handler wrote nothing
			}
			if s.Observe != nil {
				s.Observe(rec)
			}
			s.log(r, w, rec)
		}()
		next.ServeHTTP(rw, r)
		panicked = false
	})
}

func (s *Stack) log(r *http.Request, w *response, rec Record) {
	level := slog.LevelDebug
	switch {
	case rec.Status >= 500:
		level = slog.LevelError
	case rec.Took >= s.Slow && rec.Status != http.StatusSwitchingProtocols && !w.patient:
		level = slog.LevelWarn
	}
	ctx := r.Context()
	if !s.Log.Enabled(ctx, level) {
		return
	}
	s.Log.LogAttrs(ctx, level, "request",
		slog.String("request_id", w.id),
		slog.String("method", r.Method),
		slog.String("route", rec.Route),
		slog.Int("status", rec.Status),
		slog.Int64("bytes", rec.Bytes),
		slog.Duration("took", rec.Took),
		slog.String("remote", r.RemoteAddr))
}

// limiting bounds the request body.
func (s *Stack) limiting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != nil && r.Body != http.NoBody {
			r.Body = &limitedBody{body: r.Body, header: w.Header(), limit: s.MaxBody, declared: r.ContentLength}
		}
		next.ServeHTTP(w, r)
	})
}

// response notes what was sent. It is the writer all handlers see.
type response struct {
	http.ResponseWriter

	id     string
	status int
	bytes  int64
	// patient: it takes its time on purpose.
	patient bool
}

// Unwrap serves http.ResponseController.
func (w *response) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// WriteHeader notes the first final status.
func (w *response) WriteHeader(status int) {
	if w.status == 0 && (status >= 200 || status == http.StatusSwitchingProtocols) {
		w.status = status
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write counts bytes.
func (w *response) Write(b []byte) (int, error) {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	n, err := w.ResponseWriter.Write(b)
	w.bytes += int64(n)
	return n, err
}

// Flush is for libraries that ask for http.Flusher instead of using http.ResponseController.
func (w *response) Flush() {
	if w.status == 0 {
		w.status = http.StatusOK
	}
	_ = http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack is for libraries that ask for http.Hijacker instead of using http.ResponseController.
func (w *response) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	conn, rw, err := http.NewResponseController(w.ResponseWriter).Hijack()
	if err == nil && w.status == 0 {
		w.status = http.StatusSwitchingProtocols
	}
	return conn, rw, err
}
