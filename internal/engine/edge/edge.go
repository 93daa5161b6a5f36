package edge

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
)

// Edge is one edge node. Its methods are safe for concurrent use; Start and Stop are called once each.
type Edge struct {
	id      string
	addr    string
	tlsAddr string
	tls     *tls.Config
	codec   *deviceid.Codec
	bus     *bus.Bus
	clock   clock.Clock
	log     *slog.Logger
	limits  Limits
	started time.Time // by clock; on a system clock with a monotonic reading

	registerer prometheus.Registerer
	metrics    *metrics
	gate       *gate
	facts      *facts
	admissions *admissions
	presence   *presence
	sequences  *sequences
	receipts   *receipts

	// loops are those of the engine, then those of the streams.
	loops   []*loop
	engine  *engine
	streams *streams

	// The pools for what waits for the core end with ctx.
	ctx                         context.Context
	cancel                      context.CancelFunc
	admits, ups, loads, reloads *pool

	subs      []*bus.Subscription
	listeners []net.Listener
	stopping  atomic.Bool
	// entering counts those who hand sockets to the loops; enterMu orders it with stopping.
	enterMu   sync.Mutex
	entering  sync.WaitGroup
	withdrawn withdrawn
	// background are the goroutines that end with ctx.
	background sync.WaitGroup
}

// New makes an edge; nothing runs before Start.
func New(o Options) (*Edge, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	now := o.Clock.Now()
	e := &Edge{
		id: o.ID, addr: o.Addr, tlsAddr: o.TLSAddr, tls: o.TLS,
		codec: o.Codec, bus: o.Bus, clock: o.Clock, log: o.Log, limits: o.Limits,
		started:    now,
		registerer: o.Registerer,
		gate:       newGate(o.Limits),
		admissions: &admissions{waiting: map[deviceKey]*admission{}},
		sequences:  newSequences(now),
	}
	e.ctx, e.cancel = context.WithCancel(context.Background()) //nolint:forbidigo // lives until Stop, longer than any caller's
	e.presence = newPresence(o.ID, now.UnixMicro(), o.Bus, o.Log)
	e.facts = newFacts(o.Clock, e.askFacts)
	e.admits = newPool(e.ctx, o.Limits.Admissions, o.Limits.AdmissionQueue)
	e.ups = newPool(e.ctx, o.Limits.UpRequests, o.Limits.UpQueue)
	e.loads = newPool(e.ctx, o.Limits.Loads, o.Limits.Connections)
	e.reloads = newPool(e.ctx, o.Limits.Reloads, o.Limits.Connections)
	e.metrics = newMetrics(e)
	e.receipts = newReceipts(e)
	for i := range 2 * o.Loops {
		e.loops = append(e.loops, newLoop(e, i))
	}
	return e, nil
}

// Start subscribes to the core, opens the listeners and returns. After an error nothing is left running.
func (e *Edge) Start(ctx context.Context) (err error) {
	if err := ctx.Err(); err != nil {
		return err
	}
	plain := len(e.loops) / 2
	if e.engine, err = startEngine(e.loops[:plain], e.log); err != nil {
		e.cancel()
		return err
	}
	e.streams = startStreams(ctx, e.loops[plain:])
	defer func() {
		if err != nil {
			e.halt()
		}
	}()
	if e.registerer != nil {
		if err = e.metrics.register(e.registerer); err != nil {
			e.registerer = nil
			return err
		}
	}
	// The core's messages come in before the first device, so none for it is missed.
	if err = e.subscribe(); err != nil {
		return err
	}
	e.background.Go(func() { e.presence.tell(e.ctx) })
	e.background.Go(func() { e.receipts.collect(e.ctx) })
	e.background.Go(e.tick)
	return e.listen(ctx)
}

// tickAt is a time of the edge's clock in steps of 100 ms since the edge was made. It is a difference of monotonic
// readings, so that deadlines of devices do not move when the wall clock is set.
func (e *Edge) tickAt(now time.Time) uint32 {
	return uint32(max(now.Sub(e.started), 0) / (100 * time.Millisecond))
}

// tick makes the loops look at their deadlines.
func (e *Edge) tick() {
	ticker := time.NewTicker(e.limits.Tick)
	defer ticker.Stop()
	for {
		select {
		case <-e.ctx.Done():
			return
		case <-ticker.C:
		}
		for _, l := range e.loops {
			l.ticked.Store(true)
			l.wake()
		}
		for _, app := range e.sequences.due(e.clock.Now()) {
			e.reloadApp(app, reloadGap)
		}
	}
}

// queued is the number of deliveries that wait in the loops.
func (e *Edge) queued() (n int) {
	for _, l := range e.loops {
		l.mu.Lock()
		n += l.waiting
		l.mu.Unlock()
	}
	return n
}

// Stop takes no more devices, tells those that are online (MQTT 5: 0x8B), waits until the core has confirmed all
// receipts, says that this edge is gone, and ends everything. When ctx ends first, what is left is cut off and the
// error says so; the receipts lost are at most a repetition for the device.
func (e *Edge) Stop(ctx context.Context) error {
	e.enterMu.Lock()
	again := e.stopping.Swap(true)
	e.enterMu.Unlock()
	if again {
		return errStopped
	}
	for _, ln := range e.listeners {
		ln.Close()
	}
	e.entering.Wait()
	e.unsubscribe()
	for _, l := range e.loops {
		l.post(l.farewell)
	}
	err := e.awaitEmpty(ctx)
	if left := e.receipts.flush(ctx); left > 0 {
		err = errors.Join(err, fmt.Errorf("edge: %d receipts were not confirmed: %w", left, ctx.Err()))
	}
	e.presence.gone()
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), goodbyeTimeout)
	defer cancel()
	if flushErr := e.bus.Flush(last); flushErr != nil {
		e.log.Debug("bus not flushed", "error", flushErr)
	}
	e.halt()
	return err
}

// goodbyeTimeout bounds how long the last message to the core may take, also when there is no time left.
const goodbyeTimeout = time.Second

// awaitEmpty waits until no device is connected.
func (e *Edge) awaitEmpty(ctx context.Context) error {
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		open := e.gate.open.Load()
		if open == 0 {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("edge: %d connections were cut off: %w", open, ctx.Err())
		case <-pause.C:
		}
	}
}

// halt ends everything that runs.
func (e *Edge) halt() {
	e.stopping.Store(true)
	for _, ln := range e.listeners {
		ln.Close()
	}
	e.entering.Wait()
	e.unsubscribe()
	e.cancel()
	e.background.Wait()
	for _, p := range []*pool{e.admits, e.ups, e.loads, e.reloads} {
		p.wait()
	}
	e.receipts.wait()
	e.streams.end()
	e.engine.stop()
	if e.registerer != nil {
		e.metrics.unregister(e.registerer)
	}
}

// enter reserves the right to hand a socket to the loops; false: the edge stops.
func (e *Edge) enter() bool {
	e.enterMu.Lock()
	defer e.enterMu.Unlock()
	if e.stopping.Load() {
		return false
	}
	e.entering.Add(1)
	return true
}

// newReceipts wires the receipts to the edge.
func newReceipts(e *Edge) *receipts {
	r := &receipts{
		edge: e.id, limit: e.limits.Receipts, clock: e.clock, log: e.log, metrics: e.metrics,
		loops:      func() []*loop { return e.loops },
		ask:        e.askOnce,
		apps:       map[int64]*outbox{},
		directWake: make(chan struct{}, 1),
		wideWake:   make(chan struct{}, 1),
	}
	for i := range r.pools {
		r.pools[i] = newPool(e.ctx, sendersPerPartition, edgewire.Partitions*factsKept)
	}
	return r
}

// wait returns when no sender runs; the edge's context must have ended before.
func (r *receipts) wait() {
	for _, p := range r.pools {
		p.wait()
	}
}
