package account

import (
	"context"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
)

// DeleteApp ends an app for good: its credentials stop working, its devices are disconnected, its push certificates are
// deleted and it leaves its groups. Its row stays for the audit log; its package may be used again. It fails with
// ErrNotFound or ErrDeleted.
func (s *Service) DeleteApp(ctx context.Context, actor, key string) (*App, error) {
	return s.deleteApp(ctx, actor, key, func(*App) error { return nil })
}

// deleteApp deletes an app unless allowed refuses.
func (s *Service) deleteApp(ctx context.Context, actor, key string, allowed func(*App) error) (*App, error) {
	var (
		app    *App
		groups []*groupRow
	)
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		row, err := lockApp(ctx, tx, key)
		if err != nil {
			return err
		}
		if err := allowed(&row.App); err != nil {
			return err
		}
		row.State = gate.Deleted
		app = &row.App
		if err := updateApp(ctx, tx, app); err != nil {
			return err
		}
		if groups, err = leaveGroups(ctx, tx, app.ID); err != nil {
			return err
		}
		if err := deleteCertificates(ctx, tx, app.ID); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "app.delete", Object: "app/" + key})
	})
	if err != nil {
		return nil, err
	}
	s.announce(app.App)
	for _, g := range groups {
		s.announceGroup(g)
	}
	return app, nil
}

// leaveGroups takes an app out of all its groups and returns them as they are then.
func leaveGroups(ctx context.Context, tx *db.Tx, app int64) ([]*groupRow, error) {
	memberships, err := groupsOf(ctx, tx, app)
	if err != nil {
		return nil, err
	}
	groups := make([]*groupRow, 0, len(memberships))
	for _, m := range memberships {
		if _, err := lockGroup(ctx, tx, m.key); err != nil {
			return nil, err
		}
		if err := removeMember(ctx, tx, m.group, app); err != nil {
			return nil, err
		}
		g, err := queryGroup(ctx, tx, m.key)
		if err != nil {
			return nil, err
		}
		groups = append(groups, g)
	}
	return groups, nil
}
