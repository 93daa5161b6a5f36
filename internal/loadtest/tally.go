package loadtest

import (
	"sync/atomic"
	"time"
)

// tally counts what arrives in one round. Each (device, message) pair counts once; what comes again is a duplicate.
type tally struct {
	round    uint32
	messages int
	// each: every device gets every message. Otherwise every message goes to one device.
	each bool
	seen []atomic.Uint64

	fresh, again, strange atomic.Int64
	size                  atomic.Int64 // of the last payload
	first, last           atomic.Int64 // Unix nanoseconds
	latency               histogram

	want    atomic.Int64 // fresh at which reached is told
	reached chan struct{}
}

func newTally(round uint32, devices, messages int, each bool) *tally {
	bits := messages
	if each {
		bits *= devices
	}
	return &tally{round: round, messages: messages, each: each, seen: make([]atomic.Uint64, bits/64+1), reached: make(chan struct{}, 1)}
}

// count takes a payload that a device received.
func (t *tally) count(device int, payload []byte, now time.Time) {
	m, ok := parseMark(payload)
	if !ok || m.round != t.round || int(m.seq) >= t.messages {
		t.strange.Add(1)
		return
	}
	bit := int(m.seq)
	if t.each {
		bit += device * t.messages
	}
	mask := uint64(1) << (bit % 64)
	if t.seen[bit/64].Or(mask)&mask != 0 {
		t.again.Add(1)
		return
	}
	t.size.Store(int64(len(payload)))
	t.latency.add(now.Sub(m.at))
	if t.first.Load() == 0 {
		t.first.CompareAndSwap(0, now.UnixNano())
	}
	t.last.Store(now.UnixNano())
	if t.fresh.Add(1) == t.want.Load() {
		select {
		case t.reached <- struct{}{}:
		default:
		}
	}
}

// await returns when n pairs have been counted, or after d.
func (t *tally) await(n int64, d time.Duration) {
	t.want.Store(n)
	deadline := time.NewTimer(d)
	defer deadline.Stop()
	for t.fresh.Load() < n {
		select {
		case <-t.reached:
		case <-deadline.C:
			return
		}
	}
}
