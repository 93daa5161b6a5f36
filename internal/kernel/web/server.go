package web

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// ServerOptions configure one listener.
type ServerOptions struct {
	// Addr to listen on, e.g. ":8080".
	Addr string
	// Handler is usually wrapped by a Stack.
	Handler http.Handler
	// TLS makes it HTTPS, with HTTP/2; nil: plain HTTP/1.1.
	TLS *tls.Config
	// Log is required. What peers do wrong on the wire is logged at debug level.
	Log *slog.Logger
	// WriteTimeout bounds the time from the end of the request's header to the end of the answer; 0 means 2 min. A
	// handler that streams extends it through http.ResponseController.
	WriteTimeout time.Duration
}

// Limits of every server, in time and size.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = time.Minute
	writeTimeout      = 2 * time.Minute
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 64 << 10
)

// Server serves HTTP on one listener. Listen, then Serve, then Shutdown.
type Server struct {
	http     *http.Server
	addr     string
	listener net.Listener
}

// NewServer makes a server that listens nowhere yet.
func NewServer(o ServerOptions) *Server {
	if o.WriteTimeout == 0 {
		o.WriteTimeout = writeTimeout
	}
	return &Server{addr: o.Addr, http: &http.Server{
		Handler:           o.Handler,
		TLSConfig:         o.TLS,
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      o.WriteTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}}
}

// Listen binds the address; from then on connections queue.
func (s *Server) Listen(ctx context.Context) error {
	var lc net.ListenConfig
	ln, err := lc.Listen(ctx, "tcp", s.addr)
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.listener = ln
	return nil
}

// Addr is where the server listens, with the real port. Only after Listen.
func (s *Server) Addr() net.Addr { return s.listener.Addr() }

// Serve answers requests until Shutdown, then returns nil. Only after Listen.
func (s *Server) Serve() error {
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(s.listener, "", "")
	} else {
		err = s.http.Serve(s.listener)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return fmt.Errorf("serve %s: %w", s.addr, err)
}

// OnShutdown registers fn to run when Shutdown begins: it ends what waits in requests on purpose.
func (s *Server) OnShutdown(fn func()) { s.http.RegisterOnShutdown(fn) }

// Shutdown stops accepting, lets running requests finish until ctx ends, and then cuts them. Hijacked connections are
// their owner's to close.
func (s *Server) Shutdown(ctx context.Context) error {
	err := s.http.Shutdown(ctx)
	if err == nil {
		if s.listener != nil {
			_ = s.listener.Close() // bound but never served: Shutdown does not know it
		}
		return nil
	}
	return errors.Join(fmt.Errorf("shut down %s: %w", s.addr, err), s.http.Close())
}
