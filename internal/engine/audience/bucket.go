package audience

import (
	"encoding/binary"
	"hash/maphash"
)

// bucket is a hash table of records. A record is the number of holders, the length of the alias (a byte each), the
// alias, and the holders, ascending, four bytes each.
type bucket struct {
	depth int
	// slots hold a byte of the hash and, in 24 bits, the record's place in arena. The first byte of arena is no
	// record's, so a slot is 0 if it is free and gone if it was used.
	slots []uint32
	arena []byte
	n     int // records
	used  int // slots that are not free
	dead  int // bytes of arena that are nobody's
}

const gone = 1 << 24

func newBucket(depth, records, size int) *bucket {
	return &bucket{depth: depth, slots: make([]uint32, slotsFor(records)), arena: make([]byte, 1, 1+size+size/16)}
}

// live is the size of all records.
func (b *bucket) live() int { return len(b.arena) - 1 - b.dead }

func (b *bucket) slotOf(hash uint64) int       { return int(hash>>8) & (len(b.slots) - 1) }
func (b *bucket) next(slot int) int            { return (slot + 1) & (len(b.slots) - 1) }
func (b *bucket) record(slot int) []byte       { return b.arena[b.slots[slot]&(1<<24-1):] }
func (b *bucket) taken(slot int) bool          { return b.slots[slot]&(1<<24-1) != 0 }
func recordAlias(r []byte) []byte              { return r[2 : 2+r[1]] }
func recordSize(aliasLen int, holders int) int { return 2 + aliasLen + 4*holders }

// find is the slot of an alias, -1 if it is not here. A nil bucket has none.
func (b *bucket) find(hash uint64, alias string) int {
	if b == nil {
		return -1
	}
	for slot := b.slotOf(hash); b.slots[slot] != 0; slot = b.next(slot) {
		if b.taken(slot) && byte(b.slots[slot]>>24) == byte(hash) && string(recordAlias(b.record(slot))) == alias {
			return slot
		}
	}
	return -1
}

// holders appends those of a record to buf.
func (b *bucket) holders(slot int, buf []uint32) []uint32 {
	r := b.record(slot)
	at := r[2+r[1]:]
	for i := range int(r[0]) {
		buf = append(buf, binary.LittleEndian.Uint32(at[4*i:]))
	}
	return buf
}

// insert adds a record for an alias that has none; makeRoom was called since the last one.
func (b *bucket) insert(hash uint64, alias string, holders ...uint32) {
	at := b.reserve(recordSize(len(alias), len(holders)))
	r := b.arena[at:]
	r[0], r[1] = byte(len(holders)), byte(len(alias))
	r = r[2+copy(r[2:], alias):]
	for i, o := range holders {
		binary.LittleEndian.PutUint32(r[4*i:], o)
	}
	b.link(hash, at)
}

// append is insert of a copied record.
func (b *bucket) append(hash uint64, record []byte) {
	at := b.reserve(len(record))
	copy(b.arena[at:], record)
	b.link(hash, at)
}

// reserve adds size bytes to the arena, whose capacity grows in small steps, because there are thousands.
func (b *bucket) reserve(size int) (at int) {
	at = len(b.arena)
	if at+size > cap(b.arena) {
		arena := make([]byte, at, at+at/8+size+16)
		copy(arena, b.arena)
		b.arena = arena
	}
	b.arena = b.arena[:at+size]
	return at
}

func (b *bucket) link(hash uint64, at int) {
	slot := b.slotOf(hash)
	for b.taken(slot) {
		slot = b.next(slot)
	}
	if b.slots[slot] == 0 {
		b.used++
	}
	b.slots[slot] = uint32(byte(hash))<<24 | uint32(at)
	b.n++
}

func (b *bucket) remove(slot int) {
	r := b.record(slot)
	b.dead += recordSize(int(r[1]), int(r[0]))
	b.slots[slot] = gone
	b.n--
	if b.n == 0 {
		*b = *newBucket(b.depth, 0, 0)
	}
}

// shrink replaces the holders of a record by fewer.
func (b *bucket) shrink(slot int, holders []uint32) {
	r := b.record(slot)
	b.dead += 4 * (int(r[0]) - len(holders))
	r[0] = byte(len(holders))
	for i, o := range holders {
		binary.LittleEndian.PutUint32(r[2+int(r[1])+4*i:], o)
	}
}

// makeRoom sees to a free slot for one more record, and throws away what is dead if that is much.
func (b *bucket) makeRoom(seed maphash.Seed) {
	if b.used < len(b.slots)/4*3 && b.dead <= 64+b.live()/4 {
		return
	}
	fresh := newBucket(b.depth, b.n+1, b.live())
	b.each(func(alias, record []byte) { fresh.append(maphash.Bytes(seed, alias), record) })
	*b = *fresh
}

// each calls fn for every record, in any order.
func (b *bucket) each(fn func(alias, record []byte)) {
	for slot := range b.slots {
		if b.taken(slot) {
			r := b.record(slot)
			fn(recordAlias(r), r[:recordSize(int(r[1]), int(r[0]))])
		}
	}
}
