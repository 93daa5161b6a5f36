package edge

import (
	"slices"
	"testing"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"borealis/internal/engine/edge/edgewire"
)

// TestSweepServesEveryTargetOnceInOrder: whatever comes while the sweep is anywhere, each target gets each delivery
// exactly once, and older ones not after newer ones.
func TestSweepServesEveryTargetOnceInOrder(t *testing.T) {
	t.Parallel()
	l := quietLoop(t)
	ordinal := rapid.OneOf(rapid.Uint32Range(0, 20), rapid.Uint32Range(1<<32-5, 1<<32-1))
	rapid.Check(t, func(t *rapid.T) {
		a := &appQueue{app: testApp}
		want, got := map[uint32][]int64{}, map[uint32][]int64{}
		pushed := int64(0)
		step := func() bool {
			a.join()
			at, frames, ok := a.next(l, nil)
			if !ok {
				return false
			}
			for _, f := range frames {
				got[at] = append(got[at], f.msg)
			}
			return true
		}
		for range rapid.IntRange(1, 60).Draw(t, "actions") {
			if rapid.Bool().Draw(t, "push") {
				pushed++
				targets := rapid.SliceOfNDistinct(ordinal, 0, 12, rapid.ID[uint32]).Draw(t, "targets")
				slices.Sort(targets)
				f := newFrame(testApp, edgewire.Frame{Msg: pushed})
				if rapid.Bool().Draw(t, "set") {
					a.waiting = append(a.waiting, newDelivery(f, nil, roaring.BitmapOf(targets...)))
				} else {
					a.waiting = append(a.waiting, newDelivery(f, targets, nil))
				}
				for _, target := range targets {
					want[target] = append(want[target], pushed)
				}
				continue
			}
			step()
		}
		for step() {
		}
		if len(a.sweep) != 0 || len(a.waiting) != 0 || a.bytes != 0 {
			t.Fatalf("left: %d in the sweep, %d waiting, %d bytes", len(a.sweep), len(a.waiting), a.bytes)
		}
		for target, msgs := range want {
			if !slices.Equal(got[target], msgs) {
				t.Fatalf("device %d got %v, want %v", target, got[target], msgs)
			}
		}
		if len(got) != len(want) {
			t.Fatalf("%d devices served, want %d", len(got), len(want))
		}
	})
}

func TestQueueTakesAppsInTurnAndDirectFirst(t *testing.T) {
	t.Parallel()
	l := quietLoop(t)
	var q queue
	var order []int64
	for app := int64(1); app <= 3; app++ {
		for msg := range int64(2) {
			f := newFrame(app, edgewire.Frame{Msg: app*10 + msg, Wide: app == 3})
			ordinals := make([]uint32, turnDevices+1)
			for i := range ordinals {
				ordinals[i] = uint32(i)
			}
			q.push(newDelivery(f, ordinals, nil))
		}
		l.rosters[app] = &roster{app: app, online: map[uint32]*session{1: {state: closed}}}
	}
	for !q.empty() {
		ring := q.direct.ring
		if len(ring) == 0 {
			ring = q.wide.ring
		}
		order = append(order, ring[0].app)
		q.work(l)
	}
	if want := []int64{1, 2, 1, 2, 3, 3}; !slices.Equal(order, want) {
		t.Fatalf("turns %v, want %v", order, want)
	}
}
