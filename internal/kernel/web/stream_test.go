package web_test

import (
	"bufio"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/web"
)

// An answer that waits on purpose is no slow one, and events reach the client one by one.
func TestEventsReachTheClientAsTheyAreSent(t *testing.T) {
	t.Parallel()
	st, log, fake := stack(slog.LevelInfo)
	next, done := make(chan string), make(chan error, 1)
	s := serve(t, st.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		stream, err := web.NewStream(w)
		if err != nil {
			done <- err
			return
		}
		for text := range next {
			fake.Advance(time.Minute)
			if err := errors.Join(stream.Beat(), stream.Send(text[:1], "letter", []byte(text))); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	})))
	resp, err := http.Get("http://" + s.Addr().String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if h := resp.Header; resp.StatusCode != http.StatusOK || !strings.HasPrefix(h.Get("Content-Type"), "text/event-stream") || h.Get("Cache-Control") != "no-store" {
		t.Fatalf("%d %v", resp.StatusCode, h)
	}
	in := bufio.NewReader(resp.Body)
	for _, event := range []struct{ text, want string }{{"a", "id: a\nevent: letter\ndata: a\n"}, {"b\nc", "id: b\nevent: letter\ndata: b\ndata: c\n"}} {
		next <- event.text
		var got strings.Builder
		for !strings.HasSuffix(got.String(), "\n\n") || strings.Trim(got.String(), ": \n") == "" {
			line, err := in.ReadString('\n')
			if err != nil {
				t.Fatal(err)
			}
			got.WriteString(line)
		}
		if text := strings.TrimLeft(got.String(), ": \n"); text != event.want+"\n" {
			t.Errorf("event %q, want %q", text, event.want)
		}
	}
	close(next)
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if rest, err := io.ReadAll(in); err != nil || len(rest) > 0 {
		t.Errorf("after the end: %q, %v", rest, err)
	}
	if log.String() != "" {
		t.Errorf("logged: %s", log.String())
	}
}
