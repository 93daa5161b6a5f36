package segment

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

func TestGraphsThatAreRefused(t *testing.T) {
	t.Parallel()
	chain := func(n int) graph {
		g := graph{}
		for i := range n {
			g[fmt.Sprint(i)] = vertex{1, []string{fmt.Sprint(i + 1)}}
		}
		g[fmt.Sprint(n)] = vertex{clauses: 1}
		return g
	}
	for name, c := range map[string]struct {
		g    graph
		id   string
		want string // "": accepted
	}{
		"alone":                         {graph{"a": {50, nil}}, "a", ""},
		"a diamond":                     {graph{"a": {1, []string{"b", "c"}}, "b": {1, []string{"d"}}, "c": {1, []string{"d"}}, "d": {1, nil}}, "a", ""},
		"nothing there":                 {graph{"a": {1, []string{"b"}}}, "a", "no segment b"},
		"itself":                        {graph{"a": {1, []string{"a"}}}, "a", "name itself"},
		"itself by another":             {graph{"a": {1, []string{"b"}}, "b": {1, []string{"c"}}, "c": {1, []string{"a"}}}, "b", "name itself"},
		"a chain":                       {chain(maxChain), "0", ""},
		"a longer chain, at its head":   {chain(maxChain + 1), "0", "in a row"},
		"a longer chain, at its end":    {chain(maxChain + 1), fmt.Sprint(maxChain), "0 uses this segment"},
		"many conditions, each once":    {graph{"a": {25, []string{"b", "c"}}, "b": {25, []string{"d"}}, "c": {25, []string{"d"}}, "d": {25, nil}}, "a", ""},
		"too many conditions":           {graph{"a": {25, []string{"b", "c"}}, "b": {25, []string{"d"}}, "c": {25, []string{"d"}}, "d": {26, nil}}, "a", "conditions"},
		"too many for one that uses it": {graph{"a": {25, []string{"b", "c"}}, "b": {25, []string{"d"}}, "c": {25, []string{"d"}}, "d": {26, nil}}, "d", "a uses this segment"},
		"too many, but not of this":     {graph{"a": {101, nil}, "b": {1, nil}}, "b", ""},
	} {
		err := c.g.check(c.id)
		var wrong *InvalidError
		if c.want == "" && err != nil || c.want != "" && (!errors.As(err, &wrong) || !strings.Contains(wrong.Detail, c.want)) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// However a graph grows by changes that were accepted, everything in it stays within the bounds.
func TestAcceptedChangesKeepTheBounds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(r *rapid.T) {
		g := graph{}
		names := []string{"a", "b", "c", "d", "e", "f", "g", "h"}
		for range rapid.IntRange(1, 30).Draw(r, "changes") {
			id := rapid.SampledFrom(names).Draw(r, "id")
			old, had := g[id]
			g[id] = vertex{rapid.IntRange(1, 60).Draw(r, "clauses"), rapid.SliceOfNDistinct(rapid.SampledFrom(names), 0, 3, rapid.ID).Draw(r, "refs")}
			if g.check(id) != nil {
				if delete(g, id); had {
					g[id] = old
				}
			}
		}
		for id := range g {
			if err := g.checkBelow(id); err != nil {
				r.Fatalf("%s: %v in %v", id, err, g)
			}
		}
	})
}
