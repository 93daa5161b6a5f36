package edge

import (
	"sync"
	"time"

	"borealis/internal/engine/edge/edgewire"
)

// sequences finds lost broadcasts: the numbers of each sending node and app have no gaps (edgewire.Deliver).
//
// Deliveries and Syncs come through different subscriptions, so a Sync may overtake the deliveries it counts; it is
// therefore believed only after syncGrace.
type sequences struct {
	mu    sync.Mutex
	nodes map[string]*nodeSequence
	// since is when this edge began to listen, or forgot all nodes.
	since time.Time
	// suspects are Syncs that were ahead, in order of time.
	suspects []suspect
}

type nodeSequence struct {
	heard time.Time
	last  map[int64]uint64
	// complete: an app that is not in last has sent nothing, because a Sync has come since this edge listens, or because
	// the node itself began later than this edge. Otherwise the first number of an app is taken as it is: whoever is
	// online then has loaded what it is owed only just now.
	complete bool
}

type suspect struct {
	node string
	app  int64
	seq  uint64
	due  time.Time
}

const (
	nodesKept    = 1_000
	appsKept     = 100_000 // per node
	suspectsKept = 100_000
	nodeForgot   = 10 * time.Minute
	// listenedLong is after how long every node that was there when the edge began to listen has sent a Sync: some of
	// the intervals in which they are sent. A node first heard of after that is new, and its first number is 1.
	listenedLong = 10 * time.Second
)

func newSequences(now time.Time) *sequences {
	return &sequences{nodes: map[string]*nodeSequence{}, since: now}
}

func (q *sequences) node(name string, now time.Time) *nodeSequence {
	n := q.nodes[name]
	if n == nil {
		if len(q.nodes) >= nodesKept {
			clear(q.nodes)
			q.since = now // or each of them would pass for a new node
		}
		n = &nodeSequence{last: map[int64]uint64{}, complete: now.Sub(q.since) > listenedLong}
		q.nodes[name] = n
	}
	n.heard = now
	if len(n.last) >= appsKept {
		clear(n.last)
		n.complete = false
	}
	return n
}

// delivered takes the number of a broadcast; gap: some before it were lost.
func (q *sequences) delivered(node string, app int64, seq uint64, now time.Time) (gap bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.node(node, now)
	last, known := n.last[app]
	n.last[app] = seq
	switch {
	case seq == 1: // first, or the node has started again
		return false
	case !known:
		return n.complete
	}
	return seq != last+1
}

// sync takes a Sync; what it says is checked by due.
func (q *sequences) sync(in edgewire.Sync, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.node(in.Node, now)
	for app, seq := range in.Seqs {
		last, known := n.last[app]
		switch {
		case !known && !n.complete:
			n.last[app] = seq
		case last < seq && len(q.suspects) < suspectsKept:
			q.suspects = append(q.suspects, suspect{in.Node, app, seq, now.Add(syncGrace)})
		}
	}
	n.complete = true
}

// due gives the apps whose broadcasts have not come although a Sync counted them, and forgets nodes not heard of.
func (q *sequences) due(now time.Time) (apps []int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.suspects) > 0 && !now.Before(q.suspects[0].due) {
		s := q.suspects[0]
		q.suspects = q.suspects[1:]
		if n := q.nodes[s.node]; n != nil && n.last[s.app] < s.seq {
			n.last[s.app] = s.seq
			apps = append(apps, s.app)
		}
	}
	if len(q.suspects) == 0 {
		q.suspects = nil
	}
	for name, n := range q.nodes {
		if now.Sub(n.heard) > nodeForgot {
			delete(q.nodes, name)
		}
	}
	return apps
}
