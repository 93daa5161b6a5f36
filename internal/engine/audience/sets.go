package audience

// sets is the memory of one app. The sets of tags and the aliases contain known devices, joined or not; joined,
// platforms and muted only joined ones.
type sets struct {
	// pos is the position in the log up to which entries are contained.
	pos int64
	// gen is the snapshot the sets are from, 0: rows.
	gen       int64
	pages     []*page
	joined    set
	platforms [PlatformEnd]set
	// muted are the joined ones that show no notifications.
	muted   set
	tags    map[uint32]*tagSet
	ids     map[string]uint32
	aliases *aliases
	// known is the number of known devices.
	known int
}

// page holds the state of 65,536 devices: platform, joinedBit and mutedBit; 0 is unknown.
type page [1 << 16]uint8

// Bits of a state. mutedBit is there only with joinedBit.
const (
	joinedBit    = 0x80
	mutedBit     = 0x40
	platformBits = 0x0f
)

// platformOf is the platform in a state, 0 for none.
func platformOf(state uint8) Platform { return Platform(state & platformBits) }

// stateOf is the state of a device; platform 0: unknown.
func stateOf(p Platform, joined, muted bool) uint8 {
	state := uint8(p)
	if joined && p != 0 {
		if state |= joinedBit; muted {
			state |= mutedBit
		}
	}
	return state
}

type tagSet struct {
	name string
	set  set
}

// pack gives back the memory that a load from rows does not use in the end.
func (s *sets) pack() {
	s.joined.pack()
	s.muted.pack()
	for i := range s.platforms {
		s.platforms[i].pack()
	}
	for _, t := range s.tags {
		t.set.pack()
	}
}

func newSets(limits aliasLimits) *sets {
	return &sets{
		tags:    make(map[uint32]*tagSet),
		ids:     make(map[string]uint32),
		aliases: newAliases(limits),
	}
}

func (s *sets) state(ordinal uint32) uint8 {
	n := int(ordinal >> 16)
	if n >= len(s.pages) || s.pages[n] == nil {
		return 0
	}
	return s.pages[n][ordinal&0xffff]
}

// place sets the state of a device.
func (s *sets) place(ordinal uint32, state uint8) {
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
	switch {
	case old == 0:
		s.known++
	case state == 0:
		s.known--
	}
	if old&joinedBit != 0 {
		s.joined.remove(ordinal)
		s.platforms[platformOf(old)].remove(ordinal)
	}
	if state&joinedBit != 0 {
		s.joined.add(ordinal)
		s.platforms[platformOf(state)].add(ordinal)
	}
	switch {
	case state&mutedBit != 0:
		s.muted.add(ordinal)
	case old&mutedBit != 0:
		s.muted.remove(ordinal)
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

// load adds a device read from its row.
func (s *sets) load(d Device) {
	s.place(d.Ordinal, stateOf(d.Platform, d.Joined, d.Muted))
	if d.Alias != "" {
		s.aliases.bind(d.Alias, d.Ordinal)
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
		s.place(ordinal, stateOf(e.platform, e.joined, e.muted))
		if !e.aliasIsUnchanged {
			if e.oldAlias != "" {
				s.aliases.unbind(e.oldAlias, ordinal)
			}
			if e.alias != "" {
				s.aliases.bind(e.alias, ordinal)
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
