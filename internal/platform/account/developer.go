package account

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
)

// ErrNoDeveloper says that no developer has the key.
var ErrNoDeveloper = errors.New("no developer has this key")

// Developer is a developer as the operator sees them.
type Developer struct {
	gate.Developer
	// Secret is the DevSecret, 24 characters.
	Secret    string
	CreatedAt time.Time
}

// CreateDeveloper makes a developer with new keys. actor is who does it, for the audit log.
func (s *Service) CreateDeveloper(ctx context.Context, actor, name string) (*Developer, error) {
	name, err := checkName("name", name)
	if err != nil {
		return nil, err
	}
	c, err := s.newCredential(developerSecret)
	if err != nil {
		return nil, err
	}
	d := &Developer{
		Developer: gate.Developer{Key: c.key, Name: name, SecretHash: c.hash, Revision: 1},
		Secret:    c.secret, CreatedAt: s.clock.Now().Truncate(time.Millisecond),
	}
	err = s.insert(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := insertDeveloper(ctx, tx, d, c.sealed); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "developer.create", Object: "developer/" + d.Key, Detail: map[string]string{"name": name}})
	})
	if err != nil {
		return nil, fmt.Errorf("account: create developer: %w", err)
	}
	s.announceDeveloper(d.Developer)
	return d, nil
}

// Developers lists all developers in order of creation, without their secrets.
func (s *Service) Developers(ctx context.Context) ([]Developer, error) {
	rows, err := queryDevelopers(ctx, s.db)
	if err != nil {
		return nil, err
	}
	out := make([]Developer, len(rows))
	for i, r := range rows {
		out[i] = r.Developer
	}
	return out, nil
}

// Developer finds a developer by their key, with their secret. It fails with ErrNoDeveloper.
func (s *Service) Developer(ctx context.Context, key string) (*Developer, error) {
	row, err := queryDeveloper(ctx, s.db, key)
	if err != nil {
		return nil, err
	}
	if row.Secret, err = s.openSecret(developerSecret, key, row.sealed); err != nil {
		return nil, err
	}
	return &row.Developer, nil
}

// SetDeveloper changes "name" and "files" (whether they may upload files), all or none. It fails with ErrNoDeveloper or
// *InvalidError.
func (s *Service) SetDeveloper(ctx context.Context, actor, key string, changes []Assignment) (*Developer, error) {
	var d *Developer
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		row, err := lockDeveloper(ctx, tx, key)
		if err != nil {
			return err
		}
		for _, c := range changes {
			if err := row.assign(c); err != nil {
				return err
			}
		}
		d = &row.Developer
		if err := updateDeveloper(ctx, tx, d); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "developer.set", Object: "developer/" + key, Detail: changes})
	})
	if err != nil {
		return nil, err
	}
	s.announceDeveloper(d.Developer)
	return d, nil
}

func (d *Developer) assign(c Assignment) error {
	switch c.Name {
	case "name":
		name, err := checkName("name", c.Value)
		if err != nil {
			return err
		}
		d.Name = name
	case "files":
		may, err := strconv.ParseBool(c.Value)
		if err != nil {
			return &InvalidError{"files", fmt.Sprintf("%q is not true or false", c.Value)}
		}
		d.Files = may
	default:
		return &InvalidError{c.Name, "is not one of: name files"}
	}
	return nil
}
