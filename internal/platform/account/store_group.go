package account

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

type groupRow struct {
	Group
	sealed  string
	deleted bool
}

func insertGroup(ctx context.Context, tx *db.Tx, g *Group, sealed string) error {
	return tx.QueryRow(ctx, `insert into account_group (group_key, developer_id, name, secret_hash, secret_sealed, revision, created_at, deleted_at)
		values ($1, $2, $3, $4, $5, $6, $7, 0) returning id`,
		g.Key, g.Developer, g.Name, g.SecretHash[:], sealed, g.Revision, clock.Millis(g.CreatedAt)).Scan(&g.ID)
}

// updateGroup writes what may change of a locked group, other than its apps.
func updateGroup(ctx context.Context, tx *db.Tx, g *Group) error {
	if _, err := tx.Exec(ctx, `update account_group set name = $2 where id = $1`, g.ID, g.Name); err != nil {
		return fmt.Errorf("account: write group %s: %w", g.Key, err)
	}
	return nil
}

// endGroup marks a locked group as deleted.
func endGroup(ctx context.Context, tx *db.Tx, group int64, at time.Time) error {
	if _, err := tx.Exec(ctx, `delete from account_member where group_id = $1`, group); err != nil {
		return fmt.Errorf("account: empty group: %w", err)
	}
	if _, err := tx.Exec(ctx, `update account_group set deleted_at = $2 where id = $1`, group, clock.Millis(at)); err != nil {
		return fmt.Errorf("account: delete group: %w", err)
	}
	return nil
}

// lockGroup reads a group that is not deleted in order to change it: its revision rises, and until the transaction ends
// nobody else does.
func lockGroup(ctx context.Context, tx *db.Tx, key string) (*groupRow, error) {
	n, err := tx.Exec(ctx, `update account_group set revision = revision + 1 where group_key = $1 and deleted_at = 0`, key)
	if err != nil {
		return nil, fmt.Errorf("account: lock group %s: %w", key, err)
	}
	if n == 0 {
		return nil, ErrNoGroup
	}
	return queryGroup(ctx, tx, key)
}

// queryGroup finds a group that is not deleted.
func queryGroup(ctx context.Context, r reader, key string) (*groupRow, error) {
	return oneGroup(queryGroupsWhere(ctx, r, `g.group_key = $1 and g.deleted_at = 0`, key))
}

// queryGroupName finds a developer's group by its name.
func queryGroupName(ctx context.Context, r reader, developer int64, name string) (*groupRow, error) {
	return oneGroup(queryGroupsWhere(ctx, r, `g.developer_id = $1 and g.name = $2 and g.deleted_at = 0`, developer, name))
}

func oneGroup(rows []*groupRow, err error) (*groupRow, error) {
	switch {
	case err != nil:
		return nil, err
	case len(rows) == 0:
		return nil, ErrNoGroup
	}
	return rows[0], nil
}

// queryGroups lists all groups, deleted ones too.
func queryGroups(ctx context.Context, r reader) ([]*groupRow, error) {
	return queryGroupsWhere(ctx, r, `true`)
}

// queryGroupsWhere reads groups with their apps by one statement, so that both are of one moment.
func queryGroupsWhere(ctx context.Context, r reader, where string, args ...any) ([]*groupRow, error) {
	rows, err := r.Query(ctx, `select g.id, g.group_key, g.name, g.developer_id, d.dev_key, g.secret_hash, g.secret_sealed, g.revision, g.created_at, g.deleted_at,
			coalesce(a.id, 0), coalesce(a.app_key, '')
		from account_group g join account_developer d on d.id = g.developer_id
			left join account_member m on m.group_id = g.id left join account_app a on a.id = m.app_id
		where `+where+` order by g.id, m.app_id`, args...)
	if err != nil {
		return nil, fmt.Errorf("account: read groups: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*groupRow
	for rows.Next() {
		var (
			g                  groupRow
			hash               []byte
			at, deletedAt, app int64
			appKey             string
		)
		if err := rows.Scan(&g.ID, &g.Key, &g.Name, &g.Developer, &g.DeveloperKey, &hash, &g.sealed, &g.Revision, &at, &deletedAt, &app, &appKey); err != nil {
			return nil, fmt.Errorf("account: read groups: %w", err)
		}
		if n := len(out); n == 0 || out[n-1].ID != g.ID {
			copy(g.SecretHash[:], hash)
			g.CreatedAt, g.deleted = created(at), deletedAt != 0
			out = append(out, &g)
		}
		if last := out[len(out)-1]; app != 0 {
			last.Apps, last.AppKeys = append(last.Apps, app), append(last.AppKeys, appKey)
		}
	}
	return out, rows.Err()
}

// countGroups counts the groups of a developer that are not deleted.
func countGroups(ctx context.Context, r reader, developer int64) (n int, err error) {
	err = r.QueryRow(ctx, `select count(*) from account_group where developer_id = $1 and deleted_at = 0`, developer).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("account: count groups: %w", err)
	}
	return n, nil
}

// membership is a group that an app is in.
type membership struct {
	group, developer int64
	key              string
}

// groupsOf lists the groups of an app by number.
func groupsOf(ctx context.Context, tx *db.Tx, app int64) ([]membership, error) {
	rows, err := tx.Query(ctx, `select g.id, g.developer_id, g.group_key from account_member m join account_group g on g.id = m.group_id
		where m.app_id = $1 order by g.id`, app)
	if err != nil {
		return nil, fmt.Errorf("account: groups of an app: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []membership
	for rows.Next() {
		var m membership
		if err := rows.Scan(&m.group, &m.developer, &m.key); err != nil {
			return nil, fmt.Errorf("account: groups of an app: %w", err)
		}
		out = append(out, m)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

func addMember(ctx context.Context, tx *db.Tx, group, app int64) error {
	_, err := tx.Exec(ctx, `insert into account_member (group_id, app_id) values ($1, $2) on conflict (group_id, app_id) do nothing`, group, app)
	if err != nil {
		return fmt.Errorf("account: add to group: %w", err)
	}
	return nil
}

func removeMember(ctx context.Context, tx *db.Tx, group, app int64) error {
	if _, err := tx.Exec(ctx, `delete from account_member where group_id = $1 and app_id = $2`, group, app); err != nil {
		return fmt.Errorf("account: take out of group: %w", err)
	}
	return nil
}

func countMembers(ctx context.Context, r reader, group int64) (n int, err error) {
	if err = r.QueryRow(ctx, `select count(*) from account_member where group_id = $1`, group).Scan(&n); err != nil {
		return 0, fmt.Errorf("account: count apps of group: %w", err)
	}
	return n, nil
}
