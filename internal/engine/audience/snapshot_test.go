package audience

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// noRows is a source that must not be read.
type noRows struct{}

var errRows = errors.New("the rows were read")

func (noRows) EachDevice(context.Context, int64, func(Device) error) error { return errRows }

// eager are rules that make snapshots of anything, in many parts.
func eager(x *Index) *Index {
	x.snap = snapshotRules{devices: 1, growth: 1, age: time.Hour, keep: 1_000_000, part: 1}
	x.aliasLimits = aliasLimits{holders: 2, bucket: 2}
	return x
}

// startedFromSnapshot opens a node that has nothing but the snapshot and the log.
func (w *world) startedFromSnapshot(t interface{ Fatal(...any) }) *Index {
	x := New(w.db, nil, noRows{}, w.clock, slog.New(slog.DiscardHandler))
	x.aliasLimits = aliasLimits{holders: 2, bucket: 2}
	if err := x.Sync(context.Background(), w.app); err != nil {
		t.Fatal(err)
	}
	return x
}

func (w *world) exec(t interface{ Fatal(...any) }, query string, args ...any) (changed int64) {
	err := w.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) (err error) {
		changed, err = tx.Exec(ctx, query, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// A start reads the snapshot and what came after it, not the rows; and what it has then is what who wrote it has.
func TestStartReadsSnapshotAndLog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, x := newWorld(t, d, MaxTags)
		x.snap.devices, x.snap.part = 100, 4000
		w.populate(t, x, 6000)
		ctx := context.Background()
		if err := x.Maintain(ctx); err != nil {
			t.Fatal(err)
		}
		same(t, w.startedFromSnapshot(t), x, w.app)
		st, err := x.Stat(ctx, w.app)
		if err != nil || st.Snapshot == nil || st.Snapshot.Pos != st.Pos || st.Snapshot.Parts < 5 || st.Devices != 6000 || st.FromSnapshot {
			t.Errorf("stat %+v %+v (%v)", st, st.Snapshot, err)
		}
		for o := range uint32(50) {
			w.change(t, x, o*100, &Device{Platform: Web, Alias: "late", Joined: o%2 == 0}, []string{"t1", "t9"}, false)
			w.change(t, x, o*100+1, nil, nil, false)
		}
		w.drop(t, x, "t0")
		fresh := w.startedFromSnapshot(t)
		same(t, fresh, x, w.app)
		if st, err := fresh.Stat(ctx, w.app); err != nil || !st.FromSnapshot || st.Pos != st.Snapshot.Pos+102 {
			t.Errorf("stat %+v %+v (%v)", st, st.Snapshot, err)
		}
		// Two hours later the log is trimmed, but not what the snapshot needs.
		w.clock.Advance(2 * time.Hour)
		if err := x.Maintain(ctx); err != nil {
			t.Fatal(err)
		}
		same(t, w.startedFromSnapshot(t), x, w.app)
		var first int64
		if err := d.QueryRow(ctx, `select min(pos) from audience_log where app_id = $1`, w.app).Scan(&first); err != nil || first != st.Snapshot.Pos+1 {
			t.Errorf("the log begins at %d, the snapshot is of %d (%v)", first, st.Snapshot.Pos, err)
		}
	})
}

// A new snapshot takes the place of the one before, whose parts are deleted; one that is not needed is not written.
func TestSnapshotsAreReplaced(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, x := newWorld(t, d, MaxTags)
		x.snap.devices, x.snap.growth, x.snap.part = 100, 50, 1
		ctx := context.Background()
		gens := func() (gens []int64) {
			if err := x.Maintain(ctx); err != nil {
				t.Fatal(err)
			}
			rows, err := d.Query(ctx, `select distinct gen from audience_part where app_id = $1 order by gen`, w.app)
			if err != nil {
				t.Fatal(err)
			}
			err = scan(rows, func() error {
				gens = append(gens, 0)
				return rows.Scan(&gens[len(gens)-1])
			})
			if err != nil {
				t.Fatal(err)
			}
			return gens
		}
		w.populate(t, x, 99)
		if got := gens(); len(got) != 0 {
			t.Errorf("a small app has snapshots %v", got)
		}
		w.change(t, x, 99, &Device{Platform: Web}, nil, false)
		if got := gens(); !slices.Equal(got, []int64{1}) {
			t.Errorf("snapshots %v, want the first", got)
		}
		if got := gens(); !slices.Equal(got, []int64{1}) {
			t.Errorf("snapshots %v though nothing changed", got)
		}
		for o := range uint32(49) {
			w.change(t, x, o, &Device{Platform: Web}, nil, false)
		}
		if got := gens(); !slices.Equal(got, []int64{1}) {
			t.Errorf("snapshots %v though little changed", got)
		}
		w.change(t, x, 50, &Device{Platform: Web}, nil, false)
		if got := gens(); !slices.Equal(got, []int64{2}) {
			t.Errorf("snapshots %v, want the second", got)
		}
		w.change(t, x, 51, &Device{Platform: Web}, nil, false)
		w.clock.Advance(25 * time.Hour)
		if got := gens(); !slices.Equal(got, []int64{3}) {
			t.Errorf("snapshots %v, want the third after a day", got)
		}
		// One that was begun and given up leaves parts; they go when it is certain that nobody writes them.
		left, err := x.beginSnapshot(ctx, x.state(w.app))
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			if _, err := left.step(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if got := gens(); !slices.Equal(got, []int64{3, 4}) {
			t.Errorf("snapshots %v, want the third and the one that is being written", got)
		}
		if err := left.abandon(ctx); err != nil {
			t.Fatal(err)
		}
		if got := gens(); !slices.Equal(got, []int64{3}) {
			t.Errorf("snapshots %v, want the third", got)
		}
		if _, err := left.step(ctx); !errors.Is(err, errClaimed) {
			t.Errorf("a step after giving up: %v", err)
		}
		same(t, w.startedFromSnapshot(t), x, w.app)
	})
}

// Of two nodes one writes; if it stops, the other takes over, and what the first still writes changes nothing.
func TestOneNodeWritesSnapshots(t *testing.T) {
	t.Parallel()
	w, x := newWorld(t, dbtest.Postgres(t), MaxTags)
	eager(x)
	w.populate(t, x, 300)
	other := eager(w.open())
	ctx := context.Background()
	if err := other.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
	first, err := x.beginSnapshot(ctx, x.state(w.app))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := other.beginSnapshot(ctx, other.state(w.app)); !errors.Is(err, errClaimed) {
		t.Errorf("both write: %v", err)
	}
	if err := other.Maintain(ctx); err != nil {
		t.Errorf("maintenance while another node writes: %v", err)
	}
	w.clock.Advance(claimFor - time.Second)
	if _, err := first.step(ctx); err != nil { // renews the claim
		t.Fatal(err)
	}
	w.clock.Advance(claimFor - time.Second)
	if _, err := other.beginSnapshot(ctx, other.state(w.app)); !errors.Is(err, errClaimed) {
		t.Errorf("both write: %v", err)
	}
	w.clock.Advance(2 * time.Second)
	if err := other.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	if _, err := first.step(ctx); !errors.Is(err, errClaimed) {
		t.Errorf("the first goes on: %v", err)
	}
	if err := first.complete(ctx); !errors.Is(err, errClaimed) {
		t.Errorf("the first completes: %v", err)
	}
	same(t, w.startedFromSnapshot(t), x, w.app)
}

// Snapshots are written, replaced and read while devices change; nobody sees anything but what was committed.
func TestSnapshotsUnderLoad(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, x := newWorld(t, d, MaxTags)
		x.snap.devices, x.snap.growth, x.snap.part = 1, 1, 2000
		w.populate(t, x, 1000)
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		var (
			wg   sync.WaitGroup
			stop atomic.Bool
		)
		wg.Go(func() {
			defer stop.Store(true)
			for i := range 200 {
				o := uint32(i*37) % 1000
				w.change(t, x, o, &Device{Platform: IOS, Alias: fmt.Sprintf("crowd%d", i%5), Joined: i%3 > 0}, []string{tagNames[i%6]}, false)
			}
		})
		wg.Go(func() {
			for !stop.Load() {
				if err := x.Maintain(ctx); err != nil {
					t.Error(err)
				}
			}
		})
		starts := 0
		for ; !stop.Load(); starts++ {
			w.startedOver(ctx, t)
		}
		wg.Wait()
		if err := x.Maintain(ctx); err != nil {
			t.Fatal(err)
		}
		same(t, w.startedFromSnapshot(t), x, w.app)
		same(t, w.startedOver(ctx, t), x, w.app)
	})
}

// startedOver opens a node with everything.
func (w *world) startedOver(ctx context.Context, t *testing.T) *Index {
	t.Helper()
	x := w.open()
	if err := x.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
	return x
}

// An entry of the log that cannot be read after a start from a snapshot does not keep the node from starting.
func TestDamagedLogAfterSnapshot(t *testing.T) {
	t.Parallel()
	w, x := newWorld(t, dbtest.SQLite(t), MaxTags)
	eager(x)
	w.populate(t, x, 50)
	ctx := context.Background()
	if err := x.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	w.change(t, x, 7, &Device{Platform: Web, Alias: "seven", Joined: true}, []string{"t1"}, false)
	if w.exec(t, `update audience_log set change = $1 where pos = (select max(pos) from audience_log)`, []byte{99}) != 1 {
		t.Fatal("nothing was damaged")
	}
	fresh := eager(w.open())
	if err := fresh.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
	same(t, fresh, x, w.app)
	if err := fresh.Maintain(ctx); err != nil { // with a snapshot that needs no such entry
		t.Fatal(err)
	}
	same(t, w.startedFromSnapshot(t), x, w.app)
}

// An alias that too many devices get for a bucket while a snapshot is written is in it once.
func TestAliasMovesWhileSnapshotIsWritten(t *testing.T) {
	t.Parallel()
	w, _ := newWorld(t, dbtest.SQLite(t), MaxTags)
	x := eager(w.open()) // before anything is loaded, so that aliases are few in a bucket
	ctx := context.Background()
	bind := func(o uint32) {
		w.change(t, x, o, &Device{Platform: Web, Alias: "many", Joined: true}, nil, false)
	}
	bind(1)
	bind(2)
	if err := x.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
	s := x.state(w.app)
	snap, err := x.beginSnapshot(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	for !snap.from.end { // until the buckets are copied
		if done, err := snap.step(ctx); done || err != nil {
			t.Fatal(done, err)
		}
	}
	bind(3)
	snap.from.crowds = slices.Collect(maps.Keys(s.sets.aliases.crowds)) // as if the buckets had ended only now
	if len(snap.from.crowds) != 1 {
		t.Fatal("the alias did not move")
	}
	for done := false; !done; {
		if done, err = snap.step(ctx); err != nil {
			t.Fatal(err)
		}
	}
	fresh := w.startedFromSnapshot(t)
	same(t, fresh, x, w.app)
	for o := range uint32(4) {
		w.change(t, x, o, nil, nil, false)
	}
	fresh.Follow(ctx, w.app)
	if got := fresh.DevicesOfAlias(w.app, "many"); len(got) > 0 {
		t.Errorf("devices %v that are gone have the alias", got)
	}
}

// Sets that were loaded again while they were copied make no snapshot, and a log that does not reach back to a snapshot
// makes it useless.
func TestSnapshotOfOtherSetsOrLog(t *testing.T) {
	t.Parallel()
	w, x := newWorld(t, dbtest.SQLite(t), MaxTags)
	eager(x)
	w.populate(t, x, 50)
	ctx := context.Background()
	if err := x.Maintain(ctx); err != nil {
		t.Fatal(err)
	}
	s := x.state(w.app)
	snap, err := x.beginSnapshot(ctx, s)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := snap.step(ctx); err != nil {
		t.Fatal(err)
	}
	s.ready.Store(false) // as when the log was trimmed past what is applied
	s.told.Add(1)
	if err := x.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
	if _, err := snap.step(ctx); !errors.Is(err, errReloaded) {
		t.Errorf("a step after the sets were loaded again: %v", err)
	}
	w.change(t, x, 5, nil, nil, false)
	w.exec(t, `delete from audience_log`)
	fresh := w.open()
	if err := fresh.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
	if fresh.state(w.app).sets.gen != 0 {
		t.Error("a snapshot was used whose log is gone")
	}
	same(t, fresh, x, w.app)
}

// A node that had to read the rows of a large app writes a snapshot at once, for whoever starts next.
func TestSnapshotFollowsLoadFromRows(t *testing.T) {
	t.Parallel()
	w, x := newWorld(t, dbtest.SQLite(t), MaxTags)
	w.populate(t, x, 50)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	fresh := eager(w.open())
	ended := make(chan error, 1)
	go func() { ended <- fresh.Run(ctx) }()
	for {
		st, err := fresh.Stat(ctx, w.app)
		if err != nil {
			t.Fatal(err)
		}
		if st.Snapshot != nil {
			break
		}
	}
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	same(t, w.startedFromSnapshot(t), x, w.app)
}

// busyDB is a database in which something is committed before each question.
type busyDB struct {
	*db.DB
	before func()
}

func (b busyDB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	b.before()
	return b.DB.QueryRow(ctx, query, args...)
}

// A change that is committed while somebody asks whether the log reaches back to a snapshot does not make it useless.
func TestLogReachesBackWhileItGrows(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, x := newWorld(t, d, MaxTags)
		ctx := context.Background()
		n := uint32(0)
		q := busyDB{d, func() {
			w.change(t, x, n, &Device{Platform: Web}, nil, false)
			n++
		}}
		q.before()
		pos := x.state(w.app).pos.Load()
		for _, c := range []struct {
			pos  int64
			want bool
		}{{pos, true}, {pos - 1, true}, {pos + 100, false}} {
			if ok, err := covered(ctx, q, w.app, c.pos); ok != c.want || err != nil {
				t.Errorf("position %d of %d: %v (%v)", c.pos, pos, ok, err)
			}
		}
		// At the end of the log, which then grows between the questions.
		at, asked := x.state(w.app).pos.Load(), 0
		late := busyDB{d, func() {
			if asked++; asked == 2 {
				w.change(t, x, n, &Device{Platform: IOS}, nil, false)
			}
		}}
		if ok, err := covered(ctx, late, w.app, at); !ok || err != nil {
			t.Errorf("the log is said not to reach back to %d (%v)", at, err)
		}
	})
}
