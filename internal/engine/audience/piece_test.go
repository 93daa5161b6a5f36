package audience

import (
	"bytes"
	"slices"
	"testing"

	"pgregory.net/rapid"
)

// drawChunk is one of any size, in the form that a set would have it in.
func drawChunk(t *rapid.T) *chunk {
	n := rapid.SampledFrom([]int{1, 2, 100, 255, 3000, 3500, 4096, 4097, 9000, 60_000}).Draw(t, "n")
	stride := rapid.SampledFrom([]int{1, 2, 17, 254, 255, 256, 257, 5000}).Draw(t, "stride")
	from := rapid.IntRange(0, 1<<16-1).Draw(t, "from")
	c := &chunk{}
	for i := range n {
		c.add(uint16(from + i*stride)) // around the end too
	}
	for range rapid.SampledFrom([]int{0, 0, 1500}).Draw(t, "removed") {
		if c.n > 1 {
			c.remove(uint16(from))
			from += stride
		}
	}
	return c
}

func TestPartRoundTrip(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		var (
			data []byte
			want part
		)
		for range rapid.IntRange(0, 5).Draw(t, "pieces") {
			key := rapid.Uint16().Draw(t, "key")
			switch rapid.IntRange(1, 4).Draw(t, "kind") {
			case 1:
				p := new(page)
				for range rapid.IntRange(0, 50).Draw(t, "devices") {
					p[rapid.Uint16().Draw(t, "device")] = rapid.Uint8Range(1, uint8(IoT)).Draw(t, "platform") | rapid.SampledFrom([]uint8{0, joinedBit, joinedBit | mutedBit}).Draw(t, "joined")
				}
				want.pages = append(want.pages, statePage{key, p})
				data = appendPage(data, int(key), p)
			case 2:
				id, c := rapid.Uint32().Draw(t, "id"), drawChunk(t)
				want.tags = append(want.tags, tagChunk{id, key, *c})
				data = appendTagChunk(data, id, key, c)
			case 3:
				b := newBucket(0, 0, 0)
				for range rapid.IntRange(0, 20).Draw(t, "aliases") {
					holders := rapid.SliceOfNDistinct(rapid.Uint32(), 1, maxHolders, rapid.ID[uint32]).Draw(t, "holders")
					slices.Sort(holders)
					b.makeRoom(newAliases(defaultAliasLimits()).seed)
					b.insert(rapid.Uint64().Draw(t, "hash"), rapid.StringN(1, 10, MaxNameBytes).Draw(t, "alias"), holders...)
				}
				b.each(func(_, record []byte) { want.records = append(want.records, record) })
				data = appendBucket(data, b)
			case 4:
				alias, c := rapid.StringN(1, -1, 100).Draw(t, "alias"), drawChunk(t)
				want.crowds = append(want.crowds, crowdChunk{alias, key, *c})
				data = appendCrowdChunk(data, alias, key, c)
			}
		}
		var got part
		if err := got.read(data); err != nil {
			t.Fatal(err)
		}
		equal := func(a, b chunk) bool {
			return a.n == b.n && slices.Equal(a.list, b.list) && (a.words == b.words || a.words != nil && b.words != nil && *a.words == *b.words)
		}
		if !slices.EqualFunc(got.pages, want.pages, func(a, b statePage) bool { return a.key == b.key && *a.states == *b.states }) ||
			!slices.EqualFunc(got.tags, want.tags, func(a, b tagChunk) bool { return a.id == b.id && a.key == b.key && equal(a.chunk, b.chunk) }) ||
			!slices.EqualFunc(got.crowds, want.crowds, func(a, b crowdChunk) bool {
				return a.alias == b.alias && a.key == b.key && equal(a.chunk, b.chunk)
			}) || !slices.EqualFunc(got.records, want.records, bytes.Equal) {
			t.Fatalf("got %d, %d, %d, %d pieces, want %d, %d, %d, %d, or they differ", len(got.pages), len(got.tags), len(got.records), len(got.crowds),
				len(want.pages), len(want.tags), len(want.records), len(want.crowds))
		}
	})
}

// Whatever a part contains, reading it ends with the sets or an error, and chunks that are read have a form that sets
// can work with.
func FuzzReadPart(f *testing.F) {
	c := &chunk{}
	for i := range 300 {
		c.add(uint16(i * 7))
	}
	b := newBucket(0, 1, 0)
	b.insert(1, "alias", 1, 2, 3)
	p := new(page)
	p[7], p[8], p[9] = uint8(Android)|joinedBit, uint8(Web), uint8(IOS)|joinedBit|mutedBit
	f.Add(appendTagChunk(appendPage(nil, 0, p), 1, 3, c))
	f.Add(appendCrowdChunk(appendBucket(nil, b), "crowd", 3, c))
	f.Fuzz(func(t *testing.T, data []byte) {
		var p part
		if p.read(data) != nil {
			return
		}
		a := &assembly{sets: newSets(defaultAliasLimits())}
		a.sets.define(1, "tag")
		if !a.add(&p) {
			return
		}
		a.finish()
		for id := range a.sets.tags {
			for _, c := range a.sets.tags[id].set.chunks {
				if c.n == 0 || c.words != nil && (c.n < minWords || c.n != c.words.count()) || c.words == nil && (c.n > maxList || c.n != len(c.list) || !slices.IsSorted(c.list)) {
					t.Errorf("a chunk of %d has the wrong form", c.n)
				}
			}
		}
		var again part
		from, _ := newCollector(a.sets)
		for {
			b := from.collect(nil, 1)
			if len(b) == 0 {
				break
			}
			if err := again.read(b); err != nil {
				t.Fatalf("what was read cannot be written: %v", err)
			}
		}
	})
}
