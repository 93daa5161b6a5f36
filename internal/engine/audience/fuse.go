package audience

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"math/bits"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// plan is an expression over whole sets: the intersection of all, with the union of each group, less every one of not.
// all is not empty unless groups is not. The sets belong to the index.
type plan struct {
	all    []*set
	groups [][]*set
	not    []*set
	empty  bool
}

func (s *sets) plan(e Expr) plan {
	var p plan
	p.union(s.onPlatforms(e.Platforms))
	if len(e.Tag) > 0 {
		p.union(s.some(e.Tag))
	}
	for _, name := range e.TagAnd {
		if b := s.tag(name); b != nil {
			p.all = append(p.all, b)
		} else {
			p.empty = true
		}
	}
	p.not = s.some(e.TagNot)
	slices.SortFunc(p.all, func(a, b *set) int { return len(a.keys) - len(b.keys) })
	return p
}

func (p *plan) union(sets []*set) {
	switch len(sets) {
	case 0:
		p.empty = true
	case 1:
		p.all = append(p.all, sets[0])
	default:
		p.groups = append(p.groups, sets)
	}
}

// keys are those of the chunks that can have members.
func (p *plan) keys() []uint16 {
	if len(p.all) > 0 {
		return p.all[0].keys
	}
	var keys []uint16
	for _, s := range p.groups[0] {
		keys = append(keys, s.keys...)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// few is the size up to which a chunk's members are looked up one by one instead of being combined as words.
const few = 256

// run evaluates chunk by chunk in one buffer and calls emit for each that is not empty, with the members as a list if
// that was at hand, or else as words. Both are valid during the call only.
func (p *plan) run(emit func(key uint16, n int, list []uint16, w *words)) {
	if p.empty {
		return
	}
	s := stage{
		all:    make([]*chunk, 0, len(p.all)),
		groups: make([][]*chunk, len(p.groups)),
		not:    make([]*chunk, 0, len(p.not)),
	}
	for _, key := range p.keys() {
		if !s.gather(p, key) {
			continue
		}
		if c := smallest(s.all); c != nil && c.words == nil && c.n <= few {
			if found := s.pick(c.list); len(found) > 0 {
				emit(key, len(found), found, nil)
			}
			continue
		}
		s.combine()
		if n := s.acc.count(); n > 0 {
			emit(key, n, nil, &s.acc)
		}
	}
}

// stage is where one chunk after the other is evaluated: a plan's sets at one key, and the memory for the result.
type stage struct {
	all    []*chunk
	groups [][]*chunk
	not    []*chunk

	acc, tmp words
	found    [few]uint16
}

// gather takes the chunks of a key from the plan's sets; false: nothing can be a member there.
func (s *stage) gather(p *plan, key uint16) bool {
	s.all = s.all[:0]
	for _, set := range p.all {
		c := set.at(key)
		if c == nil {
			return false
		}
		s.all = append(s.all, c)
	}
	for i, group := range p.groups {
		if s.groups[i] = appendChunks(s.groups[i][:0], group, key); len(s.groups[i]) == 0 {
			return false
		}
	}
	s.not = appendChunks(s.not[:0], p.not, key)
	return true
}

// appendChunks appends those of the sets' chunks of a key that exist.
func appendChunks(to []*chunk, sets []*set, key uint16) []*chunk {
	for _, set := range sets {
		if c := set.at(key); c != nil {
			to = append(to, c)
		}
	}
	return to
}

// pick looks up candidates, at most few, one by one.
func (s *stage) pick(candidates []uint16) []uint16 {
	found := s.found[:0]
	for _, v := range candidates {
		if s.matches(v) {
			found = append(found, v)
		}
	}
	return found
}

// combine leaves the members in acc.
func (s *stage) combine() {
	groups := s.groups
	if len(s.all) > 0 {
		s.acc.copy(s.all[0])
		for _, c := range s.all[1:] {
			s.acc.and(c, &s.tmp)
		}
	} else {
		s.acc.copyAny(groups[0])
		groups = groups[1:]
	}
	for _, group := range groups {
		s.acc.andAny(group, &s.tmp)
	}
	for _, c := range s.not {
		s.acc.not(c)
	}
}

func smallest(chunks []*chunk) *chunk {
	var least *chunk
	for _, c := range chunks {
		if least == nil || c.n < least.n {
			least = c
		}
	}
	return least
}

func (s *stage) matches(v uint16) bool {
	has := func(c *chunk) bool { return c.has(v) }
	for _, c := range s.all {
		if !c.has(v) {
			return false
		}
	}
	for _, group := range s.groups {
		if !slices.ContainsFunc(group, has) {
			return false
		}
	}
	return !slices.ContainsFunc(s.not, has)
}

func (w *words) copy(c *chunk) {
	if c.words != nil {
		*w = *c.words
		return
	}
	*w = words{}
	w.or(c)
}

// copyAny makes w the union of a group.
func (w *words) copyAny(group []*chunk) {
	w.copy(group[0])
	for _, c := range group[1:] {
		w.or(c)
	}
}

func (w *words) or(c *chunk) {
	if c.words == nil {
		for _, v := range c.list {
			w.add(v)
		}
		return
	}
	for i := range w {
		w[i] |= c.words[i]
	}
}

func (w *words) and(c *chunk, tmp *words) {
	if c.words == nil {
		tmp.copy(c)
		w.andWords(tmp)
		return
	}
	w.andWords(c.words)
}

func (w *words) andWords(x *words) {
	for i := range w {
		w[i] &= x[i]
	}
}

func (w *words) andAny(group []*chunk, tmp *words) {
	switch {
	case len(group) == 1:
		w.and(group[0], tmp)
	case len(group) == 2 && group[0].words != nil && group[1].words != nil:
		a, b := group[0].words, group[1].words
		for i := range w {
			w[i] &= a[i] | b[i]
		}
	default:
		tmp.copyAny(group)
		w.andWords(tmp)
	}
}

func (w *words) not(c *chunk) {
	if c.words == nil {
		for _, v := range c.list {
			w[v>>6] &^= 1 << (v & 63)
		}
		return
	}
	for i := range w {
		w[i] &^= c.words[i]
	}
}

// count is the number of members.
func (p *plan) count() uint64 {
	total := uint64(0)
	p.run(func(_ uint16, n int, _ []uint16, _ *words) { total += uint64(n) })
	return total
}

// build returns the set of the chunks that fill adds.
func (x *Index) build(fill func(*builder)) (*roaring.Bitmap, error) {
	b, _ := x.builders.Get().(*builder)
	if b == nil {
		b = new(builder)
	}
	defer func() {
		b.reset()
		x.builders.Put(b)
	}()
	fill(b)
	return b.bitmap()
}

// addAll adds a whole set.
func (b *builder) addAll(s *set) {
	for i, key := range s.keys {
		c := &s.chunks[i]
		b.add(key, c.n, c.list, c.words)
	}
}

// builder writes the portable Roaring format, which is the library's only door for whole chunks: a cookie, the number
// of chunks, their keys and sizes, their offsets, and the chunks as lists or words.
type builder struct {
	heads []byte // uint16 key and uint16 size-1 of each
	ends  []int  // of each in body
	body  []byte
}

const roaringCookie = 12346 // of the format without runs

func (b *builder) add(key uint16, n int, list []uint16, w *words) {
	b.heads = binary.LittleEndian.AppendUint16(b.heads, key)
	b.heads = binary.LittleEndian.AppendUint16(b.heads, uint16(n-1))
	size := 2 * n
	if n > maxList { // as words, as every chunk of this size is
		size = 8 * chunkWords
	}
	at := len(b.body)
	b.body = slices.Grow(b.body, size)[:at+size]
	to := b.body[at:]
	switch {
	case n > maxList:
		for i, x := range w {
			binary.LittleEndian.PutUint64(to[8*i:], x)
		}
	case w != nil:
		for i, x := range w {
			for ; x != 0; x &= x - 1 {
				binary.LittleEndian.PutUint16(to, uint16(i<<6|bits.TrailingZeros64(x)))
				to = to[2:]
			}
		}
	default:
		for i, v := range list {
			binary.LittleEndian.PutUint16(to[2*i:], v)
		}
	}
	b.ends = append(b.ends, len(b.body))
}

// reset empties the builder and keeps its memory.
func (b *builder) reset() { b.heads, b.ends, b.body = b.heads[:0], b.ends[:0], b.body[:0] }

func (b *builder) bitmap() (*roaring.Bitmap, error) {
	out := roaring.New()
	if len(b.ends) == 0 {
		return out, nil
	}
	head := make([]byte, 0, 8+8*len(b.ends))
	head = binary.LittleEndian.AppendUint32(head, roaringCookie)
	head = binary.LittleEndian.AppendUint32(head, uint32(len(b.ends)))
	head = append(head, b.heads...)
	start := 0
	for _, end := range b.ends {
		head = binary.LittleEndian.AppendUint32(head, uint32(8+8*len(b.ends)+start))
		start = end
	}
	// ReadFrom copies, so that the set is the caller's alone.
	if _, err := out.ReadFrom(io.MultiReader(bytes.NewReader(head), bytes.NewReader(b.body))); err != nil {
		return nil, fmt.Errorf("audience: build set: %w", err)
	}
	return out, nil
}
