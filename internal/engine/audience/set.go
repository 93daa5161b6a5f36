package audience

import "slices"

// set is a mutable set of ordinals, in chunks of 65,536 like a Roaring bitmap. It exists beside the library's type
// because an expression over whole sets is evaluated chunk by chunk in one buffer (fuse.go), for which the library
// lets nobody at its containers; results leave the package as the library's type.
type set struct {
	keys   []uint16 // of the chunks, ascending; no chunk is empty
	chunks []chunk
	n      uint64
}

const (
	// maxList is the size up to which a chunk is a list, as in the Roaring format. minWords is the size below which
	// it becomes a list again; the gap keeps one that varies around the limit from changing form all the time.
	maxList  = 4096
	minWords = 3072
)

// chunk holds the low 16 bits of its members: ascending in list, or in words if that is not nil.
type chunk struct {
	words *words
	list  []uint16
	n     int
}

func (c *chunk) has(v uint16) bool {
	if c.words != nil {
		return c.words.has(v)
	}
	_, found := slices.BinarySearch(c.list, v)
	return found
}

func (c *chunk) add(v uint16) bool {
	if c.words != nil {
		if c.words.has(v) {
			return false
		}
		c.words.add(v)
		c.n++
		return true
	}
	i := c.n // where v goes: at the end in the order in which a load comes
	if i > 0 && c.list[i-1] >= v {
		var found bool
		if i, found = slices.BinarySearch(c.list, v); found {
			return false
		}
	}
	if c.n == cap(c.list) { // in smaller steps than append's, because lists are most of the memory
		c.list = append(make([]uint16, 0, c.n+c.n/4+4), c.list...)
	}
	c.list = slices.Insert(c.list, i, v)
	if c.n++; c.n > maxList {
		w := new(words)
		for _, x := range c.list {
			w.add(x)
		}
		c.words, c.list = w, nil
	}
	return true
}

func (c *chunk) remove(v uint16) bool {
	if c.words == nil {
		i, found := slices.BinarySearch(c.list, v)
		if found {
			c.list = slices.Delete(c.list, i, i+1)
			c.n--
		}
		return found
	}
	if !c.words.has(v) {
		return false
	}
	c.words[v>>6] &^= 1 << (v & 63)
	if c.n--; c.n < minWords {
		c.list = c.words.appendList(make([]uint16, 0, minWords))
		c.words = nil
	}
	return true
}

// at is the chunk of a key, nil if there is none.
func (s *set) at(key uint16) *chunk {
	// In a set that has all chunks the key is the index.
	if i := int(key); i < len(s.keys) && s.keys[i] == key {
		return &s.chunks[i]
	}
	if i, found := slices.BinarySearch(s.keys, key); found {
		return &s.chunks[i]
	}
	return nil
}

func (s *set) has(ordinal uint32) bool {
	c := s.at(uint16(ordinal >> 16))
	return c != nil && c.has(uint16(ordinal))
}

func (s *set) add(ordinal uint32) {
	key := uint16(ordinal >> 16)
	c := s.at(key)
	if c == nil {
		i, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Insert(s.keys, i, key)
		s.chunks = slices.Insert(s.chunks, i, chunk{})
		c = &s.chunks[i]
	}
	if c.add(uint16(ordinal)) {
		s.n++
	}
}

func (s *set) remove(ordinal uint32) {
	key := uint16(ordinal >> 16)
	c := s.at(key)
	if c == nil || !c.remove(uint16(ordinal)) {
		return
	}
	s.n--
	if c.n == 0 {
		i, _ := slices.BinarySearch(s.keys, key)
		s.keys = slices.Delete(s.keys, i, i+1)
		s.chunks = slices.Delete(s.chunks, i, i+1)
	}
}

// put adds a whole chunk under a key that has none, and says whether that was so.
func (s *set) put(key uint16, c chunk) bool {
	i := len(s.keys)
	if i > 0 && s.keys[i-1] >= key {
		var found bool
		if i, found = slices.BinarySearch(s.keys, key); found {
			return false
		}
	}
	s.keys, s.chunks = slices.Insert(s.keys, i, key), slices.Insert(s.chunks, i, c)
	s.n += uint64(c.n)
	return true
}

// pack gives back the memory that is not used.
func (s *set) pack() {
	s.keys, s.chunks = fit(s.keys), fit(s.chunks)
	for i := range s.chunks {
		s.chunks[i].list = fit(s.chunks[i].list)
	}
}

// fit is list without much room behind it.
func fit[E any](list []E) []E {
	if cap(list) <= len(list)+len(list)/16 {
		return list
	}
	return append(make([]E, 0, len(list)), list...)
}

// appendTo appends the members, ascending.
func (s *set) appendTo(list []uint32) []uint32 {
	for i, key := range s.keys {
		c := &s.chunks[i]
		low := c.list
		if c.words != nil {
			low = c.words.appendList(make([]uint16, 0, c.n))
		}
		for _, v := range low {
			list = append(list, uint32(key)<<16|uint32(v))
		}
	}
	return list
}

func (s *set) intersects(other *set) bool {
	if len(s.keys) > len(other.keys) {
		s, other = other, s
	}
	for i, key := range s.keys {
		if c := other.at(key); c != nil && s.chunks[i].intersects(c) {
			return true
		}
	}
	return false
}

func (c *chunk) intersects(other *chunk) bool {
	if c.words != nil && other.words != nil {
		for i, x := range c.words {
			if x&other.words[i] != 0 {
				return true
			}
		}
		return false
	}
	if c.words != nil {
		c, other = other, c
	}
	return slices.ContainsFunc(c.list, other.has)
}
