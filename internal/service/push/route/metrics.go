package route

import (
	"context"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/db"
)

// countTick is how often the parts that wait are counted.
const countTick = 15 * time.Second

type metrics struct {
	devices       *prometheus.CounterVec // channel, status
	waiting, lags *prometheus.GaugeVec   // channel
	planning      prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	gauge := func(name, help string) prometheus.GaugeOpts { return prometheus.GaugeOpts{Name: name, Help: help} }
	m := &metrics{
		devices: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "borealis_push_channel_answers_total", Help: "Devices that a channel was asked to reach, by its answer. Each try counts.",
		}, []string{"channel", "status"}),
		waiting: prometheus.NewGaugeVec(gauge("borealis_push_route_parts", "Parts of messages that are not done, of all nodes, by channel."), []string{"channel"}),
		lags: prometheus.NewGaugeVec(gauge("borealis_push_route_lag_seconds",
			"How long the oldest part that is due and owned by this node has been due, by channel."), []string{"channel"}),
		planning: prometheus.NewGauge(gauge("borealis_push_route_planning_lag_seconds", "How long ago the oldest message was accepted that this node has to plan.")),
	}
	reg.MustRegister(m.devices, m.waiting, m.lags, m.planning)
	return m
}

// sent counts the answers of one try of a part.
func (m *metrics) sent(p *part, out *sorted) {
	if p.why == whyWithdraw {
		return
	}
	for _, r := range out.results {
		m.devices.WithLabelValues(string(p.name), r.status.String()).Add(float64(r.devices.GetCardinality()))
	}
}

// waited says how long work has been waiting.
func (m *metrics) waited(due []line, now int64) {
	oldest := make(map[wire.Name]int64)
	for _, l := range due {
		oldest[l.name] = max(oldest[l.name], now-l.since)
	}
	seconds := func(name wire.Name) float64 { return float64(oldest[name]) / 1000 }
	m.planning.Set(seconds(""))
	delete(oldest, "")
	m.lags.Reset()
	for name := range oldest {
		m.lags.WithLabelValues(string(name)).Set(seconds(name))
	}
}

// counting counts the parts that wait, now and then until ctx ends.
func (s *Service) counting(ctx context.Context) {
	tick := time.NewTicker(countTick)
	defer tick.Stop()
	for {
		counts, err := countOpen(ctx, s.DB)
		if err == nil {
			s.metrics.waiting.Reset()
			for name, n := range counts {
				s.metrics.waiting.WithLabelValues(string(name)).Set(float64(n))
			}
		} else if ctx.Err() == nil {
			s.Log.Warn("waiting routes not counted", "err", err)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func countOpen(ctx context.Context, d *db.DB) (map[wire.Name]int64, error) {
	rows, err := d.Query(ctx, `select channel, count(*) from push_route_part where state < 3 group by channel`)
	if err != nil {
		return nil, fmt.Errorf("route: count parts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make(map[wire.Name]int64)
	for rows.Next() {
		var (
			name wire.Name
			n    int64
		)
		if err := rows.Scan(&name, &n); err != nil {
			return nil, fmt.Errorf("route: count parts: %w", err)
		}
		out[name] = n
	}
	return out, rows.Err()
}
