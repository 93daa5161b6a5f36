package file

import (
	"context"
	"embed"
	"log/slog"
	"time"

	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

//go:embed migrations
var migrations embed.FS

// Kinds of files.
const (
	KindAlias          = "alias"
	KindRegistrationID = "registration_id"
)

// Limits of files.
const (
	// MaxBytes is the size of the largest file.
	MaxBytes = 10 << 20
	// MaxLive is how many files an owner may have at a time.
	MaxLive = 20
	// MaxLines is how many lines a file may have that are not blank.
	MaxLines = 1_000_000
	// MaxLineBytes is the length of the longest line, without its end.
	MaxLineBytes = 255
	// maxTTL is how many hours a file lives at most, and if nobody says otherwise.
	maxTTL = 720
)

// Owner is an app or a developer, by internal number; the other one is 0.
type Owner struct{ App, Developer int64 }

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Blobs *blob.Store
	Clock clock.Clock
	Log   *slog.Logger
	// Zone of the times in answers to developers; an app has its own.
	Zone *time.Location
}

// Service keeps files. It is safe for concurrent use.
type Service struct {
	Deps
	slots slots
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_file", migrations) }

// New returns the service. The tables of blob must have been migrated. Run deletes expired files.
func New(d Deps) *Service { return &Service{Deps: d} }

// file is one file that lives.
type file struct {
	id, kind, name       string
	blob, size, lines    int64
	ttlGiven             bool
	createdAt, expiresAt int64 // Unix milliseconds
}

func errUnknown() *compat.Error {
	return compat.Errorf(400, 1003, "there is no such file, or it has expired")
}

func errFull() *compat.Error {
	return compat.Errorf(400, 1003, "there are already %d files; delete one first", MaxLive)
}

const (
	sweepEvery = time.Minute
	sweepRows  = 50
)

// Run deletes expired files until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(sweepEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if _, err := s.Sweep(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("expired files not deleted", "err", err)
			}
		}
	}
}

// Sweep does what Run does, once, and returns the number of files deleted.
func (s *Service) Sweep(ctx context.Context) (deleted int, err error) {
	for {
		n, err := s.deleteExpired(ctx)
		deleted += n
		if err != nil || n < sweepRows {
			return deleted, err
		}
	}
}
