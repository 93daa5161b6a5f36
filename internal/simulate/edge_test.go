package simulate

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
)

// realEdge is an edge with a core behind it that admits everybody, owes nothing and remembers.
type realEdge struct {
	t     *testing.T
	bus   *bus.Bus
	codec *deviceid.Codec
	edge  *edge.Edge
	plain *httptest.Server
	tls   *httptest.Server

	mu        sync.Mutex
	conn      uint64
	delivered int
	ups       []edgewire.Up
}

const edgeApp = int64(7)

func newRealEdge(t *testing.T) *realEdge {
	t.Helper()
	e := &realEdge{t: t}
	var err error
	if e.bus, err = bus.Open(t.Context(), bus.Options{Name: "test"}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(e.bus.Close)
	if e.codec, err = deviceid.New([]byte("0123456789abcdef0123456789abcdef")); err != nil {
		t.Fatal(err)
	}
	e.listen()
	e.edge, err = edge.New(edge.Options{
		ID: "edge-1", Addr: "127.0.0.1:0", Codec: e.codec, Bus: e.bus, Clock: clock.System{}, Log: slog.New(slog.DiscardHandler), Loops: 1,
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.edge.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = e.edge.Stop(ctx)
	})
	mux := http.NewServeMux()
	mux.HandleFunc("GET /mqtt", e.edge.ServeWebSocket)
	e.plain = httptest.NewServer(mux)
	t.Cleanup(e.plain.Close)
	e.tls = httptest.NewTLSServer(mux)
	t.Cleanup(e.tls.Close)
	return e
}

// listen serves the core's subjects.
func (e *realEdge) listen() {
	e.t.Helper()
	serve := func(subject, queue string, answer func(*bus.Msg) any) {
		_, err := e.bus.Subscribe(subject, queue, func(m *bus.Msg) {
			e.mu.Lock()
			defer e.mu.Unlock()
			if out := answer(m); out != nil {
				_ = m.Respond(out)
			}
		})
		if err != nil {
			e.t.Fatal(err)
		}
	}
	serve(edgewire.SubjectApp, edgewire.QueueCore, func(*bus.Msg) any {
		return edgewire.AppFacts{AppKey: testKey, ID: edgeApp, Enabled: true}
	})
	serve(edgewire.SubjectConnect(edgeApp), "", func(*bus.Msg) any { e.conn++; return edgewire.Connected{Conn: e.conn} })
	serve(edgewire.SubjectOwed(edgeApp), "", func(*bus.Msg) any { return edgewire.Owed{} })
	serve(edgewire.SubjectUp(edgeApp), "", func(m *bus.Msg) any {
		var in edgewire.Up
		_ = m.Decode(&in)
		e.ups = append(e.ups, in)
		return edgewire.UpReply{}
	})
	serve(edgewire.SubjectReceipts(edgeApp), "", func(m *bus.Msg) any {
		var in edgewire.Receipts
		_ = m.Decode(&in)
		for _, item := range in.Items {
			if item.Stage == edgewire.Delivered {
				e.delivered += len(item.Ordinals)
			}
		}
		return edgewire.Ack{OK: true}
	})
}

func TestOnTheRealEdge(t *testing.T) {
	t.Parallel()
	e := newRealEdge(t)
	for i, address := range []string{
		"tcp://" + e.edge.Addr().String(),
		strings.Replace(e.plain.URL, "http", "ws", 1) + "/mqtt",
		strings.Replace(e.tls.URL, "http", "ws", 1) + "/mqtt",
	} {
		for j, v := range []mqtt.Version{mqtt.V311, mqtt.V5} {
			ordinal := uint32(1 + 2*i + j)
			var (
				box    inbox
				online = make(chan struct{}, 1)
				acked  = make(chan mqtt.Code, 1)
			)
			ref := deviceid.Ref{Epoch: 1, Ordinal: ordinal}
			d := run(t, Options{
				AppKey:      testKey,
				Credentials: Credentials{RegistrationID: e.codec.ID(edgeApp, ref), Secret: e.codec.Secret(edgeApp, ref, 1), MQTT: []string{address}},
				Version:     v, Displays: 1, OnMessage: box.take, TLS: &tls.Config{InsecureSkipVerify: true},
				OnState: func(_ *Device, up bool, err error) {
					if !up {
						t.Errorf("%s: %v", address, err)
						return
					}
					online <- struct{}{}
				},
				OnAck: func(_ *Device, _ string, code mqtt.Code) { acked <- code },
			})
			<-online
			long := `{"id":"1","type":"notification","alert":"` + strings.Repeat("long ", 2000) + `"}`
			err := e.bus.Publish(edgewire.SubjectDeliver, edgewire.Deliver{
				App: edgeApp, Ordinals: []uint32{ordinal}, Frame: edgewire.Frame{Msg: int64(ordinal), Payload: []byte(long), Expires: 1 << 50},
			})
			if err != nil {
				t.Fatal(err)
			}
			eventually(t, "message over "+address, func() bool { return len(box.all()) == 1 })
			if code := <-acked; code != mqtt.Success || len(box.all()[0].Alert) != 10_000 {
				t.Errorf("%s: event answered with %d, alert of %d bytes", d.RegistrationID(), code, len(box.all()[0].Alert))
			}
		}
	}
	eventually(t, "receipts", func() bool { e.mu.Lock(); defer e.mu.Unlock(); return e.delivered == 6 && len(e.ups) == 6 })
}

func TestWebSocketElsewhere(t *testing.T) {
	t.Parallel()
	other := httptest.NewServer(http.NotFoundHandler())
	defer other.Close()
	_, err := Connect(t.Context(), ConnOptions{Address: strings.Replace(other.URL, "http", "ws", 1), Handler: silence{}})
	if err == nil || errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "WebSocket handshake") {
		t.Errorf("got %v", err)
	}
}
