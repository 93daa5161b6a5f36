package push

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	accepted, offered prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, s *Service) *metrics {
	m := &metrics{
		accepted: prometheus.NewCounter(prometheus.CounterOpts{Name: "borealis_push_accepted_total", Help: "Pushes accepted and committed."}),
		offered: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "borealis_push_offered_total", Help: "Devices named to the edges because a direct message was not acknowledged.",
		}),
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	reg.MustRegister(m.accepted, m.offered,
		gauge("borealis_push_merge_queue", "Merges of receipts waiting for the merger.", func() float64 { return float64(len(s.merges)) }),
		gauge("borealis_push_pending_messages", "Direct messages not acknowledged yet.", func() float64 { return float64(s.pending.len()) }),
		gauge("borealis_push_wide_messages", "Wide messages held in memory.", func() float64 {
			s.mu.RLock()
			defer s.mu.RUnlock()
			return float64(len(s.wides))
		}),
		gauge("borealis_push_partitions", "Partitions this node owns.", func() float64 {
			s.mu.RLock()
			defer s.mu.RUnlock()
			return float64(len(s.owned))
		}),
	)
	return m
}
