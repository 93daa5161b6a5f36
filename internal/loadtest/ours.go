package loadtest

import (
	"context"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"
)

const (
	sectionConnect = "connections"
	sectionDirect  = "pushes to one device each"
	// registerTime and connectTime bound these for all clients, in seconds.
	registerTime = 180
	connectTime  = 180
	// directDevices is how many devices share the pushes to one device.
	directDevices = 1000
)

// measureOurs runs what was asked for on our server.
func (b *bench) measureOurs(ctx context.Context) error {
	target := b.o.Target
	if target == nil {
		b.sayf("starting a server")
		p, own, err := startServer(ctx, b.o.Binary, b.dir)
		if err != nil {
			return err
		}
		defer p.stop()
		target = own
	} else if target.DataDir == "" {
		target.DataDir = b.dir
	}
	clients, err := start(ctx, b.o.Binary, b.dir, "clients", b.o.ClientsArgs...)
	if err != nil {
		return err
	}
	defer clients.stop()
	callers := &callerPool{target: target}
	defer callers.close()
	s := &stage{
		side: ours, report: b.report, pid: target.PID, timing: b.o.timing, clients: clients, collect: target.collect, say: b.sayf, send: callers.broadcast,
	}
	if b.o.Parts.Connect || b.o.Parts.Broadcast {
		if err := b.crowd(ctx, s, target); err != nil {
			return err
		}
	}
	if b.o.Parts.API {
		return b.direct(ctx, s, target)
	}
	return nil
}

// register registers devices until there are n.
func (b *bench) register(s *stage, t *Target, n int) error {
	b.sayf("registering %d devices", n)
	a, err := s.order(order{Op: "register", HTTP: t.HTTP, AppKey: t.AppKey, Count: n, Concurrency: 64, Seconds: registerTime})
	if err == nil && a.Count == n && b.o.Parts.Connect {
		b.report.set(ours, sectionConnect, "devices registered over HTTP", "per second", float64(a.Count)/a.Seconds)
	}
	return err
}

// crowd is all devices connected: what that takes, and broadcasts.
func (b *bench) crowd(ctx context.Context, s *stage, t *Target) error {
	n := b.o.Devices
	if err := b.register(s, t, n); err != nil {
		return err
	}
	all := order{MQTT: t.MQTT, AppKey: t.AppKey, Count: n, Version: version5, Concurrency: b.o.ConnectConcurrency, Seconds: connectTime}
	err := b.connections(ctx, s, func() error { return s.connect(ctx, sectionConnect, "connected at QoS 1, first time", all) }, n)
	if err != nil {
		return err
	}
	if b.o.Parts.Broadcast {
		if err := s.broadcasts(ctx, 1, n, b.o.Messages, b.o.Size); err != nil {
			return err
		}
	}
	if err := s.disconnect(ctx); err != nil {
		return err
	}
	all.Topic, all.QoS = "push", 0
	if err := s.connect(ctx, sectionConnect, "connected at QoS 0, with SUBSCRIBE", all); err != nil {
		return err
	}
	if b.o.Parts.Broadcast {
		if err := s.broadcasts(ctx, 0, n, b.o.Messages, b.o.Size); err != nil {
			return err
		}
	}
	return s.disconnect(ctx)
}

// connections measures what n idle connections take.
func (b *bench) connections(ctx context.Context, s *stage, connect func() error, n int) error {
	if !b.o.Parts.Connect {
		return connect()
	}
	before, err := s.settled(ctx)
	if err != nil {
		return err
	}
	if err := connect(); err != nil {
		return err
	}
	after, err := s.settled(ctx)
	if err != nil {
		return err
	}
	b.report.set(s.side, sectionConnect, "memory per idle connection", "KB", float64(after-before)/1024/float64(n))
	b.report.set(s.side, sectionConnect, "memory with all idle connections", "MB", float64(after)/(1<<20))
	b.report.set(s.side, sectionConnect, "memory before", "MB", float64(before)/(1<<20))
	return s.idle(ctx, sectionConnect)
}

// callerPool broadcasts through the API.
type callerPool struct {
	target *Target
	mu     sync.Mutex
	list   []*caller
}

// grow makes sure that there are n callers.
func (p *callerPool) grow(ctx context.Context, n int) ([]*caller, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for len(p.list) < n {
		c, err := dialCaller(ctx, p.target)
		if err != nil {
			return nil, err
		}
		p.list = append(p.list, c)
	}
	return p.list[:n], nil
}

func (p *callerPool) broadcast(ctx context.Context, _ byte, contents []string) error {
	callers, err := p.grow(ctx, len(contents))
	if err != nil {
		return err
	}
	var work errgroup.Group
	for i, content := range contents {
		work.Go(func() error { return callers[i].push(pushBody(everybody, content)) })
	}
	return work.Wait()
}

func (p *callerPool) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.list {
		c.close()
	}
	p.list = nil
}

// direct measures pushes to one device each.
func (b *bench) direct(ctx context.Context, s *stage, t *Target) error {
	n := min(b.o.Devices, directDevices)
	if err := b.register(s, t, n); err != nil {
		return err
	}
	connect := order{Op: "connect", MQTT: t.MQTT, AppKey: t.AppKey, Count: n, Version: version5, Concurrency: b.o.ConnectConcurrency, Seconds: connectTime}
	if _, err := s.order(connect); err != nil {
		return err
	}
	a, err := s.order(order{Op: "ids", Count: n})
	if err != nil {
		return err
	}
	pool := &callerPool{target: t}
	defer pool.close()
	callers, err := pool.grow(ctx, b.o.Callers)
	if err != nil {
		return err
	}
	if err := s.timing.awaitQuiet(ctx, s.pid); err != nil {
		return err
	}
	b.sayf("the bare commit floor")
	bare, err := commitFloor(ctx, t.DataDir, b.o.Callers, b.o.Duration/2)
	if err != nil {
		return err
	}
	d := directRun{stage: s, appKey: t.AppKey, ids: a.IDs, callers: callers}
	if err := d.flat(ctx, b.o.Duration, bare); err != nil {
		return err
	}
	if err := d.paced(ctx, b.o.Duration, b.o.Pace); err != nil {
		return err
	}
	if err := d.batches(ctx, b.o.Duration/2); err != nil {
		return err
	}
	b.report.notef("%s: there is no peer in this run but the bare commit: %d goroutines, one row per transaction, the server's own store (group commit, fsync) in the same directory",
		sectionDirect, b.o.Callers)
	return s.disconnect(ctx)
}

// directRun is pushes to one device each, from several callers.
type directRun struct {
	stage   *stage
	appKey  string
	ids     []string
	callers []*caller
}

// maxPerSecond bounds how many pushes a round has room for.
const maxPerSecond = 50_000

// run pushes for d, perSecond at most (0: as many as can be), and waits until all have arrived.
func (r *directRun) run(ctx context.Context, d time.Duration, perSecond int) (calls Latency, took time.Duration, got *arrived, err error) {
	s := r.stage
	s.round++
	most := int(d.Seconds()*maxPerSecond) + 1
	if perSecond > 0 {
		most = int(d.Seconds() * float64(perSecond))
	}
	if _, err := s.order(order{Op: "expect", Round: s.round, Messages: most}); err != nil {
		return Latency{}, 0, nil, err
	}
	load := &load{round: s.round, ids: r.ids, most: int64(most), perSecond: perSecond, time: d}
	if took, err = load.run(ctx, r.callers); err != nil {
		return Latency{}, 0, nil, fmt.Errorf("%s: %w", sectionDirect, err)
	}
	calls = load.calls.latency()
	a, err := s.order(order{Op: "await", Count: int(calls.Count), Seconds: roundTime(int(calls.Count))})
	if err != nil {
		return Latency{}, 0, nil, err
	}
	s.judge(sectionDirect, a.Arrived, int64(calls.Count))
	return calls, took, a.Arrived, nil
}

// flat out: as many as can be.
func (r *directRun) flat(ctx context.Context, d time.Duration, bare floor) error {
	s := r.stage
	s.say("pushes to one device each, %d callers", len(r.callers))
	before, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	calls, took, got, err := r.run(ctx, d, 0)
	if err != nil {
		return err
	}
	if err := s.timing.awaitQuiet(ctx, s.pid); err != nil {
		return err
	}
	after, err := cpuTime(s.pid)
	if err != nil {
		return err
	}
	set := func(name, unit string, v float64) { s.report.set(ours, sectionDirect, name, unit, v) }
	rate := float64(calls.Count) / took.Seconds()
	set("accepted", "per second", rate)
	set("bare commits (floor)", "per second", bare.perSecond)
	set("accepted, of the floor", "%", 100*rate/bare.perSecond)
	set("call p50", "ms", calls.P50us/1000)
	set("call p99", "ms", calls.P99us/1000)
	set("bare commit p50", "ms", bare.commit.P50us/1000)
	set("bare commit p99", "ms", bare.commit.P99us/1000)
	set("server CPU per accepted and delivered push", "µs", micros(after-before)/float64(max(calls.Count, 1)))
	set("sent to received p99 at full speed", "ms", got.Latency.P99us/1000)
	return nil
}

// paced: how long a push takes on a server that is not at its limit.
func (r *directRun) paced(ctx context.Context, d time.Duration, perSecond int) error {
	s := r.stage
	s.say("pushes to one device each, %d per second", perSecond)
	calls, took, got, err := r.run(ctx, d, perSecond)
	if err != nil {
		return err
	}
	section := fmt.Sprintf("%s, paced", sectionDirect)
	set := func(name, unit string, v float64) { s.report.set(ours, section, name, unit, v) }
	set("accepted", "per second", float64(calls.Count)/took.Seconds())
	set("call p50", "ms", calls.P50us/1000)
	set("call p99", "ms", calls.P99us/1000)
	set("sent to received p50", "ms", got.Latency.P50us/1000)
	set("sent to received p99", "ms", got.Latency.P99us/1000)
	set("sent to received max", "ms", got.Latency.Maxus/1000)
	return nil
}
