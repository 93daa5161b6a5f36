package audience

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db/dbtest"
)

// crowd is a source of n devices with tags of different frequency: tag i is on one device in every[i-1].
type crowd struct{ n uint32 }

var every = []uint32{2, 3, 5, 10, 100, 1000}

func (c crowd) EachDevice(_ context.Context, _ int64, fn func(Device) error) error {
	r := rand.New(rand.NewPCG(1, 2))
	for o := uint32(1); o <= c.n; o++ {
		d := Device{Ordinal: o, Platform: Android + Platform(r.IntN(2)), Joined: r.IntN(20) > 0}
		for i, k := range every {
			if r.Uint32N(k) == 0 {
				d.Tags = append(d.Tags, uint32(i+1))
			}
		}
		if c.n <= 1_000_000 {
			d.Alias = fmt.Sprintf("u%d", o)
		}
		if err := fn(d); err != nil {
			return err
		}
	}
	return nil
}

func loadCrowd(b *testing.B, n uint32) *Index {
	b.Helper()
	d := dbtest.SQLite(b)
	if err := Migrate(context.Background(), d); err != nil {
		b.Fatal(err)
	}
	x := New(d, nil, crowd{n}, clock.System{}, slog.New(slog.DiscardHandler))
	s := x.state(1)
	s.sets = newSets(defaultAliasLimits())
	for i := range every {
		s.sets.define(uint32(i+1), fmt.Sprintf("t%d", i+1))
	}
	_ = x.src.EachDevice(context.Background(), 1, func(d Device) error { s.sets.load(d); return nil })
	s.ready.Store(true)
	return x
}

// fiveClauses is (t1 ∪ t2) ∩ t3 ∩ ¬(t4 ∪ t5) ∩ Android.
var fiveClauses = Expr{Tag: []string{"t1", "t2"}, TagAnd: []string{"t3"}, TagNot: []string{"t4", "t5"}, Platforms: PlatformSet(0).With(Android)}

// library holds the sets of the expression as the library's type.
type library struct {
	tags            map[uint32]*roaring.Bitmap
	joined, android *roaring.Bitmap
}

func newLibrary(x *Index, s *sets) *library {
	l := &library{map[uint32]*roaring.Bitmap{}, x.export(&s.joined), x.export(&s.platforms[Android])}
	for id, t := range s.tags {
		l.tags[id] = x.export(&t.set)
	}
	return l
}

// stepByStep is the same with one new bitmap for each operation, as a measure.
func (l *library) stepByStep() *roaring.Bitmap {
	t := func(i uint32) *roaring.Bitmap { return l.tags[i] }
	set := roaring.Or(t(1), t(2))
	set = roaring.And(set, t(3))
	set = roaring.AndNot(set, roaring.Or(t(4), t(5)))
	return roaring.And(set, roaring.And(l.joined, l.android))
}

func BenchmarkFiveClauses(b *testing.B) {
	for _, n := range []uint32{1_000_000, 10_000_000} {
		x := loadCrowd(b, n)
		lib := newLibrary(x, x.apps[1].sets)
		want := lib.stepByStep()
		if got, err := x.Evaluate(1, fiveClauses); err != nil || !got.Equals(want) {
			b.Fatalf("evaluated %d, want %d (%v)", got.GetCardinality(), want.GetCardinality(), err)
		}
		b.Run(fmt.Sprintf("count/%d", n), func(b *testing.B) {
			for b.Loop() {
				if got, _ := x.Count(1, fiveClauses); got != want.GetCardinality() {
					b.Fatal(got)
				}
			}
		})
		b.Run(fmt.Sprintf("evaluate/%d", n), func(b *testing.B) {
			for b.Loop() {
				_, _ = x.Evaluate(1, fiveClauses)
			}
		})
		b.Run(fmt.Sprintf("step by step/%d", n), func(b *testing.B) {
			for b.Loop() {
				lib.stepByStep().GetCardinality()
			}
		})
	}
}

func BenchmarkSmall(b *testing.B) {
	x := loadCrowd(b, 100_000)
	b.Run("sync", func(b *testing.B) {
		for b.Loop() {
			_ = x.Sync(context.Background(), 1)
		}
	})
	for name, e := range map[string]Expr{
		"one id":   {Ordinals: []uint32{77}, HasOrdinals: true, Platforms: AllPlatforms},
		"an alias": {Alias: []string{"u99"}, Platforms: AllPlatforms},
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			buf := make([]Target, 0, 8)
			for b.Loop() {
				if out, ok := x.EvaluateSmall(1, e, buf, 8); !ok || len(out) != 1 {
					b.Fatal(out, ok)
				}
			}
		})
	}
}
