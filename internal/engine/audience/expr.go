package audience

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// Expr says who is meant. The parts that are present are intersected, together with "joined", Platforms and Unmuted; a part
// without elements is not present.
type Expr struct {
	// All is everybody; it adds nothing to the other parts.
	All bool
	// Tag: devices with any of these. TagAnd: with all of these. TagNot: with none of these.
	Tag, TagAnd, TagNot []string
	// Alias: devices with any of these.
	Alias []string
	// Ordinals: these devices, in any order. HasOrdinals makes the part present even without elements: registration ids
	// were named and none exists.
	Ordinals    []uint32
	HasOrdinals bool
	// Platforms the devices run on; 0 is none.
	Platforms PlatformSet
	// Unmuted leaves out devices that show no notifications.
	Unmuted bool
}

// Target is one device of a small result.
type Target struct {
	Ordinal  uint32
	Platform Platform
}

// Evaluate returns the set of devices that e means, which the caller owns. An Expr without any part but Platforms
// means everybody, like All.
func (x *Index) Evaluate(app int64, e Expr) (*roaring.Bitmap, error) {
	s, err := x.ensure(app)
	if err != nil {
		return nil, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e.listed() {
		return roaring.BitmapOf(s.sets.list(e)...), nil
	}
	p := s.sets.plan(e)
	if p.dense() {
		return x.bitmap(&p)
	}
	return x.build(func(b *builder) { p.run(nil, b.add) })
}

// Count is the cardinality of Evaluate, at less cost.
func (x *Index) Count(app int64, e Expr) (uint64, error) {
	s, err := x.ensure(app)
	if err != nil {
		return 0, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	if e.listed() {
		return uint64(len(s.sets.list(e))), nil
	}
	p := s.sets.plan(e)
	return p.count(), nil
}

// EvaluateSmall is Evaluate without bitmaps, for expressions that name devices by alias or registration id only: it
// appends the targets to buf, ascending and each once. It gives up (false) when e has tags, names nobody or has more
// than limit targets.
func (x *Index) EvaluateSmall(app int64, e Expr, buf []Target, limit int) ([]Target, bool) {
	if !e.listed() || len(e.Tag)+len(e.TagAnd)+len(e.TagNot) > 0 {
		return buf, false
	}
	s, err := x.ensure(app)
	if err != nil {
		return buf, false
	}
	var few [16]uint32
	s.mu.RLock()
	defer s.mu.RUnlock()
	out := buf
	for _, o := range s.sets.candidates(e, few[:0]) {
		if !s.sets.matches(o, &e) {
			continue
		}
		if len(out)-len(buf) == limit {
			return buf, false
		}
		out = append(out, Target{Ordinal: o, Platform: platformOf(s.sets.state(o))})
	}
	return out, true
}

// listed says whether e names devices one by one, so that there are few candidates.
func (e Expr) listed() bool { return len(e.Alias) > 0 || len(e.Ordinals) > 0 || e.HasOrdinals }

// candidates are the devices named by both the alias and the ordinal part, ascending and each once, in buf if they fit.
func (s *sets) candidates(e Expr, buf []uint32) []uint32 {
	byOrdinal := len(e.Ordinals) > 0 || e.HasOrdinals
	if byOrdinal {
		buf = sorted(append(buf, e.Ordinals...))
	}
	if len(e.Alias) == 0 {
		return buf
	}
	var byAlias []uint32
	if !byOrdinal {
		byAlias = buf
	}
	for _, a := range e.Alias {
		byAlias = s.aliases.holders(a, byAlias)
	}
	byAlias = sorted(byAlias)
	if !byOrdinal {
		return byAlias
	}
	return slices.DeleteFunc(buf, func(o uint32) bool {
		_, found := slices.BinarySearch(byAlias, o)
		return !found
	})
}

func sorted(list []uint32) []uint32 {
	if len(list) < 2 {
		return list
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// matches says whether a device is joined, runs on one of the platforms, and shows notifications if it must.
func (s *sets) matches(ordinal uint32, e *Expr) bool {
	state := s.state(ordinal)
	return state&joinedBit != 0 && e.Platforms.Has(platformOf(state)) && !(e.Unmuted && state&mutedBit != 0)
}

// list evaluates an expression that names devices one by one.
func (s *sets) list(e Expr) []uint32 {
	tag, not, and := s.some(e.Tag), s.some(e.TagNot), make([]*set, 0, len(e.TagAnd))
	for _, name := range e.TagAnd {
		t := s.tag(name)
		if t == nil {
			return nil
		}
		and = append(and, t)
	}
	return slices.DeleteFunc(s.candidates(e, nil), func(o uint32) bool {
		has := func(t *set) bool { return t.has(o) }
		hasNot := func(t *set) bool { return !t.has(o) }
		return !s.matches(o, &e) || len(e.Tag) > 0 && !slices.ContainsFunc(tag, has) ||
			slices.ContainsFunc(and, hasNot) || slices.ContainsFunc(not, has)
	})
}

// tag is the set of a tag, nil if there is no such tag.
func (s *sets) tag(name string) *set {
	if id, ok := s.ids[name]; ok {
		return &s.tags[id].set
	}
	return nil
}

// some are the sets of those of the tags that somebody has.
func (s *sets) some(names []string) []*set {
	out := make([]*set, 0, len(names))
	for _, n := range names {
		if t := s.tag(n); t != nil && t.n > 0 {
			out = append(out, t)
		}
	}
	return out
}

// onPlatforms is one set if it can be: everybody, when nobody runs on what is left out.
func (s *sets) onPlatforms(platforms PlatformSet) []*set {
	var in []*set
	out := false
	for p := range AllPlatforms.Each {
		switch b := &s.platforms[p]; {
		case b.n == 0:
		case platforms.Has(p):
			in = append(in, b)
		default:
			out = true
		}
	}
	if !out && len(in) > 1 {
		return []*set{&s.joined}
	}
	return in
}
