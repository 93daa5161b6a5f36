package web

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"time"

	"borealis/internal/kernel/clock"
)

// streamWrite is how long the client of a stream may take to read one event.
const streamWrite = 30 * time.Second

// Patient says of an answer that it takes its time on purpose, because there is nothing to say yet: it is not logged as slow, and
// the time limit for reading the request, which has been read, does not end it. The limit for writing stays.
func Patient(w http.ResponseWriter) {
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{}) // one that cannot has no limit either
	for w != nil {
		if r, ok := w.(*response); ok {
			r.patient = true
			return
		}
		inner, ok := w.(interface{ Unwrap() http.ResponseWriter })
		if !ok {
			return
		}
		w = inner.Unwrap()
	}
}

// Stream is an answer of type text/event-stream: events one after the other, for as long as both sides like. It is for one goroutine.
type Stream struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// NewStream begins the answer. The error is that of the connection.
func NewStream(w http.ResponseWriter) (*Stream, error) {
	Patient(w)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // nginx passes events on as they come
	w.WriteHeader(http.StatusOK)
	s := &Stream{w: w, rc: http.NewResponseController(w)}
	return s, s.write([]byte(": \n\n"))
}

// Send writes an event. id and name are of one line; id may be empty.
func (s *Stream) Send(id, name string, data []byte) error {
	var b bytes.Buffer
	if id != "" {
		fmt.Fprintf(&b, "id: %s\n", id)
	}
	fmt.Fprintf(&b, "event: %s\n", name)
	for line := range strings.SplitSeq(string(data), "\n") {
		fmt.Fprintf(&b, "data: %s\n", line)
	}
	b.WriteByte('\n')
	return s.write(b.Bytes())
}

// Beat writes a comment, which shows that the connection lives.
func (s *Stream) Beat() error { return s.write([]byte(": \n\n")) }

func (s *Stream) write(text []byte) error {
	_ = s.rc.SetWriteDeadline(clock.System{}.Now().Add(streamWrite)) // a deadline of the network, whatever the service's clock says
	if _, err := s.w.Write(text); err != nil {
		return fmt.Errorf("web: event stream: %w", err)
	}
	if err := s.rc.Flush(); err != nil {
		return fmt.Errorf("web: event stream: %w", err)
	}
	return nil
}
