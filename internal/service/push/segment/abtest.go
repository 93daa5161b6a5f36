package segment

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// maxGroups is how many groups a test has.
const maxGroups = 20

// Test is an A/B test: an audience divided into groups.
type Test struct {
	ID   string
	Name string
	// Audience is the expression as JSON.
	Audience json.RawMessage
	// Groups together have at most 100 percent; who is in none is left out of the test.
	Groups []TestGroup
	// Version rises with every change, from 1.
	Version int64
	// CreatedAt and UpdatedAt are Unix milliseconds.
	CreatedAt, UpdatedAt int64
}

// TestGroup is a group of a test. A push names it by its ID in audience.abtest.
type TestGroup struct {
	ID   string `json:"id" doc:"named by audience.abtest of a push"`
	Name string `json:"name"`
	// Percent of the test's devices, from 1 to 100.
	Percent int `json:"percent"`
}

// CreateTest stores a test; the ids of its groups are made here. Refusals: *InvalidError, ErrTooMany.
func (s *Service) CreateTest(ctx context.Context, app *gate.App, name string, raw json.RawMessage, groups []TestGroup) (*Test, error) {
	a, err := s.parse(name, raw)
	if err != nil {
		return nil, err
	}
	if groups, err = newGroups(groups); err != nil {
		return nil, err
	}
	t := Test{ID: newID(testPrefix), Name: name, Audience: a.raw, Groups: groups, Version: 1, CreatedAt: clock.Millis(s.clock.Now())}
	t.UpdatedAt = t.CreatedAt
	err = s.change(ctx, app.ID, func(ctx context.Context, tx *db.Tx, g graph) error {
		if g.count(testPrefix) >= MaxTests {
			return ErrTooMany
		}
		g[t.ID] = vertex{a.clauses, a.refs}
		if err := g.check(t.ID); err != nil {
			return err
		}
		return insertTest(ctx, tx, app.ID, &t, a)
	})
	if err != nil {
		return nil, err
	}
	return &t, nil
}

// newGroups checks groups and gives them ids.
func newGroups(groups []TestGroup) ([]TestGroup, error) {
	if len(groups) == 0 || len(groups) > maxGroups {
		return nil, &InvalidError{"groups", fmt.Sprintf("must have 1 to %d elements", maxGroups)}
	}
	out := make([]TestGroup, len(groups))
	names, sum := make(map[string]bool, len(groups)), 0
	for i, g := range groups {
		at := fmt.Sprintf("groups[%d]", i)
		if err := checkName(at+".name", g.Name); err != nil {
			return nil, err
		}
		if names[g.Name] {
			return nil, &InvalidError{at + ".name", "is the name of another group"}
		}
		names[g.Name] = true
		if g.Percent < 1 || g.Percent > 100 {
			return nil, &InvalidError{at + ".percent", "must be a number from 1 to 100"}
		}
		if sum += g.Percent; sum > 100 {
			return nil, &InvalidError{"groups", "must not have more than 100 percent together"}
		}
		out[i] = TestGroup{ID: newID(groupPrefix), Name: g.Name, Percent: g.Percent}
	}
	return out, nil
}

// GetTest reads a test. Refusal: ErrNotFound.
func (s *Service) GetTest(ctx context.Context, app *gate.App, id string) (*Test, error) {
	if !validID(testPrefix, id) {
		return nil, ErrNotFound
	}
	return queryTest(ctx, s.db, app.ID, id)
}

// ListTests reads up to limit tests after the one with the id, or from the first, in order of creation.
func (s *Service) ListTests(ctx context.Context, app *gate.App, after string, limit int) ([]*Test, error) {
	return queryTests(ctx, s.db, app.ID, after, limit)
}

// RenameTest changes the name of a test if it still has the version; another audience or other groups would be another
// test. Refusals: *InvalidError, ErrNotFound, ErrConflict.
func (s *Service) RenameTest(ctx context.Context, app *gate.App, id string, version int64, name string) (*Test, error) {
	if !validID(testPrefix, id) {
		return nil, ErrNotFound
	}
	if err := checkName("name", name); err != nil {
		return nil, err
	}
	now := clock.Millis(s.clock.Now())
	var t *Test
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		t, err = renameTest(ctx, tx, app.ID, id, version, name, now)
		return err
	})
	return t, err
}

// DeleteTest deletes a test; its groups then match nobody. Refusal: ErrNotFound.
func (s *Service) DeleteTest(ctx context.Context, app *gate.App, id string) error {
	if !validID(testPrefix, id) {
		return ErrNotFound
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return deleteTest(ctx, tx, app.ID, id) })
}

// ResolveABTest is the set of devices of a group of a test as they are now, which the caller owns; nobody if there is no
// such group.
func (s *Service) ResolveABTest(ctx context.Context, app *gate.App, group string) (*roaring.Bitmap, error) {
	if !validID(groupPrefix, group) {
		return roaring.New(), nil
	}
	test, low, high, a, err := queryGroup(ctx, s.db, app.ID, group)
	if err != nil || a == nil {
		return roaring.New(), err
	}
	set, err := s.resolve(ctx, app, a)
	if err != nil {
		return nil, err
	}
	return newSplit(test).part(set, low, high), nil
}

// CountTest is how many devices a test has now, and each of its groups, in their order. Refusal: ErrNotFound.
func (s *Service) CountTest(ctx context.Context, app *gate.App, id string) (all uint64, groups []uint64, err error) {
	t, err := s.GetTest(ctx, app, id)
	if err != nil {
		return 0, nil, err
	}
	a, err := ParseAudience(t.Audience)
	if err != nil {
		return 0, nil, err
	}
	set, err := s.resolve(ctx, app, a)
	if err != nil {
		return 0, nil, err
	}
	buckets := newSplit(id).counts(set)
	groups = make([]uint64, len(t.Groups))
	low := 0
	for i, g := range t.Groups {
		for _, n := range buckets[low : low+g.Percent] {
			groups[i] += n
		}
		low += g.Percent
	}
	return set.GetCardinality(), groups, nil
}

// split divides devices into hundredths by a hash of the test and the ordinal. Its results are not stored, so it must
// never change.
type split uint64

const hundredths = 100

// newSplit begins with the first 64 bits of the SHA-256 of the test's id.
func newSplit(test string) split {
	sum := sha256.Sum256([]byte(test))
	return split(binary.BigEndian.Uint64(sum[:]))
}

// of is the hundredth of a device: the finalizer of SplitMix64 over the beginning and the ordinal, its upper half scaled.
func (s split) of(ordinal uint32) int {
	x := uint64(s) + (uint64(ordinal)+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	x ^= x >> 31
	return int(x >> 32 * hundredths >> 32)
}

// batch is how many ordinals are read from a set in one step.
const batch = 4096

// A set is divided into bits, which is faster, if it is not much smaller than its bits: a device in sparse, up to the
// ordinal maxDense, which takes 32 MB.
const sparse, maxDense = 128, 1 << 28

// part are the devices of a set in the hundredths from low up to high.
func (s split) part(set *roaring.Bitmap, low, high int) *roaring.Bitmap {
	if set.IsEmpty() {
		return roaring.New()
	}
	buf := make([]uint32, batch)
	it := set.ManyIterator()
	if top := set.Maximum(); top < maxDense && uint64(top) < sparse*set.GetCardinality() {
		words := make([]uint64, top/64+1)
		for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
			for _, o := range buf[:n] {
				var in uint64 // without a branch, which would be taken at random
				if uint(s.of(o)-low) < uint(high-low) {
					in = 1
				}
				words[o/64] |= in << (o % 64)
			}
		}
		return roaring.FromDense(words, false)
	}
	out := roaring.New()
	for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
		kept := buf[:0]
		for _, o := range buf[:n] {
			if h := s.of(o); h >= low && h < high {
				kept = append(kept, o)
			}
		}
		out.AddMany(kept)
	}
	return out
}

// counts is how many devices of a set each hundredth has.
func (s split) counts(set *roaring.Bitmap) (out [hundredths]uint64) {
	buf := make([]uint32, batch)
	it := set.ManyIterator()
	for n := it.NextMany(buf); n > 0; n = it.NextMany(buf) {
		for _, o := range buf[:n] {
			out[s.of(o)]++
		}
	}
	return out
}
