package account

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
)

// What one developer may have; each is known to every node.
const (
	maxApps   = 1000
	maxGroups = 200
)

// ErrTooMany says that a developer has as many apps or groups as they may have.
var ErrTooMany = errors.New("the developer has as many apps or groups as one may have")

// NewApp is an app that a developer asks for.
type NewApp struct {
	Name string
	// Package is the Android package name, by which the app is found again.
	Package string
	// Group is the name of the developer's group that the app joins, made if there is none; "": no group.
	Group string
}

// maxPackage bounds a package name, in bytes.
const maxPackage = 255

// packageName is what Android takes: two parts or more of letters, digits and underscores, each beginning with a letter.
var packageName = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_]*(\.[A-Za-z][A-Za-z0-9_]*)+$`)

func (n *NewApp) check() error {
	var err error
	if n.Name, err = checkName("name", n.Name); err != nil {
		return err
	}
	if len(n.Package) > maxPackage || !packageName.MatchString(n.Package) {
		return &InvalidError{"package", "is not a package name like com.example.app"}
	}
	if n.Group != "" {
		if n.Group, err = checkName("group", n.Group); err != nil {
			return err
		}
	}
	return nil
}

// EnsureApp finds the developer's app of a package, or makes it. It fails with *InvalidError or ErrTooMany.
func (s *Service) EnsureApp(ctx context.Context, developer *gate.Developer, n NewApp) (app *App, isNew bool, err error) {
	if err := n.check(); err != nil {
		return nil, false, err
	}
	e := ensure{Service: s, actor: developerActor(developer), developer: developer.ID, want: n}
	if e.app, e.appSealed, err = s.newApp(n.Name); err != nil {
		return nil, false, err
	}
	e.app.Developer, e.app.Package = developer.ID, n.Package
	if e.group, e.groupSealed, err = s.newGroup(n.Group); err != nil {
		return nil, false, err
	}
	e.group.Developer = developer.ID
	err = s.insert(ctx, e.run)
	if errors.Is(err, ErrDeleted) || errors.Is(err, ErrNoGroup) { // somebody ended it between two looks; look again
		err = s.insert(ctx, e.run)
	}
	if err != nil {
		return nil, false, fmt.Errorf("account: create app: %w", err)
	}
	if e.found == nil {
		s.announce(e.app.App)
	}
	if e.joined != nil {
		s.announceGroup(e.joined)
	}
	if e.found != nil {
		app, err := s.withSecret(e.found)
		return app, false, err
	}
	return e.app, true, nil
}

func developerActor(d *gate.Developer) string { return "developer/" + d.Key }

// ensure is one EnsureApp under way.
type ensure struct {
	*Service
	want      NewApp
	actor     string
	developer int64
	// What is stored if it is missing.
	app         *App
	appSealed   string
	group       *Group
	groupSealed string
	// What came of it: the app that was there, and the group if its apps changed.
	found  *appRow
	joined *groupRow
}

func (e *ensure) run(ctx context.Context, tx *db.Tx) error {
	e.found, e.joined = nil, nil
	found, err := queryPackage(ctx, tx, e.developer, e.want.Package)
	switch {
	case errors.Is(err, ErrNotFound):
		n, err := countApps(ctx, tx, e.developer)
		if err != nil {
			return err
		}
		if n >= maxApps {
			return ErrTooMany
		}
		if err := e.insertApp(ctx, tx, e.actor, e.app, e.appSealed); err != nil {
			return err
		}
		found = &appRow{App: *e.app}
	case err != nil:
		return err
	default:
		e.found = found
	}
	if e.want.Group == "" {
		return nil
	}
	return e.join(ctx, tx, found)
}

// join puts the app into the group of the wanted name.
func (e *ensure) join(ctx context.Context, tx *db.Tx, app *appRow) error {
	if _, err := holdApp(ctx, tx, app.Key); err != nil {
		return err
	}
	group, err := queryGroupName(ctx, tx, e.developer, e.want.Group)
	action := "group.set"
	switch {
	case errors.Is(err, ErrNoGroup):
		n, err := countGroups(ctx, tx, e.developer)
		if err != nil {
			return err
		}
		if n >= maxGroups {
			return ErrTooMany
		}
		if err := insertGroup(ctx, tx, e.group, e.groupSealed); err != nil {
			return err
		}
		group, action = &groupRow{Group: *e.group}, "group.create"
	case err != nil:
		return err
	default:
		if slices.Contains(group.Apps, app.ID) {
			return nil
		}
		if group, err = lockGroup(ctx, tx, group.Key); err != nil {
			return err
		}
	}
	if err := addMembers(ctx, tx, group.ID, e.developer, map[string]*appRow{app.Key: app}); err != nil {
		return err
	}
	if e.joined, err = queryGroup(ctx, tx, group.Key); err != nil {
		return err
	}
	detail := map[string]any{"name": e.want.Group, "apps": []string{app.Key}}
	return e.audit.Append(ctx, tx, audit.Entry{Actor: e.actor, Action: action, Object: "group/" + group.Key, Detail: detail})
}
