package audience

import "slices"

// sets is the memory of one app. The sets of tags and the aliases contain known devices, joined or not; joined and
// platforms only joined ones.
type sets struct {
	// pos is the position in the log up to which entries are contained.
	pos       int64
	pages     []*page
	joined    set
	platforms [PlatformEnd]set
	tags      map[uint32]*tagSet
	ids       map[string]uint32
	// Nearly every alias has one device, so only the others pay for a slice.
	sole   map[string]uint32
	shared map[string][]uint32 // ascending, two devices or more
}

// page holds the state of 65,536 devices: platform, and joinedBit; 0 is unknown.
type page [1 << 16]uint8

const joinedBit = 0x80

type tagSet struct {
	name string
	set  set
}

func newSets() *sets {
	return &sets{
		tags:   make(map[uint32]*tagSet),
		ids:    make(map[string]uint32),
		sole:   make(map[string]uint32),
		shared: make(map[string][]uint32),
	}
}

func (s *sets) state(ordinal uint32) uint8 {
	n := int(ordinal >> 16)
	if n >= len(s.pages) || s.pages[n] == nil {
		return 0
	}
	return s.pages[n][ordinal&0xffff]
}

// place sets platform (0: unknown) and joined of a device.
func (s *sets) place(ordinal uint32, p Platform, joined bool) {
	state := uint8(p)
	if joined && p != 0 {
		state |= joinedBit
	}
	old := s.state(ordinal)
	if old == state {
		return
	}
	n := int(ordinal >> 16)
	for len(s.pages) <= n {
		s.pages = append(s.pages, nil)
	}
	if s.pages[n] == nil {
		s.pages[n] = new(page)
	}
	s.pages[n][ordinal&0xffff] = state
	if old&joinedBit != 0 {
		s.joined.remove(ordinal)
		s.platforms[old&^joinedBit].remove(ordinal)
	}
	if state&joinedBit != 0 {
		s.joined.add(ordinal)
		s.platforms[p].add(ordinal)
	}
}

func (s *sets) define(id uint32, name string) {
	if s.tags[id] == nil {
		s.tags[id] = &tagSet{name: name}
	}
	s.ids[name] = id // also when it is known: an earlier tag of this name may just have been replayed
}

func (s *sets) drop(id uint32) {
	if t := s.tags[id]; t != nil {
		delete(s.tags, id)
		if s.ids[t.name] == id { // the name may be another tag's by now
			delete(s.ids, t.name)
		}
	}
}

func (s *sets) bind(alias string, ordinal uint32) {
	if many, ok := s.shared[alias]; ok {
		if i, found := slices.BinarySearch(many, ordinal); !found {
			s.shared[alias] = slices.Insert(many, i, ordinal)
		}
		return
	}
	one, ok := s.sole[alias]
	switch {
	case !ok:
		s.sole[alias] = ordinal
	case one != ordinal:
		delete(s.sole, alias)
		s.shared[alias] = []uint32{min(one, ordinal), max(one, ordinal)}
	}
}

func (s *sets) unbind(alias string, ordinal uint32) {
	if many, ok := s.shared[alias]; ok {
		if i, found := slices.BinarySearch(many, ordinal); found {
			many = slices.Delete(many, i, i+1)
			s.shared[alias] = many
		}
		if len(many) == 1 {
			delete(s.shared, alias)
			s.sole[alias] = many[0]
		}
		return
	}
	if one, ok := s.sole[alias]; ok && one == ordinal {
		delete(s.sole, alias)
	}
}

// holders appends the devices of an alias to buf, ascending.
func (s *sets) holders(alias string, buf []uint32) []uint32 {
	if one, ok := s.sole[alias]; ok {
		return append(buf, one)
	}
	return append(buf, s.shared[alias]...)
}

// load adds a device read from its row.
func (s *sets) load(d Device) {
	s.place(d.Ordinal, d.Platform, d.Joined)
	if d.Alias != "" {
		s.bind(d.Alias, d.Ordinal)
	}
	for _, id := range d.Tags {
		if t := s.tags[id]; t != nil {
			t.set.add(d.Ordinal)
		}
	}
}

// apply replays one entry. Applying entries again, in order, over what already contains them changes nothing.
func (s *sets) apply(pos int64, ordinal uint32, e entry) {
	s.pos = pos
	switch e.kind {
	case tagDefined:
		s.define(e.tag, e.name)
	case tagDropped:
		s.drop(e.tag)
	case deviceChanged:
		s.place(ordinal, e.platform, e.joined)
		if !e.aliasIsUnchanged {
			if e.oldAlias != "" {
				s.unbind(e.oldAlias, ordinal)
			}
			if e.alias != "" {
				s.bind(e.alias, ordinal)
			}
		}
		for _, id := range e.removed {
			if t := s.tags[id]; t != nil {
				t.set.remove(ordinal)
			}
		}
		for _, id := range e.added {
			if t := s.tags[id]; t != nil {
				t.set.add(ordinal)
			}
		}
	}
}
