package schedule

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"log/slog"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/jobs"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

//go:embed migrations
var migrations embed.FS

const (
	// PageSize is how many schedules a page has.
	PageSize = 50
	// maxName bounds the name of a schedule, in bytes.
	maxName = 255
	// cidLife is how long an idempotency key answers with its first result.
	cidLife = 24 * time.Hour
	// retention is how long what a schedule sent can be read: as long as the messages.
	retention = 35 * 24 * time.Hour
	// callTimeout bounds the work on one call.
	callTimeout = 10 * time.Second
)

// Pusher is what schedules need of the push service.
type Pusher interface {
	// ParseScheduled reads a push object under the rules of the app, ignoring its cid. The error is a *compat.Error.
	ParseScheduled(app *gate.App, body []byte) (*payload.Push, error)
	// Fire accepts a push; also runs in the transaction that commits it, with the id of the message. A refusal is a
	// *compat.Error; then, and on every other error, nothing was committed and also had no effect.
	Fire(ctx context.Context, app *gate.App, p *payload.Push, also func(ctx context.Context, tx *db.Tx, msg int64) error) (msg int64, err error)
}

// Deps is what the service stands on.
type Deps struct {
	DB     *db.DB
	Gate   *gate.Gate
	Jobs   *jobs.Queue
	Pusher Pusher
	Clock  clock.Clock
	Log    *slog.Logger
}

// Service keeps and fires schedules. It is safe for concurrent use.
type Service struct {
	db     *db.DB
	gate   *gate.Gate
	jobs   *jobs.Queue
	pusher Pusher
	clock  clock.Clock
	log    *slog.Logger
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_schedule", migrations) }

// New returns the service and registers its jobs, which fire while the queue runs. Run cleans up.
func New(d Deps) *Service {
	s := &Service{db: d.DB, gate: d.Gate, jobs: d.Jobs, pusher: d.Pusher, clock: d.Clock, log: d.Log}
	d.Jobs.Handle(jobKind, workers, s.fire)
	return s
}

// Schedule is what a caller decides about a schedule.
type Schedule struct {
	// Name has 1 to 255 bytes of letters, digits and underscores.
	Name    string
	Enabled bool
	Trigger Trigger
	// Push is a push object; its cid is ignored.
	Push json.RawMessage
}

// Create adds a schedule and returns its id, a UUID in lower case. Refusals are *compat.Error with code 8100.
func (s *Service) Create(ctx context.Context, app *gate.App, sc Schedule) (string, error) {
	created, err := s.create(ctx, app, sc, "")
	return created.id, err
}

// reference is the answer to the creation of a schedule.
type reference struct{ id, name string }

// create is Create with an idempotency key, empty for none: a second call with it gets the result of the first.
func (s *Service) create(ctx context.Context, app *gate.App, sc Schedule, cid string) (reference, error) {
	now := s.clock.Now()
	if err := checkName(sc.Name); err != nil {
		return reference{}, err
	}
	if !sc.Enabled {
		return reference{}, invalid("enabled must be true when a schedule is created")
	}
	if err := sc.Trigger.Check(now); err != nil {
		return reference{}, err
	}
	p, err := s.parsePush(app, sc.Push)
	if err != nil {
		return reference{}, err
	}
	next, _ := sc.Trigger.Next(now) // there is one: Check
	r := &row{
		ID: id.NewUUID(), App: app.ID, Name: sc.Name, Enabled: true, Live: true, Trigger: sc.Trigger, Push: p.Raw,
		NextAt: clock.Millis(next), CreatedAt: clock.Millis(now),
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if cid != "" {
			if err := insertCID(ctx, tx, r, cid, clock.Millis(now.Add(cidLife)), clock.Millis(now)); err != nil {
				return err
			}
		}
		live, err := r.number(ctx, tx)
		if err != nil {
			return err
		}
		if limit := app.Settings.Schedules; live > int64(limit) {
			return invalid("the app has %d schedules that have not expired, and may not have more", limit)
		}
		if err := r.insert(ctx, tx); err != nil {
			return err
		}
		return s.enqueue(ctx, tx, r)
	})
	if errors.Is(err, errCIDTaken) {
		first, err := queryCID(ctx, s.db, app.ID, cid, clock.Millis(now))
		if err == nil && first == nil {
			err = errors.New("push_schedule: cid neither free nor taken")
		}
		if err != nil {
			return reference{}, err
		}
		return *first, nil
	}
	if err != nil {
		return reference{}, err
	}
	return reference{r.ID, r.Name}, nil
}

func (s *Service) enqueue(ctx context.Context, tx *db.Tx, r *row) error {
	return s.jobs.Enqueue(ctx, tx, jobs.Spec{Kind: jobKind, Key: r.ID, At: clock.FromMillis(r.NextAt)})
}

func (s *Service) parsePush(app *gate.App, raw []byte) (*payload.Push, error) {
	p, err := s.pusher.ParseScheduled(app, raw)
	if err != nil {
		return nil, invalidPart("push", err)
	}
	return p, nil
}

// checkName allows letters of every script, digits and underscores.
func checkName(name string) error {
	switch {
	case name == "":
		return invalid("name is required")
	case len(name) > maxName:
		return invalid("name must not be longer than %d bytes", maxName)
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r != '_' && !unicode.IsLetter(r) && !unicode.IsDigit(r) }):
		return invalid("name must consist of letters, digits and underscores")
	}
	return nil
}

// edit is what a caller changes of a schedule; what is nil stays. Each part replaces the whole old one.
type edit struct {
	Name    *string
	Enabled *bool
	Trigger *Trigger
	Push    json.RawMessage
}

// change applies c and returns the schedule as it is then. It is unknown (8104) after its retention, and expired (8100)
// before.
func (s *Service) change(ctx context.Context, app *gate.App, scheduleID string, c edit) (*row, error) {
	if c.Name == nil && c.Enabled == nil && c.Trigger == nil && c.Push == nil {
		return nil, invalid("name, enabled, trigger or push is required")
	}
	now := s.clock.Now()
	if c.Name != nil {
		if err := checkName(*c.Name); err != nil {
			return nil, err
		}
	}
	if c.Trigger != nil {
		if err := c.Trigger.Check(now); err != nil {
			return nil, err
		}
	}
	if c.Push != nil {
		p, err := s.parsePush(app, c.Push)
		if err != nil {
			return nil, err
		}
		c.Push = p.Raw
	}
	var out *row
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		r, err := lockRow(ctx, tx, app.ID, scheduleID)
		switch {
		case err != nil:
			return err
		case r == nil:
			return errUnknown
		case !r.Live:
			return errExpired
		}
		moved, err := r.apply(c, now)
		if err != nil {
			return err
		}
		if err := r.update(ctx, tx); err != nil {
			return err
		}
		if out = r; moved {
			return s.enqueue(ctx, tx, r)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// apply changes a row and tells whether its job must move.
func (r *row) apply(c edit, now time.Time) (moved bool, err error) {
	if c.Name != nil {
		r.Name = *c.Name
	}
	if c.Push != nil {
		r.Push = c.Push
	}
	if c.Trigger != nil {
		if c.Trigger.IsSingle() != r.Trigger.IsSingle() {
			return false, invalid("trigger: single and periodical cannot be exchanged")
		}
		r.Trigger, moved = *c.Trigger, true
	}
	if c.Enabled != nil && *c.Enabled != r.Enabled {
		r.Enabled, moved = *c.Enabled, true
	}
	if !moved { // a firing that is due or tried again stays so
		return false, nil
	}
	next, ok := r.Trigger.Next(now)
	if !r.Enabled { // also in the middle of its last firing
		next, ok = r.Trigger.Last()
	}
	if !ok {
		return false, errExpired
	}
	r.NextAt = clock.Millis(next)
	return true, nil
}

// remove deletes a live schedule with its past.
func (s *Service) remove(ctx context.Context, app *gate.App, scheduleID string) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		found, err := deleteLive(ctx, tx, app.ID, scheduleID)
		if err != nil {
			return err
		}
		if !found {
			return errUnknown
		}
		if _, err := s.jobs.Cancel(ctx, tx, jobKind, scheduleID); err != nil {
			return err
		}
		return countEnded(ctx, tx, app.ID, 1)
	})
}

// timeout turns what a caller should try again into the vendor's code for it.
func timeout(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, db.ErrClosed) {
		return errTimeout
	}
	return err
}

// refused tells a refusal, which would be the same at another try, from a failure.
func refused(err error) (*compat.Error, bool) {
	e, ok := errors.AsType[*compat.Error](err)
	return e, ok && e.HTTP < 500
}
