package edge

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/edge/mqtt"
)

// ending is why a connection ended.
type ending uint8

const (
	endPeer ending = iota
	endTimeout
	endProtocol
	endOverflow
	endStalled
	endKicked
	endTakenOver
	endShutdown
	endings
)

func (e ending) String() string {
	return [endings]string{"peer", "timeout", "protocol", "overflow", "stalled", "kicked", "taken_over", "shutdown"}[e]
}

// deliveryOutcome is what became of one message for one device.
type deliveryOutcome uint8

const (
	deliveryWritten deliveryOutcome = iota
	deliveryExpired
	deliveryDuplicate
	deliveryTooLarge
	deliveryWithdrawn
	deliveryBehind
	deliveryOutcomes
)

func (o deliveryOutcome) String() string {
	return [deliveryOutcomes]string{"written", "expired", "duplicate", "too_large", "withdrawn", "behind"}[o]
}

// reloadReason is why devices reload what they are owed.
type reloadReason uint8

const (
	reloadGap reloadReason = iota
	reloadOffer
	reloadReconnect
	reloadOverflow
	reloadReasons
)

func (r reloadReason) String() string {
	return [reloadReasons]string{"gap", "offer", "reconnect", "overflow"}[r]
}

const labelAccepted = "accepted"

// refusalLabel names a refused CONNECT.
func refusalLabel(c mqtt.Code) string {
	switch c {
	case mqtt.BadUserNameOrPassword:
		return "bad_credentials"
	case mqtt.NotAuthorized:
		return "not_authorized"
	case mqtt.QuotaExceeded:
		return "quota"
	case mqtt.ServerUnavailable, mqtt.ServerShuttingDown:
		return "unavailable"
	}
	return "protocol"
}

func upLabel(c edgewire.UpCode) string {
	switch c {
	case edgewire.UpOK:
		return "ok"
	case edgewire.UpInvalid:
		return "invalid"
	case edgewire.UpDenied:
		return "denied"
	case edgewire.UpQuota:
		return "quota"
	}
	return "busy"
}

// loopCounts are counters that a loop raises without synchronisation and adds up once per run.
type loopCounts struct {
	bytesIn, bytesOut uint64
	deliveries        [deliveryOutcomes]uint64
	disconnects       [endings]uint64
}

func (c *loopCounts) flush(m *metrics) {
	move := func(n *uint64, to prometheus.Counter) {
		if *n > 0 {
			to.Add(float64(*n))
			*n = 0
		}
	}
	move(&c.bytesIn, m.bytesIn)
	move(&c.bytesOut, m.bytesOut)
	for i := range c.deliveries {
		move(&c.deliveries[i], m.deliveries[i])
	}
	for i := range c.disconnects {
		move(&c.disconnects[i], m.disconnects[i])
	}
}

// metrics are what the edge tells Prometheus.
type metrics struct {
	collectors      []prometheus.Collector
	connects        *prometheus.CounterVec
	reloadReasons   *prometheus.CounterVec
	ups             *prometheus.CounterVec
	deliveries      [deliveryOutcomes]prometheus.Counter
	disconnects     [endings]prometheus.Counter
	stages          [2]prometheus.Counter
	firstLoads      prometheus.Counter
	reloads         prometheus.Counter
	receiptsDropped prometheus.Counter
	queueDropped    prometheus.Counter
	bytesIn         prometheus.Counter
	bytesOut        prometheus.Counter
}

func newMetrics(e *Edge) *metrics {
	m := &metrics{}
	vec := func(name, label, help string) *prometheus.CounterVec {
		v := prometheus.NewCounterVec(prometheus.CounterOpts{Namespace: "borealis", Subsystem: "edge", Name: name, Help: help}, []string{label})
		m.collectors = append(m.collectors, v)
		return v
	}
	counter := func(name, help string) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Namespace: "borealis", Subsystem: "edge", Name: name, Help: help})
		m.collectors = append(m.collectors, c)
		return c
	}
	gauge := func(name, help string, value func() float64) {
		m.collectors = append(m.collectors, prometheus.NewGaugeFunc(
			prometheus.GaugeOpts{Namespace: "borealis", Subsystem: "edge", Name: name, Help: help}, value))
	}
	m.connects = vec("connects_total", "result", "CONNECT packets answered.")
	m.reloadReasons = vec("reload_causes_total", "reason", "Events that made devices reload what they are owed.")
	m.ups = vec("ups_total", "result", "Messages from devices answered.")
	deliveries := vec("deliveries_total", "outcome", "Messages handled, per device.")
	for i := range m.deliveries {
		m.deliveries[i] = deliveries.WithLabelValues(deliveryOutcome(i).String())
	}
	disconnects := vec("disconnects_total", "reason", "Connections ended.")
	for i := range m.disconnects {
		m.disconnects[i] = disconnects.WithLabelValues(ending(i).String())
	}
	stages := vec("receipts_total", "stage", "Receipts gathered, per device.")
	m.stages[0], m.stages[1] = stages.WithLabelValues("sent"), stages.WithLabelValues("delivered")
	loads := vec("owed_loads_total", "kind", "Answers to the question what a device is owed.")
	m.firstLoads, m.reloads = loads.WithLabelValues("connect"), loads.WithLabelValues("reload")
	m.receiptsDropped = counter("receipts_dropped_total", "Receipts given up because too many were unconfirmed.")
	m.queueDropped = counter("queue_dropped_total", "Deliveries not queued because a loop's queue was full.")
	bytes := vec("bytes_total", "direction", "Bytes of MQTT and WebSocket exchanged with devices.")
	m.bytesIn, m.bytesOut = bytes.WithLabelValues("in"), bytes.WithLabelValues("out")
	gauge("connections", "Open connections.", func() float64 { return float64(e.gate.open.Load()) })
	gauge("devices_online", "Devices online.", func() float64 { return float64(e.presence.count()) })
	gauge("receipts_pending", "Receipts not confirmed by the core.", func() float64 { return float64(e.receipts.pending()) })
	gauge("queue_items", "Deliveries waiting in loops.", func() float64 { return float64(e.queued()) })
	gauge("admissions_waiting", "Connections waiting to be admitted.", func() float64 { return float64(e.admits.waiting()) })
	return m
}

func (m *metrics) receipts(stage edgewire.Stage) prometheus.Counter { return m.stages[stage-1] }

func (m *metrics) loads(reload bool) prometheus.Counter {
	if reload {
		return m.reloads
	}
	return m.firstLoads
}

// register exposes the metrics, or none of them.
func (m *metrics) register(r prometheus.Registerer) error {
	for i, c := range m.collectors {
		if err := r.Register(c); err != nil {
			for _, done := range m.collectors[:i] {
				r.Unregister(done)
			}
			return fmt.Errorf("edge: metrics: %w", err)
		}
	}
	return nil
}

func (m *metrics) unregister(r prometheus.Registerer) {
	for _, c := range m.collectors {
		r.Unregister(c)
	}
}

var errStopped = errors.New("edge: stopped")
