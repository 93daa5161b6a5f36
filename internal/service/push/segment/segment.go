package segment

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
)

//go:embed migrations
var migrations embed.FS

const (
	// MaxSegments is how many segments an app can have.
	MaxSegments = 1000
	// MaxTests is how many A/B tests an app can have.
	MaxTests = 1000
	// maxNameBytes is the longest name of a segment, test or group.
	maxNameBytes = 255
)

// Devices resolves registration ids; *device.Registry does it.
type Devices interface {
	// Resolve knows what was committed before the last Sync of the app's audience.
	Resolve(app *gate.App, rids []string) (ordinals []uint32, unknown []string)
}

// Deps is what the service stands on.
type Deps struct {
	DB       *db.DB
	Audience *audience.Index
	Devices  Devices
	Clock    clock.Clock
	Log      *slog.Logger
}

// Service keeps segments and tests and resolves them. It is safe for concurrent use.
type Service struct {
	db       *db.DB
	audience *audience.Index
	devices  Devices
	clock    clock.Clock
	log      *slog.Logger
	slots    chan struct{} // of resolutions
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_segment", migrations) }

// New returns the service. It has no loops.
func New(d Deps) *Service {
	return &Service{db: d.DB, audience: d.Audience, devices: d.Devices, clock: d.Clock, log: d.Log, slots: make(chan struct{}, maxResolving)}
}

// Segment is a named audience.
type Segment struct {
	ID   string
	Name string
	// Audience is the expression as JSON.
	Audience json.RawMessage
	// Version rises with every change, from 1.
	Version int64
	// CreatedAt and UpdatedAt are Unix milliseconds.
	CreatedAt, UpdatedAt int64
}

// Refusals of the verbs, besides *InvalidError and *InUseError.
var (
	ErrNotFound = errors.New("the app has nothing of this id")
	ErrConflict = errors.New("it has changed since the version that is named")
	ErrTooMany  = errors.New("the app has the most that it can have already")
)

// InvalidError says what about a segment or test cannot be.
type InvalidError struct {
	// Field is a path, e.g. "audience.any[1].tag".
	Field  string
	Detail string
}

// Error makes *InvalidError an error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Detail }

// InUseError says that a segment cannot be deleted because others name it.
type InUseError struct{ By []string }

// Error makes *InUseError an error.
func (e *InUseError) Error() string { return "the segment is used by " + strings.Join(e.By, ", ") }

// Create stores a segment under a new id. Refusals: *InvalidError, ErrTooMany.
func (s *Service) Create(ctx context.Context, app *gate.App, name string, raw json.RawMessage) (*Segment, error) {
	a, err := s.parse(name, raw)
	if err != nil {
		return nil, err
	}
	seg := Segment{ID: newID(segmentPrefix), Name: name, Audience: a.raw, Version: 1, CreatedAt: clock.Millis(s.clock.Now())}
	seg.UpdatedAt = seg.CreatedAt
	err = s.change(ctx, app.ID, func(ctx context.Context, tx *db.Tx, g graph) error {
		if g.count(segmentPrefix) >= MaxSegments {
			return ErrTooMany
		}
		g[seg.ID] = vertex{a.clauses, a.refs}
		if err := g.check(seg.ID); err != nil {
			return err
		}
		return insertSegment(ctx, tx, app.ID, &seg, a)
	})
	if err != nil {
		return nil, err
	}
	return &seg, nil
}

// Get reads a segment. Refusal: ErrNotFound.
func (s *Service) Get(ctx context.Context, app *gate.App, id string) (*Segment, error) {
	if !validID(segmentPrefix, id) {
		return nil, ErrNotFound
	}
	return querySegment(ctx, s.db, app.ID, id)
}

// List reads up to limit segments after the one with the id, or from the first, in order of creation.
func (s *Service) List(ctx context.Context, app *gate.App, after string, limit int) ([]*Segment, error) {
	return querySegments(ctx, s.db, app.ID, after, limit)
}

// Update replaces name and audience of the segment if it still has the version. Refusals: *InvalidError, ErrNotFound,
// ErrConflict.
func (s *Service) Update(ctx context.Context, app *gate.App, id string, version int64, name string, raw json.RawMessage) (*Segment, error) {
	if !validID(segmentPrefix, id) {
		return nil, ErrNotFound
	}
	a, err := s.parse(name, raw)
	if err != nil {
		return nil, err
	}
	seg := Segment{ID: id, Name: name, Audience: a.raw, Version: version, UpdatedAt: clock.Millis(s.clock.Now())}
	var created int64
	err = s.change(ctx, app.ID, func(ctx context.Context, tx *db.Tx, g graph) (err error) {
		if _, ok := g[id]; !ok {
			return ErrNotFound
		}
		g[id] = vertex{a.clauses, a.refs}
		if err := g.check(id); err != nil {
			return err
		}
		created, err = updateSegment(ctx, tx, app.ID, &seg, a)
		return err
	})
	if err != nil {
		return nil, err
	}
	seg.Version++
	seg.CreatedAt = created
	return &seg, nil
}

// Delete deletes a segment that no other segment and no test names. Refusals: ErrNotFound, *InUseError.
func (s *Service) Delete(ctx context.Context, app *gate.App, id string) error {
	if !validID(segmentPrefix, id) {
		return ErrNotFound
	}
	return s.change(ctx, app.ID, func(ctx context.Context, tx *db.Tx, g graph) error {
		if _, ok := g[id]; !ok {
			return ErrNotFound
		}
		if by := g.uses(id); len(by) > 0 {
			slices.Sort(by)
			return &InUseError{by[:min(len(by), 10)]}
		}
		return deleteSegment(ctx, tx, app.ID, id)
	})
}

// change runs a change under the app's lock, with the graph as it is.
func (s *Service) change(ctx context.Context, app int64, do func(context.Context, *db.Tx, graph) error) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := lock(ctx, tx, app); err != nil {
			return err
		}
		g, err := readGraph(ctx, tx, app)
		if err != nil {
			return err
		}
		return do(ctx, tx, g)
	})
}

// count counts the expressions whose ids have a prefix.
func (g graph) count(prefix string) (n int) {
	for id := range g {
		if strings.HasPrefix(id, prefix) {
			n++
		}
	}
	return n
}

func (s *Service) parse(name string, raw json.RawMessage) (*Audience, error) {
	if err := checkName("name", name); err != nil {
		return nil, err
	}
	return ParseAudience(raw)
}

func checkName(field, name string) error {
	switch {
	case name == "" || len(name) > maxNameBytes:
		return &InvalidError{field, fmt.Sprintf("must have 1 to %d bytes", maxNameBytes)}
	case !utf8.ValidString(name) || strings.ContainsFunc(name, unicode.IsControl):
		return &InvalidError{field, "must be valid UTF-8 without control characters"}
	}
	return nil
}

// newID is time-ordered and cannot be guessed.
func newID(prefix string) string { return prefix + strings.ReplaceAll(id.NewUUID(), "-", "") }
