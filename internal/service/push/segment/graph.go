package segment

import (
	"fmt"
	"slices"
)

const (
	// maxReach is how many conditions an expression has together with the segments that it reaches, each counted once.
	maxReach = 100
	// maxChain is how many segments name each other in a row.
	maxChain = 5
)

// graph is what segments and tests of an app name, by id.
type graph map[string]vertex

type vertex struct {
	clauses int
	refs    []string
}

// check refuses a graph in which id or anything that reaches it breaks a bound, names what is not there, or reaches
// itself. The error is an *InvalidError.
func (g graph) check(id string) error {
	above := make(map[string][]string, len(g))
	for from, v := range g {
		for _, to := range v.refs {
			above[to] = append(above[to], from)
		}
	}
	seen := map[string]bool{id: true}
	for queue := []string{id}; len(queue) > 0; queue = queue[1:] {
		if err := g.checkBelow(queue[0]); err != nil {
			if queue[0] != id {
				err = &InvalidError{"audience", fmt.Sprintf("%s uses this segment, and then %s", queue[0], err.Detail)}
			}
			return err
		}
		for _, from := range above[queue[0]] {
			if !seen[from] {
				seen[from] = true
				queue = append(queue, from)
			}
		}
	}
	return nil
}

// checkBelow checks what one expression reaches.
func (g graph) checkBelow(id string) *InvalidError {
	w := walk{graph: g, heights: make(map[string]int)}
	switch height, fault := w.height(id); {
	case fault != "":
		return &InvalidError{"audience", fault}
	case height > maxChain+1:
		return &InvalidError{"audience", fmt.Sprintf("segments name each other more than %d in a row", maxChain)}
	case w.clauses > maxReach:
		return &InvalidError{"audience", fmt.Sprintf("there are more than %d conditions, with those of the segments that are named", maxReach)}
	}
	return nil
}

// walk visits what an expression reaches, each once.
type walk struct {
	graph   graph
	heights map[string]int // 0 while the walk is below
	clauses int
}

// height is how many expressions are in the longest row from id on.
func (w *walk) height(id string) (height int, fault string) {
	if h, seen := w.heights[id]; seen {
		if h == 0 {
			return 0, "a segment would name itself: " + id
		}
		return h, ""
	}
	v, ok := w.graph[id]
	if !ok {
		return 0, "there is no segment " + id
	}
	w.heights[id] = 0
	w.clauses += v.clauses
	for _, to := range v.refs {
		h, fault := w.height(to)
		if fault != "" {
			return 0, fault
		}
		height = max(height, h)
	}
	w.heights[id] = height + 1
	return height + 1, ""
}

// uses lists who names a segment.
func (g graph) uses(id string) []string {
	var out []string
	for from, v := range g {
		if slices.Contains(v.refs, id) {
			out = append(out, from)
		}
	}
	return out
}
