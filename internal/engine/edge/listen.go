package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/gobwas/ws"
)

// acceptors is the number of goroutines that take connections from a listener: an event loop that is in the middle of
// a slice lets one of them wait.
const acceptors = 4

// subprotocol is the WebSocket subprotocol of MQTT.
const subprotocol = "mqtt"

// listen opens the listeners and starts to accept.
func (e *Edge) listen(ctx context.Context) error {
	if e.addr != "" {
		if err := e.accept(ctx, e.addr, e.takePlain); err != nil {
			return err
		}
	}
	if e.tlsAddr != "" {
		return e.accept(ctx, e.tlsAddr, e.takeTLS)
	}
	return nil
}

func (e *Edge) accept(ctx context.Context, addr string, take func(net.Conn)) error {
	// MQTT has its own keep-alive; TCP's would wake up radios for nothing.
	config := net.ListenConfig{KeepAlive: -1}
	ln, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return fmt.Errorf("edge: listen: %w", err)
	}
	e.listeners = append(e.listeners, ln)
	for range acceptors {
		e.background.Go(func() { e.acceptFrom(ln, take) })
	}
	return nil
}

func (e *Edge) acceptFrom(ln net.Listener, take func(net.Conn)) {
	pause := newBackoff()
	for {
		conn, err := ln.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			// Out of files, most likely: it passes.
			e.log.Warn("connection not accepted", "error", err)
			if pause.wait(e.ctx) != nil {
				return
			}
			continue
		}
		pause = newBackoff()
		if !e.enter() {
			conn.Close()
			return
		}
		if e.gate.full() {
			conn.Close()
		} else {
			take(conn)
		}
		e.entering.Done()
	}
}

func (e *Edge) takePlain(conn net.Conn) {
	if err := e.engine.enroll(conn, nil); err != nil {
		e.log.Warn("connection not taken", "error", err)
	}
}

func (e *Edge) takeTLS(conn net.Conn) {
	e.streams.serve(tls.Server(conn, e.tls), false, nil, e.limits.StallTimeout)
}

// Addr is the address of the MQTT listener, with the port it got; nil without one. It is known after Start.
func (e *Edge) Addr() net.Addr { return e.listenerAddr(e.addr != "", 0) }

// TLSAddr is the address of the MQTT over TLS listener; nil without one.
func (e *Edge) TLSAddr() net.Addr {
	if e.addr != "" {
		return e.listenerAddr(e.tlsAddr != "", 1)
	}
	return e.listenerAddr(e.tlsAddr != "", 0)
}

func (e *Edge) listenerAddr(configured bool, index int) net.Addr {
	if !configured || index >= len(e.listeners) {
		return nil
	}
	return e.listeners[index].Addr()
}

// ServeWebSocket is the HTTP handler of MQTT over WebSocket. The client must offer the subprotocol "mqtt".
func (e *Edge) ServeWebSocket(w http.ResponseWriter, r *http.Request) {
	switch {
	case !offersMQTT(r):
		http.Error(w, "the WebSocket subprotocol mqtt is required", http.StatusBadRequest)
		return
	case e.gate.full() || !e.enter():
		w.Header().Set("Retry-After", "5")
		http.Error(w, "no room for another connection", http.StatusServiceUnavailable)
		return
	}
	defer e.entering.Done()
	upgrader := ws.HTTPUpgrader{
		Timeout:  5 * time.Second,
		Protocol: func(offered string) bool { return offered == subprotocol },
	}
	conn, buffered, _, err := upgrader.Upgrade(r, w)
	if err != nil {
		if conn != nil {
			conn.Close()
		}
		e.log.Debug("WebSocket handshake failed", "error", err)
		return
	}
	early := make([]byte, buffered.Reader.Buffered())
	if _, err := buffered.Reader.Read(early); err != nil && len(early) > 0 {
		conn.Close()
		return
	}
	e.takeUpgraded(conn, early)
}

func (e *Edge) takeUpgraded(conn net.Conn, early []byte) {
	plain, ok := conn.(*net.TCPConn)
	if !ok {
		e.streams.serve(conn, true, early, e.limits.StallTimeout)
		return
	}
	if err := e.engine.enroll(plain, &upgrade{early: early}); err != nil {
		e.log.Warn("connection not taken", "error", err)
	}
}

func offersMQTT(r *http.Request) bool {
	for _, header := range r.Header.Values("Sec-WebSocket-Protocol") {
		for offered := range strings.SplitSeq(header, ",") {
			if strings.TrimSpace(offered) == subprotocol {
				return true
			}
		}
	}
	return false
}
