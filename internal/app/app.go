package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"borealis/internal/engine/edge"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/config"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/lifecycle"
	"borealis/internal/kernel/web"
)

// App is one node.
type App struct {
	cfg     *config.Config
	log     *slog.Logger
	bus     *bus.Bus
	core    *core // nil on an edge node
	edge    *edge.Edge
	metrics *prometheus.Registry
	public  *web.Server
	private *web.Server
	group   *lifecycle.Group
}

// Open connects to the stores and builds a node from a valid configuration. Run starts it; Close is for a node that
// never runs.
func Open(ctx context.Context, cfg *config.Config, log *slog.Logger) (*App, error) {
	a := &App{cfg: cfg, log: log, metrics: prometheus.NewRegistry()}
	if err := a.open(ctx); err != nil {
		a.Close()
		return nil, err
	}
	return a, nil
}

func (a *App) open(ctx context.Context) error {
	name, err := a.cfg.Node()
	if err != nil {
		return err
	}
	// Unique among running nodes and runs: leases and numbered broadcasts must not continue a dead predecessor's.
	node := busName(name) + "-" + id.NewKey()[:8]
	a.metrics.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	if a.bus, err = bus.Open(ctx, bus.Options{URL: string(a.cfg.NATSURL), Name: node}); err != nil {
		return err
	}
	var tlsConfig = a.cfg.TLS()
	server := web.ServerOptions{Addr: a.cfg.HTTPAddr, Log: a.log}
	if tlsConfig {
		if server.TLS, err = web.LoadTLS(a.cfg.TLSCert, a.cfg.TLSKey, clock.System{}, a.log); err != nil {
			return err
		}
	}
	if a.cfg.RunsCore() {
		if a.core, err = openCore(ctx, a.cfg, a.bus, node, a.endpoints, a.metrics, a.log); err != nil {
			return err
		}
	}
	if a.cfg.RunsEdge() {
		if err := a.openEdge(ctx, node, server); err != nil {
			return err
		}
	}
	if server.Handler, err = a.publicHandler(); err != nil {
		return err
	}
	a.public = web.NewServer(server)
	if a.core != nil {
		a.public.OnShutdown(a.core.webpush.StopWaiting)
	}
	if a.cfg.InternalAddr != "" {
		a.private = web.NewServer(web.ServerOptions{Addr: a.cfg.InternalAddr, Handler: a.privateHandler(), Log: a.log})
	}
	a.group, err = lifecycle.NewGroup(lifecycle.Options{DrainTimeout: a.cfg.DrainTimeout, Log: a.log}, a.modules()...)
	return err
}

func (a *App) openEdge(ctx context.Context, node string, server web.ServerOptions) (err error) {
	codec := a.core.deviceCodec()
	if codec == nil {
		keys, err := edgeKeys(a.cfg)
		if err != nil {
			return err
		}
		if err := checkKeys(ctx, a.bus, keys, a.log); err != nil {
			return err
		}
		if codec, err = deviceCodec(keys); err != nil {
			return err
		}
	}
	if a.edge, err = newEdge(a.cfg, codec, a.bus, node, server.TLS, a.metrics, a.log); err != nil {
		return fmt.Errorf("app: edge: %w", err)
	}
	return nil
}

// Run serves until ctx ends, then drains.
func (a *App) Run(ctx context.Context) error {
	defer a.Close()
	return a.group.Run(ctx)
}

// Ready says why the node cannot serve yet, nil if it can.
func (a *App) Ready() error { return a.group.Ready() }

// HTTPAddr is where the public server listens, once it is ready.
func (a *App) HTTPAddr() net.Addr { return a.public.Addr() }

// MQTTAddr is where devices connect over plain MQTT, once it is ready; nil without an edge.
func (a *App) MQTTAddr() net.Addr {
	if a.edge == nil {
		return nil
	}
	return a.edge.Addr()
}

// Close frees the stores.
func (a *App) Close() {
	var err error
	if a.core != nil {
		err = a.core.db.Close()
		a.core = nil
	}
	if a.bus != nil {
		a.bus.Close()
		a.bus = nil
	}
	if err = errors.Join(err); err != nil {
		a.log.Warn("stores not closed cleanly", "err", err)
	}
}

// busName makes a host name usable as a token of a bus subject.
func busName(name string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune(".*> \t\r\n", r) {
			return '-'
		}
		return r
	}, name)
}

// CreateApp makes an app and returns its keys; for programs that run a core node inside themselves.
func (a *App) CreateApp(ctx context.Context, name string) (appKey, masterSecret string, err error) {
	app, err := a.core.account.CreateApp(ctx, "the program itself", name)
	if err != nil {
		return "", "", err
	}
	return app.Key, app.MasterSecret, nil
}
