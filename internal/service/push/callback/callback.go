package callback

import (
	"context"
	"embed"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/webhook"
)

//go:embed migrations
var migrations embed.FS

// kind is the name of these deliveries; it is stored.
const kind = "receipts"

const (
	// pace at which a node looks for records to tell.
	pace = time.Second
	// trimPace at which what is too much or too old is dropped.
	trimPace = 10 * time.Second
	// maxRounds without a pause: then what is too much must be looked at too.
	maxRounds = 100
	// workers is how many apps a node serves at once.
	workers = 4
)

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Gate  *gate.Gate
	Hooks *webhook.Service
	// ID is the registration id of a device.
	ID func(app int64, ordinal uint32) string
	// Secret is what an app's receipts are signed with. It is not the master secret.
	Secret func(app *gate.App) string
	// MasterSecret is the app's, for the apps that want it sent.
	MasterSecret func(ctx context.Context, appKey string) (string, error)
	// Owns tells whether this node tells the receipts of an app; nil: of every app.
	Owns    func(app int64) bool
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
}

// Service tells receipts. It is safe for concurrent use.
type Service struct {
	db           *db.DB
	gate         *gate.Gate
	hooks        *webhook.Service
	id           func(int64, uint32) string
	secret       func(*gate.App) string
	masterSecret func(context.Context, string) (string, error)
	owns         func(int64) bool
	clock        clock.Clock
	log          *slog.Logger
	metrics      *metrics
	inserts      inserts
	// maxRows and maxBytes bound what waits for one app.
	maxRows, maxBytes int64

	mu sync.Mutex
	// turns has, by app, the address after which the next round begins.
	turns map[int64]string
}

// Migrate brings the package's table forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_callback", migrations) }

// New returns the service and registers it with Hooks. Run tells.
func New(d Deps) *Service {
	s := &Service{
		db: d.DB, gate: d.Gate, hooks: d.Hooks, id: d.ID, secret: d.Secret, masterSecret: d.MasterSecret, owns: d.Owns,
		clock: d.Clock, log: d.Log, metrics: newMetrics(d.Metrics), inserts: newInserts(), maxRows: maxRows, maxBytes: maxBytes,
		turns: make(map[int64]string),
	}
	if s.owns == nil {
		s.owns = func(int64) bool { return true }
	}
	d.Hooks.Register(kind, s.credentials)
	return s
}

// credentials are asked for at each attempt to send a delivery.
func (s *Service) credentials(ctx context.Context, d webhook.Delivery) (webhook.Credentials, error) {
	app := s.gate.AppByID(d.Owner)
	if app == nil {
		return webhook.Credentials{}, gate.ErrUnknownApp
	}
	c := webhook.Credentials{Secret: s.secret(app)}
	// Settings may have changed since the delivery was made: the master secret goes only where they say today.
	if !d.Basic || !app.Settings.CallbackBasic || d.URL != app.Settings.CallbackURL {
		return c, nil
	}
	password, err := s.masterSecret(ctx, app.Key)
	if err != nil {
		return webhook.Credentials{}, err
	}
	c.User, c.Password = app.Key, password
	return c, nil
}

// Run turns records into deliveries until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	look, trim := time.NewTicker(pace), time.NewTicker(trimPace)
	defer look.Stop()
	defer trim.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-trim.C:
			err = s.trim(ctx)
		case <-look.C:
			more := true
			for n := 0; n < maxRounds && more && err == nil && ctx.Err() == nil; n++ {
				more, err = s.round(ctx)
			}
		}
		if err != nil && ctx.Err() == nil {
			s.log.Warn("callback loop", "err", err) // the next turn tries again
		}
	}
}

// round gives each app with pending records a turn. More tells that another round may find more at once.
func (s *Service) round(ctx context.Context) (more bool, err error) {
	apps, err := queryApps(ctx, s.db)
	if err != nil {
		return false, err
	}
	var (
		group errgroup.Group
		mu    sync.Mutex
	)
	group.SetLimit(workers)
	for _, id := range apps {
		app := s.gate.AppByID(id)
		if app == nil || !s.owns(id) {
			continue
		}
		group.Go(func() error {
			left, err := s.turn(ctx, app)
			mu.Lock()
			defer mu.Unlock()
			more = more || left
			return err
		})
	}
	err = group.Wait()
	return more, err
}
