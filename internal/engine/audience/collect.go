package audience

import (
	"maps"
	"slices"
)

// collector goes once through the sets of an app while they change, a part at a time. What it copies contains at least
// what the sets contained when it began, and perhaps some of what came later; following the log from the position at
// which it began makes up for that, as it does for rows (see the package comment).
//
// Each place is visited before what could move past it: buckets before crowds, because aliases move from the one to
// the other and never back; buckets in the order of their hashes, because they split and never join.
type collector struct {
	sets *sets
	page int
	// tags are those that existed at the beginning, ascending; nobody had those that came later.
	tags []uint32
	tag  int
	key  int    // of the next chunk of the tag or crowd
	hash uint64 // the first hash of the next bucket
	end  bool   // of the buckets
	// crowds are those that existed when the buckets ended.
	crowds []string
	crowd  int
}

// newCollector notes the position too. The caller holds state.mu.
func newCollector(s *sets) (c *collector, pos int64) {
	return &collector{sets: s, tags: slices.Sorted(maps.Keys(s.tags))}, s.pos
}

// collect appends pieces to b until it has about size bytes; it appends nothing when all was collected. The caller
// holds state.mu, and the sets still are the app's.
func (c *collector) collect(b []byte, size int) []byte {
	for len(b) < size && c.page < len(c.sets.pages) {
		if p := c.sets.pages[c.page]; p != nil {
			b = appendPage(b, c.page, p)
		}
		c.page++
	}
	for len(b) < size && c.tag < len(c.tags) {
		id := c.tags[c.tag]
		if t := c.sets.tags[id]; t != nil {
			b = c.chunks(b, size, &t.set, func(b []byte, key uint16, ch *chunk) []byte { return appendTagChunk(b, id, key, ch) })
		} else {
			c.key = allKeys
		}
		if c.key == allKeys {
			c.tag, c.key = c.tag+1, 0
		}
	}
	for len(b) < size && !c.end {
		b = c.bucket(b)
	}
	for len(b) < size && c.end && c.crowd < len(c.crowds) {
		alias := c.crowds[c.crowd]
		if set := c.sets.aliases.crowds[alias]; set != nil {
			b = c.chunks(b, size, set, func(b []byte, key uint16, ch *chunk) []byte { return appendCrowdChunk(b, alias, key, ch) })
		} else {
			c.key = allKeys
		}
		if c.key == allKeys {
			c.crowd, c.key = c.crowd+1, 0
		}
	}
	return b
}

// allKeys is the key after the last possible one.
const allKeys = 1 << 16

// chunks appends those of a set from c.key on, and leaves the next key there.
func (c *collector) chunks(b []byte, size int, s *set, add func([]byte, uint16, *chunk) []byte) []byte {
	for len(b) < size {
		if c.key == allKeys {
			return b
		}
		i, _ := slices.BinarySearch(s.keys, uint16(c.key))
		if i == len(s.keys) {
			c.key = allKeys
			return b
		}
		b = add(b, s.keys[i], &s.chunks[i])
		c.key = int(s.keys[i]) + 1
	}
	return b
}

func (c *collector) bucket(b []byte) []byte {
	a := c.sets.aliases
	depth := a.depth
	if from := a.dir[a.place(c.hash)]; from != nil {
		depth = from.depth
		if from.n > 0 {
			b = appendBucket(b, from)
		}
	}
	// With depth 0 the step is 0, which is the end too.
	if c.hash += 1 << (64 - depth); c.hash == 0 {
		c.end = true
		c.crowds = slices.Sorted(maps.Keys(a.crowds))
	}
	return b
}
