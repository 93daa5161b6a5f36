package push

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"strconv"

	"golang.org/x/sync/errgroup"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/file"
	"borealis/internal/service/push/payload"
)

// parallelApps is how many apps of a group accept at the same time.
const parallelApps = 16

// GroupAccepted is the answer to a push to a group.
type GroupAccepted struct {
	// GroupMsg is the number of the whole.
	GroupMsg int64
	// Apps are the results by AppKey.
	Apps map[string]Result
}

// AcceptGroup takes a push for every app of a group. Each app accepts or refuses on its own; admit is asked for each
// before. With a cid a call that was cut off can be repeated: apps that had accepted answer as they did, the others
// accept now. The error is one of the whole call.
func (s *Service) AcceptGroup(ctx context.Context, group *gate.Group, p *payload.Push, admit func(*gate.App) error) (*GroupAccepted, error) {
	if p.Options.OverrideID != 0 {
		return nil, compat.Errorf(400, 1003, "options: a push to a group replaces no other push")
	}
	id, err := s.beginGroup(ctx, group.ID, p.CID)
	if err != nil {
		return nil, err
	}
	var apps []*gate.App
	for _, n := range group.Apps {
		if app := s.gate.AppByID(n); app != nil {
			apps = append(apps, app)
		}
	}
	if len(apps) == 0 {
		return nil, compat.Errorf(400, 1011, "cannot find user by this audience: the group has no app")
	}
	results := make([]Result, len(apps))
	var work errgroup.Group
	work.SetLimit(parallelApps)
	for i, app := range apps {
		work.Go(func() error {
			r := &results[i]
			if r.Err = admit(app); r.Err == nil {
				r.Accepted, r.Err = s.acceptAs(ctx, app, p, s.inGroup(group, app, id))
			}
			return nil
		})
	}
	_ = work.Wait() // errors are in the results
	out := &GroupAccepted{GroupMsg: id, Apps: make(map[string]Result, len(apps))}
	for i, app := range apps {
		out.Apps[app.Key] = results[i]
	}
	return out, nil
}

// inGroup are the terms under which an app takes its part. The apps' own cids begin with their keys, so the name is free.
func (s *Service) inGroup(group *gate.Group, app *gate.App, id int64) terms {
	return terms{
		cid: "group-" + strconv.FormatInt(id, 10), files: file.Owner{Developer: group.Developer},
		also: func(ctx context.Context, tx *db.Tx, msg int64) error {
			return insertGroupPart(ctx, tx, id, app.ID, msg)
		},
	}
}

// beginGroup gives a push to a group its number: a new one, or the one its cid has had within a day.
func (s *Service) beginGroup(ctx context.Context, group int64, cid string) (int64, error) {
	id, err := s.ids.Next(ctx)
	if err != nil {
		return 0, err
	}
	now := clock.Millis(s.clock.Now())
	name := sql.NullString{String: cid, Valid: cid != ""}
	number := id
	err = s.db.InTxUrgent(ctx, func(ctx context.Context, tx *db.Tx) error {
		number = id
		if name.Valid {
			_, err := tx.Exec(ctx, `update push_group set cid = null where group_id = $1 and cid = $2 and accepted_at <= $3`, group, name, now-cidLife.Milliseconds())
			if err != nil {
				return fmt.Errorf("push: end cid of a group: %w", err)
			}
		}
		n, err := tx.Exec(ctx, `insert into push_group (group_msg, group_id, cid, accepted_at) values ($1, $2, $3, $4)
			on conflict (group_id, cid) do nothing`, id, group, name, now)
		if err != nil || n == 1 {
			return err
		}
		return tx.QueryRow(ctx, `select group_msg from push_group where group_id = $1 and cid = $2`, group, name).Scan(&number)
	})
	if err != nil {
		return 0, fmt.Errorf("push: begin push to a group: %w", err)
	}
	return number, nil
}

func insertGroupPart(ctx context.Context, tx *db.Tx, groupMsg, app, msg int64) error {
	if _, err := tx.Exec(ctx, `insert into push_group_part (group_msg, app_id, msg_id) values ($1, $2, $3)`, groupMsg, app, msg); err != nil {
		return fmt.Errorf("push: part of a push to a group: %w", err)
	}
	return nil
}

// queryGroupParts lists the messages of a push to a group by app, nil if the group has no such push.
func queryGroupParts(ctx context.Context, d *db.DB, group, groupMsg int64) (map[int64]int64, error) {
	var accepted int64
	err := d.QueryRow(ctx, `select accepted_at from push_group where group_msg = $1 and group_id = $2`, groupMsg, group).Scan(&accepted)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("push: push to a group: %w", err)
	}
	rows, err := d.Query(ctx, `select app_id, msg_id from push_group_part where group_msg = $1`, groupMsg)
	if err != nil {
		return nil, fmt.Errorf("push: parts of a push to a group: %w", err)
	}
	type part struct{ app, msg int64 }
	found, err := collect(rows, func(p *part, scan func(...any) error) error { return scan(&p.app, &p.msg) })
	parts := make(map[int64]int64, len(found))
	for _, p := range found {
		parts[p.app] = p.msg
	}
	return parts, err
}

// deleteOldGroups forgets pushes to groups that can no longer be reported on, a bounded number at once.
func deleteOldGroups(ctx context.Context, tx *db.Tx, before int64) error {
	const old = `(select group_msg from push_group where accepted_at < $1 order by accepted_at limit 200)`
	for _, statement := range []string{
		`delete from push_group_part where group_msg in ` + old, `delete from push_group where group_msg in ` + old,
	} {
		if _, err := tx.Exec(ctx, statement, before); err != nil {
			return fmt.Errorf("push: delete pushes to groups: %w", err)
		}
	}
	return nil
}
