package plan

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"strings"
	"unicode"
	"unicode/utf8"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
)

//go:embed migrations
var migrations embed.FS

const (
	// MaxPlans is how many plans an app can have.
	MaxPlans = 1000
	// maxNameBytes is the longest name; options.business_operation_code may be as long.
	maxNameBytes = 255
	// maxDescriptionBytes is the longest description.
	maxDescriptionBytes = 1024
)

// Source is where a plan was created. The numbers are stored and on the wire.
type Source int64

// Sources.
const (
	FromAPI     Source = 0
	FromConsole Source = 1
)

// Plan is a push plan.
type Plan struct {
	Name        string
	Description string
	Source      Source
	// CreatedAt and UsedAt are Unix milliseconds; UsedAt is 0 until a push names the plan.
	CreatedAt, UsedAt int64
	// Pushes is how many accepted pushes named the plan.
	Pushes int64
}

// Quota is what a vendor lets an app send in a day. Both numbers are -1 where there is no limit, as the vendor writes it.
type Quota struct {
	Total int64 `json:"total"`
	Used  int64 `json:"used"`
}

// Quotas tells the quotas of an app by vendor ("xiaomi", "oppo", "vivo") and class of message ("system", "operation"). It
// does no I/O. What it leaves out has no limit.
type Quotas interface {
	Quotas(app int64) map[string]map[string]Quota
}

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	// Quotas may be nil: no vendor channel is configured, so nothing limits.
	Quotas Quotas
}

// Service keeps the plans. It is safe for concurrent use.
type Service struct {
	db     *db.DB
	clock  clock.Clock
	log    *slog.Logger
	quotas Quotas
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_plan", migrations) }

// New returns the service. It has no loops.
func New(d Deps) *Service {
	return &Service{db: d.DB, clock: d.Clock, log: d.Log, quotas: d.Quotas}
}

// Codes of the vendor's push API.
const (
	codeInternal = 1000
	codeMissing  = 1002
	codeInvalid  = 1003
)

func invalid(format string, args ...any) *compat.Error {
	return compat.Errorf(http.StatusBadRequest, codeInvalid, format, args...)
}

// Create adds a plan. Refusals are *compat.Error: 1002 without a name, 1003 for one that exists, too long texts and too
// many plans.
func (s *Service) Create(ctx context.Context, app *gate.App, name, description string, from Source) error {
	if err := check(name, description); err != nil {
		return err
	}
	p := Plan{Name: name, Description: description, Source: from, CreatedAt: clock.Millis(s.clock.Now())}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := lock(ctx, tx, app.ID); err != nil {
			return err
		}
		n, taken, err := count(ctx, tx, app.ID, name)
		switch {
		case err != nil:
			return err
		case taken:
			return invalid("name: the app has a plan of this name already")
		case n >= MaxPlans:
			return invalid("the app has %d plans already, which is the most", n)
		}
		return insert(ctx, tx, app.ID, p)
	})
}

// Update changes the description of a plan. Refusals are those of Create, and 1003 for a name that no plan has.
func (s *Service) Update(ctx context.Context, app *gate.App, name, description string) error {
	if err := check(name, description); err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := update(ctx, tx, app.ID, name, description)
		if err == nil && n == 0 {
			err = invalid("name: the app has no plan of this name")
		}
		return err
	})
}

func check(name, description string) error {
	if name == "" {
		return compat.Errorf(http.StatusBadRequest, codeMissing, "name is required")
	}
	if err := checkText("name", name, maxNameBytes); err != nil {
		return err
	}
	return checkText("description", description, maxDescriptionBytes)
}

func checkText(field, text string, limit int) error {
	switch {
	case len(text) > limit:
		return invalid("%s must not be longer than %d bytes", field, limit)
	case !utf8.ValidString(text):
		return invalid("%s must be valid UTF-8", field)
	case strings.ContainsFunc(text, unicode.IsControl):
		return invalid("%s must not contain control characters", field)
	}
	return nil
}
