package webmetric_test

import (
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"borealis/internal/kernel/web/webmetric"
)

func TestObserve(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	m, err := webmetric.New(reg)
	if err != nil {
		t.Fatal(err)
	}
	m.Observe("POST /v3/push", "POST", 200, 3*time.Millisecond)
	m.Observe("POST /v3/push", "POST", 200, time.Minute)
	m.Observe("", "BREW", 404, 0)
	m.Observe("GET /mqtt", "GET", 101, time.Hour)
	if _, err := webmetric.New(reg); err == nil {
		t.Error("registered twice")
	}
	w := httptest.NewRecorder()
	promhttp.HandlerFor(reg, promhttp.HandlerOpts{}).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	for _, want := range []string{
		`borealis_http_requests_total{method="POST",route="POST /v3/push",status="200"} 2`,
		`borealis_http_requests_total{method="other",route="none",status="404"} 1`,
		`borealis_http_requests_total{method="GET",route="GET /mqtt",status="101"} 1`,
		`borealis_http_request_seconds_bucket{route="POST /v3/push",le="0.005"} 1`,
		`borealis_http_request_seconds_count{route="POST /v3/push"} 2`,
	} {
		if !strings.Contains(w.Body.String(), want+"\n") {
			t.Errorf("no line %s in\n%s", want, w.Body)
		}
	}
	if strings.Contains(w.Body.String(), `seconds_count{route="GET /mqtt"}`) {
		t.Error("a long-lived connection is timed")
	}
}

func BenchmarkObserve(b *testing.B) {
	m, err := webmetric.New(prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		m.Observe("POST /v3/push", "POST", 200, time.Millisecond)
	}
}
