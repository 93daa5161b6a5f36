package audience

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func newWorld(t *testing.T, d *db.DB, maxTags int) (*world, *Index) {
	t.Helper()
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	w := &world{db: d, clock: clock.NewFake(time.UnixMilli(1)), model: newModel(), app: lastApp.Add(1)}
	w.model.devices[w.app], w.model.names[w.app] = map[uint32]Device{}, map[uint32]string{}
	x := w.open()
	x.maxTags = maxTags
	if err := x.Sync(context.Background(), w.app); err != nil {
		t.Fatal(err)
	}
	return w, x
}

func (w *world) dictionary(t *testing.T) (names []string) {
	t.Helper()
	rows, err := w.db.Query(context.Background(), `select name from audience_tag where app_id = $1 order by id`, w.app)
	if err != nil {
		t.Fatal(err)
	}
	err = scan(rows, func() error {
		var n string
		err := rows.Scan(&n)
		names = append(names, n)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func (w *world) define(x *Index, names ...string) error {
	return w.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		if err := x.Lock(ctx, tx, w.app); err != nil {
			return err
		}
		_, err := x.TagIDs(ctx, tx, w.app, names, true)
		return err
	})
}

func TestDictionaryIsBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w, x := newWorld(t, d, 4)
		if err := w.define(x, "a", "b", "c", "c"); err != nil {
			t.Fatal(err)
		}
		if err := w.define(x, "a", "d", "e"); !errors.Is(err, ErrTooManyTags) {
			t.Errorf("a fifth name: %v", err)
		}
		if err := w.define(x, "c", "d", "d"); err != nil {
			t.Errorf("a fourth name: %v", err)
		}
		if err := w.define(x, "a", "b", "c", "d"); err != nil {
			t.Errorf("known names of a full dictionary: %v", err)
		}
		err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			_, err := x.DropTag(ctx, tx, w.app, "b")
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := w.define(x, "e"); err != nil {
			t.Errorf("after one was dropped: %v", err)
		}
		if got := w.dictionary(t); !slices.Equal(got, []string{"a", "c", "d", "e"}) {
			t.Errorf("the dictionary is %v", got)
		}
	})
}

// A device that replaces its tags again and again does not fill the dictionary for good.
func TestMaintainDropsUnusedTags(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const limit = 2 * (dropBatch + 20)
		ctx := context.Background()
		w, x := newWorld(t, d, limit)
		w.change(t, x, 7, &Device{Platform: IOS}, []string{"kept"}, false) // only known, not joined
		for i := range limit/2 - 1 {
			w.change(t, x, 1, &Device{Platform: IOS, Joined: true}, []string{fmt.Sprint("t", i)}, false)
		}
		x.Follow(ctx, w.app)
		if err := x.Maintain(ctx); err != nil {
			t.Fatal(err)
		}
		if n := len(w.dictionary(t)); n != limit/2 {
			t.Errorf("%d names are left of a dictionary that is half full, want %d", n, limit/2)
		}
		w.change(t, x, 1, &Device{Platform: IOS, Joined: true}, []string{"last"}, false)
		x.Follow(ctx, w.app)
		if err := x.Maintain(ctx); err != nil {
			t.Fatal(err)
		}
		left := w.dictionary(t)
		if len(left) != limit/2+1-dropBatch || !slices.Contains(left, "kept") || !slices.Contains(left, "last") {
			t.Errorf("the dictionary is %v", left)
		}
		again := "t0" // a dropped name
		for i := 0; slices.Contains(left, again); i++ {
			again = fmt.Sprint("t", i)
		}
		w.change(t, x, 1, &Device{Platform: IOS, Joined: true}, []string{again}, false)
		fresh := w.open()
		for name, x := range map[string]*Index{"followed": x, "loaded": fresh} {
			x.Follow(ctx, w.app)
			if err := x.Sync(ctx, w.app); err != nil {
				t.Fatal(err)
			}
			if !x.HasTag(w.app, 1, again) || x.HasTag(w.app, 1, "last") || !x.HasTag(w.app, 7, "kept") {
				t.Errorf("%s: devices do not have the tags they were given", name)
			}
		}
	})
}

// A tag that a device was given after the sets were read is not dropped, nor is anything when the log is too far ahead.
func TestDropUnusedHeedsTheLog(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		w, x := newWorld(t, d, 4)
		if err := w.define(x, "a", "b", "c"); err != nil {
			t.Fatal(err)
		}
		x.Follow(ctx, w.app)
		other := w.open()
		write := func(n int) {
			err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				if err := other.Lock(ctx, tx, w.app); err != nil {
					return err
				}
				ids, err := other.TagIDs(ctx, tx, w.app, []string{"b"}, false)
				if err != nil {
					return err
				}
				before, after := &Device{Ordinal: 1, Platform: Web}, &Device{Ordinal: 1, Platform: Web, Tags: ids}
				for range n {
					if err := other.Append(ctx, tx, w.app, Change{Before: before, After: after}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		write(1) // x has not followed it
		if _, unused := x.loaded(w.app).unusedTags(0, 10); len(unused) != 3 {
			t.Fatalf("%d tags look unused, want 3", len(unused))
		}
		pos := x.loaded(w.app).pos.Load()
		if err := x.dropUnused(ctx, w.app); err != nil {
			t.Fatal(err)
		}
		if got := w.dictionary(t); !slices.Equal(got, []string{"b"}) {
			t.Errorf("the dictionary is %v, want the tag in use", got)
		}
		write(followBatch)
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := x.addedSince(ctx, tx, w.app, pos)
			return err
		})
		if !errors.Is(err, errTrimmed) {
			t.Errorf("more than a batch behind: %v", err)
		}
	})
}
