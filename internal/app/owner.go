package app

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"borealis/internal/engine/device"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/presence"
	"borealis/internal/kernel/bus"
	"borealis/internal/service/push"
)

const (
	// workers bounds the requests of edges that are worked on at once; more wait in the subscriptions.
	workers = 256
	// requestTimeout bounds one of them. The edge repeats what it gets no answer to.
	requestTimeout = 10 * time.Second
)

// owner serves the requests of edges for the partitions this node owns.
type owner struct {
	bus      *bus.Bus
	devices  *device.Registry
	push     *push.Service
	presence *presence.Presence
	log      *slog.Logger

	slots chan struct{}

	mu    sync.Mutex
	loads map[int]*load
	subs  map[int][]*bus.Subscription
}

func newOwner(b *bus.Bus, d *device.Registry, p *push.Service, pr *presence.Presence, log *slog.Logger) *owner {
	return &owner{bus: b, devices: d, push: p, presence: pr, log: log, slots: make(chan struct{}, workers), loads: make(map[int]*load), subs: make(map[int][]*bus.Subscription)}
}

// load is the loading of a partition.
type load struct {
	cancel context.CancelFunc
	done   chan struct{}
}

// acquired loads a partition and then opens it to requests, without keeping the renewal of leases waiting.
func (o *owner) acquired(ctx context.Context, partition int, _ int64) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l := &load{cancel: cancel, done: make(chan struct{})}
	o.mu.Lock()
	before := o.loads[partition]
	o.loads[partition] = l
	o.mu.Unlock()
	go func() {
		defer close(l.done)
		if before != nil {
			<-before.done // cancelled when the partition was lost
		}
		for !o.open(ctx, partition) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
		}
	}()
}

// open makes one attempt to load and serve a partition; false: it failed, or ctx has ended.
func (o *owner) open(ctx context.Context, partition int) bool {
	if err := o.push.Acquire(ctx, partition); err != nil {
		// Without its messages the partition must not answer; requests are repeated until a try succeeds.
		if ctx.Err() == nil {
			o.log.Error("partition not loaded, trying again", "partition", partition, "err", err)
		}
		return false
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if ctx.Err() != nil { // lost while it was loaded
		o.push.Lose(partition)
		return false
	}
	app := int64(partition) // any app of the partition has its subjects
	var subs []*bus.Subscription
	add := func(sub *bus.Subscription, err error) {
		if err != nil {
			o.log.Error("partition not served", "partition", partition, "err", err)
			return
		}
		subs = append(subs, sub)
	}
	add(o.push.Listen(partition))
	add(o.bus.Subscribe(edgewire.SubjectConnect(app), "", serve(o, o.connect)))
	add(o.bus.Subscribe(edgewire.SubjectOwed(app), "", serve(o, o.push.Owed)))
	add(o.bus.Subscribe(edgewire.SubjectReceipts(app), "", serve(o, o.receipts)))
	add(o.bus.Subscribe(edgewire.SubjectUp(app), "", serve(o, o.up)))
	o.subs[partition] = subs
	return true
}

func (o *owner) lost(partition int) {
	o.mu.Lock()
	subs := o.subs[partition]
	delete(o.subs, partition)
	if l := o.loads[partition]; l != nil {
		l.cancel()
	}
	o.mu.Unlock()
	for _, sub := range subs {
		if err := sub.Unsubscribe(); err != nil {
			o.log.Warn("partition still subscribed", "partition", partition, "err", err)
		}
	}
	o.push.Lose(partition)
}

// partitions is the number of partitions open to requests.
func (o *owner) partitions() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.subs)
}

// wait returns when no partition is being loaded and no request worked on. The partitions have been lost before.
func (o *owner) wait() {
	o.mu.Lock()
	loads := slices.Collect(maps.Values(o.loads))
	o.mu.Unlock()
	for _, l := range loads {
		<-l.done
	}
	for range workers { // nobody works when all slots are free
		o.slots <- struct{}{}
	}
	for range workers {
		<-o.slots
	}
}

// serve answers requests of type In concurrently. An error is logged and not answered: the edge tries again.
func serve[In, Out any](o *owner, handle func(context.Context, In) (Out, error)) func(*bus.Msg) {
	return func(m *bus.Msg) {
		var in In
		if err := m.Decode(&in); err != nil {
			o.log.Warn("request not understood", "err", err)
			return
		}
		o.slots <- struct{}{}
		go func() {
			defer func() { <-o.slots }()
			//nolint:forbidigo // a message on the bus brings no context
			ctx, cancel := context.WithTimeout(context.Background(), requestTimeout)
			defer cancel()
			out, err := handle(ctx, in)
			if err == nil {
				err = m.Respond(out)
			}
			if err != nil {
				o.log.Warn("request of an edge failed", "subject", m.Subject, "err", err)
			}
		}()
	}
}

// connect admits a device and ends its older connections elsewhere.
func (o *owner) connect(ctx context.Context, in edgewire.Connect) (edgewire.Connected, error) {
	out := o.devices.Connect(ctx, in)
	if out.Refusal != edgewire.Admitted {
		return out, nil
	}
	o.presence.Expect(in.Edge, in.App, in.Ordinal)
	for _, edge := range o.presence.Others(in.App, in.Ordinal, in.Edge) {
		kick := edgewire.Kick{App: in.App, Ordinal: in.Ordinal, Below: out.Conn}
		if err := o.bus.Publish(edgewire.ToEdge(edgewire.SubjectKick, edge), kick); err != nil {
			return out, err
		}
	}
	return out, nil
}

// receipts merges what an edge reports. What cannot be read is refused; what could not be stored gets no answer, so
// that the edge repeats it.
func (o *owner) receipts(ctx context.Context, in edgewire.Receipts) (edgewire.Ack, error) {
	err := o.push.MergeReceipts(ctx, in)
	if errors.Is(err, push.ErrReceipt) {
		o.log.Error("receipts of an edge refused", "edge", in.Edge, "err", err)
		return edgewire.Ack{}, nil
	}
	return edgewire.Ack{OK: true}, err
}

func (o *owner) up(ctx context.Context, in edgewire.Up) (edgewire.UpReply, error) {
	if in.Topic == push.TopicEvents {
		o.devices.Active(in.App, []uint32{in.Ordinal})
		return o.push.Up(ctx, in), nil
	}
	return o.devices.Up(ctx, in), nil
}
