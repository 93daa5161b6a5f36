package relay

import (
	"context"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/db/dbtest"
)

// Whatever the vendor answers and whenever the process dies: in the end every device is in at most one push that the
// vendor took, each of those is settled unless it was claimed before that, and the numbers add up.
func TestChaosSendsNothingTwiceAndLosesNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := newVendor(t)
		defer v.Close()
		d := dbtest.SQLite(t)
		n := newNode(t, d, v)
		count := rapid.IntRange(1, 12).Draw(rt, "devices")
		n.imports(count)
		n.record(1, 0)
		claimed := map[int]bool{}
		faults := rapid.SliceOfN(rapid.IntRange(0, 6), 0, 8).Draw(rt, "faults")
		settled := map[uint32]bool{}
		gather := func() {
			for _, o := range n.settledOf(1) {
				settled[o] = true
			}
		}
		for i := 0; ; i++ {
			kind := 0
			if i < len(faults) {
				kind = faults[i]
			}
			ctx, die := context.WithCancel(context.Background())
			v.does(func(int) fault {
				switch kind {
				case 1:
					return fault{status: 500, code: 1000}
				case 2:
					return fault{status: 429, code: 2002}
				case 3:
					return fault{lost: true}
				case 4:
					return fault{after: die}
				case 5:
					return fault{before: die, status: 503, code: 1030}
				case 6:
					return fault{status: 401, code: 1004}
				}
				return fault{}
			})
			n.workAs(ctx)
			die()
			gather()
			if len(claimed) < count && i < len(faults) && rapid.Bool().Draw(rt, "claim") {
				x := rapid.IntRange(1, count).Draw(rt, "claimed")
				if !claimed[x] {
					claimed[x] = true
					n.claims(x)
				}
			}
			if rapid.Bool().Draw(rt, "restart") {
				n = n.restart()
			}
			n.clock.Advance(time.Minute)
			if i >= len(faults)+3 {
				break
			}
		}
		reached := v.reached()
		for i := 1; i <= count; i++ {
			switch times := reached[oldID(i)]; {
			case times > 1:
				rt.Fatalf("device %d was reached %d times", i, times)
			case times == 0 && !claimed[i]:
				rt.Fatalf("device %d was not reached", i)
			case times == 0 && settled[uint32(i)]:
				rt.Fatalf("device %d was settled, although the vendor does not have it", i)
			case !settled[uint32(i)] && !claimed[i]:
				rt.Fatalf("device %d was not settled", i)
			}
		}
		r := n.results(1)
		sum := r.Accepted + r.Claimed + r.Uncertain
		if r.Waiting != 0 || sum != r.Devices || r.Devices != int64(count) || r.Refused+r.Nobody+r.Expired != 0 {
			rt.Fatalf("results %+v", r)
		}
		if slices.ContainsFunc(v.taken(), func(p accepted) bool { return len(p.ids) == 0 }) {
			rt.Fatal("a push to nobody")
		}
	})
}
