// Package webmetric counts HTTP requests for Prometheus, by route and not by path, so the number of series is bounded
// by the code and not by callers.
package webmetric

import (
	"net/http"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Requests holds the metrics of one process:
//
//	borealis_http_requests_total{route,method,status}
//	borealis_http_request_seconds{route}
type Requests struct {
	total   *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// New makes the metrics and registers them.
func New(reg prometheus.Registerer) (*Requests, error) {
	m := &Requests{
		total: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "borealis_http_requests_total",
			Help: "Finished HTTP requests.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "borealis_http_request_seconds",
			Help:    "Time from the header of a request to the end of its handler.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 10},
		}, []string{"route"}),
	}
	for _, c := range []prometheus.Collector{m.total, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// Observe counts one finished request. Requests that no route matched share the route "none", methods outside of
// HTTP's own the method "other". A switched protocol (101) is counted and not timed: it lasts as long as its peer likes.
func (m *Requests) Observe(route, method string, status int, took time.Duration) {
	if route == "" {
		route = "none"
	}
	m.total.WithLabelValues(route, knownMethod(method), strconv.Itoa(status)).Inc()
	if status != http.StatusSwitchingProtocols {
		m.seconds.WithLabelValues(route).Observe(took.Seconds())
	}
}

func knownMethod(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}
