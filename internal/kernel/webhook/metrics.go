package webhook

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	attempts      *prometheus.CounterVec // by result
	dead, dropped prometheus.Counter
	took          prometheus.Histogram
	waiting       prometheus.Gauge
}

// Results of an attempt, as metrics name them.
const (
	resultDelivered = "delivered"
	resultFailed    = "failed"
	resultRefused   = "refused" // the address is not public
)

func newMetrics(reg prometheus.Registerer, s *Service) *metrics {
	m := &metrics{
		attempts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "borealis_webhook_attempts_total", Help: "Attempts to send a delivery, by result.",
		}, []string{"result"}),
		dead: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "borealis_webhook_dead_total", Help: "Deliveries given up after the last attempt.",
		}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "borealis_webhook_dropped_total", Help: "Dead deliveries deleted because of their age or number.",
		}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "borealis_webhook_seconds", Help: "Duration of attempts.", Buckets: prometheus.ExponentialBuckets(0.005, 4, 7),
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "borealis_webhook_waiting", Help: "Deliveries in the database that are to be sent, counted once a minute.",
		}),
	}
	for _, r := range []string{resultDelivered, resultFailed, resultRefused} {
		m.attempts.WithLabelValues(r)
	}
	reg.MustRegister(m.attempts, m.dead, m.dropped, m.took, m.waiting,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "borealis_webhook_sending", Help: "Deliveries being sent now."}, func() float64 {
			s.mu.Lock()
			defer s.mu.Unlock()
			return float64(s.all)
		}))
	return m
}
