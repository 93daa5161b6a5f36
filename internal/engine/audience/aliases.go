package audience

import (
	"hash/maphash"
	"math/bits"
	"slices"
)

// aliases finds the devices of an alias. There may be as many aliases as devices, so they are kept without a pointer
// each: in buckets by hash, which split in two when they are full (extendible hashing). A change therefore costs
// at most one bucket's work, and growing never moves everything at once.
//
// An alias is in a bucket, or in crowds if it has more than maxHolders devices or is longer than a name may be. It
// leaves crowds only when nobody has it any more: a snapshot, which copies the buckets first, relies on that.
type aliases struct {
	seed maphash.Seed
	// dir has 1<<depth places, by the highest bits of the hash; a bucket of less depth fills several. nil is empty.
	dir    []*bucket
	depth  int
	crowds map[string]*set
	limits aliasLimits
}

// aliasLimits are maxHolders and bucketSize, or less in tests.
type aliasLimits struct{ holders, bucket int }

func defaultAliasLimits() aliasLimits { return aliasLimits{maxHolders, bucketSize} }

const (
	// maxHolders is how many devices a record in a bucket has.
	maxHolders = 8
	// bucketSize is the number of aliases at which a bucket splits: a hundred kilobytes at most.
	bucketSize = 3072
)

func newAliases(limits aliasLimits) *aliases {
	return &aliases{seed: maphash.MakeSeed(), dir: make([]*bucket, 1), crowds: make(map[string]*set), limits: limits}
}

// place is the index in dir for a hash.
func (a *aliases) place(hash uint64) int { return int(hash >> (64 - a.depth)) }

// bind gives an alias, which is not empty, to a device.
func (a *aliases) bind(alias string, ordinal uint32) {
	if c := a.crowd(alias); c != nil {
		c.add(ordinal)
		return
	}
	if len(alias) > MaxNameBytes {
		a.crowds[alias] = &set{}
		a.crowds[alias].add(ordinal)
		return
	}
	hash := maphash.String(a.seed, alias)
	b := a.dir[a.place(hash)]
	slot := b.find(hash, alias)
	if slot < 0 {
		a.roomy(hash).insert(hash, alias, ordinal)
		return
	}
	var buf [maxHolders + 1]uint32
	holders := b.holders(slot, buf[:0])
	i, found := slices.BinarySearch(holders, ordinal)
	if found {
		return
	}
	holders = slices.Insert(holders, i, ordinal)
	b.remove(slot)
	if len(holders) > a.limits.holders {
		c := &set{}
		for _, o := range holders {
			c.add(o)
		}
		a.crowds[alias] = c
		return
	}
	a.roomy(hash).insert(hash, alias, holders...)
}

// add takes a record over from a snapshot; false if the alias is here already.
func (a *aliases) add(hash uint64, record []byte) bool {
	b := a.roomy(hash)
	if b.find(hash, string(recordAlias(record))) >= 0 {
		return false
	}
	b.append(hash, record)
	return true
}

// unbind takes an alias from a device.
func (a *aliases) unbind(alias string, ordinal uint32) {
	if c := a.crowd(alias); c != nil {
		if c.remove(ordinal); c.n == 0 {
			delete(a.crowds, alias)
		}
		return
	}
	hash := maphash.String(a.seed, alias)
	b := a.dir[a.place(hash)]
	slot := b.find(hash, alias)
	if slot < 0 {
		return
	}
	var buf [maxHolders]uint32
	holders := b.holders(slot, buf[:0])
	i, found := slices.BinarySearch(holders, ordinal)
	switch {
	case !found:
	case len(holders) == 1:
		b.remove(slot)
	default:
		b.shrink(slot, slices.Delete(holders, i, i+1))
	}
}

// holders appends the devices of an alias to buf, ascending.
func (a *aliases) holders(alias string, buf []uint32) []uint32 {
	if c := a.crowd(alias); c != nil {
		return c.appendTo(buf)
	}
	hash := maphash.String(a.seed, alias)
	b := a.dir[a.place(hash)]
	if slot := b.find(hash, alias); slot >= 0 {
		return b.holders(slot, buf)
	}
	return buf
}

func (a *aliases) crowd(alias string) *set {
	if len(a.crowds) == 0 {
		return nil
	}
	return a.crowds[alias]
}

// roomy is the bucket of a hash with room for one more record.
func (a *aliases) roomy(hash uint64) *bucket {
	for {
		i := a.place(hash)
		b := a.dir[i]
		switch {
		case b == nil:
			b = newBucket(a.depth, 0, 0)
			a.dir[i] = b
			return b
		case b.n < a.limits.bucket:
			b.makeRoom(a.seed)
			return b
		}
		a.split(i)
	}
}

// split replaces a bucket by two.
func (a *aliases) split(i int) {
	b := a.dir[i]
	if b.depth == a.depth {
		dir := make([]*bucket, 2*len(a.dir))
		for k, b := range a.dir {
			dir[2*k], dir[2*k+1] = b, b
		}
		a.dir, i = dir, 2*i
		a.depth++
	}
	depth := b.depth + 1
	parts := [2]*bucket{newBucket(depth, b.n/2, b.live()/2), newBucket(depth, b.n/2, b.live()/2)}
	b.each(func(alias, record []byte) {
		hash := maphash.Bytes(a.seed, alias)
		part := parts[hash>>(64-depth)&1]
		part.makeRoom(a.seed)
		part.append(hash, record)
	})
	// The places of b are those with its bits in front.
	width := 1 << (a.depth - b.depth)
	first := i &^ (width - 1)
	for k := range width {
		a.dir[first+k] = parts[k*2/width]
	}
}

// memory is the number of bytes the buckets take.
func (a *aliases) memory() (n int) {
	n = 8 * len(a.dir)
	for i, b := range a.dir {
		if b != nil && (i == 0 || a.dir[i-1] != b) {
			n += cap(b.arena) + 4*len(b.slots)
		}
	}
	return n
}

// count is the number of aliases.
func (a *aliases) count() (n int) {
	for i, b := range a.dir {
		if b != nil && (i == 0 || a.dir[i-1] != b) {
			n += b.n
		}
	}
	return n + len(a.crowds)
}

// slotsFor is the size of a table for n records: less than five eighths are used, so that there is room for more.
func slotsFor(n int) int { return max(8, 1<<bits.Len(uint(n*8/5))) }
