package segment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"borealis/internal/kernel/db"
)

// lock makes the changes in one app follow each other.
func lock(ctx context.Context, tx *db.Tx, app int64) error {
	_, err := tx.Exec(ctx, `insert into push_segment_app (app_id) values ($1) on conflict (app_id) do update set app_id = excluded.app_id`, app)
	if err != nil {
		return fmt.Errorf("segment: lock: %w", err)
	}
	return nil
}

// readGraph reads what all segments and tests of an app name.
func readGraph(ctx context.Context, tx *db.Tx, app int64) (graph, error) {
	rows, err := tx.Query(ctx, `select id, clauses, refs from push_segment where app_id = $1
		union all select id, clauses, refs from push_abtest where app_id = $1`, app)
	if err != nil {
		return nil, fmt.Errorf("segment: read graph: %w", err)
	}
	defer func() { _ = rows.Close() }()
	g := make(graph)
	for rows.Next() {
		var (
			id, refs string
			v        vertex
		)
		if err := rows.Scan(&id, &v.clauses, &refs); err != nil {
			return nil, fmt.Errorf("segment: read graph: %w", err)
		}
		v.refs = strings.Fields(refs)
		g[id] = v
	}
	return g, rows.Err()
}

const segmentColumns = `id, name, audience, version, created_at, updated_at`

func (s *Segment) scan(scan func(...any) error) error {
	var raw string
	err := scan(&s.ID, &s.Name, &raw, &s.Version, &s.CreatedAt, &s.UpdatedAt)
	s.Audience = json.RawMessage(raw)
	return err
}

func insertSegment(ctx context.Context, tx *db.Tx, app int64, s *Segment, a *Audience) error {
	_, err := tx.Exec(ctx, `insert into push_segment (app_id, `+segmentColumns+`, clauses, refs) values ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
		app, s.ID, s.Name, string(a.raw), s.Version, s.CreatedAt, s.UpdatedAt, a.clauses, strings.Join(a.refs, " "))
	if err != nil {
		return fmt.Errorf("segment: insert: %w", err)
	}
	return nil
}

// updateSegment returns when the segment was created. s.Version is the one that is replaced; the next number follows it.
func updateSegment(ctx context.Context, tx *db.Tx, app int64, s *Segment, a *Audience) (created int64, err error) {
	err = tx.QueryRow(ctx, `update push_segment set name = $4, audience = $5, clauses = $6, refs = $7, version = version + 1, updated_at = $8
		where app_id = $1 and id = $2 and version = $3 returning created_at`,
		app, s.ID, s.Version, s.Name, string(a.raw), a.clauses, strings.Join(a.refs, " "), s.UpdatedAt).Scan(&created)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return 0, ErrConflict // that it exists was checked under the lock
	case err != nil:
		return 0, fmt.Errorf("segment: update: %w", err)
	}
	return created, nil
}

func deleteSegment(ctx context.Context, tx *db.Tx, app int64, id string) error {
	if _, err := tx.Exec(ctx, `delete from push_segment where app_id = $1 and id = $2`, app, id); err != nil {
		return fmt.Errorf("segment: delete: %w", err)
	}
	return nil
}

func querySegment(ctx context.Context, d *db.DB, app int64, id string) (*Segment, error) {
	var s Segment
	err := s.scan(d.QueryRow(ctx, `select `+segmentColumns+` from push_segment where app_id = $1 and id = $2`, app, id).Scan)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("segment: read: %w", err)
	}
	return &s, nil
}

func querySegments(ctx context.Context, d *db.DB, app int64, after string, limit int) ([]*Segment, error) {
	rows, err := d.Query(ctx, `select `+segmentColumns+` from push_segment where app_id = $1 and id > $2 order by id limit $3`, app, after, limit)
	if err != nil {
		return nil, fmt.Errorf("segment: list: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []*Segment
	for rows.Next() {
		var s Segment
		if err := s.scan(rows.Scan); err != nil {
			return nil, fmt.Errorf("segment: list: %w", err)
		}
		out = append(out, &s)
	}
	return out, rows.Err()
}

// queryAudiences reads the expressions of those of the segments that exist.
func queryAudiences(ctx context.Context, d *db.DB, app int64, ids []string) (map[string]*Audience, error) {
	args := []any{app}
	for _, id := range ids {
		args = append(args, id)
	}
	rows, err := d.Query(ctx, `select id, audience from push_segment where app_id = $1 and id in (`+db.In(2, len(ids))+`)`, args...)
	if err != nil {
		return nil, fmt.Errorf("segment: read audiences: %w", err)
	}
	defer func() { _ = rows.Close() }()
	out := make(map[string]*Audience, len(ids))
	for rows.Next() {
		var id, raw string
		if err := rows.Scan(&id, &raw); err != nil {
			return nil, fmt.Errorf("segment: read audiences: %w", err)
		}
		if out[id], err = ParseAudience([]byte(raw)); err != nil {
			return nil, fmt.Errorf("segment: stored audience of %s: %w", id, err)
		}
	}
	return out, rows.Err()
}
