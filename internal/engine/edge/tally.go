package edge

import (
	"sync"

	"borealis/internal/engine/edge/edgewire"
)

// tally gathers the receipts of one loop until receipts collects them. Its lock is taken by the loop for each receipt
// and by the collector every few milliseconds, so it is practically free.
type tally struct {
	// notify is called, with the lock held, when the first receipt of a kind has come in since the last take.
	notify func(wide bool)

	mu           sync.Mutex
	direct, wide map[tallyKey]*count
	last         *count // the count used last: receipts come in runs of one message
}

type tallyKey struct{ app, msg int64 }

// count is what is gathered of one message.
type count struct {
	key  tallyKey
	wide bool
	// stages by edgewire.Stage - 1, in order of arrival.
	stages [2][]uint32
}

func (t *tally) init(notify func(wide bool)) {
	t.notify = notify
	t.direct, t.wide = map[tallyKey]*count{}, map[tallyKey]*count{}
}

func (t *tally) add(app, msg int64, stage edgewire.Stage, ordinal uint32, wide bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c := t.last
	if key := (tallyKey{app, msg}); c == nil || c.key != key {
		kind := t.direct
		if wide {
			kind = t.wide
		}
		if c = kind[key]; c == nil {
			if len(kind) == 0 {
				t.notify(wide)
			}
			c = &count{key: key, wide: wide}
			kind[key] = c
		}
		t.last = c
	}
	c.stages[stage-1] = append(c.stages[stage-1], ordinal)
}

// take empties the tally; wide false: of direct messages only.
func (t *tally) take(wide bool) (counts []*count) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.direct) == 0 && (!wide || len(t.wide) == 0) {
		return nil
	}
	t.last = nil
	for _, c := range t.direct {
		counts = append(counts, c)
	}
	clear(t.direct)
	if wide {
		for _, c := range t.wide {
			counts = append(counts, c)
		}
		clear(t.wide)
	}
	return counts
}
