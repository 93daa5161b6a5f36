package route

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/channel"
	"borealis/internal/engine/channel/sms/smswire"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

// Leases say who works for an app; *lease.Keeper of the push partitions is one.
type Leases interface {
	Fence(partition int) (int64, error)
	Check(ctx context.Context, tx *db.Tx, partition int) error
}

// Presence tells who is connected now; *presence.Presence is one.
type Presence interface {
	Online(app int64, ordinal uint32) bool
}

// IDs number the parts; *id.Sequence is one.
type IDs interface {
	Next(ctx context.Context) (int64, error)
}

// ShortMessages sends SMS; *channel.Texts does.
type ShortMessages interface {
	// Parse reads what an app has at a provider; the error is a *wire.FieldError.
	Parse(raw []byte) (wire.Credentials, error)
	// Probe asks the provider whether it takes them.
	Probe(ctx context.Context, c wire.Credentials) error
	// Send brings a message to numbers and answers with one outcome for each.
	Send(ctx context.Context, app int64, c wire.Credentials, mobiles []string, m smswire.Message) []wire.Outcome
}

// Deps are what the service stands on.
type Deps struct {
	DB         *db.DB
	Gate       *gate.Gate
	Devices    *device.Registry
	Presence   Presence
	Leases     Leases
	IDs        IDs
	Sealer     Sealer
	Dispatcher *channel.Dispatcher
	// SMS may be nil: then no app can have the channel.
	SMS     ShortMessages
	Audit   *audit.Log
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// ReceiptURL is where a vendor shall report to what became of messages; empty: nowhere. Optional.
	ReceiptURL func(appKey string, name wire.Name) string
}

// Service routes. It is safe for concurrent use.
type Service struct {
	Deps
	channels channels
	quotas   quotas
	wake     chan struct{}
	// planners and senders are the slots of lines that plan and that send: calls that hang do not keep new messages waiting.
	planners, senders chan struct{}
	turns             sync.WaitGroup
	metrics           *metrics

	mu    sync.Mutex
	lines map[lineKey]bool // those that work
}

// lineKey is a queue of its own: a slow vendor holds up nobody else. Planning is the line without a channel.
type lineKey struct {
	app  int64
	name wire.Name
}

func (k lineKey) planning() bool { return k.name == "" }

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_route", migrations) }

// New returns the service; Run does its work.
func New(d Deps) *Service {
	if d.ReceiptURL == nil {
		d.ReceiptURL = func(string, wire.Name) string { return "" }
	}
	return &Service{
		Deps: d, wake: make(chan struct{}, 1), planners: make(chan struct{}, maxPlanners), senders: make(chan struct{}, maxSenders),
		lines: make(map[lineKey]bool), metrics: newMetrics(d.Metrics),
	}
}

const (
	// tick is how often the database is asked for work: time passes, and another node may have accepted a message.
	tick = 500 * time.Millisecond
	// maxPlanners and maxSenders bound the lines that plan and that send at once. Planning waits for no vendor.
	maxPlanners = 8
	maxSenders  = 32
	// maxOfApp is how many lines of one app send at once: vendors that do not answer it leave room for other apps.
	maxOfApp = 6
	// turnLength is how long a line that always has work keeps its slot, apart from the calls under way.
	turnLength = 5 * time.Second
)

// Wake looks for work at once. Call it after the transaction of Record has committed; without it the work waits for half a second.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run plans and sends until ctx ends, for apps whose partition this node owns.
func (s *Service) Run(ctx context.Context, parent Messages) error {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	defer s.turns.Wait()
	s.turns.Go(func() { s.cleaning(ctx) })
	s.turns.Go(func() { s.counting(ctx) })
	for {
		if err := s.round(ctx, parent); err != nil && ctx.Err() == nil {
			s.Log.Warn("routes", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.wake:
		}
	}
}

// round starts a turn for each line that has work and none running, in no order. It does not wait for them.
func (s *Service) round(ctx context.Context, parent Messages) error {
	now := s.now()
	due, err := queryLines(ctx, s.DB, now)
	if err != nil {
		return err
	}
	due = slices.DeleteFunc(due, func(l line) bool { return !s.owns(l.app) || !s.works(l.app) })
	s.metrics.waited(due, now)
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] }) // nobody is always the last
	for _, l := range due {
		key, slots := l.lineKey, s.senders
		if key.planning() {
			slots = s.planners
		}
		if !s.begin(key) {
			continue
		}
		select {
		case slots <- struct{}{}:
		default:
			s.end(key)
			continue // a later round has room
		}
		s.turns.Go(func() {
			defer func() { <-slots; s.end(key) }()
			if err := s.turn(ctx, parent, key); err != nil && ctx.Err() == nil {
				s.Log.Warn("routes", "app", key.app, "channel", key.name, "err", err)
			}
		})
	}
	return nil
}

// works tells whether an app's messages go out. Those of a disabled or suspended one wait until they expire; what is left of a deleted one
// is closed.
func (s *Service) works(app int64) bool {
	a := s.Gate.AppByID(app)
	return a != nil && (a.State == gate.Enabled || a.State == gate.Deleted)
}

// turn works on a line until nothing of it is due, or others want to.
func (s *Service) turn(ctx context.Context, parent Messages, key lineKey) error {
	for end := s.Clock.Now().Add(turnLength); ctx.Err() == nil && s.Clock.Now().Before(end); {
		var (
			more bool
			err  error
		)
		if key.planning() {
			more, err = s.plan(ctx, parent, key.app)
		} else {
			more, err = s.send(ctx, parent, key)
		}
		if err != nil || !more {
			return err
		}
	}
	return nil
}

func (s *Service) begin(key lineKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[key] {
		return false
	}
	if !key.planning() {
		n := 0
		for k := range s.lines {
			if k.app == key.app && !k.planning() {
				n++
			}
		}
		if n >= maxOfApp {
			return false
		}
	}
	s.lines[key] = true
	return true
}

func (s *Service) end(key lineKey) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.lines, key)
}

func (s *Service) owns(app int64) bool {
	_, err := s.Leases.Fence(edgewire.Partition(app))
	return err == nil
}

// owned runs a transaction of the owner of the app's partition.
func (s *Service) owned(ctx context.Context, app int64, fn db.TxFunc) error {
	return s.DB.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.Leases.Check(ctx, tx, edgewire.Partition(app)); err != nil {
			return err
		}
		return fn(ctx, tx)
	})
}

// carrier is a channel: a vendor's, or SMS.
type carrier struct {
	parse func(raw []byte) (wire.Credentials, error)
	probe func(ctx context.Context, c wire.Credentials) error
}

// ErrNoChannel says that this installation has no channel of that name.
var ErrNoChannel = errors.New("no such channel")

// ErrNoCredentials says that the app has no account at the vendor.
var ErrNoCredentials = errors.New("the app has no credentials for the channel")

func (s *Service) carrier(name wire.Name) (carrier, error) {
	if name == sms && s.SMS != nil {
		return carrier{s.SMS.Parse, s.SMS.Probe}, nil
	}
	if v := s.Dispatcher.Vendor(name); v != nil {
		return carrier{v.Parse, v.Probe}, nil
	}
	return carrier{}, fmt.Errorf("route: %q: %w", name, ErrNoChannel)
}
