package borealis

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
)

// The client's side of WebSocket against another implementation: messages of every width of length both ways, fragments,
// pings, and the end.
func TestWebSocketIsAStreamOfBytes(t *testing.T) {
	t.Parallel()
	up := websocket.Upgrader{Subprotocols: []string{"mqtt"}, WriteBufferSize: 1000}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := up.Upgrade(w, r, nil)
		if err != nil {
			t.Error(err)
			return
		}
		defer func() { _ = c.Close() }()
		for {
			kind, data, err := c.ReadMessage()
			if err != nil || string(data) == "end" {
				_ = c.WriteControl(websocket.CloseMessage, websocket.FormatCloseMessage(websocket.CloseNormalClosure, ""), time.Now().Add(time.Second))
				return
			}
			_ = c.WriteControl(websocket.PingMessage, []byte("still there?"), time.Now().Add(time.Second))
			out, err := c.NextWriter(kind)
			if err == nil {
				_, err = io.Copy(out, bytes.NewReader(data)) // in frames of the write buffer's size
			}
			if err != nil || out.Close() != nil {
				t.Error(err)
			}
		}
	}))
	defer server.Close()
	c, err := New(Options{Server: server.URL, AppKey: "k", Platform: "iot", Storage: &MemoryStorage{}})
	if err != nil {
		t.Fatal(err)
	}
	conn, err := c.dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/mqtt")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close() }()
	for _, size := range []int{1, 125, 126, 65_535, 65_536, 200_000} {
		sent := bytes.Repeat([]byte{byte(size), 0xff, 0}, size)[:size]
		if _, err := conn.Write(sent); err != nil {
			t.Fatal(err)
		}
		got := make([]byte, size)
		if _, err := io.ReadFull(conn, got); err != nil || !bytes.Equal(sent, got) {
			t.Fatalf("%d bytes: %v", size, err)
		}
	}
	if _, err := conn.Write([]byte("end")); err != nil {
		t.Fatal(err)
	}
	if n, err := conn.Read(make([]byte, 1)); n != 0 || err != io.EOF { //nolint:errorlint // the contract of io.Reader
		t.Errorf("after the end: %d %v", n, err)
	}
}

func TestServerThatSpeaksNoWebSocketIsReported(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	c, err := New(Options{Server: server.URL, AppKey: "k", Platform: "iot", Storage: &MemoryStorage{}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.dial(t.Context(), strings.Replace(server.URL, "http", "ws", 1)+"/mqtt"); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("%v", err)
	}
}
