package account

import (
	"context"
	"embed"
	"log/slog"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

const (
	// subjectChanged tells the other nodes that an app changed.
	subjectChanged = "account.app.changed"
	reloadEvery    = 30 * time.Second
)

// Sealer encrypts what must be readable again; *secret.Box is one.
type Sealer interface {
	Seal(plain, aad []byte) (string, error)
	Open(sealed string, aad []byte) ([]byte, error)
}

// Service is the account service.
type Service struct {
	db     *db.DB
	bus    *bus.Bus
	gate   *gate.Gate
	sealer Sealer
	audit  *audit.Log
	clock  clock.Clock
	log    *slog.Logger
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "account", migrations) }

// New returns the service; Run keeps the gate current.
func New(d *db.DB, b *bus.Bus, g *gate.Gate, sealer Sealer, trail *audit.Log, c clock.Clock, log *slog.Logger) *Service {
	return &Service{db: d, bus: b, gate: g, sealer: sealer, audit: trail, clock: c, log: log}
}

// Load publishes every app into the gate.
func (s *Service) Load(ctx context.Context) error {
	rows, err := queryApps(ctx, s.db)
	if err != nil {
		return err
	}
	for _, row := range rows {
		s.gate.Publish(row.App.App)
	}
	return nil
}

type changed struct {
	Key string `cbor:"1,keyasint"`
}

// Run follows changes that other nodes make, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	wake := make(chan struct{}, 1)
	sub, err := s.bus.Subscribe(subjectChanged, "", func(*bus.Msg) {
		select {
		case wake <- struct{}{}:
		default:
		}
	})
	if err != nil {
		return err
	}
	defer func() { _ = sub.Unsubscribe() }()
	ticker := time.NewTicker(reloadEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-wake:
		}
		if err := s.Load(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("apps not reloaded", "err", err)
		}
	}
}

// announce makes a committed change known: to this node at once, to the others by message.
func (s *Service) announce(app gate.App) {
	s.gate.Publish(app)
	for subject, msg := range map[string]any{
		subjectChanged:       changed{app.Key},
		edgewire.SubjectApps: Facts(&app),
	} {
		if err := s.bus.Publish(subject, msg); err != nil {
			s.log.Warn("change of an app not announced; nodes notice within half a minute", "app", app.Key, "err", err)
		}
	}
}

// Facts is what an edge learns of an app.
func Facts(app *gate.App) edgewire.AppFacts {
	return edgewire.AppFacts{AppKey: app.Key, ID: app.ID, Enabled: app.State == gate.Enabled}
}
