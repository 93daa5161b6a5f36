package segment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestSegmentIsWhatItsExpressionSays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		a := r.joined(audience.Android, "ann", "x", "y")
		b := r.joined(audience.IOS, "bo", "x")
		c := r.joined(audience.Android, "", "y")
		if _, err := r.devices.Register(context.Background(), r.app(), device.Registration{Platform: audience.Android}); err != nil { // has not joined
			t.Fatal(err)
		}
		x := r.segment(`{"tag":["x"]}`)
		for raw, want := range map[string][]uint32{
			`"all"`:                             {a.Ordinal, b.Ordinal, c.Ordinal},
			`{"tag":["x","z"]}`:                 {a.Ordinal, b.Ordinal},
			`{"tag":["z"]}`:                     nil,
			`{"tag_and":["x","y"]}`:             {a.Ordinal},
			`{"tag_not":["x"]}`:                 {c.Ordinal},
			`{"alias":["ann","bo","cy"]}`:       {a.Ordinal, b.Ordinal},
			`{"platform":["ios","web"]}`:        {b.Ordinal},
			`{"platform":"all","alias":null}`:   {a.Ordinal, b.Ordinal, c.Ordinal},
			`{"tag":["x"],"platform":["ios"]}`:  {b.Ordinal},
			`{"not":{"alias":["ann"]}}`:         {b.Ordinal, c.Ordinal},
			`{"not":"all"}`:                     nil,
			`{"tag":["y"],"not":{"tag":["x"]}}`: {c.Ordinal},
			`{"any":[{"tag":["x"]},{"not":"all"}],"all":[{"tag":["y"]}]}`:                                      {a.Ordinal},
			`{"any":[{"alias":["bo"]},{"all":["all",{"not":{"tag":["x"]}}]}]}`:                                 {b.Ordinal, c.Ordinal},
			`{"segment":["` + x + `"]}`:                                                                        {a.Ordinal, b.Ordinal},
			`{"segment":["` + x + `"],"tag":["y"]}`:                                                            {a.Ordinal},
			`{"not":{"any":[{"segment":["` + x + `","` + x + `"]}]}}`:                                          {c.Ordinal},
			`{"registration_id":["` + a.RegistrationID + `","nobody","` + c.RegistrationID + `"],"tag":["y"]}`: {a.Ordinal, c.Ordinal},
			`{"registration_id":["nobody"]}`:                                                                   nil,
		} {
			if got := r.who(r.segment(raw)); !slices.Equal(got, want) {
				t.Errorf("%s: %v, want %v", raw, got, want)
			}
		}
		// It is what it says now.
		e := r.joined(audience.Web, "", "x")
		if got := r.who(r.segment(`{"segment":["` + x + `"]}`)); !slices.Equal(got, []uint32{a.Ordinal, b.Ordinal, e.Ordinal}) {
			t.Errorf("%v", got)
		}
		// Whoever the id is not of matches nobody.
		for _, id := range []string{"", "nobody", "a\x00b", "seg_0123456789abcdef0123456789abcdef"} {
			if got := r.who(id); len(got) != 0 {
				t.Errorf("%q: %v", id, got)
			}
		}
		if set, err := r.ResolveSegment(context.Background(), r.devices.App(2), x); err != nil || !set.IsEmpty() {
			t.Errorf("for another app: %v (%v)", set, err)
		}
	})
}

// model says of one device whether an expression means it.
type model struct {
	platform audience.Platform
	alias    string
	tags     []string
	rid      string
}

func (m model) in(n *node, segments map[string]*Audience) bool {
	some := func(list, of []string) bool {
		return slices.ContainsFunc(list, func(s string) bool { return slices.Contains(of, s) })
	}
	e := n.expr
	missing := func(tag string) bool { return !slices.Contains(m.tags, tag) }
	switch {
	case len(e.Tag) > 0 && !some(e.Tag, m.tags), slices.ContainsFunc(e.TagAnd, missing), some(e.TagNot, m.tags),
		len(e.Alias) > 0 && !slices.Contains(e.Alias, m.alias), len(n.rids) > 0 && !slices.Contains(n.rids, m.rid),
		!e.Platforms.Has(m.platform), n.not != nil && m.in(n.not, segments):
		return false
	}
	if len(n.segments) > 0 && !slices.ContainsFunc(n.segments, func(id string) bool { return m.in(segments[id].root, segments) }) {
		return false
	}
	if len(n.any) > 0 && !slices.ContainsFunc(n.any, func(part *node) bool { return m.in(part, segments) }) {
		return false
	}
	return !slices.ContainsFunc(n.all, func(part *node) bool { return !m.in(part, segments) })
}

// Any expression means the devices that a plain reading of it, device by device, means.
func TestExpressionsMatchAModel(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	ctx := context.Background()
	tags, aliases := []string{"a", "b", "c", "d"}, []string{"p", "q", "r"}
	devices := map[uint32]model{}
	var rids []string
	for i := range 48 {
		m := model{platform: []audience.Platform{audience.Android, audience.IOS, audience.HMOS}[i%3]}
		for j, tag := range tags {
			if i>>j&1 == 1 {
				m.tags = append(m.tags, tag)
			}
		}
		if i%5 < 3 {
			m.alias = aliases[i%5]
		}
		if i < 30 && i%5 >= 1 { // an alias has ten devices at most
			m.alias = ""
		}
		d := r.joined(m.platform, m.alias, m.tags...)
		m.rid = d.RegistrationID
		rids = append(rids, m.rid)
		devices[d.Ordinal] = m
	}
	segments := map[string]*Audience{}
	for _, raw := range []string{`{"tag":["a"]}`, `{"not":{"tag_and":["b","c"]}}`, `{"platform":["ios"]}`} {
		id := r.segment(raw)
		segments[id], _ = ParseAudience([]byte(raw))
	}
	ids := []string{}
	for id := range segments {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = append(ids, r.segment(`{"segment":["`+ids[0]+`"],"not":{"segment":["`+ids[1]+`","`+ids[2]+`"]}}`))
	last, err := r.Get(ctx, r.app(), ids[3])
	if err != nil {
		t.Fatal(err)
	}
	segments[ids[3]], _ = ParseAudience(last.Audience)

	rapid.Check(t, func(rt *rapid.T) {
		some := func(of []string, label string) []string {
			return rapid.SliceOfNDistinct(rapid.SampledFrom(of), 1, 3, rapid.ID).Draw(rt, label)
		}
		var expression func(depth int) any
		expression = func(depth int) any {
			if rapid.IntRange(0, 15).Draw(rt, "everybody") == 0 {
				return "all"
			}
			m := map[string]any{}
			for range rapid.IntRange(1, 3).Draw(rt, "members") {
				kinds := []string{"tag", "tag_and", "tag_not", "alias", "registration_id", "platform", "segment", "any", "all", "not"}
				if depth == maxDepth {
					kinds = kinds[:7]
				}
				switch kind := rapid.SampledFrom(kinds).Draw(rt, "kind"); kind {
				case "alias":
					m[kind] = some(aliases, "alias")
				case "registration_id":
					m[kind] = some(rids, "rid")
				case "platform":
					m[kind] = some([]string{"android", "ios", "hmos", "web"}, "platform")
				case "segment":
					m[kind] = some(ids, "segment")
				case "any", "all":
					list := []any{}
					for range rapid.IntRange(1, 3).Draw(rt, "parts") {
						list = append(list, expression(depth+1))
					}
					m[kind] = list
				case "not":
					m[kind] = expression(depth + 1)
				default:
					m[kind] = some(tags, kind)
				}
			}
			return m
		}
		raw, err := json.Marshal(expression(1))
		if err != nil {
			rt.Fatal(err)
		}
		a, err := ParseAudience(raw)
		var wrong *InvalidError
		if errors.As(err, &wrong) && wrong.Field == "audience" {
			return // more conditions than may be
		}
		if err != nil {
			rt.Fatalf("%s: %v", raw, err)
		}
		set, err := r.resolve(ctx, r.app(), a)
		if err != nil {
			rt.Fatal(err)
		}
		for ordinal, m := range devices {
			if set.Contains(ordinal) != m.in(a.root, segments) {
				rt.Fatalf("%s: device %+v is in: %v", raw, m, set.Contains(ordinal))
			}
		}
		if set.GetCardinality() > uint64(len(devices)) {
			rt.Fatalf("%s means strangers", raw)
		}
	})
}

func TestResolutionEndsWithItsContext(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	id := r.segment(`"all"`)
	for range maxResolving {
		r.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() {
		_, err := r.ResolveSegment(ctx, r.app(), id)
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

// Segments that were stored by nobody's rules end in an error, not in a loop.
func TestResolutionIsBounded(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		ctx := context.Background()
		id := func(i int) string { return fmt.Sprintf("seg_%032x", i) }
		store := func(i int, raw string) {
			t.Helper()
			a, err := ParseAudience([]byte(raw))
			if err != nil {
				t.Fatal(err)
			}
			err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				return insertSegment(ctx, tx, 1, &Segment{ID: id(i), Name: "n"}, a)
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		store(1, `{"tag":["x"],"segment":["`+id(2)+`"]}`)
		store(2, `{"any":[{"segment":["`+id(1)+`"]},"all"]}`)
		if _, err := r.ResolveSegment(ctx, r.app(), id(1)); !errors.Is(err, errNotBounded) {
			t.Errorf("a loop: %v", err)
		}
		for i := 10; i < 20; i++ {
			store(i, `{"segment":["`+id(i+1)+`"]}`)
		}
		if _, err := r.ResolveSegment(ctx, r.app(), id(10)); !errors.Is(err, errNotBounded) {
			t.Errorf("a long chain: %v", err)
		}
		store(30, `{"any":[{"segment":["`+id(31)+`"]},{"platform":["android"]}]}`) // 31 is not there
		d1 := r.joined(audience.Android, "")
		if got := r.who(id(30)); !slices.Equal(got, []uint32{d1.Ordinal}) {
			t.Errorf("with a deleted segment: %v", got)
		}
	})
}
