package push

import "github.com/RoaringBitmap/roaring/v2"

// paceSteps is the number of portions in which a paced message is released. A step takes all targets whose ordinals
// have the same low 16 bits, so a portion is found without looking at the others.
const paceSteps = 1 << 16

// paceFactor is odd, so that multiplying by it permutes the steps; paceInverse undoes it. Neighbouring ordinals fall
// far apart, as those of devices that registered together should. Both are fixed for ever: a message that is being
// released continues under the next version.
const (
	paceFactor  uint16 = 40503
	paceInverse uint16 = 30599
)

// pace says when each target of a message is released. The zero value releases all at once.
type pace struct {
	from, over int64  // Unix milliseconds, milliseconds
	key        uint16 // lets messages begin with different devices
}

// stepAt is how many steps have been released at a time, 0 to paceSteps.
func (p pace) stepAt(now int64) uint32 {
	switch elapsed := now - p.from; {
	case elapsed >= p.over:
		return paceSteps
	case elapsed <= 0:
		return 0
	default:
		return uint32(elapsed * paceSteps / p.over)
	}
}

// step of a target: it is released when stepAt exceeds it.
func (p pace) step(ordinal uint32) uint32 {
	return uint32((uint16(ordinal) ^ p.key) * paceFactor)
}

// at is when a target is released, Unix milliseconds.
func (p pace) at(ordinal uint32) int64 {
	return p.from + (int64(p.step(ordinal)+1)*p.over+paceSteps-1)/paceSteps
}

// releases tells whether a target has been released when so many steps have.
func (p pace) releases(ordinal, steps uint32) bool {
	return steps >= paceSteps || p.step(ordinal) < steps
}

// portion is the part of set that the steps in [from, to) release. The caller owns it.
func (p pace) portion(set *roaring.Bitmap, from, to uint32) *roaring.Bitmap {
	if from == 0 && to >= paceSteps {
		return set.Clone()
	}
	out := roaring.New()
	if from >= to {
		return out
	}
	// One pattern of low bits serves every chunk of 65,536 ordinals.
	low := make([]uint32, 0, to-from)
	for step := from; step < min(to, paceSteps); step++ {
		low = append(low, uint32(uint16(step)*paceInverse^p.key))
	}
	pattern := roaring.BitmapOf(low...)
	for _, chunk := range chunks(set) {
		out.Or(roaring.AddOffset(pattern, chunk<<16))
	}
	out.And(set)
	return out
}
