package edge

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
)

func TestSequences(t *testing.T) {
	t.Parallel()
	now := time.Now()
	q := newSequences(now)
	gaps := func(node string, app int64, seqs ...uint64) (out []uint64) {
		for _, seq := range seqs {
			if q.delivered(node, app, seq, now) {
				out = append(out, seq)
			}
		}
		return out
	}
	if got := gaps("a", 1, 57, 58, 60, 61); !slices.Equal(got, []uint64{60}) {
		t.Errorf("joining in the middle, one lost: %v", got)
	}
	if got := gaps("b", 1, 1, 2); got != nil {
		t.Errorf("nodes are not apart: %v", got)
	}
	if got := gaps("a", 1, 1, 2, 3); got != nil {
		t.Errorf("restarted node: %v", got)
	}
	if got := gaps("a", 1, 2); !slices.Equal(got, []uint64{2}) {
		t.Errorf("going back: %v", got)
	}

	// The first Sync of a node is the baseline; after it, an app heard of late has lost what came before.
	q.sync(edgewire.Sync{Node: "c", Seqs: map[int64]uint64{1: 10}}, now)
	if got := gaps("c", 1, 11); got != nil {
		t.Errorf("after the baseline: %v", got)
	}
	if got := gaps("c", 2, 2); !slices.Equal(got, []uint64{2}) {
		t.Errorf("first heard of after the baseline: %v", got)
	}

	// A Sync that is ahead is believed after a while, unless the delivery comes.
	q.sync(edgewire.Sync{Node: "c", Seqs: map[int64]uint64{1: 13, 2: 3}}, now)
	if got := q.due(now); got != nil {
		t.Errorf("believed at once: %v", got)
	}
	gaps("c", 2, 3)
	if got := q.due(now.Add(syncGrace)); !slices.Equal(got, []int64{1}) {
		t.Errorf("lost last messages: %v", got)
	}
	if got := gaps("c", 1, 14); got != nil {
		t.Errorf("a loss was reported twice: %v", got)
	}
	if q.due(now.Add(nodeForgot + time.Second)); len(q.nodes) != 0 {
		t.Errorf("%d nodes remembered for ever", len(q.nodes))
	}
}

// TestSequencesOfANewNode: a node that appears when this edge has listened for long begins at 1.
func TestSequencesOfANewNode(t *testing.T) {
	t.Parallel()
	start := time.Now()
	late := start.Add(listenedLong + time.Second)
	q := newSequences(start)
	if q.delivered("old", 1, 40, start) {
		t.Error("a node that was there before is new")
	}
	if !q.delivered("new", 1, 2, late) {
		t.Error("the lost first broadcast of a new node was not noticed")
	}
	if q.delivered("new", 1, 3, late) || q.delivered("new", 2, 1, late) {
		t.Error("a gap after none was lost")
	}
	// Both are lost, and the Sync is the first that is heard of the node.
	q.sync(edgewire.Sync{Node: "silent", Seqs: map[int64]uint64{5: 2}}, late)
	// The Sync of a third overtakes its broadcast.
	q.sync(edgewire.Sync{Node: "third", Seqs: map[int64]uint64{6: 1}}, late)
	if q.delivered("third", 6, 1, late) {
		t.Error("the first broadcast is a gap")
	}
	if got := q.due(late.Add(syncGrace)); !slices.Equal(got, []int64{5}) {
		t.Errorf("lost according to the Sync: %v, want app 5", got)
	}

	// An empty Sync makes a node known to an edge that listens only since now.
	young := newSequences(start)
	young.sync(edgewire.Sync{Node: "new"}, start)
	if !young.delivered("new", 1, 2, start) {
		t.Error("the lost first broadcast after an empty Sync was not noticed")
	}
	// After all nodes are forgotten for lack of room, none of them passes for new.
	for i := range nodesKept {
		q.delivered(strconv.Itoa(i), 1, 1, late)
	}
	if q.delivered("old", 1, 41, late) {
		t.Error("a forgotten node is new")
	}
}

func TestFacts(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Now())
	var asked atomic.Int32
	answer := make(chan edgewire.AppFacts)
	f := newFacts(fake, func(context.Context, string) (edgewire.AppFacts, error) {
		asked.Add(1)
		facts := <-answer
		if facts.ID < 0 {
			return facts, errors.New("no core")
		}
		return facts, nil
	})
	get := func() <-chan int64 {
		got := make(chan int64, 1)
		go func() {
			facts, err := f.get(t.Context(), "key")
			if err != nil {
				facts.ID = -1
			}
			got <- facts.ID
		}()
		return got
	}
	expectID := func(what string, got <-chan int64, want int64) {
		t.Helper()
		if id := <-got; id != want {
			t.Errorf("%s: %d, want %d", what, id, want)
		}
	}
	first, second := get(), get()
	answer <- edgewire.AppFacts{ID: 1}
	expectID("first", first, 1)
	expectID("second", second, 1)
	expectID("from memory", get(), 1)
	if asked.Load() != 1 {
		t.Errorf("asked %d times", asked.Load())
	}
	fake.Advance(factsLife)
	after := get()
	eventually(t, "asked again", func() bool { return asked.Load() == 2 })
	f.forget("key") // changed while the answer is under way: it is used but not kept
	answer <- edgewire.AppFacts{ID: 2}
	expectID("after a minute", after, 2)
	failed := get()
	answer <- edgewire.AppFacts{ID: -1}
	expectID("no core", failed, -1)
	none := get()
	answer <- edgewire.AppFacts{}
	expectID("no such app", none, 0)
	expectID("no such app, from memory", get(), 0)
	fake.Advance(noFactsLife)
	created := get()
	answer <- edgewire.AppFacts{ID: 3}
	expectID("created since", created, 3)
	f.forgetAll()
	again := get()
	answer <- edgewire.AppFacts{ID: 4}
	expectID("after forgetAll", again, 4)
}

func TestAppKeyForm(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]bool{
		testAppKey:                  true,
		"ABCXYZabcxyz0123456789Aa":  true,
		"":                          false,
		testAppKey[1:]:              false,
		testAppKey + "a":            false,
		testAppKey[1:] + "-":        false,
		testAppKey[2:] + "é":        false,
		testAppKey[1:] + "\x00":     false,
		strings.Repeat("a", 60_000): false,
	} {
		if isAppKey([]byte(name)) != want {
			t.Errorf("%.30q: want %v", name, want)
		}
	}
}

func TestFactsOfAppsThatDoNotExistAreFewAndGo(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Now())
	f := newFacts(fake, func(_ context.Context, key string) (edgewire.AppFacts, error) {
		if strings.HasPrefix(key, "real") {
			return edgewire.AppFacts{ID: 1}, nil
		}
		return edgewire.AppFacts{}, nil
	})
	get := func(key string) {
		t.Helper()
		if _, err := f.get(t.Context(), key); err != nil {
			t.Fatal(err)
		}
	}
	get("real")
	for i := range noFactsKept + 100 {
		get(strconv.Itoa(i))
	}
	if len(f.known) != noFactsKept+1 || len(f.none) != noFactsKept || f.known["real"].ID != 1 {
		t.Fatalf("%d known, %d of them none", len(f.known), len(f.none))
	}
	// One is dropped and asked for again: its old place in the list must not take the new entry away.
	fake.Advance(noFactsLife / 2)
	again := strconv.Itoa(noFactsKept)
	f.forget(again)
	get(again)
	fake.Advance(noFactsLife / 2)
	get("real")
	if _, kept := f.known[again]; len(f.known) != 2 || len(f.none) != 1 || !kept {
		t.Fatalf("expired entries stay: %d known, %d of them none", len(f.known), len(f.none))
	}
}

func TestReceiptsAreShedOldestSentFirst(t *testing.T) {
	t.Parallel()
	l := quietLoop(t)
	r := l.edge.receipts
	r.limit = 5
	for i := range r.pools { // nothing is sent
		r.pools[i] = newPool(l.edge.ctx, 0, 0)
	}
	add := func(app, msg int64, stage edgewire.Stage, n int) {
		c := &count{key: tallyKey{app, msg}}
		c.stages[stage-1] = make([]uint32, n)
		r.add([]*count{c})
	}
	left := func(app int64) (out []int64) {
		for _, e := range r.apps[app].entries {
			out = append(out, e.msg)
		}
		return out
	}
	add(1, 1, edgewire.Delivered, 1)
	add(1, 2, edgewire.Sent, 1)
	add(1, 3, edgewire.Sent, 1)
	add(2, 4, edgewire.Sent, 1)
	add(1, 5, edgewire.Delivered, 1)
	add(1, 6, edgewire.Delivered, 1)
	if got := left(1); !slices.Equal(got, []int64{1, 3, 5, 6}) {
		t.Fatalf("own oldest Sent first: %v", got)
	}
	add(1, 7, edgewire.Delivered, 2)
	if got := left(1); !slices.Equal(got, []int64{1, 5, 6, 7}) || len(left(2)) != 0 {
		t.Fatalf("then Sent of others: %v %v", got, left(2))
	}
	add(1, 8, edgewire.Delivered, 1)
	if got := left(1); !slices.Equal(got, []int64{5, 6, 7, 8}) || r.pending() != 5 {
		t.Fatalf("then the oldest: %v", got)
	}
}

func TestItemsMergeMessages(t *testing.T) {
	t.Parallel()
	many := make([]uint32, listedOrdinals)
	for i := range many {
		many[i] = uint32(i)
	}
	got := items([]entry{
		{msg: 1, stage: edgewire.Sent, ordinals: []uint32{1}},
		{msg: 2, stage: edgewire.Sent, ordinals: many},
		{msg: 1, stage: edgewire.Delivered, ordinals: []uint32{1}},
		{msg: 1, stage: edgewire.Sent, ordinals: []uint32{2}},
		{msg: 2, stage: edgewire.Sent, ordinals: []uint32{1000}},
	})
	if len(got) != 3 || !slices.Equal(got[0].Ordinals, []uint32{1, 2}) || got[1].Set == nil || got[1].Ordinals != nil ||
		got[2].Stage != edgewire.Delivered {
		t.Fatalf("%+v", got)
	}
	if many[0] != 0 || cap(many) > listedOrdinals && many[:listedOrdinals+1][listedOrdinals] == 1000 {
		t.Error("the entries were changed")
	}
}

func TestGateForgetsAddresses(t *testing.T) {
	t.Parallel()
	g := newGate(Limits{Connections: 3, HalfOpenPerIP: 2})
	a, b := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")
	var entered []bool
	for _, from := range []netip.Addr{a, a, a, b, b} {
		entered = append(entered, g.enter(from))
	}
	if want := []bool{true, true, false, true, false}; !slices.Equal(entered, want) {
		t.Fatalf("limits are not kept: entered %v, want %v", entered, want)
	}
	g.connected(a)
	g.connected(a)
	g.connected(b)
	for range 3 {
		g.leave()
	}
	if len(g.half) != 0 || g.open.Load() != 0 {
		t.Fatalf("left: %v, %d open", g.half, g.open.Load())
	}
}
