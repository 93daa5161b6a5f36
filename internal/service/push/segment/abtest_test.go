package segment

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestGroupsDivideTheAudience(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		for i := range 60 {
			r.joined([]audience.Platform{audience.Android, audience.IOS}[i%2], "", "x")
		}
		base := r.segment(`{"platform":["android"]}`)
		test, err := r.CreateTest(ctx, r.app(), "t", json.RawMessage(`{"segment":["`+base+`"]}`), []TestGroup{{Name: "a", Percent: 50}, {Name: "b", Percent: 30}})
		if err != nil {
			t.Fatal(err)
		}
		resolve := func() []*roaring.Bitmap {
			t.Helper()
			out := make([]*roaring.Bitmap, 2)
			for i, g := range test.Groups {
				if out[i], err = r.ResolveABTest(ctx, r.app(), g.ID); err != nil {
					t.Fatal(err)
				}
			}
			return out
		}
		before := resolve()
		all := roaring.BitmapOf(r.who(base)...)
		both := roaring.Or(before[0], before[1])
		if before[0].IsEmpty() || before[1].IsEmpty() || before[0].Intersects(before[1]) || !roaring.AndNot(both, all).IsEmpty() || both.GetCardinality() == all.GetCardinality() {
			t.Errorf("groups %v and %v of %v", before[0], before[1], all)
		}
		n, counts, err := r.CountTest(ctx, r.app(), test.ID)
		if err != nil || n != all.GetCardinality() || !slices.Equal(counts, []uint64{before[0].GetCardinality(), before[1].GetCardinality()}) {
			t.Errorf("counted %d, %v (%v)", n, counts, err)
		}
		// Who was in a group stays in it when others join.
		for range 60 {
			r.joined(audience.Android, "")
		}
		for i, now := range resolve() {
			if !roaring.AndNot(before[i], now).IsEmpty() || now.GetCardinality() <= before[i].GetCardinality() || !roaring.And(now, all).Equals(before[i]) {
				t.Errorf("group %d was %v, is %v", i, before[i], now)
			}
		}
		for _, id := range []string{"", "nobody", "a\x00b", test.ID, "abg_0123456789abcdef0123456789abcdef"} {
			if set, err := r.ResolveABTest(ctx, r.app(), id); err != nil || !set.IsEmpty() {
				t.Errorf("%q: %v (%v)", id, set, err)
			}
		}
		if set, err := r.ResolveABTest(ctx, r.devices.App(2), test.Groups[0].ID); err != nil || !set.IsEmpty() {
			t.Errorf("for another app: %v (%v)", set, err)
		}
	})
}

// The division must never change: pushes of a running test would go to others than before.
func TestDivisionIsFixed(t *testing.T) {
	t.Parallel()
	s := newSplit("abt_0123456789abcdef0123456789abcdef")
	got := []int{}
	for _, o := range []uint32{0, 1, 2, 3, 65535, 65536, 9_999_999, math.MaxUint32} {
		got = append(got, s.of(o))
	}
	if want := []int{41, 50, 26, 23, 25, 95, 53, 48}; !slices.Equal(got, want) {
		t.Errorf("hundredths %v, want %v", got, want)
	}
}

func TestDivisionIsEvenAndIndependent(t *testing.T) {
	t.Parallel()
	const devices = 1_000_000
	all := roaring.New()
	all.AddRange(0, devices)
	one, two := newSplit("abt_1"), newSplit("abt_2")
	for i, n := range one.counts(all) {
		// 10,000 are expected in each, with a standard deviation of 99.5.
		if n < 9_450 || n > 10_550 {
			t.Errorf("%d devices in hundredth %d", n, i)
		}
	}
	// Of the half of one test, half is in the half of another: 250,000, with a standard deviation of 433.
	if n := roaring.And(one.part(all, 0, 50), two.part(all, 0, 50)).GetCardinality(); n < 247_500 || n > 252_500 {
		t.Errorf("%d devices in both halves", n)
	}
}

func TestPartsAreDisjointAndComplete(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		s := newSplit(rapid.String().Draw(r, "test"))
		highest := rapid.SampledFrom([]uint32{5000, maxDense, 1 << 31}).Draw(r, "highest") // as bits or not
		set := roaring.BitmapOf(rapid.SliceOf(rapid.Uint32Max(highest)).Draw(r, "devices")...)
		start := rapid.Uint32Max(highest).Draw(r, "start")
		set.AddRange(uint64(start), uint64(start)+uint64(rapid.IntRange(0, 10_000).Draw(r, "more")))
		cuts := rapid.SliceOfN(rapid.IntRange(0, hundredths), 0, 5).Draw(r, "cuts")
		cuts = append(cuts, 0, hundredths)
		slices.Sort(cuts)
		union, sum := roaring.New(), uint64(0)
		for i := range len(cuts) - 1 {
			part := s.part(set, cuts[i], cuts[i+1])
			sum += part.GetCardinality()
			for it := part.Iterator(); it.HasNext(); {
				if h := s.of(it.Next()); h < cuts[i] || h >= cuts[i+1] {
					r.Fatalf("hundredth %d in the part from %d to %d", h, cuts[i], cuts[i+1])
				}
			}
			union.Or(part)
		}
		if !union.Equals(set) || sum != set.GetCardinality() {
			r.Fatalf("parts at %v have %d of %d", cuts, sum, set.GetCardinality())
		}
	})
}

func BenchmarkPart(b *testing.B) {
	for _, devices := range []uint64{1_000_000, 10_000_000} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			all := roaring.New()
			all.AddRange(0, devices)
			s := newSplit("abt_1")
			for b.Loop() {
				s.part(all, 0, 50)
			}
		})
	}
}
