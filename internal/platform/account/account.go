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
	// subjectChanged tells the other nodes that an app, a developer or a group changed.
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

	// decoders has a place for every PKCS#12 file that may be read at once.
	decoders chan struct{}
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "account", migrations) }

// New returns the service; Run keeps the gate current.
func New(d *db.DB, b *bus.Bus, g *gate.Gate, sealer Sealer, trail *audit.Log, c clock.Clock, log *slog.Logger) *Service {
	return &Service{db: d, bus: b, gate: g, sealer: sealer, audit: trail, clock: c, log: log, decoders: make(chan struct{}, maxDecoders)}
}

// Load publishes every app, developer and group into the gate, and what was deleted.
func (s *Service) Load(ctx context.Context) error {
	apps, err := queryApps(ctx, s.db)
	if err != nil {
		return err
	}
	for _, row := range apps {
		s.gate.Publish(row.App.App)
	}
	developers, err := queryDevelopers(ctx, s.db)
	if err != nil {
		return err
	}
	for _, row := range developers {
		s.gate.PublishDeveloper(row.Developer.Developer)
	}
	groups, err := queryGroups(ctx, s.db)
	if err != nil {
		return err
	}
	for _, row := range groups {
		s.publishGroup(row)
	}
	return nil
}

func (s *Service) publishGroup(row *groupRow) {
	if row.deleted {
		s.gate.WithdrawGroup(row.ID, row.Revision)
		return
	}
	s.gate.PublishGroup(row.Group.Group)
}

// changed names what changed by its key; the others load everything.
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
			s.log.Warn("apps, developers and groups not reloaded", "err", err)
		}
	}
}

// announce makes a committed change of an app known: to this node at once, to the others by message.
func (s *Service) announce(app gate.App) {
	s.gate.Publish(app)
	s.tell(app.Key)
	if err := s.bus.Publish(edgewire.SubjectApps, Facts(&app)); err != nil {
		s.log.Warn("change of an app not told to the edges", "app", app.Key, "err", err)
	}
}

func (s *Service) announceDeveloper(d gate.Developer) {
	s.gate.PublishDeveloper(d)
	s.tell(d.Key)
}

func (s *Service) announceGroup(row *groupRow) {
	s.publishGroup(row)
	s.tell(row.Key)
}

func (s *Service) tell(key string) {
	if err := s.bus.Publish(subjectChanged, changed{key}); err != nil {
		s.log.Warn("change not announced; nodes notice within half a minute", "key", key, "err", err)
	}
}

// Facts is what an edge learns of an app.
func Facts(app *gate.App) edgewire.AppFacts {
	return edgewire.AppFacts{AppKey: app.Key, ID: app.ID, Enabled: app.State == gate.Enabled}
}
