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
	// suspects are Syncs that were ahead, in order of time.
	suspects []suspect
}

type nodeSequence struct {
	heard time.Time
	last  map[int64]uint64
	// synced: a Sync has come, so an app that is not in last has sent nothing since this edge listens. Before, the
	// first number of an app is taken as it is: whoever is online then has loaded what it is owed only just now.
	synced bool
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
)

func (q *sequences) node(name string, now time.Time) *nodeSequence {
	n := q.nodes[name]
	if n == nil {
		if len(q.nodes) >= nodesKept {
			clear(q.nodes)
		}
		n = &nodeSequence{last: map[int64]uint64{}}
		q.nodes[name] = n
	}
	n.heard = now
	if len(n.last) >= appsKept {
		clear(n.last)
		n.synced = false
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
		return n.synced
	}
	return seq != last+1
}

// synced takes a Sync; what it says is checked by due.
func (q *sequences) sync(in edgewire.Sync, now time.Time) {
	q.mu.Lock()
	defer q.mu.Unlock()
	n := q.node(in.Node, now)
	for app, seq := range in.Seqs {
		last, known := n.last[app]
		switch {
		case !known && !n.synced:
			n.last[app] = seq
		case last < seq && len(q.suspects) < suspectsKept:
			q.suspects = append(q.suspects, suspect{in.Node, app, seq, now.Add(syncGrace)})
		}
	}
	n.synced = true
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
