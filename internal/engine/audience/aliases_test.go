package audience

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// Aliases in buckets of any size, with few holders or many, have the holders that a map has after the same changes.
func TestAliasesAgreeWithMap(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := newAliases(aliasLimits{
			holders: rapid.SampledFrom([]int{1, 2, maxHolders}).Draw(t, "most holders"),
			bucket:  rapid.SampledFrom([]int{1, 2, 7, bucketSize}).Draw(t, "most in a bucket"),
		})
		want := map[string]map[uint32]bool{}
		names := rapid.SampledFrom([]int{1, 5, 300}).Draw(t, "names")
		devices := rapid.SampledFrom([]uint32{2, 20, 1000}).Draw(t, "devices")
		random := rapid.Uint64().Draw(t, "seed")
		less := func(n uint64) uint64 { // a cheap source: thousands of draws would be slow
			random = random*6364136223846793005 + 1442695040888963407
			return (random >> 33) % n
		}
		unbinds := rapid.Uint64Range(0, 6).Draw(t, "unbinds")
		for range rapid.IntRange(0, 4000).Draw(t, "steps") {
			name := fmt.Sprintf("n%d", less(uint64(names)))
			if less(50) == 0 {
				name = strings.Repeat(name, 15) // longer than a name may be
			}
			o := uint32(less(uint64(devices)))
			if less(10) < unbinds {
				a.unbind(name, o)
				if delete(want[name], o); len(want[name]) == 0 {
					delete(want, name)
				}
				continue
			}
			a.bind(name, o)
			if want[name] == nil {
				want[name] = map[uint32]bool{}
			}
			want[name][o] = true
		}
		for name, holders := range want {
			got := a.holders(name, []uint32{7})
			if got[0] != 7 || !slices.Equal(got[1:], slices.Sorted(maps.Keys(holders))) {
				t.Fatalf("%s: %v, want %v", name, got, holders)
			}
		}
		for i := range names + 1 {
			name := fmt.Sprintf("n%d", i)
			if got := a.holders(name, nil); len(got) != len(want[name]) {
				t.Fatalf("%s: %v, want %v", name, got, want[name])
			}
		}
		if a.count() != len(want) {
			t.Fatalf("%d aliases, want %d", a.count(), len(want))
		}
	})
}

// What changed hands many times takes no more memory than what did not.
func TestAliasesDoNotLeak(t *testing.T) {
	t.Parallel()
	a := newAliases(defaultAliasLimits())
	for o := range uint32(50_000) {
		a.bind(fmt.Sprintf("user%d", o), o)
	}
	before := a.memory()
	for round := range 20 {
		for o := range uint32(50_000) {
			a.unbind(fmt.Sprintf("user%d", o), o+uint32(round))
			a.bind(fmt.Sprintf("user%d", o), o+uint32(round)+1)
		}
	}
	if after := a.memory(); after > before*3/2 {
		t.Errorf("%d bytes, before %d", after, before)
	}
	if per := before / 50_000; per > 40 {
		t.Errorf("%d bytes for an alias", per)
	}
}
