package template

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

//go:embed migrations
var migrations embed.FS

const (
	// MaxTemplates is how many templates an app can have.
	MaxTemplates = 1000
	// MaxVariables is how many variables a template can have.
	MaxVariables = 100
	// maxPushBytes is the largest push object of a template.
	maxPushBytes = 32 << 10
	// maxNameBytes is the longest name of a template.
	maxNameBytes = 255
	// maxSampleBytes is the longest sample.
	maxSampleBytes = 4 << 10
	// defaultSample stands for a variable without a sample when a template is checked. It is both a text and a number.
	defaultSample = "1"
)

// Pusher is what becomes of rendered pushes; the push service is one.
type Pusher interface {
	// ParseScheduled reads a push object under the rules of the app, without its cid. The error is a *compat.Error.
	ParseScheduled(app *gate.App, body []byte) (*payload.Push, error)
	// AcceptAll takes pushes, in one transaction, and tells what became of each, in their order.
	AcceptAll(ctx context.Context, app *gate.App, pushes []*payload.Push) []Result
}

// Result of one push: its number, or an error, which is a *compat.Error if it is a refusal.
type Result struct {
	Msg int64
	Err error
}

// Scheduler makes schedules.
type Scheduler interface {
	// Schedule makes an enabled schedule of a push object. Refusals are *compat.Error.
	Schedule(ctx context.Context, app *gate.App, name string, trigger, push json.RawMessage) (id string, err error)
}

// Deps is what the service stands on.
type Deps struct {
	DB        *db.DB
	Pusher    Pusher
	Scheduler Scheduler
	Clock     clock.Clock
	Log       *slog.Logger
}

// Service keeps templates and makes pushes of them. It is safe for concurrent use.
type Service struct {
	db        *db.DB
	pusher    Pusher
	scheduler Scheduler
	clock     clock.Clock
	log       *slog.Logger
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_template", migrations) }

// New returns the service. It has no loops.
func New(d Deps) *Service {
	return &Service{db: d.DB, pusher: d.Pusher, scheduler: d.Scheduler, clock: d.Clock, log: d.Log}
}

// Template is a stored template.
type Template struct {
	ID   string
	Name string
	// Push is a push object without audience and cid, with variables in its strings.
	Push json.RawMessage
	// Samples are values of variables with which the template was checked; others were defaultSample.
	Samples map[string]string
	// Version rises with every change, from 1.
	Version int64
	// CreatedAt and UpdatedAt are Unix milliseconds.
	CreatedAt, UpdatedAt int64
}

// Variables are the names of the variables, sorted.
func (t *Template) Variables() []string {
	c, err := compile(t.Push)
	if err != nil { // it was checked when it was stored
		return nil
	}
	return c.names()
}

// Refusals of the verbs below, besides *InvalidError.
var (
	ErrNotFound = errors.New("the app has no such template")
	ErrConflict = errors.New("the template has changed since the version that is named")
	ErrTooMany  = fmt.Errorf("the app has %d templates already, which is the most", MaxTemplates)
)

// InvalidError says that a field of a template cannot be as it is.
type InvalidError struct {
	// Field is "name", "push" or "samples".
	Field  string
	Detail string
}

// Error makes *InvalidError an error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Detail }

// Create stores a template under a new id. Refusals: *InvalidError, ErrTooMany.
func (s *Service) Create(ctx context.Context, app *gate.App, t Template) (*Template, error) {
	if err := s.check(app, &t); err != nil {
		return nil, err
	}
	t.ID = idPrefix + strings.ReplaceAll(id.NewUUID(), "-", "")
	t.Version, t.CreatedAt = 1, clock.Millis(s.clock.Now())
	t.UpdatedAt = t.CreatedAt
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := lock(ctx, tx, app.ID); err != nil {
			return err
		}
		n, err := count(ctx, tx, app.ID)
		if err != nil {
			return err
		}
		if n >= MaxTemplates {
			return ErrTooMany
		}
		return insert(ctx, tx, app.ID, &t)
	})
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// Get reads a template. Refusal: ErrNotFound.
func (s *Service) Get(ctx context.Context, app *gate.App, id string) (*Template, error) {
	if !validID(id) {
		return nil, ErrNotFound
	}
	return query(ctx, s.db, app.ID, id)
}

// List reads up to limit templates after the one with the id, or from the first, in order of creation.
func (s *Service) List(ctx context.Context, app *gate.App, after string, limit int) ([]*Template, error) {
	return queryAfter(ctx, s.db, app.ID, after, limit)
}

// Update replaces name, push and samples of the template with t's id if it still has t's version. Refusals:
// *InvalidError, ErrNotFound, ErrConflict.
func (s *Service) Update(ctx context.Context, app *gate.App, t Template) (*Template, error) {
	if !validID(t.ID) {
		return nil, ErrNotFound
	}
	if err := s.check(app, &t); err != nil {
		return nil, err
	}
	t.UpdatedAt = clock.Millis(s.clock.Now())
	var created int64
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		created, err = update(ctx, tx, app.ID, &t)
		return err
	})
	if err != nil {
		return nil, err
	}
	t.Version++
	t.CreatedAt = created
	return &t, nil
}

// Delete deletes a template; what was made of it stays. Refusal: ErrNotFound.
func (s *Service) Delete(ctx context.Context, app *gate.App, id string) error {
	if !validID(id) {
		return ErrNotFound
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return remove(ctx, tx, app.ID, id) })
}

// check refuses what cannot be stored, and brings the push into compact form.
func (s *Service) check(app *gate.App, t *Template) error {
	switch {
	case t.Name == "":
		return &InvalidError{"name", "is required"}
	case len(t.Name) > maxNameBytes:
		return &InvalidError{"name", fmt.Sprintf("must not be longer than %d bytes", maxNameBytes)}
	case !utf8.ValidString(t.Name) || strings.ContainsFunc(t.Name, unicode.IsControl):
		return &InvalidError{"name", "must be valid UTF-8 without control characters"}
	case len(t.Push) > maxPushBytes:
		return &InvalidError{"push", fmt.Sprintf("must not be larger than %d bytes", maxPushBytes)}
	}
	c, err := compile(t.Push)
	if err != nil {
		return &InvalidError{"push", err.Error()}
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, t.Push); err != nil {
		return &InvalidError{"push", "must be valid JSON"}
	}
	t.Push = compact.Bytes()
	values, err := sampleValues(c.names(), t.Samples)
	if err != nil {
		return err
	}
	raw, err := c.render(values, json.RawMessage(`"all"`), nil)
	if err == nil {
		_, err = s.pusher.ParseScheduled(app, raw)
	}
	if err != nil {
		return &InvalidError{"push", reason(err)}
	}
	return nil
}

// sampleValues gives every variable a value.
func sampleValues(names []string, samples map[string]string) (map[string]string, error) {
	if len(names) > MaxVariables {
		return nil, &InvalidError{"push", fmt.Sprintf("must not have more than %d variables", MaxVariables)}
	}
	values := make(map[string]string, len(names))
	for _, name := range names {
		values[name] = defaultSample
	}
	for name, value := range samples {
		switch _, known := values[name]; {
		case !known:
			return nil, &InvalidError{"samples", fmt.Sprintf("the push has no variable %q", name)}
		case len(value) > maxSampleBytes:
			return nil, &InvalidError{"samples", fmt.Sprintf("%q must not be longer than %d bytes", name, maxSampleBytes)}
		}
		values[name] = value
	}
	return values, nil
}

// reason is a refusal without its code.
func reason(err error) string {
	if e, ok := errors.AsType[*compat.Error](err); ok {
		return e.Message
	}
	return err.Error()
}

// idPrefix begins the ids of templates; 32 hexadecimal digits follow, in order of creation.
const idPrefix = "tpl_"

func validID(id string) bool {
	digits, ok := strings.CutPrefix(id, idPrefix)
	return ok && len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == ""
}
