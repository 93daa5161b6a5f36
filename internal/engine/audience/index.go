package audience

import (
	"context"
	"embed"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

// SubjectChanged carries Changed to every node.
const SubjectChanged = "audience.changed"

// Changed tells the other nodes that an app's log has grown.
type Changed struct {
	App int64 `cbor:"1,keyasint"`
	// Pos is a position that is committed; there may be later ones.
	Pos int64 `cbor:"2,keyasint"`
}

// readTimeout bounds the reading of a snapshot and catching up: they are shared by callers, so they have no single caller's
// deadline.
const readTimeout = 2 * time.Minute

// Source reads the device rows. It is satisfied by package device.
type Source interface {
	// EachDevice calls fn for every device of the app that is not gone, in any order, each once. It reads each row after it
	// was called, not all at one moment. It stops at fn's error. The tags are fn's during the call only.
	EachDevice(ctx context.Context, app int64, fn func(Device) error) error
}

// Index holds the sets of all apps of this node. It is safe for concurrent use.
type Index struct {
	db    *db.DB
	bus   *bus.Bus
	src   Source
	clock clock.Clock
	log   *slog.Logger
	// alone: SQLite has one process, so everything that is committed was followed here.
	alone bool
	// maxTags is MaxTags, less in tests.
	maxTags     int
	aliasLimits aliasLimits
	snap        snapshotRules
	// soon wakes Run to write a snapshot, after a load that took long for want of one.
	soon chan struct{}
	// maintaining is held by the one call of Maintain.
	maintaining sync.Mutex
	// builders and buffers (*[]uint64) keep their memory, a megabyte for ten million devices, from being allocated for
	// each result.
	builders, buffers sync.Pool

	mu   sync.RWMutex
	apps map[int64]*state
}

// state of one app.
type state struct {
	id     int64
	rounds rounds
	// told counts the calls of Follow, read is told as it was before the last successful reading of the log.
	told, read atomic.Uint64
	ready      atomic.Bool  // sets are loaded
	pos        atomic.Int64 // sets.pos, for those who hold no lock
	spoiled    atomic.Int64 // the last snapshot that could not be used

	// mu guards sets. Only the leader of a round changes it.
	mu   sync.RWMutex
	sets *sets
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "audience", migrations) }

// New returns an index that has loaded nothing yet. b may be nil when there is one node only.
func New(d *db.DB, b *bus.Bus, src Source, c clock.Clock, log *slog.Logger) *Index {
	return &Index{db: d, bus: b, src: src, clock: c, log: log, alone: d.Engine() == db.SQLite, maxTags: MaxTags, aliasLimits: defaultAliasLimits(),
		snap: defaultSnapshotRules(), soon: make(chan struct{}, 1), apps: make(map[int64]*state)}
}

func (x *Index) state(app int64) *state {
	x.mu.RLock()
	s := x.apps[app]
	x.mu.RUnlock()
	if s != nil {
		return s
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	if s = x.apps[app]; s == nil {
		s = &state{id: app}
		x.apps[app] = s
	}
	return s
}

// Sync returns when everything that was committed before the call is in the sets, which it loads if need be. On SQLite
// with nothing new it costs a few atomic reads; on PostgreSQL one look at the log, shared by concurrent callers.
func (x *Index) Sync(ctx context.Context, app int64) error {
	s := x.state(app)
	if x.alone && s.ready.Load() && s.read.Load() == s.told.Load() {
		return nil
	}
	return x.advance(ctx, s)
}

// Follow applies what the caller has just committed with Append, and wakes the other nodes. Call it after every such
// commit. It does not fail: if the database cannot be read now, the next Sync tries again.
func (x *Index) Follow(ctx context.Context, app int64) {
	s := x.state(app)
	s.told.Add(1)
	if !s.ready.Load() && x.alone {
		return // the first use will load it all
	}
	if err := x.Sync(ctx, app); err != nil && ctx.Err() == nil {
		x.log.Warn("audience not caught up", "app", app, "err", err)
	}
	if x.alone || x.bus == nil {
		return
	}
	if err := x.bus.Publish(SubjectChanged, Changed{App: app, Pos: s.pos.Load()}); err != nil {
		x.log.Warn("audience change not announced", "app", app, "err", err)
	}
}

// advance reads the log, in a round shared with others.
func (x *Index) advance(ctx context.Context, s *state) error {
	return s.rounds.do(ctx, func() error {
		told := s.told.Load()
		if x.alone && s.ready.Load() && s.read.Load() == told {
			return nil // the round before this one has read it
		}
		if err := x.catchUp(context.WithoutCancel(ctx), s); err != nil {
			return fmt.Errorf("audience of app %d: %w", s.id, err)
		}
		s.read.Store(told)
		return nil
	})
}

// ensure loads the sets of an app that has not been used yet.
func (x *Index) ensure(app int64) (*state, error) {
	s := x.state(app)
	if s.ready.Load() {
		return s, nil
	}
	return s, x.Sync(context.Background(), app) //nolint:forbidigo // lookups have no context; readTimeout bounds the load
}

// view is ensure for lookups that have no error to return. It is nil, and the failure logged, if the sets cannot be
// loaded; who called Sync before does not meet that.
func (x *Index) view(app int64) *state {
	s, err := x.ensure(app)
	if err != nil {
		x.log.Error("audience not loaded", "app", app, "err", err)
		return nil
	}
	return s
}

// Run applies what other nodes announce, and maintains logs and snapshots now and then, until ctx ends. Without it, and
// when an announcement is lost, Sync still is exact; what does not call Sync sees the changes of other nodes later.
func (x *Index) Run(ctx context.Context) error {
	var (
		mu    sync.Mutex
		dirty = make(map[int64]bool) // bounded by the apps in use
		wake  = make(chan struct{}, 1)
	)
	if !x.alone && x.bus != nil {
		stop, err := x.listen(func(app int64) {
			mu.Lock()
			dirty[app] = true
			mu.Unlock()
			select {
			case wake <- struct{}{}:
			default:
			}
		})
		if err != nil {
			return err
		}
		defer stop()
	}
	var maintenance sync.WaitGroup
	defer maintenance.Wait()
	maintenance.Go(func() { x.maintain(ctx) })
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-wake:
		}
		mu.Lock()
		apps := dirty
		dirty = make(map[int64]bool)
		mu.Unlock()
		for app := range apps {
			if err := x.Sync(ctx, app); err != nil && ctx.Err() == nil {
				x.log.Warn("audience not caught up", "app", app, "err", err)
			}
		}
	}
}

// listen calls mark for each app whose log another node has appended to.
func (x *Index) listen(mark func(app int64)) (stop func(), err error) {
	sub, err := x.bus.Subscribe(SubjectChanged, "", func(m *bus.Msg) {
		var c Changed
		if err := m.Decode(&c); err != nil {
			x.log.Warn("audience announcement not understood", "err", err)
			return
		}
		if s := x.loaded(c.App); s != nil && s.pos.Load() < c.Pos {
			mark(c.App)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("audience: %w", err)
	}
	x.bus.OnReconnect(func() {
		for _, app := range x.loadedApps() {
			mark(app)
		}
	})
	return func() { _ = sub.Unsubscribe() }, nil
}

func (x *Index) loaded(app int64) *state {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if s := x.apps[app]; s != nil && s.ready.Load() {
		return s
	}
	return nil
}

func (x *Index) loadedApps() []int64 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var out []int64
	for id, s := range x.apps {
		if s.ready.Load() {
			out = append(out, id)
		}
	}
	return out
}
