package account

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
)

// ErrNotFound says that no app has the key.
var ErrNotFound = errors.New("no app has this key")

// maxName bounds the name of an app, in characters.
const maxName = 100

// App is an app as its owner sees it.
type App struct {
	gate.App
	// MasterSecret, 24 characters; the password of the server API.
	MasterSecret string
	CreatedAt    time.Time
}

// InvalidError is a value that an app cannot have.
type InvalidError struct{ Field, Reason string }

// Error makes *InvalidError an error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// CreateApp makes an app with new keys. actor is who does it, for the audit log.
func (s *Service) CreateApp(ctx context.Context, actor, name string) (*App, error) {
	name = strings.TrimSpace(name)
	switch n := utf8.RuneCountInString(name); {
	case !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
		return nil, &InvalidError{"name", "must be plain text"}
	case n == 0:
		return nil, &InvalidError{"name", "must not be empty"}
	case n > maxName:
		return nil, &InvalidError{"name", fmt.Sprintf("has %d characters, at most %d are allowed", n, maxName)}
	}
	app := &App{
		App:          gate.App{Key: id.NewKey(), Name: name, State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1},
		MasterSecret: id.NewKey(),
		CreatedAt:    s.clock.Now().Truncate(time.Millisecond),
	}
	app.SecretHash = sha256.Sum256([]byte(app.MasterSecret))
	sealed, err := s.sealer.Seal([]byte(app.MasterSecret), secretPlace(app.Key))
	if err != nil {
		return nil, fmt.Errorf("account: seal master secret: %w", err)
	}
	create := func(ctx context.Context, tx *db.Tx) error {
		if err := insertApp(ctx, tx, app, sealed); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "app.create", Object: "app/" + app.Key, Detail: map[string]string{"name": name}})
	}
	err = s.db.InTx(ctx, create)
	for range maxCollisions {
		if !db.IsUnique(err) {
			break
		}
		err = s.db.InTx(ctx, create)
	}
	if err != nil {
		return nil, fmt.Errorf("account: create app: %w", err)
	}
	s.announce(app.App)
	return app, nil
}

// maxCollisions: two creators at once take the same number on PostgreSQL; the later one takes the next.
const maxCollisions = 10

// secretPlace binds a sealed master secret to its app.
func secretPlace(key string) []byte { return []byte("account_app/" + key) }

// Apps lists all apps in order of creation, without their secrets.
func (s *Service) Apps(ctx context.Context) ([]App, error) {
	rows, err := queryApps(ctx, s.db)
	if err != nil {
		return nil, err
	}
	apps := make([]App, len(rows))
	for i, r := range rows {
		apps[i] = r.App
	}
	return apps, nil
}

// App finds an app by its key, with its secret.
func (s *Service) App(ctx context.Context, key string) (*App, error) {
	row, err := queryApp(ctx, s.db, key)
	if err != nil {
		return nil, err
	}
	secret, err := s.sealer.Open(row.sealed, secretPlace(key))
	if err != nil {
		return nil, fmt.Errorf("account: open master secret of %s: %w", key, err)
	}
	row.MasterSecret = string(secret)
	return &row.App, nil
}

// Assignment is one "name=value" of `app set`.
type Assignment struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SetApp changes settings, or one of "name", "state" and "limits" (a preset), all or none.
func (s *Service) SetApp(ctx context.Context, actor, key string, changes []Assignment) (*App, error) {
	var app *App
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		row, err := queryApp(ctx, tx, key)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := row.assign(c); err != nil {
				return err
			}
		}
		row.Revision++
		app = &row.App
		if err := updateApp(ctx, tx, app); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "app.set", Object: "app/" + key, Detail: changes})
	})
	if err != nil {
		return nil, err
	}
	s.announce(app.App)
	return app, nil
}

// vendorFreeTier is the name of a preset of limits.
const vendorFreeTier = "vendor-free-tier"

func (a *App) assign(c Assignment) error {
	switch c.Name {
	case "name":
		if c.Value == "" || utf8.RuneCountInString(c.Value) > maxName || !utf8.ValidString(c.Value) {
			return &InvalidError{"name", fmt.Sprintf("must have 1 to %d characters", maxName)}
		}
		a.Name = c.Value
	case "state":
		state := gate.State(c.Value)
		if state != gate.Enabled && state != gate.Disabled && state != gate.Suspended {
			return &InvalidError{"state", fmt.Sprintf("%q is not one of: enabled disabled suspended", c.Value)}
		}
		a.State = state
	case "limits":
		if c.Value != vendorFreeTier {
			return &InvalidError{"limits", fmt.Sprintf("%q is not one of: %s", c.Value, vendorFreeTier)}
		}
		a.Settings.VendorFreeTier()
	default:
		if err := a.Settings.Set(c.Name, c.Value); err != nil {
			return &InvalidError{c.Name, strings.TrimPrefix(err.Error(), c.Name+": ")}
		}
	}
	return nil
}

// created is when an app was made, from its stored form.
func created(ms int64) time.Time { return clock.FromMillis(ms) }
