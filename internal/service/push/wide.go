package push

import (
	"context"
	"fmt"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/db"
)

// stage names one set of a wide message. The numbers are stored; never reuse one.
type stage uint8

// Stages. A set of devices whose pair ended with an Outcome other than delivery is stageFailed + Outcome.
const (
	stageTarget    stage = 0
	stageSent      stage = 1
	stageDelivered stage = 2
	stageDisplayed stage = 3
	stageClicked   stage = 4
	// A device is held while a vendor's channel is to reach it: our own does not, until it is returned. Both are for ever, and
	// a device that was returned is not held again.
	stageHeld     stage = 5
	stageReturned stage = 6
	stageFailed   stage = 16
	stageEnd            = stageFailed + stage(outcomeEnd)
)

func failed(o Outcome) stage { return stageFailed + stage(o) }

// wide is a message to many, held by the owner of its partition. Sets are written by the merger only.
type wide struct {
	message
	frames map[audience.Platform][]byte
	steps  uint32 // of its pace that have been sent to the edges; releasePaced's alone

	mu      sync.RWMutex
	targets map[audience.Platform]*roaring.Bitmap
	all     *roaring.Bitmap // union of targets
	sets    [stageEnd]*roaring.Bitmap
}

func newWide(m message, targets map[audience.Platform]*roaring.Bitmap) (*wide, error) {
	w := &wide{message: m, targets: targets, all: roaring.New(), frames: make(map[audience.Platform][]byte, len(targets))}
	for p, set := range targets {
		w.all.Or(set)
		frame, err := w.content(p)
		if err != nil {
			return nil, err
		}
		w.frames[p] = frame
	}
	for s := range w.sets {
		w.sets[s] = roaring.New()
	}
	return w, nil
}

// owes tells whether the message has been released to a device and not settled, and the frame for it. Callers hold mu.
func (w *wide) owes(ordinal uint32, now int64) ([]byte, bool) {
	if !w.all.Contains(ordinal) || w.settled(ordinal) || w.held(ordinal) || w.Pace > 0 && !w.pace().releases(ordinal, w.pace().stepAt(now)) {
		return nil, false
	}
	for p, set := range w.targets {
		if set.Contains(ordinal) {
			return w.frames[p], true
		}
	}
	return nil, false
}

func (w *wide) settled(ordinal uint32) bool {
	if w.sets[stageDelivered].Contains(ordinal) {
		return true
	}
	for s := stageFailed; s < stageEnd; s++ {
		if w.sets[s].Contains(ordinal) {
			return true
		}
	}
	return false
}

// held tells whether a vendor's channel is to reach a device.
func (w *wide) held(ordinal uint32) bool {
	return w.sets[stageHeld].Contains(ordinal) && !w.sets[stageReturned].Contains(ordinal)
}

// ours is owed without the devices that are held. Callers hold mu; they own the result.
func (w *wide) ours() *roaring.Bitmap {
	rest := w.owed()
	rest.AndNot(roaring.AndNot(w.sets[stageHeld], w.sets[stageReturned]))
	return rest
}

// left is the part of devices that the message is owed to. Callers hold mu; they own the result.
func (w *wide) left(devices *roaring.Bitmap) *roaring.Bitmap {
	rest := roaring.And(devices, w.all)
	rest.AndNot(w.sets[stageDelivered])
	for s := stageFailed; s < stageEnd; s++ {
		rest.AndNot(w.sets[s])
	}
	return rest
}

// owed is the set of devices the message is owed to, released or not, held or not. Callers hold mu; they own the result.
func (w *wide) owed() *roaring.Bitmap {
	return w.left(w.all)
}

// add puts devices into a set and returns those that are targets and were not in it. The caller holds mu for writing
// and takes them out again (remove) if the database refuses them.
func (w *wide) add(s stage, devices *roaring.Bitmap) *roaring.Bitmap {
	fresh := roaring.And(devices, w.all)
	fresh.AndNot(w.sets[s])
	if s >= stageHeld {
		// Only what is still owed can fail or be held; a delivery that comes later overrides.
		fresh.AndNot(w.sets[stageDelivered])
		for f := stageFailed; f < stageEnd; f++ {
			fresh.AndNot(w.sets[f])
		}
	}
	if s == stageReturned {
		fresh.And(w.sets[stageHeld])
	}
	w.sets[s].Or(fresh)
	return fresh
}

func (w *wide) remove(s stage, devices *roaring.Bitmap) { w.sets[s].AndNot(devices) }

// counts is the funnel per platform. Callers hold mu.
func (w *wide) counts() map[audience.Platform]Counts {
	out := make(map[audience.Platform]Counts, len(w.targets))
	for p, set := range w.targets {
		n := func(s stage) int64 { return int64(set.AndCardinality(w.sets[s])) }
		c := Counts{Targets: int64(set.GetCardinality()), Sent: n(stageSent), Delivered: n(stageDelivered), Displayed: n(stageDisplayed), Clicked: n(stageClicked)}
		c.Vendor = int64(set.AndCardinality(roaring.AndNot(w.sets[failed(VendorAccepted)], w.sets[stageDelivered])))
		for o := Suppressed; o < outcomeEnd; o++ {
			undelivered := roaring.AndNot(w.sets[failed(o)], w.sets[stageDelivered])
			c.Failed[o] = int64(set.AndCardinality(undelivered))
		}
		out[p] = c
	}
	return out
}

// chunkBits is the part of a set that one row holds, serialised.
func chunkBits(set *roaring.Bitmap, chunk uint32) ([]byte, error) {
	window := roaring.New()
	window.AddRange(uint64(chunk)<<16, (uint64(chunk)+1)<<16)
	window.And(set)
	window.RunOptimize()
	return window.ToBytes()
}

// chunks lists the chunks in which a set has members.
func chunks(set *roaring.Bitmap) []uint32 {
	var out []uint32
	it := set.Iterator()
	for it.HasNext() {
		c := it.PeekNext() >> 16
		out = append(out, c)
		if c == 1<<16-1 {
			break
		}
		it.AdvanceIfNeeded((c + 1) << 16)
	}
	return out
}

// storeSet writes the given chunks of a set.
func storeSet(ctx context.Context, tx *db.Tx, msg int64, s stage, part audience.Platform, set *roaring.Bitmap, which []uint32) error {
	for _, c := range which {
		bits, err := chunkBits(set, c)
		if err != nil {
			return fmt.Errorf("push: encode set: %w", err)
		}
		_, err = tx.Exec(ctx, `insert into push_set (msg_id, stage, part, chunk, bits) values ($1, $2, $3, $4, $5)
			on conflict (msg_id, stage, part, chunk) do update set bits = excluded.bits`, msg, int64(s), int64(part), int64(c), bits)
		if err != nil {
			return fmt.Errorf("push: store set: %w", err)
		}
	}
	return nil
}

// loadWide reads a wide message with its sets.
func loadWide(ctx context.Context, d *db.DB, m *message) (*wide, error) {
	rows, err := d.Query(ctx, `select stage, part, bits from push_set where msg_id = $1`, m.ID)
	if err != nil {
		return nil, fmt.Errorf("push: load sets: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var (
		targets = make(map[audience.Platform]*roaring.Bitmap)
		stages  = make(map[stage]*roaring.Bitmap)
	)
	for rows.Next() {
		var (
			s    stage
			part audience.Platform
			bits []byte
		)
		if err := rows.Scan(&s, &part, &bits); err != nil {
			return nil, fmt.Errorf("push: load sets: %w", err)
		}
		chunk := roaring.New()
		if err := chunk.UnmarshalBinary(bits); err != nil {
			return nil, fmt.Errorf("push: set of message %d: %w", m.ID, err)
		}
		if s == stageTarget {
			union(targets, part, chunk)
		} else {
			union(stages, s, chunk)
		}
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("push: load sets: %w", err)
	}
	w, err := newWide(*m, targets)
	if err != nil {
		return nil, err
	}
	for s, set := range stages {
		if s < stageEnd {
			w.sets[s] = set
		}
	}
	return w, nil
}

func union[K comparable](into map[K]*roaring.Bitmap, key K, set *roaring.Bitmap) {
	if have := into[key]; have != nil {
		have.Or(set)
		return
	}
	into[key] = set
}
