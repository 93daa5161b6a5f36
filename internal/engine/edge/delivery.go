package edge

import (
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// delivery is one frame with those of its targets that are online in one loop: ordinals (ascending) or set.
type delivery struct {
	f        *frame
	ordinals []uint32
	set      *roaring.Bitmap
	bytes    int // for the bound of the queue
}

const deliveryOverhead = 128

func newDelivery(f *frame, ordinals []uint32, set *roaring.Bitmap) *delivery {
	d := &delivery{f: f, ordinals: ordinals, set: set, bytes: deliveryOverhead + len(f.payload) + 4*len(ordinals)}
	if set != nil {
		d.bytes += int(set.GetSizeInBytes())
	}
	return d
}

func (d *delivery) wide() bool { return d.f.wide || d.set != nil }

// queue holds the deliveries of a loop: messages to few before broadcasts, in each class the apps in turn, in each
// app the oldest first.
type queue struct {
	direct, wide class
	turns        int
	frames       []*frame // scratch
}

// directTurns is how many turns direct messages get for each turn of a broadcast while both wait.
const directTurns = 8

// turnDevices is how many devices a turn serves.
const turnDevices = 32

// batchItems and batchBytes bound what is written to one device at once.
const (
	batchItems = 16
	batchBytes = 64 << 10
)

type class struct {
	ring  []*appQueue // apps with work; the first has the turn
	byApp map[int64]*appQueue
}

// appQueue is the work of one app in one class. It sweeps over the ordinals in ascending order, round and round, with
// all deliveries under way at once: one that comes joins at the place where the sweep is and leaves it there one lap
// later. So a delivery never waits for another, and whatever is under way for a device is written to it together,
// oldest first.
type appQueue struct {
	app     int64
	waiting []*delivery // find no room in the sweep
	sweep   []source    // oldest first
	bytes   int         // payload bytes of the sweep
	at      uint32      // the sweep has served the ordinals below in this lap
}

// source walks the targets of one delivery: from the place where it joined to the end, then from the beginning.
type source struct {
	d *delivery
	// list or it is what is left of this lap; start is where the source joined.
	list   []uint32
	it     roaring.IntPeekable
	start  uint32
	second bool // in the lap that ends at start
}

func newSource(d *delivery, start uint32) source {
	s := source{d: d, start: start}
	if d.set != nil {
		s.it = d.set.Iterator()
		s.it.AdvanceIfNeeded(start)
		return s
	}
	i, _ := slices.BinarySearch(d.ordinals, start)
	s.list = d.ordinals[i:]
	return s
}

// wrap begins the second lap; false: there is none, the source has finished.
func (s *source) wrap() bool {
	if s.second || s.start == 0 {
		s.second = false
		return false
	}
	s.second = true
	if s.it != nil {
		s.it = s.d.set.Iterator()
		return true
	}
	i, _ := slices.BinarySearch(s.d.ordinals, s.start)
	s.list = s.d.ordinals[:i]
	return true
}

// peek is the next target in this lap.
func (s *source) peek() (uint32, bool) {
	if s.it != nil {
		if !s.it.HasNext() {
			return 0, false
		}
		next := s.it.PeekNext()
		return next, !s.second || next < s.start
	}
	if len(s.list) == 0 {
		return 0, false
	}
	return s.list[0], true
}

func (s *source) skip() {
	if s.it != nil {
		s.it.Next()
		return
	}
	s.list = s.list[1:]
}

func (q *queue) empty() bool { return len(q.direct.ring) == 0 && len(q.wide.ring) == 0 }

func (q *queue) push(d *delivery) {
	c := &q.direct
	if d.wide() {
		c = &q.wide
	}
	if c.byApp == nil {
		c.byApp = map[int64]*appQueue{}
	}
	a := c.byApp[d.f.app]
	if a == nil {
		a = &appQueue{app: d.f.app}
		c.byApp[d.f.app] = a
		c.ring = append(c.ring, a)
	}
	a.waiting = append(a.waiting, d)
}

// work serves the app whose turn it is. The queue must not be empty.
func (q *queue) work(l *loop) {
	c := &q.direct
	q.turns++
	if len(c.ring) == 0 || len(q.wide.ring) > 0 && q.turns%directTurns == 0 {
		c = &q.wide
	}
	a := c.ring[0]
	finished := a.turn(l, &q.frames)
	c.ring = c.ring[1:]
	switch {
	case !finished:
		c.ring = append(c.ring, a)
	default:
		delete(c.byApp, a.app)
		if len(c.ring) == 0 {
			c.ring = nil
		}
	}
}

// turn writes to a few devices; true: the app has no work left.
func (a *appQueue) turn(l *loop, scratch *[]*frame) bool {
	a.join()
	for range turnDevices {
		r := l.rosters[a.app]
		if r == nil {
			a.leave(l, func(*source) bool { return true }) // nobody is left
			break
		}
		ordinal, frames, ok := a.next(l, (*scratch)[:0])
		*scratch = frames
		if !ok {
			break
		}
		if s := r.online[ordinal]; s != nil {
			l.offer(s, frames)
		}
	}
	clear(*scratch)
	return len(a.sweep) == 0 && len(a.waiting) == 0
}

// join lets what waits into the sweep, as much as may be written to one device at once.
func (a *appQueue) join() {
	if len(a.sweep) == 0 {
		a.at = 0
	}
	for len(a.waiting) > 0 {
		d := a.waiting[0]
		if len(a.sweep) > 0 && (len(a.sweep) >= batchItems || a.bytes+len(d.f.payload) > batchBytes) {
			return
		}
		a.sweep = append(a.sweep, newSource(d, a.at))
		a.bytes += len(d.f.payload)
		a.waiting[0] = nil
		if a.waiting = a.waiting[1:]; len(a.waiting) == 0 {
			a.waiting = nil
		}
	}
}

// leave takes sources out of the sweep.
func (a *appQueue) leave(l *loop, done func(*source) bool) {
	var finished []*delivery
	a.sweep = slices.DeleteFunc(a.sweep, func(s source) bool {
		if !done(&s) {
			return false
		}
		finished = append(finished, s.d)
		a.bytes -= len(s.d.f.payload)
		return true
	})
	l.delivered(finished)
}

// next gives the next target of the sweep and the frames it gets.
func (a *appQueue) next(l *loop, frames []*frame) (ordinal uint32, _ []*frame, ok bool) {
	for len(a.sweep) > 0 {
		ended := false
		for i := range a.sweep {
			at, some := a.sweep[i].peek()
			switch {
			case !some:
				// Nothing more in this lap; in its second lap, or having joined at 0, it has finished.
				ended = ended || a.sweep[i].second || a.sweep[i].start == 0
				continue
			case ok && at > ordinal:
				continue
			case !ok || at < ordinal:
				ordinal, ok = at, true
				frames = frames[:0]
			}
			frames = append(frames, a.sweep[i].d.f)
		}
		if ended {
			a.leave(l, func(s *source) bool {
				_, some := s.peek()
				return !some && (s.second || s.start == 0)
			})
		}
		if ok {
			break
		}
		a.lap(l)
	}
	if !ok {
		return 0, frames, false
	}
	for i := range a.sweep {
		if at, some := a.sweep[i].peek(); some && at == ordinal {
			a.sweep[i].skip()
		}
	}
	a.at = ordinal + 1
	if a.at == 0 { // the last ordinal there is
		a.lap(l)
	}
	return ordinal, frames, true
}

// lap begins the sweep anew at 0.
func (a *appQueue) lap(l *loop) {
	a.at = 0
	finished := 0
	for i := range a.sweep {
		if !a.sweep[i].wrap() {
			finished++
		}
	}
	if finished > 0 {
		a.leave(l, func(s *source) bool { return !s.second })
	}
}
