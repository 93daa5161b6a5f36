package channel

import (
	"context"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
)

const (
	// maxAccounts bounds what is remembered; the one that was unused longest goes first.
	maxAccounts = 10_000
	// maxWait is how long a call waits for its turn. One that would wait longer is Limited instead, so that its caller can do something else.
	maxWait = 3 * time.Second
)

// Dispatcher sends for many apps. It is safe for concurrent use.
type Dispatcher struct {
	clock   clock.Clock
	vendors map[wire.Name]wire.Vendor

	mu       sync.Mutex
	accounts map[accountKey]*account
	breakers map[breakerKey]*breaker
}

// accountKey is an account at a vendor: apps that share one share its limits.
type accountKey struct {
	name wire.Name
	id   string
}

type breakerKey struct {
	app  int64
	name wire.Name
}

// account is what an account may do.
type account struct {
	limit *rate.Limiter
	slots chan struct{}
	used  time.Time
}

// New returns a dispatcher of the vendors.
func New(c clock.Clock, vendors ...wire.Vendor) *Dispatcher {
	d := &Dispatcher{
		clock: c, vendors: make(map[wire.Name]wire.Vendor, len(vendors)),
		accounts: make(map[accountKey]*account), breakers: make(map[breakerKey]*breaker),
	}
	for _, v := range vendors {
		d.vendors[v.Traits().Name] = v
	}
	return d
}

// Vendor is the vendor of a name, nil if there is none.
func (d *Dispatcher) Vendor(name wire.Name) wire.Vendor { return d.vendors[name] }

// Send hands a message of an app to a vendor for devices, in batches of the vendor's size, and says what became of each,
// in their order. It waits for its turn for a few seconds at most.
func (d *Dispatcher) Send(ctx context.Context, app int64, name wire.Name, c wire.Credentials, tokens []wire.Token, m *wire.Message) []wire.Outcome {
	return d.each(ctx, app, name, c, tokens, func(ctx context.Context, v wire.Vendor, batch []wire.Token) []wire.Outcome {
		return v.Send(ctx, c, batch, m)
	})
}

// Retract asks a vendor to take a message off the screens. A vendor that cannot answers Rejected.
func (d *Dispatcher) Retract(ctx context.Context, app int64, name wire.Name, c wire.Credentials, tokens []wire.Token, id string) []wire.Outcome {
	return d.each(ctx, app, name, c, tokens, func(ctx context.Context, v wire.Vendor, batch []wire.Token) []wire.Outcome {
		r, ok := v.(wire.Retractor)
		if !ok {
			return wire.All(len(batch), wire.NewOutcome(wire.Rejected, "", "the vendor takes no message back"))
		}
		return r.Retract(ctx, c, batch, id)
	})
}

func (d *Dispatcher) each(
	ctx context.Context, app int64, name wire.Name, c wire.Credentials, tokens []wire.Token,
	call func(context.Context, wire.Vendor, []wire.Token) []wire.Outcome,
) []wire.Outcome {
	v := d.vendors[name]
	if v == nil {
		return wire.All(len(tokens), wire.NewOutcome(wire.Rejected, "", "no such channel"))
	}
	traits := v.Traits()
	out := make([]wire.Outcome, 0, len(tokens))
	for len(tokens) > 0 {
		batch := tokens[:min(len(tokens), max(1, traits.Batch))]
		tokens = tokens[len(batch):]
		out = append(out, d.one(ctx, app, traits, c, len(batch), func() []wire.Outcome { return call(ctx, v, batch) })...)
	}
	return out
}

// one makes a call for n tokens when it is allowed to.
func (d *Dispatcher) one(ctx context.Context, app int64, traits wire.Traits, c wire.Credentials, n int, call func() []wire.Outcome) []wire.Outcome {
	b, a := d.breaker(app, traits.Name), d.account(traits, c)
	if o, open := b.open(d.clock.Now()); open {
		return wire.All(n, o)
	}
	done := false
	defer func() {
		if !done {
			b.skipped()
		}
	}()
	select {
	case a.slots <- struct{}{}:
		defer func() { <-a.slots }()
	case <-ctx.Done():
		return wire.All(n, wire.NewOutcome(wire.Limited, "", "no turn in time"))
	}
	if wait := a.wait(ctx, d.clock.Now(), traits.Rate.Unit, n); wait > 0 {
		o := wire.NewOutcome(wire.Limited, "", "the rate of the account is used up")
		o.After = wait
		return wire.All(n, o)
	}
	out := call()
	for len(out) < n { // a vendor broke its contract; nobody is forgotten for it
		out = append(out, wire.NewOutcome(wire.Unknown, "", "no outcome"))
	}
	done = true
	b.heard(d.clock.Now(), out[:n])
	return out[:n]
}

// wait waits until a call is within the rate and takes what it costs. If that would take too long it takes nothing and says how long.
func (a *account) wait(ctx context.Context, now time.Time, unit wire.Unit, n int) time.Duration {
	if a.limit == nil {
		return 0
	}
	cost := 1
	if unit == wire.Messages {
		cost = min(n, a.limit.Burst())
	}
	r := a.limit.ReserveN(now, cost)
	wait := r.DelayFrom(now)
	if wait <= 0 {
		return 0
	}
	if wait <= maxWait {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
			return 0
		case <-ctx.Done():
		}
	}
	r.CancelAt(now)
	return wait
}

func (d *Dispatcher) account(traits wire.Traits, c wire.Credentials) *account {
	now, key := d.clock.Now(), accountKey{traits.Name, c.ID()}
	d.mu.Lock()
	defer d.mu.Unlock()
	a := d.accounts[key]
	if a == nil {
		d.makeRoom()
		a = &account{slots: make(chan struct{}, max(1, traits.Parallel))}
		if traits.Rate.PerSecond > 0 {
			a.limit = rate.NewLimiter(rate.Limit(traits.Rate.PerSecond), traits.Rate.PerSecond)
		}
		d.accounts[key] = a
	}
	a.used = now
	return a
}

// makeRoom drops the account that was unused longest. The caller holds mu.
func (d *Dispatcher) makeRoom() {
	if len(d.accounts) < maxAccounts {
		return
	}
	var (
		oldest accountKey
		found  bool
	)
	for k, a := range d.accounts {
		if !found || a.used.Before(d.accounts[oldest].used) {
			oldest, found = k, true
		}
	}
	delete(d.accounts, oldest)
}

func (d *Dispatcher) breaker(app int64, name wire.Name) *breaker {
	key := breakerKey{app, name}
	d.mu.Lock()
	defer d.mu.Unlock()
	b := d.breakers[key]
	if b == nil {
		b = &breaker{}
		d.breakers[key] = b
	}
	return b
}

// Reset forgets what was heard of a vendor for an app, as after new credentials.
func (d *Dispatcher) Reset(app int64, name wire.Name) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.breakers, breakerKey{app, name})
}
