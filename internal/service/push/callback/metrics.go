package callback

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	enqueued prometheus.Counter
	dropped  *prometheus.CounterVec // by reason
	pending  prometheus.Gauge
}

// Reasons to drop a record.
const (
	droppedFull    = "full"    // more waited for the app than is kept
	droppedOld     = "old"     // its app is unknown, and for long
	droppedAddress = "address" // there is no address to send it to
)

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		enqueued: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "borealis_push_callback_records_total", Help: "Records of receipts put into deliveries.",
		}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "borealis_push_callback_dropped_total", Help: "Records of receipts that nobody will be told, by reason.",
		}, []string{"reason"}),
		pending: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "borealis_push_callback_pending", Help: "Facts of the apps this node owns that are still to be told.",
		}),
	}
	for _, r := range []string{droppedFull, droppedOld, droppedAddress} {
		m.dropped.WithLabelValues(r)
	}
	reg.MustRegister(m.enqueued, m.dropped, m.pending)
	return m
}
