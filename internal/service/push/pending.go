package push

import (
	"slices"
	"sync"
	"time"
)

const (
	// offerAfter is how long a direct message may be unacknowledged before every edge is asked to look.
	offerAfter = 2 * time.Second
	// maxPending bounds the list.
	maxPending = 100_000
)

// offerAgain are the pauses before further offers, to devices believed online only.
var offerAgain = []time.Duration{8 * time.Second, 30 * time.Second}

// pending lists the direct messages of the partitions this node owns that are not acknowledged yet. It only makes
// delivery quicker: what it forgets is delivered when the device connects.
type pending struct {
	mu    sync.Mutex
	byMsg map[int64]*pendingMessage
	queue []*pendingMessage // by due, roughly
}

type pendingMessage struct {
	msg, app int64
	left     []uint32
	due      time.Time
	expires  time.Time
	offers   int
}

func newPending() *pending { return &pending{byMsg: make(map[int64]*pendingMessage)} }

// add lists a message; it is due offerAfter later.
func (p *pending) add(now time.Time, app, msg int64, ordinals []uint32, expires time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byMsg[msg] != nil {
		return
	}
	m := &pendingMessage{msg: msg, app: app, left: slices.Clone(ordinals), due: now.Add(offerAfter), expires: expires}
	for len(p.queue) >= maxPending { // the oldest waits for its device to connect
		delete(p.byMsg, p.queue[0].msg)
		p.queue = p.queue[1:]
	}
	p.byMsg[msg] = m
	p.queue = append(p.queue, m)
}

// settle takes devices off a message.
func (p *pending) settle(msg int64, ordinals []uint32) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m := p.byMsg[msg]
	if m == nil {
		return
	}
	m.left = slices.DeleteFunc(m.left, func(o uint32) bool { return slices.Contains(ordinals, o) })
	if len(m.left) == 0 {
		delete(p.byMsg, msg) // the queue drops it when it gets there
	}
}

// due returns, by app, the devices to be offered now. Those of a repeated offer must pass online.
func (p *pending) due(now time.Time, online func(app int64, ordinal uint32) bool) map[int64][]uint32 {
	p.mu.Lock()
	defer p.mu.Unlock()
	out := make(map[int64][]uint32)
	keep := p.queue[:0]
	for _, m := range p.queue {
		switch {
		case len(m.left) == 0:
			continue
		case now.Before(m.due):
			keep = append(keep, m)
			continue
		case now.After(m.expires):
			delete(p.byMsg, m.msg)
			continue
		}
		for _, o := range m.left {
			if m.offers == 0 || online(m.app, o) {
				out[m.app] = append(out[m.app], o)
			}
		}
		if m.offers == len(offerAgain) {
			delete(p.byMsg, m.msg)
			continue
		}
		m.due = now.Add(offerAgain[m.offers])
		m.offers++
		keep = append(keep, m)
	}
	clear(p.queue[len(keep):])
	p.queue = slices.Clip(keep)
	for app := range out {
		slices.Sort(out[app])
		out[app] = slices.Compact(out[app])
	}
	return out
}

// forget drops everything of the apps that match.
func (p *pending) forget(match func(app int64) bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.queue = slices.DeleteFunc(p.queue, func(m *pendingMessage) bool {
		if match(m.app) {
			delete(p.byMsg, m.msg)
			return true
		}
		return false
	})
}

func (p *pending) len() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.byMsg)
}
