package audience

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// damage spoils one part, or the head.
func (w *world) damage(t *rapid.T) {
	ctx := context.Background()
	h, err := w.x[0].header(ctx, w.app)
	if err != nil {
		t.Fatal(err)
	}
	if h.gen == 0 {
		return
	}
	if h.parts < 1 { // of an empty app, or damaged before
		w.exec(t, `update audience_snapshot set pos = pos + 1 where app_id = $1`, w.app)
		return
	}
	no := rapid.Int64Range(0, h.parts-1).Draw(t, "part")
	switch rapid.IntRange(0, 4).Draw(t, "damage") {
	case 0:
		w.exec(t, `delete from audience_part where app_id = $1 and gen = $2 and no = $3`, w.app, h.gen, no)
	case 1:
		w.exec(t, `update audience_snapshot set pos = pos + 1 where app_id = $1`, w.app)
	case 2:
		w.exec(t, `update audience_snapshot set parts = parts - 1 where app_id = $1`, w.app)
	default:
		var data []byte
		err := w.db.QueryRow(ctx, `select data from audience_part where app_id = $1 and gen = $2 and no = $3`, w.app, h.gen, no).Scan(&data)
		if errors.Is(err, db.ErrNoRows) {
			return // an earlier step deleted it
		}
		if err != nil {
			t.Fatal(err)
		}
		data[rapid.IntRange(0, len(data)-1).Draw(t, "byte")] ^= 1 << rapid.IntRange(0, 7).Draw(t, "bit")
		w.exec(t, `update audience_part set data = $4 where app_id = $1 and gen = $2 and no = $3`, w.app, h.gen, no, data)
	}
}

// Random changes while snapshots are written part by part, given up at any part, taken over by the other node, damaged,
// outdated by trimming: whoever starts agrees with the model, from the snapshot and the log as from the rows.
func TestSnapshotsAgreeWithModel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		if err := Migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
		var restored, fromRows atomic.Int64
		rapid.Check(t, func(t *rapid.T) {
			w := &world{db: d, clock: clock.NewFake(time.UnixMilli(1_790_000_000_000)), model: newModel(), app: lastApp.Add(1)}
			w.model.devices[w.app], w.model.names[w.app] = map[uint32]Device{}, map[uint32]string{}
			part := rapid.SampledFrom([]int{1, 40, 1 << 16}).Draw(t, "part size")
			keep := rapid.SampledFrom([]int64{2, 1_000_000}).Draw(t, "keep")
			open := func() *Index {
				x := eager(w.open())
				x.snap.part, x.snap.keep = part, keep
				return x
			}
			w.x = []*Index{open()}
			if d.Engine() == db.PostgreSQL {
				w.x = append(w.x, open())
			}
			writing := make([]*snapshot, len(w.x))
			steps := []string{"set", "set", "set", "end", "drop", "begin", "step", "step", "steps", "maintain", "maintain", "trim", "later", "restart", "damage", "check"}
			for range rapid.IntRange(1, 40).Draw(t, "steps") {
				i := rapid.IntRange(0, len(w.x)-1).Draw(t, "node")
				x := w.x[i]
				switch step := rapid.SampledFrom(steps).Draw(t, "step"); step {
				case "set":
					to := &Device{Platform: rapid.SampledFrom([]Platform{Android, IOS, Web}).Draw(t, "platform"),
						Alias: rapid.SampledFrom(aliasNames).Draw(t, "alias"), Joined: rapid.IntRange(0, 3).Draw(t, "pending") > 0, Muted: rapid.Bool().Draw(t, "muted")}
					tags := rapid.SliceOfNDistinct(rapid.SampledFrom(tagNames), 0, 4, rapid.ID[string]).Draw(t, "tags")
					w.change(t, x, rapid.SampledFrom(ordinals).Draw(t, "ordinal"), to, tags, false)
				case "end":
					w.change(t, x, rapid.SampledFrom(ordinals).Draw(t, "ordinal"), nil, nil, false)
				case "drop":
					w.drop(t, x, rapid.SampledFrom(tagNames).Draw(t, "tag"))
				case "begin":
					if err := x.Sync(ctx, w.app); err != nil {
						t.Fatal(err)
					}
					var err error
					if writing[i], err = x.beginSnapshot(ctx, x.state(w.app)); err != nil && !errors.Is(err, errClaimed) {
						t.Fatal(err)
					}
				case "step", "steps":
					for writing[i] != nil {
						done, err := writing[i].step(ctx)
						if err != nil && !errors.Is(err, errClaimed) && !errors.Is(err, errReloaded) && !errors.Is(err, errTrimmed) {
							t.Fatal(err)
						}
						if done || err != nil {
							writing[i] = nil
						}
						if step == "step" {
							break
						}
					}
				case "maintain", "trim":
					if step == "trim" {
						w.clock.Advance(2 * time.Hour)
					}
					if err := x.Maintain(ctx); err != nil && !errors.Is(err, errTrimmed) {
						t.Fatal(err)
					}
					if d.Engine() == db.SQLite {
						writing[i] = nil // there is one writer in a process
					}
				case "later":
					w.clock.Advance(claimFor + time.Second)
				case "restart":
					w.x[i], writing[i] = open(), nil
				case "damage":
					w.damage(t)
				case "check":
					w.check(t, x)
				}
			}
			fresh, rows := open(), open()
			h, err := fresh.header(ctx, w.app)
			if err != nil {
				t.Fatal(err)
			}
			rows.state(w.app).spoiled.Store(h.gen)
			for _, x := range append(w.x, fresh, rows) {
				w.check(t, x)
			}
			if rows.state(w.app).sets.gen != 0 {
				t.Fatal("a snapshot that is known to be spoiled was used")
			}
			if fresh.state(w.app).sets.gen != 0 {
				restored.Add(1)
			} else if h.gen != 0 {
				fromRows.Add(1)
			}
		})
		if restored.Load() == 0 || fromRows.Load() == 0 {
			t.Errorf("%d starts from snapshots, %d from rows in spite of one: the steps do not test both", restored.Load(), fromRows.Load())
		}
	})
}

// populate makes n devices with tags and aliases, some of which many have.
func (w *world) populate(t *testing.T, x *Index, n int) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	ctx := context.Background()
	for first := 0; first < n; first += 500 {
		err := w.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := x.Lock(ctx, tx, w.app); err != nil {
				return err
			}
			ids, err := x.TagIDs(ctx, tx, w.app, tagNames, true)
			if err != nil {
				return err
			}
			for o := first; o < min(n, first+500); o++ {
				d := Device{Ordinal: uint32(o), Platform: Android + Platform(r.IntN(2)), Alias: fmt.Sprintf("a%d", r.IntN(n)), Joined: r.IntN(10) > 0}
				if r.IntN(10) == 0 {
					d.Alias = fmt.Sprintf("crowd%d", r.IntN(3))
				}
				for k, id := range ids {
					if r.IntN(1<<k) == 0 {
						d.Tags = append(d.Tags, id)
					}
				}
				w.model.devices[w.app][d.Ordinal] = d
				if err := x.Append(ctx, tx, w.app, Change{After: &d}); err != nil {
					return err
				}
			}
			for i, id := range ids {
				w.model.names[w.app][id] = tagNames[i]
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		x.Follow(ctx, w.app)
	}
	if err := x.Sync(ctx, w.app); err != nil {
		t.Fatal(err)
	}
}

// same compares all that is in memory.
func same(t *testing.T, got, want *Index, app int64) {
	t.Helper()
	a, b := got.state(app).sets, want.state(app).sets
	if a.pos != b.pos || a.known != b.known || a.aliases.count() != b.aliases.count() || len(a.tags) != len(b.tags) {
		t.Fatalf("at %d %d devices, %d aliases, %d tags; want at %d %d, %d, %d", a.pos, a.known, a.aliases.count(), len(a.tags),
			b.pos, b.known, b.aliases.count(), len(b.tags))
	}
	for id, tag := range b.tags {
		if a.tags[id] == nil || !got.export(&a.tags[id].set).Equals(want.export(&tag.set)) {
			t.Fatalf("tag %s differs", tag.name)
		}
	}
	if !got.export(&a.joined).Equals(want.export(&b.joined)) {
		t.Fatal("who has joined differs")
	}
	for p := range AllPlatforms.Each {
		if !got.export(&a.platforms[p]).Equals(want.export(&b.platforms[p])) {
			t.Fatalf("platform %s differs", p)
		}
	}
	for i, page := range b.pages {
		if page != nil && (a.pages[i] == nil || *a.pages[i] != *page) {
			t.Fatalf("states of page %d differ", i)
		}
	}
	compare := func(alias string) {
		if x, y := a.aliases.holders(alias, nil), b.aliases.holders(alias, nil); !slices.Equal(x, y) {
			t.Fatalf("alias %s: %v, want %v", alias, x, y)
		}
	}
	for _, bucket := range b.aliases.dir {
		if bucket != nil {
			bucket.each(func(alias, _ []byte) { compare(string(alias)) })
		}
	}
	for alias := range b.aliases.crowds {
		compare(alias)
	}
}
