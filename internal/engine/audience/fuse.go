package audience

import (
	"math"
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
	if e.Unmuted && s.muted.n > 0 {
		p.not = append(p.not, &s.muted)
	}
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

// run evaluates chunk by chunk and calls emit for each that is not empty, with the members as a list if that was at
// hand, or else as words. With into, the words are where it says; otherwise both are valid during the call only.
func (p *plan) run(into func(key uint16) *words, emit func(key uint16, n int, list []uint16, w *words)) {
	if p.empty {
		return
	}
	s := newStage(p)
	out := new(words)
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
		if into != nil {
			out = into(key)
		}
		if n := s.combine(out); n > 0 {
			emit(key, n, nil, out)
		}
	}
}

// stage is where one chunk after the other is evaluated: a plan's sets at one key, and the memory for what comes between
// them and the result.
type stage struct {
	all    []*chunk
	groups [][]*chunk
	not    []*chunk

	in, out []*words
	unions  []words // of each group
	lists   words   // what is in all of the lists of all
	less    words   // what is in any of the lists of not
	tmp     words
	found   [few]uint16
}

func newStage(p *plan) *stage {
	return &stage{
		all: make([]*chunk, 0, len(p.all)), groups: make([][]*chunk, len(p.groups)), not: make([]*chunk, 0, len(p.not)),
		in: make([]*words, 0, len(p.all)+len(p.groups)), out: make([]*words, 0, len(p.not)), unions: make([]words, len(p.groups)),
	}
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

// combine leaves the members in w and returns how many they are. Words go into the one pass over all of them where
// they are; lists become words before it.
func (s *stage) combine(w *words) int {
	s.in, s.out = s.in[:0], s.out[:0]
	listed := false
	for _, c := range s.all {
		switch {
		case c.words != nil:
			s.in = append(s.in, c.words)
		case !listed:
			listed = true
			s.lists = words{}
			s.lists.addList(c.list)
			s.in = append(s.in, &s.lists)
		default:
			s.tmp = words{}
			s.tmp.addList(c.list)
			s.lists.and([]*words{&s.lists, &s.tmp}, nil)
		}
	}
	for i, group := range s.groups {
		s.in = append(s.in, s.unions[i].union(group))
	}
	listed = false
	for _, c := range s.not {
		if c.words != nil {
			s.out = append(s.out, c.words)
			continue
		}
		if !listed {
			listed = true
			s.less = words{}
			s.out = append(s.out, &s.less)
		}
		s.less.addList(c.list)
	}
	return w.and(s.in, s.out)
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

// count is the number of members.
func (p *plan) count() uint64 {
	total := uint64(0)
	p.run(nil, func(_ uint16, n int, _ []uint16, _ *words) { total += uint64(n) })
	return total
}

// most is a bound of the number of members.
func (p *plan) most() uint64 {
	least := uint64(math.MaxUint64)
	for _, s := range p.all {
		least = min(least, s.n)
	}
	for _, group := range p.groups {
		sum := uint64(0)
		for _, s := range group {
			sum += s.n
		}
		least = min(least, sum)
	}
	return least
}

// dense says whether most chunks of the result may be words, and lie close together.
func (p *plan) dense() bool {
	if p.empty {
		return false
	}
	keys := p.keys()
	n := uint64(len(keys))
	return n > 0 && p.most() > n*maxList && uint64(keys[n-1]) < 2*n
}

// bitmap is the set of members, for a plan that is dense. What is mostly words is handed to the library as such.
func (x *Index) bitmap(p *plan) (*roaring.Bitmap, error) {
	buf, _ := x.buffers.Get().(*[]uint64)
	if buf == nil {
		buf = new([]uint64)
	}
	defer x.buffers.Put(buf)
	keys := p.keys()
	n := (int(keys[len(keys)-1]) + 1) * chunkWords
	*buf = slices.Grow((*buf)[:0], n)[:n]
	dense := *buf
	clear(dense)
	at := func(key uint16) *words { return (*words)(dense[int(key)*chunkWords:]) }
	counts, large := make([]int, len(dense)/chunkWords), 0
	p.run(at, func(key uint16, n int, list []uint16, _ *words) {
		if counts[key] = n; n > maxList {
			large++
		}
		if list != nil {
			at(key).addList(list)
		}
	})
	if 2*large >= len(keys) {
		return roaring.FromDense(dense, true), nil
	}
	return x.build(func(b *builder) {
		for key, n := range counts {
			if n > 0 {
				b.add(uint16(key), n, nil, at(uint16(key)))
			}
		}
	})
}
