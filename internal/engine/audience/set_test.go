package audience

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"
)

// A set in all its forms — lists, words, chunks that change from one to the other and back — has the members that the
// library's type has after the same changes, and so have expressions over such sets.
func TestSetAgreesWithLibrary(t *testing.T) {
	t.Parallel()
	x := &Index{log: slog.New(slog.DiscardHandler)}
	rapid.Check(t, func(t *rapid.T) {
		var (
			mine   [4]set
			theirs [4]*roaring.Bitmap
		)
		for i := range mine {
			theirs[i] = roaring.New()
			for range rapid.IntRange(0, 6).Draw(t, "steps") {
				from := rapid.Uint32Range(0, 3).Draw(t, "chunk")<<16 + rapid.Uint32Range(0, 60_000).Draw(t, "from")
				n := rapid.SampledFrom([]uint32{1, 100, 255, 256, 257, 3000, 4096, 4097, 9000}).Draw(t, "n")
				stride := rapid.Uint32Range(1, 5).Draw(t, "stride")
				remove := rapid.IntRange(0, 2).Draw(t, "remove") == 0
				for k := range n {
					if o := from + k*stride; remove {
						mine[i].remove(o)
						theirs[i].Remove(o)
					} else {
						mine[i].add(o)
						theirs[i].Add(o)
					}
				}
			}
			if got := x.export(&mine[i]); !got.Equals(theirs[i]) || mine[i].n != theirs[i].GetCardinality() || got.Validate() != nil {
				t.Fatalf("set of %d differs from the library's of %d (%v)", mine[i].n, theirs[i].GetCardinality(), got.Validate())
			}
			for _, c := range mine[i].chunks {
				if c.n == 0 || c.words != nil && c.n < minWords || c.words == nil && c.n > maxList {
					t.Fatalf("a chunk of %d has the wrong form", c.n)
				}
			}
		}
		if got := mine[0].intersects(&mine[1]); got != theirs[0].Intersects(theirs[1]) {
			t.Fatalf("intersects: %v", got)
		}
		pick := func(label string, least int) (out []*set, which []*roaring.Bitmap) {
			for range rapid.IntRange(least, 3).Draw(t, label) {
				i := rapid.IntRange(0, 3).Draw(t, label)
				out, which = append(out, &mine[i]), append(which, theirs[i])
			}
			return out, which
		}
		group, inGroup := pick("group", 1)
		all, inAll := pick("all", 0)
		not, inNot := pick("not", 0)
		p := plan{all: all, not: not, groups: [][]*set{group}}
		slices.SortFunc(p.all, func(a, b *set) int { return len(a.keys) - len(b.keys) })
		want := roaring.FastOr(inGroup...)
		for _, b := range inAll {
			want.And(b)
		}
		for _, b := range inNot {
			want.AndNot(b)
		}
		got, err := x.build(func(b *builder) { p.run(nil, b.add) })
		if err != nil || !got.Equals(want) || got.Validate() != nil {
			t.Fatalf("expression: %d members, want %d (%v, %v)", got.GetCardinality(), want.GetCardinality(), err, got.Validate())
		}
		if len(p.keys()) > 0 {
			again, err := x.bitmap(&p)
			if err != nil || !again.Equals(want) || again.Validate() != nil {
				t.Fatalf("as words: %d members, want %d (%v, %v)", again.GetCardinality(), want.GetCardinality(), err, again.Validate())
			}
		}
		if n := p.count(); n != want.GetCardinality() {
			t.Fatalf("counted %d, want %d", n, want.GetCardinality())
		}
	})
}

func TestCheckName(t *testing.T) {
	t.Parallel()
	for name, ok := range map[string]bool{
		"a": true, "A_9": true, "@!#$&*+=.|￥": true, "中文标签": true, "カタ": true, "0123456789012345678901234567890123456789": true,
		"": false, "01234567890123456789012345678901234567890": false, "a b": false, "a-b": false, "a/b": false, "é": false,
		"\xff": false, "a\x00": false, "\ufffd": false, "中文标签中文标签中文标签中文": false,
	} {
		if err := CheckTag(name); (err == nil) != ok {
			t.Errorf("%q: %v", name, err)
		}
		if (CheckAlias(name) == nil) != ok {
			t.Errorf("%q as an alias", name)
		}
	}
}

func FuzzCheckName(f *testing.F) {
	f.Add("中a+\xff")
	f.Fuzz(func(t *testing.T, s string) {
		if CheckTag(s) == nil && (len(s) == 0 || len(s) > MaxNameBytes || slices.ContainsFunc([]rune(s), func(r rune) bool { return !nameRune(r) })) {
			t.Errorf("%q is accepted", s)
		}
	})
}
