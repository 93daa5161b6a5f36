package account

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Refusals of verbs.
var (
	// ErrNotFound says that no app has the key.
	ErrNotFound = errors.New("no app has this key")
	// ErrDeleted says that the app was deleted; its row is there for the audit log only.
	ErrDeleted = errors.New("the app is deleted")
)

// App is an app as its owner sees it.
type App struct {
	gate.App
	// MasterSecret, 24 characters; the password of the server API.
	MasterSecret string
	// Developer is the number of the developer it belongs to, 0: none.
	Developer int64
	// Package is its Android package name, "": none was given.
	Package   string
	CreatedAt time.Time
}

// InvalidError is a value that an app, a developer or a group cannot have.
type InvalidError struct{ Field, Reason string }

// Error makes *InvalidError an error.
func (e *InvalidError) Error() string { return e.Field + ": " + e.Reason }

// CreateApp makes an app with new keys. actor is who does it, for the audit log.
func (s *Service) CreateApp(ctx context.Context, actor, name string) (*App, error) {
	name, err := checkName("name", name)
	if err != nil {
		return nil, err
	}
	app, sealed, err := s.newApp(name)
	if err != nil {
		return nil, err
	}
	err = s.insert(ctx, func(ctx context.Context, tx *db.Tx) error {
		return s.insertApp(ctx, tx, actor, app, sealed)
	})
	if err != nil {
		return nil, fmt.Errorf("account: create app: %w", err)
	}
	s.announce(app.App)
	return app, nil
}

// newApp is an app that is not stored yet, with its sealed secret.
func (s *Service) newApp(name string) (app *App, sealed string, err error) {
	c, err := s.newCredential(appSecret)
	if err != nil {
		return nil, "", err
	}
	return &App{
		App:          gate.App{Key: c.key, Name: name, SecretHash: c.hash, State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1},
		MasterSecret: c.secret,
		CreatedAt:    s.clock.Now().Truncate(time.Millisecond),
	}, c.sealed, nil
}

func (s *Service) insertApp(ctx context.Context, tx *db.Tx, actor string, app *App, sealed string) error {
	if err := insertApp(ctx, tx, app, sealed); err != nil {
		return err
	}
	detail := map[string]string{"name": app.Name}
	if app.Package != "" {
		detail["package"] = app.Package
	}
	return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "app.create", Object: "app/" + app.Key, Detail: detail})
}

// Apps lists the apps that are not deleted in order of creation, without their secrets.
func (s *Service) Apps(ctx context.Context) ([]App, error) {
	rows, err := queryApps(ctx, s.db)
	if err != nil {
		return nil, err
	}
	apps := make([]App, 0, len(rows))
	for _, r := range rows {
		if r.State != gate.Deleted {
			apps = append(apps, r.App)
		}
	}
	return apps, nil
}

// App finds an app by its key, deleted ones too, with its secret. It fails with ErrNotFound.
func (s *Service) App(ctx context.Context, key string) (*App, error) {
	row, err := queryApp(ctx, s.db, key)
	if err != nil {
		return nil, err
	}
	return s.withSecret(row)
}

func (s *Service) withSecret(row *appRow) (*App, error) {
	var err error
	if row.MasterSecret, err = s.openSecret(appSecret, row.Key, row.sealed); err != nil {
		return nil, err
	}
	return &row.App, nil
}

// Assignment is one "name=value" of `app set`, `developer set` or `group set`.
type Assignment struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// SetApp changes settings, or one of "name", "state", "limits" (a preset) and "developer" (a DevKey, or nothing), all or
// none. It fails with ErrNotFound, ErrDeleted or *InvalidError.
func (s *Service) SetApp(ctx context.Context, actor, key string, changes []Assignment) (*App, error) {
	var app *App
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		row, err := lockApp(ctx, tx, key)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if c.Name == "developer" {
				err = giveApp(ctx, tx, row, c.Value)
			} else {
				err = row.assign(c)
			}
			if err != nil {
				return err
			}
		}
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
		name, err := checkName("name", c.Value)
		if err != nil {
			return err
		}
		a.Name = name
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

// giveApp makes an app the developer's with the key, or nobody's.
func giveApp(ctx context.Context, tx *db.Tx, row *appRow, devKey string) error {
	var developer int64
	if devKey != "" {
		d, err := queryDeveloper(ctx, tx, devKey)
		if errors.Is(err, ErrNoDeveloper) {
			return &InvalidError{"developer", err.Error()}
		}
		if err != nil {
			return err
		}
		developer = d.ID
	}
	if developer == row.Developer {
		return nil
	}
	foreign, err := groupsOf(ctx, tx, row.ID)
	if err != nil {
		return err
	}
	if len(foreign) > 0 && row.Developer != 0 {
		return &InvalidError{"developer", "the app is in a group of its developer; take it out first"}
	}
	for _, g := range foreign {
		if developer != 0 && g.developer != developer {
			return &InvalidError{"developer", "the app is in a group of another developer; take it out first"}
		}
	}
	if row.Package != "" {
		_, err := queryPackage(ctx, tx, developer, row.Package)
		if err == nil {
			return &InvalidError{"developer", "has an app of the same package"}
		}
		if !errors.Is(err, ErrNotFound) {
			return err
		}
	}
	row.Developer = developer
	return nil
}

// created is when a row was made, from its stored form.
func created(ms int64) time.Time { return clock.FromMillis(ms) }
