package redline

import "slices"

// edit is a run: n equal elements, or n elements of the old list replaced by with of the new one.
type edit struct {
	op      Op // Equal or Deleted
	n, with int
}

// edits is the shortest way from a to b, by the greedy algorithm of Myers (1986) between the first and the last
// difference, and a whole replacement there if it is longer than maxEdits.
func edits(a, b []string) []edit {
	head := 0
	for head < len(a) && head < len(b) && a[head] == b[head] {
		head++
	}
	tail := 0
	for tail < len(a)-head && tail < len(b)-head && a[len(a)-1-tail] == b[len(b)-1-tail] {
		tail++
	}
	var run runs
	run.equal(head)
	middleA, middleB := a[head:len(a)-tail], b[head:len(b)-tail]
	if steps, ok := shortest(middleA, middleB); ok {
		for _, s := range steps {
			switch s {
			case Equal:
				run.equal(1)
			case Deleted:
				run.replace(1, 0)
			default:
				run.replace(0, 1)
			}
		}
	} else {
		run.replace(len(middleA), len(middleB))
	}
	run.equal(tail)
	return run
}

type runs []edit

func (r *runs) equal(n int) {
	if n == 0 {
		return
	}
	if last := len(*r) - 1; last >= 0 && (*r)[last].op == Equal {
		(*r)[last].n += n
		return
	}
	*r = append(*r, edit{op: Equal, n: n})
}

func (r *runs) replace(n, with int) {
	if n == 0 && with == 0 {
		return
	}
	if last := len(*r) - 1; last >= 0 && (*r)[last].op == Deleted {
		(*r)[last].n += n
		(*r)[last].with += with
		return
	}
	*r = append(*r, edit{op: Deleted, n: n, with: with})
}

// shortest is the way from a to b, an Op for each step; ok is false if it has more than maxEdits insertions and deletions.
func shortest(a, b []string) (steps []Op, ok bool) {
	if len(a) == 0 && len(b) == 0 {
		return nil, true
	}
	limit := min(len(a)+len(b), maxEdits)
	// furthest[k+limit+1] is the furthest x on diagonal k = x-y.
	furthest := make([]int32, 2*limit+3)
	var trace [][]int32 // of each round, the diagonals -d to d as they were before it
	for d := 0; d <= limit; d++ {
		trace = append(trace, append([]int32(nil), furthest[limit+1-d:limit+2+d]...))
		for k := -d; k <= d; k += 2 {
			at := limit + 1 + k
			var x int32
			if k == -d || (k != d && furthest[at-1] < furthest[at+1]) {
				x = furthest[at+1]
			} else {
				x = furthest[at-1] + 1
			}
			y := x - int32(k)
			for int(x) < len(a) && int(y) < len(b) && y >= 0 && a[x] == b[y] {
				x++
				y++
			}
			furthest[at] = x
			if int(x) >= len(a) && int(y) >= len(b) {
				return walk(trace, len(a), len(b)), true
			}
		}
	}
	return nil, false
}

// walk goes back from the end through the rounds.
func walk(trace [][]int32, x, y int) []Op {
	var back []Op
	for d := len(trace) - 1; d > 0; d-- {
		before := trace[d] // index k+d
		k := x - y
		down := k == -d || (k != d && before[k-1+d] < before[k+1+d])
		var start int // where the equal steps of the round began, after its edit
		if down {
			start = int(before[k+1+d])
		} else {
			start = int(before[k-1+d]) + 1
		}
		for x > start {
			back = append(back, Equal)
			x--
			y--
		}
		if down {
			back = append(back, Inserted)
			y--
		} else {
			back = append(back, Deleted)
			x--
		}
	}
	for range x {
		back = append(back, Equal)
	}
	slices.Reverse(back)
	return back
}
