package app

import (
	"fmt"
	"maps"
	"net/http"
	"net/http/pprof"
	"strings"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"borealis/internal/engine/deviceid"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/web"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/kernel/web/webmetric"
)

// publicHandler is everything on the public address.
func (a *App) publicHandler() (http.Handler, error) {
	mux := http.NewServeMux()
	if a.edge != nil {
		mux.HandleFunc("GET /mqtt", a.edge.ServeWebSocket)
	}
	if a.core != nil {
		a.core.mountAll(mux)
	}
	requests, err := webmetric.New(a.metrics)
	if err != nil {
		return nil, err
	}
	stack := web.Stack{Log: a.log, Clock: clock.System{}, Observe: func(r web.Record) {
		requests.Observe(r.Route, r.Method, r.Status, r.Took)
	}}
	return a.withHealth(stack.Wrap(web.CrossOrigin("/device/v1/", refuseLarge(compat.Path(mux))))), nil
}

// withHealth answers probes before everything else: they come every few seconds, and their 503 while the node starts is
// no news for the log. No mux here: it would redirect the unclean paths that clients of the compatible API send.
func (a *App) withHealth(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/healthz":
			a.healthz(w, r)
		case "/readyz":
			a.readyz(w, r)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// maxNativeBody bounds the bodies of the native API; each of its routes has a smaller limit of its own.
const maxNativeBody = 1 << 20

// refuseLarge answers native calls that announce a body beyond every limit, before it is sent.
func refuseLarge(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ContentLength > maxNativeBody && (strings.HasPrefix(r.URL.Path, "/device/") || strings.HasPrefix(r.URL.Path, "/api/")) {
			w.Header().Set("Connection", "close")
			web.WriteProblem(w, r, web.Problem{
				Status: http.StatusRequestEntityTooLarge, Detail: fmt.Sprintf("the body has %d bytes, at most %d are read", r.ContentLength, maxNativeBody),
			})
			return
		}
		next.ServeHTTP(w, r)
	})
}

// mountAll registers every HTTP surface of a core node.
func (c *core) mountAll(mux *http.ServeMux) {
	c.push.CompatRoutes(c.mountCompat(mux, pushFamily))
	c.push.CompatReportRoutes(c.mountCompat(mux, reportFamily))
	c.push.CompatGroupRoutes(c.mountGroup(mux, pushFamily))
	c.push.CompatGroupReportRoutes(c.mountGroup(mux, reportFamily))
	c.users.CompatRoutes(c.mountCompat(mux, reportFamily))
	c.users.GroupCompatRoutes(c.mountGroup(mux, reportFamily))
	c.devices.CompatRoutes(c.mountCompat(mux, deviceFamily))
	c.push.CompatDeviceRoutes(c.mountCompat(mux, deviceFamily))
	c.push.CompatScheduleRoutes(c.mountCompat(mux, scheduleFamily))
	c.push.CompatFileRoutes(c.mountFiles(mux))
	c.account.CompatRoutes(c.mountDeveloper(mux, adminFamily))
	mux.Handle("/v3/", compat.Fallback(mux))
	mux.Handle("/v1/", compat.Fallback(mux))
	c.mountReceipts(mux)
	c.webpush.Mount(mux)
	c.mountNative(mux)
}

// nativeAPI is the document that all native routes are added to.
func nativeAPI(mux *http.ServeMux) huma.API {
	cfg := huma.DefaultConfig("Borealis", apiVersion)
	cfg.DocsPath, cfg.SchemasPath = "", ""
	cfg.CreateHooks = nil // no $schema members in answers
	cfg.OpenAPIPath = "/api/openapi"
	// Bodies are JSON whatever they claim to be: `curl -d` claims a form, and small devices claim nothing true.
	cfg.Formats = maps.Clone(cfg.Formats)
	for _, claimed := range []string{"application/x-www-form-urlencoded", "text/plain", "application/octet-stream"} {
		cfg.Formats[claimed] = huma.DefaultJSONFormat
	}
	cfg.Components.SecuritySchemes = map[string]*huma.SecurityScheme{
		"app":    {Type: "http", Scheme: "basic", Description: "AppKey and master secret"},
		"device": {Type: "http", Scheme: "basic", Description: "registration id and device secret"},
	}
	return humago.New(mux, cfg)
}

// privateHandler is metrics, health and profiles.
func (a *App) privateHandler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", a.healthz)
	mux.HandleFunc("GET /readyz", a.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(a.metrics, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	return mux
}

// healthz: the process lives.
func (a *App) healthz(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n"))
}

// readyz: the node serves.
func (a *App) readyz(w http.ResponseWriter, r *http.Request) {
	err := a.group.Ready()
	if err == nil && a.core != nil {
		err = a.core.healthy(r)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	a.healthz(w, r)
}

func registerCoreMetrics(reg prometheus.Registerer, c *core) {
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "borealis_edges", Help: "Edge nodes heard of lately."},
		func() float64 { return float64(c.presence.Edges()) }))
}

// deviceCodec is the codec of a core node; nil on an edge node.
func (c *core) deviceCodec() *deviceid.Codec {
	if c == nil {
		return nil
	}
	return c.codec
}
