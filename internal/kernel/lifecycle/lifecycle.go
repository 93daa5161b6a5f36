// Package lifecycle starts the parts of a process in the order they need each other and stops them in reverse.
//
// A Module says what it needs by name. Run starts modules one after the other, each after all it needs; when the
// context ends or any module fails it stops all that were started, last first, each within a deadline.
//
// Invariants: a module is started at most once, and stopped exactly once if its Start returned nil; while a module's
// Stop runs, everything it needs is still running; the first failure is the error of Run.
//
// Lock order: Group.mu guards states only and is never held while a module's function runs.
package lifecycle

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"
)

// Module is one part of a process.
type Module struct {
	// Name is unique in the group.
	Name string
	// Needs names the modules that must run before this one and outlive it.
	Needs []string
	// Start makes the module usable and returns. Its context ends when the process is told to stop meanwhile, and
	// after Start returned: what lives longer belongs into Run. Optional.
	Start func(ctx context.Context) error
	// Run works until its context ends. To return earlier, with or without an error, is a failure. Optional.
	Run func(ctx context.Context) error
	// Stop ends the module within the deadline of its context. It is called after Run's context has ended, but does
	// not wait for Run to return: a server's Stop is what makes its Run return. Optional.
	Stop func(ctx context.Context) error
	// Ready says why the module cannot serve right now, nil if it can. Asked only while running. Optional.
	Ready func() error
	// StopTimeout replaces Options.StopTimeout.
	StopTimeout time.Duration
}

// State of a module.
type State string

// States, in the order a module goes through them; Failed can follow any of the first four.
const (
	New      State = "new"
	Starting State = "starting"
	Running  State = "running"
	Stopping State = "stopping"
	Stopped  State = "stopped"
	Failed   State = "failed"
)

// Status is a module's state as seen from outside.
type Status struct {
	Name  string
	State State
	// Err is set when State is Failed.
	Err error
}

// Options of a group.
type Options struct {
	// StopTimeout is how long one module may take to stop; 0 means 10 s.
	StopTimeout time.Duration
	// DrainTimeout bounds the stop of all modules together; 0 means 30 s.
	DrainTimeout time.Duration
	// Log receives one line per module started and stopped. Required.
	Log *slog.Logger
}

// ErrEnded is the failure of a module whose Run returned nil although nobody told it to stop.
var ErrEnded = errors.New("ended by itself")

// Group is a set of modules in the order of their start.
type Group struct {
	opts    Options
	members []*member

	mu sync.Mutex // guards state and err of members
}

// member is a module with its run.
type member struct {
	Module

	state  State
	err    error
	cancel context.CancelFunc // ends Run's context
	done   chan struct{}      // closed when Run has returned
}

// NewGroup orders modules so that each comes after what it needs, and otherwise as given. It reports duplicate and
// unknown names and cycles.
func NewGroup(opts Options, modules ...Module) (*Group, error) {
	if opts.StopTimeout == 0 {
		opts.StopTimeout = 10 * time.Second
	}
	if opts.DrainTimeout == 0 {
		opts.DrainTimeout = 30 * time.Second
	}
	ordered, err := order(modules)
	if err != nil {
		return nil, err
	}
	g := &Group{opts: opts}
	for _, m := range ordered {
		g.members = append(g.members, &member{Module: m, state: New})
	}
	return g, nil
}

// Run starts all modules, waits until ctx ends or a module fails, and stops them all. It returns the first failure,
// joined with what went wrong while stopping; nil if ctx ended and all stopped cleanly. Call it once.
func (g *Group) Run(ctx context.Context) error {
	running, fail := context.WithCancelCause(ctx)
	defer fail(nil)
	started := g.startAll(running, fail)
	<-running.Done()
	var failure error
	if cause := context.Cause(running); ctx.Err() == nil || !errors.Is(cause, context.Cause(ctx)) {
		failure = cause
	}
	return errors.Join(failure, g.stopAll(ctx, started))
}

// startAll returns how many members, from the first, have to be stopped. It ends early when ctx does, which is also
// what a failure of a module already running brings about.
func (g *Group) startAll(ctx context.Context, fail context.CancelCauseFunc) int {
	for i, m := range g.members {
		if ctx.Err() != nil {
			return i
		}
		g.set(m, Starting, nil)
		if m.Start != nil {
			if err := startOne(ctx, m); err != nil {
				if ctx.Err() != nil {
					g.set(m, Stopped, nil) // told to stop while starting: not a failure of its own
					return i
				}
				err = fmt.Errorf("start %s: %w", m.Name, err)
				g.set(m, Failed, err)
				fail(err)
				return i
			}
		}
		g.set(m, Running, nil)
		g.launch(ctx, m, fail)
		g.opts.Log.Debug("module started", "module", m.Name)
	}
	return len(g.members)
}

func startOne(ctx context.Context, m *member) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	return m.Start(ctx)
}

// launch runs m.Run under a context that ends when m's turn to stop has come, not when ctx ends: a module must
// outlive those that need it.
func (g *Group) launch(ctx context.Context, m *member, fail context.CancelCauseFunc) {
	if m.Run == nil {
		return
	}
	runCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m.cancel, m.done = cancel, make(chan struct{})
	go func() {
		defer close(m.done)
		err := m.Run(runCtx)
		switch {
		case runCtx.Err() != nil && (err == nil || errors.Is(err, context.Canceled)):
			return
		case err == nil:
			err = ErrEnded
		}
		err = fmt.Errorf("run %s: %w", m.Name, err)
		g.set(m, Failed, err)
		fail(err)
	}()
}

// stopAll stops the first n members, last first.
func (g *Group) stopAll(ctx context.Context, n int) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), g.opts.DrainTimeout)
	defer cancel()
	var errs []error
	for i := n - 1; i >= 0; i-- {
		m := g.members[i]
		g.set(m, Stopping, nil)
		if err := g.stopOne(ctx, m); err != nil {
			err = fmt.Errorf("stop %s: %w", m.Name, err)
			g.set(m, Failed, err)
			g.opts.Log.Warn("module did not stop cleanly", "module", m.Name, "err", err)
			errs = append(errs, err)
			continue
		}
		g.set(m, Stopped, nil)
		g.opts.Log.Debug("module stopped", "module", m.Name)
	}
	return errors.Join(errs...)
}

// stopOne ends one member within its deadline. A Stop or Run that ignores the deadline is left behind: the process is
// about to end, and those it needs must still get their turn.
func (g *Group) stopOne(ctx context.Context, m *member) error {
	timeout := g.opts.StopTimeout
	if m.StopTimeout > 0 {
		timeout = m.StopTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if m.cancel != nil {
		m.cancel()
	}
	if m.Stop != nil {
		stopped := make(chan error, 1)
		go func() { stopped <- m.Stop(ctx) }()
		select {
		case err := <-stopped:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return fmt.Errorf("did not return from Stop: %w", ctx.Err())
		}
	}
	if m.done != nil {
		select {
		case <-m.done:
		case <-ctx.Done():
			return fmt.Errorf("did not return from Run: %w", ctx.Err())
		}
	}
	return nil
}

// set changes a state. A failure is final: stopping does not hide it.
func (g *Group) set(m *member, s State, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if m.state != Failed {
		m.state, m.err = s, err
	}
}

// States lists the modules in the order of their start.
func (g *Group) States() []Status {
	g.mu.Lock()
	defer g.mu.Unlock()
	list := make([]Status, len(g.members))
	for i, m := range g.members {
		list[i] = Status{Name: m.Name, State: m.state, Err: m.err}
	}
	return list
}

// Ready is nil when every module runs and says that it can serve; otherwise it names all that cannot.
func (g *Group) Ready() error {
	var errs []error
	for i, st := range g.States() {
		if st.State != Running {
			errs = append(errs, fmt.Errorf("%s is %s", st.Name, st.State))
			continue
		}
		if ready := g.members[i].Ready; ready != nil {
			if err := ready(); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", st.Name, err))
			}
		}
	}
	return errors.Join(errs...)
}
