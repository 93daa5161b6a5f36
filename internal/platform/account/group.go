package account

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
)

// ErrNoGroup says that no group has the key.
var ErrNoGroup = errors.New("no group has this key")

// maxMembers bounds the apps of a group: a push to it is a push to each of them.
const maxMembers = 500

// Group is an app group as its developer sees it.
type Group struct {
	gate.Group
	// MasterSecret, 24 characters.
	MasterSecret string
	// DeveloperKey is the DevKey of the developer it belongs to.
	DeveloperKey string
	// AppKeys are the keys of its apps, in the order of Apps.
	AppKeys   []string
	CreatedAt time.Time
}

// CreateGroup makes a group of a developer, with new keys and the apps of the given keys. It fails with ErrNoDeveloper
// or *InvalidError.
func (s *Service) CreateGroup(ctx context.Context, actor, developer, name string, apps ...string) (*Group, error) {
	name, err := checkName("name", name)
	if err != nil {
		return nil, err
	}
	group, sealed, err := s.newGroup(name)
	if err != nil {
		return nil, err
	}
	var row *groupRow
	err = s.insert(ctx, func(ctx context.Context, tx *db.Tx) error {
		members, err := lockMembers(ctx, tx, apps)
		if err != nil {
			return err
		}
		d, err := queryDeveloper(ctx, tx, developer)
		if err != nil {
			return err
		}
		if err := freeName(ctx, tx, d.ID, name); err != nil {
			return err
		}
		group.Developer = d.ID
		if err := insertGroup(ctx, tx, group, sealed); err != nil {
			return err
		}
		if err := addMembers(ctx, tx, group.ID, d.ID, members); err != nil {
			return err
		}
		if row, err = queryGroup(ctx, tx, group.Key); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "group.create", Object: "group/" + group.Key, Detail: map[string]any{"name": name, "apps": apps}})
	})
	if err != nil {
		return nil, fmt.Errorf("account: create group: %w", err)
	}
	s.announceGroup(row)
	return s.openGroup(row)
}

// newGroup is a group that is not stored yet, with its sealed secret.
func (s *Service) newGroup(name string) (group *Group, sealed string, err error) {
	c, err := s.newCredential(groupSecret)
	if err != nil {
		return nil, "", err
	}
	return &Group{
		Group:     gate.Group{Key: c.key, Name: name, SecretHash: c.hash, Revision: 1},
		CreatedAt: s.clock.Now().Truncate(time.Millisecond),
	}, c.sealed, nil
}

// Groups lists the groups that are not deleted in order of creation, without their secrets.
func (s *Service) Groups(ctx context.Context) ([]Group, error) {
	rows, err := queryGroups(ctx, s.db)
	if err != nil {
		return nil, err
	}
	var out []Group
	for _, r := range rows {
		if !r.deleted {
			out = append(out, r.Group)
		}
	}
	return out, nil
}

// Group finds a group by its key, with its secret. It fails with ErrNoGroup.
func (s *Service) Group(ctx context.Context, key string) (*Group, error) {
	row, err := queryGroup(ctx, s.db, key)
	if err != nil {
		return nil, err
	}
	return s.openGroup(row)
}

func (s *Service) openGroup(row *groupRow) (*Group, error) {
	var err error
	if row.MasterSecret, err = s.openSecret(groupSecret, row.Key, row.sealed); err != nil {
		return nil, err
	}
	return &row.Group, nil
}

// SetGroup changes "name", and adds ("apps+") and removes ("apps-") apps by their keys, separated by commas; all or
// none. It fails with ErrNoGroup or *InvalidError.
func (s *Service) SetGroup(ctx context.Context, actor, key string, changes []Assignment) (*Group, error) {
	var row *groupRow
	err := s.insert(ctx, func(ctx context.Context, tx *db.Tx) error {
		members, err := lockMembers(ctx, tx, named(changes))
		if err != nil {
			return err
		}
		if row, err = lockGroup(ctx, tx, key); err != nil {
			return err
		}
		for _, c := range changes {
			if err := row.change(ctx, tx, c, members); err != nil {
				return err
			}
		}
		if err := updateGroup(ctx, tx, &row.Group); err != nil {
			return err
		}
		if row, err = queryGroup(ctx, tx, key); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "group.set", Object: "group/" + key, Detail: changes})
	})
	if err != nil {
		return nil, err
	}
	s.announceGroup(row)
	return s.openGroup(row)
}

// Names of changes to the members of a group.
const (
	addApps    = "apps+"
	removeApps = "apps-"
)

// named are the keys of the apps that changes are about.
func named(changes []Assignment) []string {
	var keys []string
	for _, c := range changes {
		if c.Name == addApps || c.Name == removeApps {
			keys = append(keys, splitKeys(c.Value)...)
		}
	}
	return keys
}

func splitKeys(list string) []string {
	var keys []string
	for key := range strings.SplitSeq(list, ",") {
		if key = strings.TrimSpace(key); key != "" {
			keys = append(keys, key)
		}
	}
	return keys
}

// change makes one change to a locked group; apps are those it may name, by key.
func (g *groupRow) change(ctx context.Context, tx *db.Tx, c Assignment, apps map[string]*appRow) error {
	switch c.Name {
	case "name":
		name, err := checkName("name", c.Value)
		if err != nil {
			return err
		}
		if name == g.Name {
			return nil
		}
		g.Name = name
		return freeName(ctx, tx, g.Developer, name)
	case addApps:
		members := make(map[string]*appRow)
		for _, key := range splitKeys(c.Value) {
			members[key] = apps[key]
		}
		return addMembers(ctx, tx, g.ID, g.Developer, members)
	case removeApps:
		for _, key := range splitKeys(c.Value) {
			if err := removeMember(ctx, tx, g.ID, apps[key].ID); err != nil {
				return err
			}
		}
		return nil
	}
	return &InvalidError{c.Name, "is not one of: name apps+ apps-"}
}

// lockMembers locks the apps of the given keys.
func lockMembers(ctx context.Context, tx *db.Tx, keys []string) (map[string]*appRow, error) {
	if len(keys) > maxMembers {
		return nil, &InvalidError{"apps", fmt.Sprintf("%d apps are named, a group has at most %d", len(keys), maxMembers)}
	}
	keys = slices.Clone(keys)
	slices.Sort(keys)
	apps := make(map[string]*appRow, len(keys))
	for _, key := range slices.Compact(keys) {
		row, err := holdApp(ctx, tx, key)
		switch {
		case errors.Is(err, ErrNotFound), errors.Is(err, ErrDeleted):
			return nil, &InvalidError{"apps", fmt.Sprintf("%s: %s", key, err)}
		case err != nil:
			return nil, err
		}
		apps[key] = row
	}
	return apps, nil
}

// addMembers puts locked apps into a group of a developer.
func addMembers(ctx context.Context, tx *db.Tx, group, developer int64, apps map[string]*appRow) error {
	for _, row := range apps {
		if row.Developer != 0 && row.Developer != developer {
			return &InvalidError{"apps", row.Key + " belongs to another developer"}
		}
		if err := addMember(ctx, tx, group, row.ID); err != nil {
			return err
		}
	}
	n, err := countMembers(ctx, tx, group)
	if err != nil {
		return err
	}
	if n > maxMembers {
		return &InvalidError{"apps", fmt.Sprintf("a group has at most %d apps", maxMembers)}
	}
	return nil
}

// freeName refuses a name that another group of the developer has.
func freeName(ctx context.Context, tx *db.Tx, developer int64, name string) error {
	_, err := queryGroupName(ctx, tx, developer, name)
	switch {
	case err == nil:
		return &InvalidError{"name", "the developer has another group of this name"}
	case errors.Is(err, ErrNoGroup):
		return nil
	}
	return err
}

// DeleteGroup ends a group; its apps stay. It fails with ErrNoGroup.
func (s *Service) DeleteGroup(ctx context.Context, actor, key string) error {
	var row *groupRow
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if row, err = lockGroup(ctx, tx, key); err != nil {
			return err
		}
		if err := endGroup(ctx, tx, row.ID, s.clock.Now()); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "group.delete", Object: "group/" + key})
	})
	if err != nil {
		return err
	}
	row.deleted = true
	s.announceGroup(row)
	return nil
}
