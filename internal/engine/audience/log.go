package audience

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// followBatch is how many entries are read and applied at a time; readers wait for one batch at most.
	followBatch = 1000
	// What Maintain keeps: an app's log is as long as the hour needs, up to keepEntries.
	keepFor     = time.Hour
	keepEntries = 100_000
	// trimBatch is how many positions one transaction of Maintain deletes.
	trimBatch = 1000
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

// catchUp loads the sets if need be and applies the log to its end. Only the leader of a round calls it.
func (x *Index) catchUp(ctx context.Context, s *state) error {
	for range maxLoads {
		if !s.ready.Load() {
			if err := x.load(ctx, s); err != nil {
				return err
			}
		}
		err := x.follow(ctx, s)
		if !errors.Is(err, errTrimmed) {
			return err
		}
		s.ready.Store(false) // who asks now waits for the new sets
	}
	return errTrimmed
}

// follow applies the entries after the last applied one.
func (x *Index) follow(ctx context.Context, s *state) error {
	type row struct {
		pos     int64
		ordinal uint32
		entry   entry
	}
	batch := make([]row, 0, 16)
	for {
		batch = batch[:0]
		at := s.pos.Load()
		rows, err := x.db.Query(ctx, `select pos, ordinal, change from audience_log
			where app_id = $1 and pos > $2 order by pos limit $3`, s.id, at, followBatch)
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		err = scan(rows, func() error {
			var (
				r    row
				data []byte
				err  error
			)
			if err = rows.Scan(&r.pos, &r.ordinal, &data); err != nil {
				return err
			}
			if at++; r.pos != at {
				return errTrimmed
			}
			if r.entry, err = decodeEntry(data); err != nil {
				return fmt.Errorf("position %d: %w", r.pos, err)
			}
			batch = append(batch, r)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read log: %w", err)
		}
		if len(batch) == 0 {
			return nil
		}
		s.mu.Lock()
		for _, r := range batch {
			s.sets.apply(r.pos, r.ordinal, r.entry)
		}
		s.mu.Unlock()
		s.pos.Store(at)
		if len(batch) < followBatch {
			return nil
		}
	}
}

// load builds the sets from the rows. The order matters: the position first, then what is at least as new.
func (x *Index) load(ctx context.Context, s *state) error {
	sets := newSets(x.aliasLimits)
	err := x.db.QueryRow(ctx, `select pos from audience_head where app_id = $1`, s.id).Scan(&sets.pos)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return fmt.Errorf("read position: %w", err)
	}
	rows, err := x.db.Query(ctx, `select id, name from audience_tag where app_id = $1`, s.id)
	if err != nil {
		return fmt.Errorf("read tags: %w", err)
	}
	err = scan(rows, func() error {
		var (
			id   uint32
			name string
		)
		if err := rows.Scan(&id, &name); err != nil {
			return err
		}
		sets.define(id, name)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read tags: %w", err)
	}
	err = x.src.EachDevice(ctx, s.id, func(d Device) error {
		if d.Platform == 0 || d.Platform >= PlatformEnd {
			return fmt.Errorf("device %d has platform %d", d.Ordinal, d.Platform)
		}
		sets.load(d)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read devices: %w", err)
	}
	sets.pack()
	s.mu.Lock()
	s.sets = sets
	s.mu.Unlock()
	s.pos.Store(sets.pos)
	s.ready.Store(true)
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

// Maintain trims the logs of all apps: entries older than an hour, and the oldest beyond 100,000. A node that was
// away for longer loads the sets again. It also makes room in dictionaries that are half full. Call it every few minutes, on one node or on all.
func (x *Index) Maintain(ctx context.Context) error {
	heads := make(map[int64]int64)
	rows, err := x.db.Query(ctx, `select app_id, pos from audience_head`)
	if err != nil {
		return fmt.Errorf("audience: trim: %w", err)
	}
	err = scan(rows, func() error {
		var app, pos int64
		if err := rows.Scan(&app, &pos); err != nil {
			return err
		}
		heads[app] = pos
		return nil
	})
	if err != nil {
		return fmt.Errorf("audience: trim: %w", err)
	}
	before := clock.Millis(x.clock.Now().Add(-keepFor))
	for app, head := range heads {
		if err := x.trim(ctx, app, head, before); err != nil {
			return fmt.Errorf("audience: trim app %d: %w", app, err)
		}
		if err := x.dropUnused(ctx, app); err != nil {
			return fmt.Errorf("audience: drop unused tags of app %d: %w", app, err)
		}
	}
	return nil
}

// trim deletes entries up to a position below head, whose entry always stays.
func (x *Index) trim(ctx context.Context, app, head, before int64) error {
	first, err := x.position(ctx, `select pos from audience_log where app_id = $1 order by pos limit 1`, app)
	if err != nil || first == 0 {
		return err
	}
	// at rises with pos, as far as the clocks of the nodes agree.
	upTo, err := x.position(ctx, `select pos from audience_log where app_id = $1 and at < $2 order by pos desc limit 1`, app, before)
	if err != nil {
		return err
	}
	upTo = min(max(upTo, head-keepEntries), head-1)
	for ; first <= upTo; first += trimBatch {
		err := x.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `delete from audience_log where app_id = $1 and pos <= $2`, app, min(upTo, first+trimBatch-1))
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (x *Index) position(ctx context.Context, query string, args ...any) (pos int64, err error) {
	if err = x.db.QueryRow(ctx, query, args...).Scan(&pos); errors.Is(err, db.ErrNoRows) {
		return 0, nil
	}
	return pos, err
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
