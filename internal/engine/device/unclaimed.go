package device

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// unclaimedSets has the set of unclaimed imported devices of each app that was asked for.
type unclaimedSets struct {
	mu   sync.Mutex
	apps map[int64]*unclaimedSet
}

// unclaimedSet is what is known of one app. Only who holds turn reads the database and changes it; everybody reads set.
type unclaimedSet struct {
	app  int64
	turn chan struct{}
	set  atomic.Pointer[roaring.Bitmap] // never changed once it is here; nil: not loaded
	// version of device_import_head that set contains.
	version int64
	// told counts the changes committed by this process, read is told as it was before the last reading.
	told, read atomic.Uint64
	// checked is when the database was asked last, Unix milliseconds.
	checked atomic.Int64
}

func (u *unclaimedSets) of(app int64) *unclaimedSet {
	u.mu.Lock()
	defer u.mu.Unlock()
	s := u.apps[app]
	if s == nil {
		s = &unclaimedSet{app: app, turn: make(chan struct{}, 1)}
		if u.apps == nil {
			u.apps = make(map[int64]*unclaimedSet)
		}
		u.apps[app] = s
	}
	return s
}

// tell notes that this process may have changed an app's imported devices.
func (u *unclaimedSets) tell(app int64) { u.of(app).told.Add(1) }

const (
	// unclaimedTimeout bounds one reading, which is shared by callers: loading ten million takes seconds.
	unclaimedTimeout = 2 * time.Minute
	// nameAge is how late an answer may still name a device by the id it had before it was claimed on another node.
	// Both ids are accepted for ever, so it harms nobody.
	nameAge = 2 * time.Second
)

// Unclaimed is the set of the app's imported devices that nobody has claimed, with all that was committed before the
// call on any node. The caller must not change it. On SQLite with nothing new it costs a few atomic reads, on PostgreSQL one
// look at a row; after a change only what has changed is read.
func (r *Registry) Unclaimed(ctx context.Context, app int64) (*roaring.Bitmap, error) {
	return r.unclaimedSince(ctx, app, 0)
}

// unclaimedSince is Unclaimed that may miss what other nodes committed within the last age.
func (r *Registry) unclaimedSince(ctx context.Context, app int64, age time.Duration) (*roaring.Bitmap, error) {
	s := r.unclaimed.of(app)
	if set := s.set.Load(); set != nil && s.read.Load() == s.told.Load() {
		now := clock.Millis(r.Clock.Now())
		if r.DB.Engine() == db.SQLite || age > 0 && now-s.checked.Load() < age.Milliseconds() {
			return set, nil // SQLite has one process, so every change was told
		}
	}
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), unclaimedTimeout)
	defer cancel()
	if err := s.catchUp(ctx, r.DB, clock.Millis(r.Clock.Now())); err != nil {
		return nil, fmt.Errorf("device: unclaimed devices of app %d: %w", app, err)
	}
	return s.set.Load(), nil
}

// catchUp reads what has changed since the last reading, the first time everything. The version comes first: a row that
// changes meanwhile is read now or again, and says the same then.
func (s *unclaimedSet) catchUp(ctx context.Context, d *db.DB, now int64) error {
	told := s.told.Load()
	var version int64
	err := d.QueryRow(ctx, `select version from device_import_head where app_id = $1`, s.app).Scan(&version)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return err
	}
	set := s.set.Load()
	switch {
	case set == nil:
		if set, err = loadUnclaimed(ctx, d, s.app); err != nil {
			return err
		}
	case version != s.version:
		set = set.Clone()
		if err := followUnclaimed(ctx, d, s.app, s.version, set); err != nil {
			return err
		}
	}
	s.set.Store(set)
	s.version = version
	s.checked.Store(now)
	s.read.Store(told)
	return nil
}

func loadUnclaimed(ctx context.Context, d *db.DB, app int64) (*roaring.Bitmap, error) {
	rows, err := d.Query(ctx, `select ordinal from device_import where app_id = $1 and state = 1 order by ordinal`, app)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	set := roaring.New()
	for rows.Next() {
		var o uint32
		if err := rows.Scan(&o); err != nil {
			return nil, err
		}
		set.Add(o)
	}
	set.RunOptimize()
	return set, rows.Err()
}

// followUnclaimed applies to set what changed after a version.
func followUnclaimed(ctx context.Context, d *db.DB, app, version int64, set *roaring.Bitmap) error {
	rows, err := d.Query(ctx, `select ordinal, state from device_import where app_id = $1 and version > $2`, app, version)
	if err != nil {
		return err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			o     uint32
			state importState
		)
		if err := rows.Scan(&o, &state); err != nil {
			return err
		}
		if state == importUnclaimed {
			set.Add(o)
		} else {
			set.Remove(o)
		}
	}
	return rows.Err()
}
