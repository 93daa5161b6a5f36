package audience

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// PlatformOf is the platform of a known device, joined or not; false for any other ordinal.
func (x *Index) PlatformOf(app int64, ordinal uint32) (Platform, bool) {
	s := x.view(app)
	if s == nil {
		return 0, false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	p := platformOf(s.sets.state(ordinal))
	return p, p != 0
}

// Joined tells whether a device is in audiences.
func (x *Index) Joined(app int64, ordinal uint32) bool {
	s := x.view(app)
	if s == nil {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sets.state(ordinal)&joinedBit != 0
}

// KeepJoined takes devices out of a set that are not in audiences.
func (x *Index) KeepJoined(app int64, set *roaring.Bitmap) {
	s := x.view(app)
	if s == nil {
		return
	}
	s.mu.RLock()
	joined := x.export(&s.sets.joined)
	s.mu.RUnlock()
	set.And(joined)
}

// Known returns those of the ordinals that belong to a device, joined or not, in their order, in the same array.
func (x *Index) Known(app int64, ordinals []uint32) []uint32 {
	s := x.view(app)
	if s == nil {
		return ordinals[:0]
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return slices.DeleteFunc(ordinals, func(o uint32) bool { return s.sets.state(o) == 0 })
}

// TagNames lists tags that a device on one of the platforms has, in the order of their bytes, at most limit. Devices
// that have not joined count for every platform: theirs is not in a set.
func (x *Index) TagNames(app int64, platforms PlatformSet, limit int) []string {
	s := x.view(app)
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	on := s.sets.onPlatforms(platforms)
	var names []string
	for _, t := range s.sets.tags {
		if t.set.n == 0 {
			continue
		}
		if platforms == AllPlatforms || !t.set.intersects(&s.sets.joined) ||
			slices.ContainsFunc(on, t.set.intersects) {
			names = append(names, t.name)
		}
	}
	slices.Sort(names)
	return names[:min(limit, len(names))]
}

// Names are the names of dictionary ids, sorted. Ids of deleted tags are left out.
func (x *Index) Names(app int64, ids []uint32) []string {
	s := x.view(app)
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	names := make([]string, 0, len(ids))
	for _, id := range ids {
		if t := s.sets.tags[id]; t != nil {
			names = append(names, t.name)
		}
	}
	slices.Sort(names)
	return names
}

// DevicesOfAlias lists the known devices, joined or not, that have the alias, ascending.
func (x *Index) DevicesOfAlias(app int64, alias string) []uint32 {
	s := x.view(app)
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.sets.aliases.holders(alias, nil)
}

// DevicesOfTag is the set of known devices, joined or not, that have the tag. The caller owns it.
func (x *Index) DevicesOfTag(app int64, tag string) *roaring.Bitmap {
	s := x.view(app)
	if s == nil {
		return roaring.New()
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if b := s.sets.tag(tag); b != nil {
		return x.export(b)
	}
	return roaring.New()
}

// export is a set as the library's type. Its failure is only logged: what this package writes, the library reads.
func (x *Index) export(s *set) *roaring.Bitmap {
	out, err := x.build(func(b *builder) { b.addAll(s) })
	if err != nil {
		x.log.Error("audience set not built", "err", err)
		return roaring.New()
	}
	return out
}

// SplitPlatforms divides a set by platform; devices that have not joined are in no part. Empty parts are left out, the
// caller owns the others.
func (x *Index) SplitPlatforms(app int64, set *roaring.Bitmap) map[Platform]*roaring.Bitmap {
	s := x.view(app)
	if s == nil {
		return nil
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := make(map[Platform]*roaring.Bitmap)
	for p := range AllPlatforms.Each {
		if s.sets.platforms[p].n == 0 {
			continue
		}
		part := x.export(&s.sets.platforms[p])
		if part.And(set); !part.IsEmpty() {
			out[p] = part
		}
	}
	return out
}

// HasTag tells whether a known device, joined or not, has the tag.
func (x *Index) HasTag(app int64, ordinal uint32, tag string) bool {
	s := x.view(app)
	if s == nil {
		return false
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	b := s.sets.tag(tag)
	return b != nil && b.has(ordinal)
}
