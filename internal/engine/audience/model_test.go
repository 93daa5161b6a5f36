package audience

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// model is the naive truth: devices in a map, tags by name. It also is the source of rows.
type model struct {
	mu      sync.Mutex
	devices map[int64]map[uint32]Device // tag ids as stored, also those that were dropped
	names   map[int64]map[uint32]string // of live tags
}

func newModel() *model {
	return &model{devices: map[int64]map[uint32]Device{}, names: map[int64]map[uint32]string{}}
}

func (m *model) EachDevice(_ context.Context, app int64, fn func(Device) error) error {
	m.mu.Lock()
	devices := maps.Clone(m.devices[app])
	m.mu.Unlock()
	for _, d := range devices {
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}

func (m *model) tags(app int64, d Device) map[string]bool {
	out := map[string]bool{}
	for _, id := range d.Tags {
		if name, ok := m.names[app][id]; ok {
			out[name] = true
		}
	}
	return out
}

func (m *model) evaluate(app int64, e Expr) []uint32 {
	var out []uint32
	for _, d := range m.devices[app] {
		tags := m.tags(app, d)
		has := func(name string) bool { return tags[name] }
		hasNot := func(name string) bool { return !tags[name] }
		switch {
		case !d.Joined, !e.Platforms.Has(d.Platform), e.Unmuted && d.Muted,
			len(e.Tag) > 0 && !slices.ContainsFunc(e.Tag, has),
			slices.ContainsFunc(e.TagAnd, hasNot),
			slices.ContainsFunc(e.TagNot, has),
			len(e.Alias) > 0 && !slices.Contains(e.Alias, d.Alias),
			(e.HasOrdinals || len(e.Ordinals) > 0) && !slices.Contains(e.Ordinals, d.Ordinal):
		default:
			out = append(out, d.Ordinal)
		}
	}
	slices.Sort(out)
	return out
}

var (
	tagNames   = []string{"t0", "t1", "t2", "t3", "t4", "t5"}
	aliasNames = []string{"", "a0", "a1", "a2", "a3"}
	ordinals   = []uint32{1, 2, 3, 4, 5, 6, 7, 65535, 65536, 65537, 131073}
	errUndo    = errors.New("undo")
	lastApp    atomic.Int64
)

// world is a database with one app, the truth about it, and indexes that must agree with it.
type world struct {
	db    *db.DB
	clock *clock.Fake
	model *model
	app   int64
	x     []*Index
}

func (w *world) open() *Index {
	return New(w.db, nil, w.model, w.clock, slog.New(slog.DiscardHandler))
}

// change replaces a device (nil: ends it) with tags by name. With undo, the transaction fails at its end.
func (w *world) change(t interface{ Fatal(...any) }, x *Index, ordinal uint32, to *Device, tags []string, undo bool) {
	var stored *Device
	names := map[uint32]string{}
	err := w.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		if err := x.Lock(ctx, tx, w.app); err != nil {
			return err
		}
		ids, err := x.TagIDs(ctx, tx, w.app, tags, true)
		if err != nil {
			return err
		}
		for _, n := range tags {
			one, err := x.TagIDs(ctx, tx, w.app, []string{n}, false)
			if err != nil {
				return err
			}
			names[one[0]] = n
		}
		var c Change
		if old, ok := w.model.devices[w.app][ordinal]; ok {
			c.Before = &old
		}
		if to != nil {
			d := *to
			d.Ordinal, d.Tags = ordinal, ids
			c.After, stored = &d, &d
		}
		if c.Before != nil || c.After != nil {
			if err := x.Append(ctx, tx, w.app, c); err != nil {
				return err
			}
		}
		if undo {
			return errUndo
		}
		return nil
	})
	if undo {
		if !errors.Is(err, errUndo) {
			t.Fatal("undone transaction: ", err)
		}
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	w.model.mu.Lock()
	if stored != nil {
		w.model.devices[w.app][ordinal] = *stored
	} else {
		delete(w.model.devices[w.app], ordinal)
	}
	maps.Copy(w.model.names[w.app], names)
	w.model.mu.Unlock()
	x.Follow(context.Background(), w.app)
}

func (w *world) drop(t interface{ Fatal(...any) }, x *Index, name string) {
	err := w.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		if err := x.Lock(ctx, tx, w.app); err != nil {
			return err
		}
		_, err := x.DropTag(ctx, tx, w.app, name)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	maps.DeleteFunc(w.model.names[w.app], func(_ uint32, n string) bool { return n == name })
	x.Follow(context.Background(), w.app)
}

func drawExpr(t *rapid.T) Expr {
	some := func(label string, from []string) []string {
		return rapid.SliceOfN(rapid.SampledFrom(append(slices.Clone(from), "nobody")), 0, 3).Draw(t, label)
	}
	e := Expr{Tag: some("tag", tagNames), TagAnd: some("tag_and", tagNames), TagNot: some("tag_not", tagNames)}
	switch rapid.IntRange(0, 4).Draw(t, "kind") {
	case 0:
		e.Alias = some("alias", aliasNames[1:])
	case 1:
		e.HasOrdinals = true
		e.Ordinals = rapid.SliceOfN(rapid.SampledFrom(ordinals), 0, 6).Draw(t, "ordinals")
	case 2:
		e = Expr{Alias: some("alias", aliasNames[1:]), Ordinals: rapid.SliceOfN(rapid.SampledFrom(ordinals), 0, 6).Draw(t, "ordinals")}
	}
	e.Platforms = AllPlatforms
	e.Unmuted = rapid.Bool().Draw(t, "unmuted")
	if rapid.Bool().Draw(t, "some platforms") {
		e.Platforms = PlatformSet(rapid.Uint16Range(0, uint16(AllPlatforms)).Draw(t, "platforms")) & AllPlatforms
	}
	return e
}

func (w *world) check(t *rapid.T, x *Index) {
	if err := x.Sync(context.Background(), w.app); err != nil {
		t.Fatal(err)
	}
	for range 4 {
		e := drawExpr(t)
		want := w.model.evaluate(w.app, e)
		got, err := x.Evaluate(w.app, e)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(got.ToArray(), want) {
			t.Fatalf("%+v: got %v, want %v", e, got.ToArray(), want)
		}
		if n, err := x.Count(w.app, e); err != nil || n != uint64(len(want)) {
			t.Fatalf("%+v: counted %d, want %d (%v)", e, n, len(want), err)
		}
		got.AddRange(0, 200_000) // the caller owns it: this must not reach the index
		small, ok := x.EvaluateSmall(w.app, e, []Target{{Ordinal: 99}}, 3)
		if may := e.listed() && len(e.Tag)+len(e.TagAnd)+len(e.TagNot) == 0 && len(want) <= 3; ok != may {
			t.Fatalf("%+v: small answered %v", e, ok)
		}
		if ok {
			if len(small) != 1+len(want) {
				t.Fatalf("%+v: small got %v, want %v", e, small, want)
			}
			for i, o := range want {
				if d := w.model.devices[w.app][o]; small[1+i] != (Target{o, d.Platform}) {
					t.Fatalf("%+v: small got %v, want %v", e, small, want)
				}
			}
		}
	}
	live := map[string]bool{}
	for _, o := range ordinals {
		d, known := w.model.devices[w.app][o]
		if x.Joined(w.app, o) != d.Joined {
			t.Fatalf("device %d joined: %v", o, !d.Joined)
		}
		if p, ok := x.PlatformOf(w.app, o); ok != known || p != d.Platform {
			t.Fatalf("device %d: platform %v %v, want %v", o, p, ok, d.Platform)
		}
		tags := w.model.tags(w.app, d)
		maps.Copy(live, tags)
		for _, n := range tagNames {
			if x.HasTag(w.app, o, n) != tags[n] {
				t.Fatalf("device %d has tag %s: %v", o, n, !tags[n])
			}
		}
		if got, want := x.Names(w.app, d.Tags), slices.Sorted(maps.Keys(tags)); !slices.Equal(got, want) {
			t.Fatalf("device %d: names %v, want %v", o, got, want)
		}
	}
	if got, want := x.TagNames(w.app, AllPlatforms, 100), slices.Sorted(maps.Keys(live)); !slices.Equal(got, want) {
		t.Fatalf("tags %v, want %v", got, want)
	}
	for _, a := range aliasNames[1:] {
		var want []uint32
		for _, d := range w.model.devices[w.app] {
			if d.Alias == a {
				want = append(want, d.Ordinal)
			}
		}
		slices.Sort(want)
		if got := x.DevicesOfAlias(w.app, a); !slices.Equal(got, want) {
			t.Fatalf("alias %s: %v, want %v", a, got, want)
		}
	}
	everybody, err := x.Evaluate(w.app, Expr{All: true, Platforms: AllPlatforms})
	if err != nil {
		t.Fatal(err)
	}
	again := roaring.New()
	for p, part := range x.SplitPlatforms(w.app, everybody) {
		part.Iterate(func(o uint32) bool {
			if w.model.devices[w.app][o].Platform != p {
				t.Fatalf("device %d is among %s", o, p)
			}
			return true
		})
		again.Or(part)
	}
	if !again.Equals(everybody) {
		t.Fatalf("parts %v, whole %v", again, everybody)
	}
	all := roaring.New()
	all.AddRange(0, 200_000)
	if x.KeepJoined(w.app, all); !all.Equals(everybody) {
		t.Fatalf("kept %v, joined %v", all, everybody)
	}
}

// Random changes, undone ones too, through random nodes, with restarts and trimmed logs: every index agrees with the
// model at every look. On SQLite there is one node, because there is one process.
func TestIndexAgreesWithModel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		if err := Migrate(context.Background(), d); err != nil {
			t.Fatal(err)
		}
		rapid.Check(t, func(t *rapid.T) {
			w := &world{db: d, clock: clock.NewFake(time.UnixMilli(1_790_000_000_000)), model: newModel(), app: lastApp.Add(1)}
			w.model.devices[w.app], w.model.names[w.app] = map[uint32]Device{}, map[uint32]string{}
			w.x = []*Index{w.open()}
			if d.Engine() == db.PostgreSQL {
				w.x = append(w.x, w.open())
			}
			for range rapid.IntRange(1, 25).Draw(t, "steps") {
				i := rapid.IntRange(0, len(w.x)-1).Draw(t, "node")
				switch rapid.SampledFrom([]string{"set", "set", "set", "set", "undo", "end", "drop", "restart", "trim", "check"}).Draw(t, "step") {
				case "set", "undo":
					to := &Device{Platform: rapid.SampledFrom([]Platform{Android, IOS, Web}).Draw(t, "platform"),
						Alias: rapid.SampledFrom(aliasNames).Draw(t, "alias"), Joined: rapid.IntRange(0, 3).Draw(t, "pending") > 0, Muted: rapid.Bool().Draw(t, "muted")}
					tags := rapid.SliceOfNDistinct(rapid.SampledFrom(tagNames), 0, 4, rapid.ID[string]).Draw(t, "tags")
					w.change(t, w.x[i], rapid.SampledFrom(ordinals).Draw(t, "ordinal"), to, tags, rapid.IntRange(0, 4).Draw(t, "undo") == 0)
				case "end":
					w.change(t, w.x[i], rapid.SampledFrom(ordinals).Draw(t, "ordinal"), nil, nil, false)
				case "drop":
					w.drop(t, w.x[i], rapid.SampledFrom(tagNames).Draw(t, "tag"))
				case "restart":
					w.x[i] = w.open()
				case "trim":
					w.clock.Advance(2 * time.Hour)
					if err := w.x[i].Maintain(context.Background()); err != nil {
						t.Fatal(err)
					}
				case "check":
					w.check(t, w.x[i])
				}
			}
			for _, x := range append(w.x, w.open()) {
				w.check(t, x)
			}
		})
	})
}

func TestEntryRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		ids := rapid.Custom(func(t *rapid.T) []uint32 {
			l := rapid.SliceOfNDistinct(rapid.Uint32(), 0, 20, rapid.ID[uint32]).Draw(t, "ids")
			slices.Sort(l)
			return l
		})
		d := func() *Device {
			if rapid.IntRange(0, 3).Draw(t, "absent") == 0 {
				return nil
			}
			return &Device{Ordinal: 1, Platform: rapid.SampledFrom([]Platform{Android, IoT}).Draw(t, "p"), Alias: rapid.String().Draw(t, "alias"), Tags: ids.Draw(t, "tags"), Joined: rapid.Bool().Draw(t, "joined"), Muted: rapid.Bool().Draw(t, "muted")}
		}
		want := deviceEntry(Change{d(), d()})
		if want.aliasIsUnchanged {
			want.oldAlias, want.alias = "", "" // not carried
		}
		got, err := decodeEntry(want.encode())
		if err != nil || fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
			t.Fatalf("got %+v (%v), want %+v", got, err, want)
		}
		list := ids.Draw(t, "list")
		if back, err := UnpackTags(PackTags(list)); err != nil || !slices.Equal(back, list) {
			t.Fatalf("tags %v came back as %v (%v)", list, back, err)
		}
	})
}

func FuzzDecodeEntry(f *testing.F) {
	f.Add(deviceEntry(Change{nil, &Device{Ordinal: 1, Platform: IOS, Alias: "a", Tags: []uint32{1, 5}, Joined: true, Muted: true}}).encode())
	f.Add(entry{kind: tagDefined, tag: 7, name: "vip"}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		e, err := decodeEntry(data)
		if err != nil {
			return
		}
		again, err := decodeEntry(e.encode())
		if err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", e) {
			t.Errorf("%+v came back as %+v (%v)", e, again, err)
		}
	})
}
