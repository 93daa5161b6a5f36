package agreement

import (
	"fmt"
	"slices"
	"strings"

	"borealis/internal/platform/agreement/legaltext"
)

// Edition is a set as it stood from one change to the next: documents in order, each in one version.
type Edition struct {
	ID  int64
	Set string
	// Number counts the editions of the set from 1; withdrawn ones keep theirs.
	Number int64
	// Hash is the SHA-256 of the manifest: of the hashes of the masters, in order.
	Hash string
	// Class is the strictest of the changes that the edition brought.
	Class legaltext.Class
	// Commercial says that one of them was commercial.
	Commercial bool
	// Terms are the choices the edition offers.
	Terms Terms
	// AnnouncedAt, EffectiveAt and WithdrawnAt (0: not) are Unix milliseconds.
	AnnouncedAt, EffectiveAt, WithdrawnAt int64
}

// Terms are the codes of what an edition lets an account choose. The labels stand in the texts.
type Terms struct {
	// Purposes are off until granted.
	Purposes []string `json:"purposes,omitempty"`
	// Options are on until objected to.
	Options []string `json:"options,omitempty"`
	// Asks are the purposes that the edition brought or changed: grants under earlier editions do not cover them.
	Asks []string `json:"asks,omitempty"`
}

// chain are the editions of one set that were not withdrawn, by number. Their times of effect ascend strictly.
type chain []Edition

// current is the edition in effect at t, nil before the first.
func (c chain) current(t int64) *Edition {
	for i := len(c) - 1; i >= 0; i-- {
		if c[i].EffectiveAt <= t {
			return &c[i]
		}
	}
	return nil
}

// next is the first edition that takes effect after t, or nil.
func (c chain) next(t int64) *Edition {
	for i := range c {
		if c[i].EffectiveAt > t {
			return &c[i]
		}
	}
	return nil
}

func (c chain) byID(id int64) *Edition {
	if i := slices.IndexFunc(c, func(e Edition) bool { return e.ID == id }); i >= 0 {
		return &c[i]
	}
	return nil
}

func (c chain) byHash(hash string) *Edition {
	if i := slices.IndexFunc(c, func(e Edition) bool { return e.Hash == hash }); i >= 0 {
		return &c[i]
	}
	return nil
}

// between tells what the editions after number from, up to number to, brought together.
func (c chain) between(from, to int64) (class legaltext.Class, commercial bool) {
	for i := range c {
		if c[i].Number <= from || c[i].Number > to {
			continue
		}
		if c[i].Class.Rank() > class.Rank() {
			class = c[i].Class
		}
		commercial = commercial || c[i].Commercial
	}
	return class, commercial
}

// member is a document of an edition.
type member struct {
	document   int64
	code       string
	version    string
	hash       string
	place      int64
	class      legaltext.Class
	translated string // hash of the newest fresh translation, or empty
}

func sortMembers(list []member) {
	slices.SortFunc(list, func(a, b member) int {
		if a.place != b.place {
			return int(a.place - b.place)
		}
		return strings.Compare(a.code, b.code)
	})
}

// manifest is what the hash of an edition is of. The number is in it, so no two editions have the same.
func manifest(set string, number int64, members []member) string {
	var b strings.Builder
	fmt.Fprintf(&b, "set: %s\nedition: %d\n", set, number)
	for _, m := range members {
		fmt.Fprintf(&b, "%s %s %s\n", m.code, m.version, m.hash)
	}
	return b.String()
}
