package audience

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// followBatch is how many entries are read and applied at a time; readers wait for one batch at most.
	followBatch = 1000
	// maxLoads bounds the attempts at loading an app whose log is trimmed faster than its rows are read.
	maxLoads = 5
)

// errTrimmed says that the log no longer holds the entry after the last applied one.
var errTrimmed = errors.New("the log was trimmed past what is applied")

// Lock makes the transaction the only writer of the app's devices until it ends. Take it before reading any device row
// that is to be changed, and never after another app's lock of a higher number, lest two transactions wait for each
// other.
func (x *Index) Lock(ctx context.Context, tx *db.Tx, app int64) error {
	if x.alone {
		return nil // SQLite has one writer
	}
	_, err := tx.Exec(ctx, `insert into audience_head (app_id, pos, next_tag) values ($1, 0, 1)
		on conflict (app_id) do update set pos = audience_head.pos`, app)
	if err != nil {
		return fmt.Errorf("audience: lock app %d: %w", app, err)
	}
	return nil
}

// Append logs changes in the caller's transaction, which also writes the device rows and has called Lock before it
// read them. After the commit the caller calls Follow.
func (x *Index) Append(ctx context.Context, tx *db.Tx, app int64, changes ...Change) error {
	entries := make([]logged, 0, len(changes))
	for _, c := range changes {
		ordinal, err := c.ordinal()
		if err != nil {
			return err
		}
		entries = append(entries, logged{ordinal: ordinal, entry: deviceEntry(c)})
	}
	return x.append(ctx, tx, app, entries...)
}

type logged struct {
	ordinal uint32
	entry   entry
}

func (x *Index) append(ctx context.Context, tx *db.Tx, app int64, entries ...logged) error {
	if len(entries) == 0 {
		return nil
	}
	var pos int64
	err := tx.QueryRow(ctx, `insert into audience_head (app_id, pos, next_tag) values ($1, $2, 1)
		on conflict (app_id) do update set pos = audience_head.pos + $2 returning pos`, app, len(entries)).Scan(&pos)
	if err != nil {
		return fmt.Errorf("audience: next position of app %d: %w", app, err)
	}
	now := clock.Millis(x.clock.Now())
	for i, l := range entries {
		_, err := tx.Exec(ctx, `insert into audience_log (app_id, pos, at, ordinal, change) values ($1, $2, $3, $4, $5)`,
			app, pos-int64(len(entries)-1-i), now, int64(l.ordinal), l.entry.encode())
		if err != nil {
			return fmt.Errorf("audience: log device %d of app %d: %w", l.ordinal, app, err)
		}
	}
	return nil
}

func scan(rows *sql.Rows, each func() error) error {
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		if err := each(); err != nil {
			return err
		}
	}
	return rows.Err()
}

// TagIDs returns the dictionary ids of tag names, in ascending order of id. Names not in the dictionary are added to
// it if define is set and left out otherwise; the error is ErrTooManyTags if it has no room for them. The transaction
// holds Lock.
func (x *Index) TagIDs(ctx context.Context, tx *db.Tx, app int64, names []string, define bool) ([]uint32, error) {
	if len(names) == 0 {
		return nil, nil
	}
	found := make(map[string]uint32, len(names))
	for part := range slices.Chunk(names, 500) {
		args := make([]any, 0, len(part)+1)
		args = append(args, app)
		for _, n := range part {
			args = append(args, n)
		}
		rows, err := tx.Query(ctx, `select id, name from audience_tag where app_id = $1 and name in (`+db.In(2, len(part))+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("audience: find tags: %w", err)
		}
		err = scan(rows, func() error {
			var (
				id   uint32
				name string
			)
			if err := rows.Scan(&id, &name); err != nil {
				return err
			}
			found[name] = id
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("audience: find tags: %w", err)
		}
	}
	if define {
		if err := x.room(ctx, tx, app, names, found); err != nil {
			return nil, err
		}
	}
	var fresh []logged
	ids := make([]uint32, 0, len(names))
	for _, n := range names {
		id, ok := found[n]
		switch {
		case ok:
		case !define:
			continue
		default:
			var err error
			if id, err = x.defineTag(ctx, tx, app, n); err != nil {
				return nil, err
			}
			found[n] = id
			fresh = append(fresh, logged{entry: entry{kind: tagDefined, tag: id, name: n}})
		}
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return slices.Compact(ids), x.append(ctx, tx, app, fresh...)
}

func (x *Index) defineTag(ctx context.Context, tx *db.Tx, app int64, name string) (uint32, error) {
	var next int64
	err := tx.QueryRow(ctx, `insert into audience_head (app_id, pos, next_tag) values ($1, 0, 2)
		on conflict (app_id) do update set next_tag = audience_head.next_tag + 1 returning next_tag`, app).Scan(&next)
	if err != nil {
		return 0, fmt.Errorf("audience: number of tag: %w", err)
	}
	id := next - 1
	if id > math.MaxUint32 {
		return 0, fmt.Errorf("audience: app %d has used up its tag numbers", app)
	}
	_, err = tx.Exec(ctx, `insert into audience_tag (app_id, id, name) values ($1, $2, $3)`, app, id, name)
	if err != nil {
		return 0, fmt.Errorf("audience: define tag: %w", err)
	}
	return uint32(id), nil
}

// DropTag deletes a tag from the dictionary, and thereby from all devices. It tells whether there was one. The
// transaction holds Lock; the caller calls Follow after the commit.
func (x *Index) DropTag(ctx context.Context, tx *db.Tx, app int64, name string) (bool, error) {
	ids, err := x.TagIDs(ctx, tx, app, []string{name}, false)
	if err != nil || len(ids) == 0 {
		return false, err
	}
	if _, err := tx.Exec(ctx, `delete from audience_tag where app_id = $1 and id = $2`, app, int64(ids[0])); err != nil {
		return false, fmt.Errorf("audience: drop tag: %w", err)
	}
	return true, x.append(ctx, tx, app, logged{entry: entry{kind: tagDropped, tag: ids[0], name: name}})
}

// LiveTags returns those of ids that the dictionary still has. The transaction holds Lock.
func (x *Index) LiveTags(ctx context.Context, tx *db.Tx, app int64, ids []uint32) ([]uint32, error) {
	var live []uint32
	for part := range slices.Chunk(ids, 500) {
		args := make([]any, 0, len(part)+1)
		args = append(args, app)
		for _, id := range part {
			args = append(args, int64(id))
		}
		rows, err := tx.Query(ctx, `select id from audience_tag where app_id = $1 and id in (`+db.In(2, len(part))+`)`, args...)
		if err != nil {
			return nil, fmt.Errorf("audience: live tags: %w", err)
		}
		err = scan(rows, func() error {
			var id uint32
			if err := rows.Scan(&id); err != nil {
				return err
			}
			live = append(live, id)
			return nil
		})
		if err != nil {
			return nil, fmt.Errorf("audience: live tags: %w", err)
		}
	}
	slices.Sort(live)
	return live, nil
}
