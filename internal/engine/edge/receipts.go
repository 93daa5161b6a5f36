package edge

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
)

// receipts brings what the loops' tallies gather to the core and keeps it until the core has confirmed it.
type receipts struct {
	edge    string
	limit   int // receipts kept
	clock   clock.Clock
	log     *slog.Logger
	metrics *metrics
	loops   func() []*loop
	// ask sends a request and waits for the answer; one attempt.
	ask   func(ctx context.Context, subject string, in, out any) error
	pools [edgewire.Partitions]*pool

	directWake, wideWake chan struct{}

	mu    sync.Mutex
	apps  map[int64]*outbox
	total int // receipts in all outboxes
}

// outbox is what one app's owner has not confirmed. One request per app is under way at a time.
type outbox struct {
	app     int64
	entries []entry // oldest first; while sending, the first inFlight of them are under way
	sending bool
	// underWay is the number of entries in the request under way.
	underWay int
	next     uint64 // serial number of the next entry
	// changed is closed and replaced when entries have left; nil: nobody waits.
	changed chan struct{}
}

type entry struct {
	serial   uint64
	msg      int64
	stage    edgewire.Stage
	ordinals []uint32
}

const (
	// requestReceipts bounds the receipts of one request; as sets they stay far below the bus's largest message.
	requestReceipts = 500_000
	// requestEntries bounds its items.
	requestEntries = 4_000
	// listedOrdinals is the most ordinals sent as a list instead of a set.
	listedOrdinals = 64
	// sendersPerPartition is how many apps of a partition send at once.
	sendersPerPartition = 8
	// refusals is how often a core may answer that it did not take a request before the request is given up.
	refusals = 10
)

var errUnsettled = errors.New("edge: receipts not confirmed in time")

// noticed is called by tallies when receipts have come in.
func (r *receipts) noticed(wide bool) {
	wake := r.directWake
	if wide {
		wake = r.wideWake
	}
	select {
	case wake <- struct{}{}:
	default:
	}
}

// collect takes the tallies over until ctx ends: soon for direct messages, after a while for broadcasts.
func (r *receipts) collect(ctx context.Context) {
	direct, wide := time.NewTimer(time.Hour), time.NewTimer(time.Hour)
	direct.Stop()
	wide.Stop()
	defer direct.Stop()
	defer wide.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-r.directWake:
			direct.Reset(directFlush)
		case <-r.wideWake:
			wide.Reset(wideFlush)
		case <-direct.C:
			r.gather(false)
		case <-wide.C:
			r.gather(true)
		}
	}
}

// gather moves what the tallies have into the outboxes and starts sending.
func (r *receipts) gather(wide bool) {
	for _, l := range r.loops() {
		if counts := l.tally.take(wide); len(counts) > 0 {
			r.add(counts)
		}
	}
}

func (r *receipts) add(counts []*count) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, c := range counts {
		o := r.apps[c.key.app]
		if o == nil {
			o = &outbox{app: c.key.app, next: 1}
			r.apps[o.app] = o
		}
		for i, ordinals := range c.stages {
			if len(ordinals) == 0 {
				continue
			}
			stage := edgewire.Stage(i + 1)
			r.metrics.receipts(stage).Add(float64(len(ordinals)))
			o.entries = append(o.entries, entry{serial: o.next, msg: c.key.msg, stage: stage, ordinals: ordinals})
			o.next++
			r.total += len(ordinals)
		}
		if r.total > r.limit {
			r.shed(o)
		}
		r.start(o)
	}
}

// start makes an outbox send. The lock is held.
func (r *receipts) start(o *outbox) {
	if o.sending || len(o.entries) == 0 {
		return
	}
	o.sending = r.pools[edgewire.Partition(o.app)].submit(func(ctx context.Context) { r.send(ctx, o) })
}

// shed drops receipts until the bound is kept again: the oldest Sent first, of this app and then of others; then the
// oldest of this app. What is under way stays. The lock is held.
func (r *receipts) shed(o *outbox) {
	isSent := func(e entry) bool { return e.stage == edgewire.Sent }
	r.shedFrom(o, isSent)
	for _, other := range r.apps {
		if r.total <= r.limit {
			return
		}
		r.shedFrom(other, isSent)
	}
	r.shedFrom(o, func(entry) bool { return true })
}

func (r *receipts) shedFrom(o *outbox, droppable func(entry) bool) {
	kept := o.entries[:o.underWay]
	for _, e := range o.entries[o.underWay:] {
		if r.total > r.limit && droppable(e) {
			r.total -= len(e.ordinals)
			r.metrics.receiptsDropped.Add(float64(len(e.ordinals)))
			continue
		}
		kept = append(kept, e)
	}
	clear(o.entries[len(kept):])
	o.entries = kept
	o.notify()
}

func (o *outbox) notify() {
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
}

// send sends an outbox until it is empty or ctx ends.
func (r *receipts) send(ctx context.Context, o *outbox) {
	for {
		batch := r.next(o)
		if batch == nil {
			return
		}
		err := r.deliver(ctx, o.app, batch)
		r.mu.Lock()
		if err != nil { // ctx has ended
			o.sending, o.underWay = false, 0
			r.mu.Unlock()
			return
		}
		for _, e := range o.entries[:o.underWay] {
			r.total -= len(e.ordinals)
		}
		o.entries = slices.Delete(o.entries, 0, o.underWay)
		o.underWay = 0
		o.notify()
		r.mu.Unlock()
	}
}

// next takes entries under way; nil: there are none, and the outbox has stopped sending.
func (r *receipts) next(o *outbox) []entry {
	r.mu.Lock()
	defer r.mu.Unlock()
	n, size := 0, 0
	for n < len(o.entries) && n < requestEntries && (n == 0 || size+len(o.entries[n].ordinals) <= requestReceipts) {
		size += len(o.entries[n].ordinals)
		n++
	}
	if n == 0 {
		o.sending = false
		delete(r.apps, o.app)
		return nil
	}
	o.underWay = n
	return slices.Clone(o.entries[:n])
}

// deliver repeats one request until it is confirmed. The error is that of ctx.
func (r *receipts) deliver(ctx context.Context, app int64, batch []entry) error {
	in := edgewire.Receipts{Edge: r.edge, App: app, Items: items(batch), At: clock.Millis(r.clock.Now())}
	pause := newBackoff()
	for refused := 0; ; {
		var ack edgewire.Ack
		err := r.ask(ctx, edgewire.SubjectReceipts(app), in, &ack)
		switch {
		case err == nil && ack.OK:
			return nil
		case ctx.Err() != nil:
			return ctx.Err()
		case err == nil:
			if refused++; refused == refusals {
				r.log.Error("receipts refused by the core, dropped", "app", app, "items", len(in.Items))
				return nil
			}
		}
		if err := pause.wait(ctx); err != nil {
			return err
		}
	}
}

// items merges entries of the same message and stage, in order of first appearance.
func items(batch []entry) []edgewire.Receipt {
	type key struct {
		msg   int64
		stage edgewire.Stage
	}
	index := make(map[key]int, len(batch))
	var merged []entry
	for _, e := range batch {
		k := key{e.msg, e.stage}
		i, ok := index[k]
		if !ok {
			index[k] = len(merged)
			e.ordinals = slices.Clip(e.ordinals)
			merged = append(merged, e)
			continue
		}
		merged[i].ordinals = append(merged[i].ordinals, e.ordinals...)
	}
	out := make([]edgewire.Receipt, len(merged))
	for i, e := range merged {
		out[i] = edgewire.Receipt{Msg: e.msg, Stage: e.stage}
		if len(e.ordinals) <= listedOrdinals {
			out[i].Ordinals = e.ordinals
			continue
		}
		set := roaring.New()
		set.AddMany(e.ordinals)
		set.RunOptimize()
		out[i].Set = portable(set)
	}
	return out
}

// settle returns when every receipt of the app that existed at the call has been confirmed, or fails after wait.
func (r *receipts) settle(ctx context.Context, app int64, wait time.Duration) error {
	r.gather(true)
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	var asked *outbox
	var last uint64
	for {
		r.mu.Lock()
		o := r.apps[app]
		if asked == nil && o != nil {
			asked, last = o, o.next-1
		}
		// An outbox that has become empty has been replaced.
		if o == nil || o != asked || len(o.entries) == 0 || o.entries[0].serial > last {
			r.mu.Unlock()
			return nil
		}
		if o.changed == nil {
			o.changed = make(chan struct{})
		}
		changed := o.changed
		r.start(o)
		r.mu.Unlock()
		select {
		case <-changed:
		case <-ctx.Done():
			return errUnsettled
		}
	}
}

// flush waits until nothing is left to confirm, or ctx ends; it returns what is left.
func (r *receipts) flush(ctx context.Context) (left int) {
	r.gather(true)
	pause := time.NewTicker(2 * time.Millisecond)
	defer pause.Stop()
	for {
		if left = r.pending(); left == 0 {
			return 0
		}
		select {
		case <-ctx.Done():
			return left
		case <-pause.C:
		}
	}
}

// pending is the number of receipts not confirmed.
func (r *receipts) pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.total
}
