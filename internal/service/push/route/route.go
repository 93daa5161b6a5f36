package route

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
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
	answers  *prometheus.CounterVec
	wake     chan struct{}
	planners chan struct{} // slots of lines that plan
	senders  chan struct{} // slots of lines that send
	turns    sync.WaitGroup

	mu    sync.Mutex
	lines map[lineKey]bool // those that work
}

// lineKey is a queue of its own: a slow vendor holds up nobody else. Planning is the line without a channel.
type lineKey struct {
	app  int64
	name wire.Name
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_route", migrations) }

// New returns the service; Run does its work.
func New(d Deps) *Service {
	if d.ReceiptURL == nil {
		d.ReceiptURL = func(string, wire.Name) string { return "" }
	}
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "borealis_push_channel_answers_total", Help: "Answers of vendors' channels and of SMS, per device and try, by channel and status.",
	}, []string{"channel", "status"})
	d.Metrics.MustRegister(answers)
	return &Service{
		Deps: d, answers: answers, wake: make(chan struct{}, 1), planners: make(chan struct{}, maxPlanners), senders: make(chan struct{}, maxSenders),
		lines: make(map[lineKey]bool),
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
	// cleanTick is how often old rows are deleted.
	cleanTick = 10 * time.Minute
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
	ticker, clean := time.NewTicker(tick), time.NewTicker(cleanTick)
	defer ticker.Stop()
	defer clean.Stop()
	defer s.turns.Wait()
	for {
		if err := s.round(ctx, parent); err != nil && ctx.Err() == nil {
			s.Log.Warn("routes", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.wake:
		case <-clean.C:
			if err := s.clean(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("old routes not deleted", "err", err)
			}
		}
	}
}

// round starts a turn for each line that has work and none running. It does not wait for them.
func (s *Service) round(ctx context.Context, parent Messages) error {
	due, err := queryLines(ctx, s.DB, s.now())
	if err != nil {
		return err
	}
	rand.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] }) // nobody is always the last
	for _, key := range due {
		if !s.owns(key.app) || !s.begin(key) {
			continue
		}
		slots := s.senders
		if key.name == "" {
			slots = s.planners
		}
		select {
		case slots <- struct{}{}:
		default:
			s.end(key)
			continue // the next round looks again
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

// turn works on a line until nothing of it is due, or its time is over.
func (s *Service) turn(ctx context.Context, parent Messages, key lineKey) error {
	for began := s.Clock.Now(); ctx.Err() == nil; {
		if s.Clock.Now().Sub(began) > turnLength {
			s.Wake()
			return nil
		}
		var (
			more bool
			err  error
		)
		if key.name == "" {
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

// begin takes a line up, unless it is, or its app has enough of them.
func (s *Service) begin(key lineKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.lines[key] {
		return false
	}
	if key.name != "" {
		n := 0
		for k := range s.lines {
			if k.app == key.app && k.name != "" {
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

// ErrNoCredentials says that an app has none for a channel.
var ErrNoCredentials = errors.New("the app has no credentials for it")

func (s *Service) carrier(name wire.Name) (carrier, error) {
	if name == sms && s.SMS != nil {
		return carrier{s.SMS.Parse, s.SMS.Probe}, nil
	}
	if v := s.Dispatcher.Vendor(name); v != nil {
		return carrier{v.Parse, v.Probe}, nil
	}
	return carrier{}, fmt.Errorf("route: %q: %w", name, ErrNoChannel)
}
