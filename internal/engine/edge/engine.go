package edge

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"syscall"

	"github.com/panjf2000/gnet/v2"
)

// engine runs loops as gnet event loops for plain sockets.
//
// gnet accepts nothing itself: its listener gives up, and the whole engine with it, when the process runs out of
// files. Sockets are accepted in Go and enrolled.
//
// Each event loop has an anchor, one end of a socket pair: writing a byte to the other end makes the event loop call
// loop.run between two looks at its sockets. gnet's own EventLoop.Execute would not do: a task that schedules itself
// again is run again before any socket is looked at.
type engine struct {
	gnet.BuiltinEventEngine
	client  *gnet.Client
	loops   map[gnet.EventLoop]*loop // written before the first socket is enrolled
	anchors []net.Conn
	log     *slog.Logger
}

// anchor is the context of an anchor connection.
type anchor struct{ l *loop }

// upgrade is the context of a connection that comes from a WebSocket handshake.
type upgrade struct {
	// early are bytes that the HTTP server had read already.
	early []byte
}

const (
	readBuffer  = 64 << 10 // one per loop
	writeBuffer = 4 << 10  // the size from which gnet chains buffers
)

// startEngine starts one event loop per loop.
func startEngine(loops []*loop, log *slog.Logger) (*engine, error) {
	g := &engine{loops: make(map[gnet.EventLoop]*loop, len(loops)), log: log}
	client, err := gnet.NewClient(g,
		gnet.WithNumEventLoop(len(loops)),
		gnet.WithReadBufferCap(readBuffer),
		gnet.WithWriteBufferCap(writeBuffer),
		gnet.WithLogger(engineLog{log}),
	)
	if err != nil {
		return nil, fmt.Errorf("edge: event loops: %w", err)
	}
	g.client = client
	if err := client.Start(); err != nil {
		return nil, fmt.Errorf("edge: event loops: %w", err)
	}
	// gnet gives a new connection to the event loop with the fewest, so each gets one anchor.
	for _, l := range loops {
		if err := g.anchor(l); err != nil {
			g.stop()
			return nil, err
		}
	}
	if len(g.loops) != len(loops) {
		g.stop()
		return nil, fmt.Errorf("edge: %d anchors went to %d event loops", len(loops), len(g.loops))
	}
	return g, nil
}

func (g *engine) anchor(l *loop) error {
	near, far, err := socketPair()
	if err != nil {
		return fmt.Errorf("edge: anchor: %w", err)
	}
	g.anchors = append(g.anchors, far)
	l.wakeUp = func() {
		// It fails only when the engine has stopped. At most a few bytes are under way, so it does not block.
		_, _ = far.Write([]byte{1})
	}
	if _, err := g.client.EnrollContext(near, &anchor{l}); err != nil {
		return fmt.Errorf("edge: anchor: %w", err)
	}
	return nil
}

func socketPair() (near, far net.Conn, err error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, err
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		syscall.CloseOnExec(fd)
		file := os.NewFile(uintptr(fd), "anchor")
		conn, err := net.FileConn(file)
		file.Close()
		if err != nil {
			if i == 0 {
				syscall.Close(fds[1])
			} else {
				ends[0].Close()
			}
			return nil, nil, err
		}
		ends[i] = conn
	}
	return ends[0], ends[1], nil
}

// enroll hands a connected socket to an event loop. It returns when the event loop has taken it, and closes c.
func (g *engine) enroll(c net.Conn, context any) error {
	if _, err := g.client.EnrollContext(c, context); err != nil {
		return fmt.Errorf("edge: enroll socket: %w", err)
	}
	return nil
}

// stop ends the event loops and closes what they hold.
func (g *engine) stop() {
	if err := g.client.Stop(); err != nil {
		g.log.Warn("event loops stopped with an error", "error", err)
	}
	for _, far := range g.anchors {
		far.Close()
	}
}

// OnOpen implements gnet.EventHandler.
func (g *engine) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	var up *upgrade
	switch of := c.Context().(type) {
	case *anchor:
		g.loops[c.EventLoop()] = of.l
		return nil, gnet.None
	case *upgrade:
		up = of
	}
	l := g.loopOf(c)
	s := &session{sock: c, fd: int32(c.Fd())}
	if up != nil {
		s.ws = &webSocket{}
	}
	c.SetContext(s)
	if !l.opened(s) {
		return nil, gnet.Close
	}
	if up != nil && len(up.early) > 0 {
		l.inputSocket(s, up.early)
	}
	return nil, gnet.None
}

// OnTraffic implements gnet.EventHandler.
func (g *engine) OnTraffic(c gnet.Conn) gnet.Action {
	switch of := c.Context().(type) {
	case *session:
		// Everything is taken at once: what is left of a packet is the session's to keep, in as many bytes as it has.
		data, err := c.Next(-1)
		if err != nil {
			return gnet.Close
		}
		g.loopOf(c).inputSocket(of, data)
	case *anchor:
		if _, err := c.Discard(-1); err != nil {
			return gnet.Close
		}
		of.l.run()
	}
	return gnet.None
}

func (g *engine) loopOf(c gnet.Conn) *loop { return g.loops[c.EventLoop()] }

// OnClose implements gnet.EventHandler.
func (g *engine) OnClose(c gnet.Conn, _ error) gnet.Action {
	if s, ok := c.Context().(*session); ok {
		g.loopOf(c).closedBy(s)
	}
	return gnet.None
}

// closeWrite closes the writing half of a plain socket; false: that is not possible, or the transport does it itself.
func closeWrite(s *session) bool {
	return s.fd > 0 && syscall.Shutdown(int(s.fd), syscall.SHUT_WR) == nil
}

// engineLog passes gnet's log on; what it logs at levels below error is of no use to an operator.
type engineLog struct{ log *slog.Logger }

func (l engineLog) Debugf(format string, args ...any) { l.tell(slog.LevelDebug, format, args) }
func (l engineLog) Infof(format string, args ...any)  { l.tell(slog.LevelDebug, format, args) }
func (l engineLog) Warnf(format string, args ...any)  { l.tell(slog.LevelDebug, format, args) }
func (l engineLog) Errorf(format string, args ...any) { l.tell(slog.LevelError, format, args) }
func (l engineLog) Fatalf(format string, args ...any) { l.tell(slog.LevelError, format, args) }

func (l engineLog) tell(level slog.Level, format string, args []any) {
	l.log.Log(context.Background(), level, "event loops", "text", fmt.Sprintf(format, args...)) //nolint:forbidigo // gnet logs without one
}
