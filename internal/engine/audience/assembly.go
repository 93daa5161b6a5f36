package audience

import (
	"hash/maphash"
	"sync"
)

// assembly puts the parts of a snapshot together, from several goroutines.
type assembly struct {
	sets    *sets
	mu      sync.Mutex // of all but
	aliases sync.Mutex // the aliases
}

// add is false if something is there twice.
func (b *assembly) add(p *part) bool { return b.addSets(p) && b.addAliases(p) }

func (b *assembly) addSets(p *part) bool {
	split := make([]splitPage, len(p.pages))
	for i, page := range p.pages {
		split[i].split(page.states)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	for i, page := range p.pages {
		if !b.addPage(page, &split[i]) {
			return false
		}
	}
	for _, c := range p.tags {
		// A tag that is not in the dictionary was dropped since.
		if t := b.sets.tags[c.id]; t != nil && !t.set.put(c.key, c.chunk) {
			return false
		}
	}
	return true
}

func (b *assembly) addPage(page statePage, split *splitPage) bool {
	s := b.sets
	for len(s.pages) <= int(page.key) {
		s.pages = append(s.pages, nil)
	}
	if s.pages[page.key] != nil {
		return false
	}
	s.pages[page.key] = page.states
	s.known += split.known
	put := func(to *set, c chunk) bool { return c.n == 0 || to.put(page.key, c) }
	for p := range AllPlatforms.Each {
		if !put(&s.platforms[p], split.platforms[p]) {
			return false
		}
	}
	return put(&s.joined, split.joined) && put(&s.muted, split.muted)
}

// splitPage is what the states of a page say: how many devices are known, and which are joined, on which platform, and
// muted.
type splitPage struct {
	known         int
	joined, muted chunk
	platforms     [PlatformEnd]chunk
}

func (s *splitPage) split(states *page) {
	var (
		joined [PlatformEnd]*words
		muted  = new(words)
	)
	for v, state := range states {
		if state == 0 {
			continue
		}
		s.known++
		if state&joinedBit == 0 {
			continue
		}
		w := joined[platformOf(state)]
		if w == nil {
			w = new(words)
			joined[platformOf(state)] = w
		}
		w.add(uint16(v))
		if state&mutedBit != 0 {
			muted.add(uint16(v))
		}
	}
	all := new(words)
	for p, w := range joined {
		if w != nil {
			all.or(w)
			s.platforms[p] = newChunk(w)
		}
	}
	s.joined, s.muted = newChunk(all), newChunk(muted)
}

// newChunk is a chunk in the form that its size calls for; w becomes part of it.
func newChunk(w *words) chunk {
	n := w.count()
	if n > maxList {
		return chunk{words: w, n: n}
	}
	return chunk{list: w.appendList(make([]uint16, 0, n)), n: n}
}

func (b *assembly) addAliases(p *part) bool {
	a := b.sets.aliases
	p.hashes = p.hashes[:0]
	for _, r := range p.records {
		p.hashes = append(p.hashes, maphash.Bytes(a.seed, recordAlias(r)))
	}
	b.aliases.Lock()
	defer b.aliases.Unlock()
	for i, r := range p.records {
		if !a.add(p.hashes[i], r) {
			return false
		}
	}
	for _, c := range p.crowds {
		crowd := a.crowds[c.alias]
		if crowd == nil {
			crowd = &set{}
			a.crowds[c.alias] = crowd
		}
		if !crowd.put(c.key, c.chunk) {
			return false
		}
	}
	return true
}

// finish joins the two parts of an alias that became a crowd after its bucket was copied.
func (b *assembly) finish() {
	a := b.sets.aliases
	for alias, crowd := range a.crowds {
		hash := maphash.String(a.seed, alias)
		in := a.dir[a.place(hash)]
		if slot := in.find(hash, alias); slot >= 0 {
			for _, o := range in.holders(slot, nil) {
				crowd.add(o)
			}
			in.remove(slot)
		}
	}
}
