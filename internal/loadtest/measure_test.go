package loadtest

import (
	"os"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestMarks(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		m := mark{rapid.Uint32().Draw(t, "round"), rapid.Uint32().Draw(t, "seq"), time.Unix(0, rapid.Int64Min(0).Draw(t, "at"))}
		n := rapid.IntRange(0, 500).Draw(t, "length")
		text := m.text(n)
		if len(text) != max(n, markLen) {
			t.Fatalf("%d bytes, not %d", len(text), n)
		}
		got, ok := parseMark([]byte(`{"content":"` + text + `"}`))
		if !ok || got.round != m.round || got.seq != m.seq || !got.at.Equal(m.at) {
			t.Fatalf("%+v became %+v, %v", m, got, ok)
		}
	})
}

func FuzzParseMark(f *testing.F) {
	f.Add([]byte(mark{1, 2, time.Unix(3, 4)}.text(100)))
	f.Add([]byte("bx:00"))
	f.Fuzz(func(t *testing.T, payload []byte) {
		m, ok := parseMark(payload)
		if !ok {
			return
		}
		if again, ok := parseMark([]byte(m.text(0))); !ok || again.seq != m.seq || again.round != m.round || !again.at.Equal(m.at) {
			t.Errorf("%+v became %+v", m, again)
		}
	})
}

// A value is in a bucket whose top is at most 1/64 above it.
func TestBuckets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		v := rapid.Uint64Max(1<<62).Draw(t, "value")
		b := bucketOf(v)
		if b < 0 || b >= histogramSize || top(b) < v || top(b)-v > v>>subBits {
			t.Fatalf("%d is in bucket %d up to %d", v, b, top(b))
		}
		if b > 0 && top(b-1) >= v {
			t.Fatalf("%d would fit into bucket %d", v, b-1)
		}
	})
}

func TestLatency(t *testing.T) {
	t.Parallel()
	var h histogram
	if l := h.latency(); l.Count != 0 || l.P99 != 0 {
		t.Errorf("empty: %+v", l)
	}
	h.add(-time.Second)
	for i := 1; i < 1000; i++ {
		h.add(time.Duration(i) * time.Millisecond)
	}
	l := h.latency()
	near := func(got, want time.Duration) bool { return got >= want && got <= want+want/32 }
	if l.Count != 1000 || !near(l.P50, 499*time.Millisecond) || !near(l.P90, 899*time.Millisecond) || !near(l.P99, 989*time.Millisecond) || l.Max != 999*time.Millisecond {
		t.Errorf("%+v", l)
	}
}

func TestTallyCountsPairsOnce(t *testing.T) {
	t.Parallel()
	const devices, messages = 50, 70
	tally := newTally(9, devices, messages, true)
	var work sync.WaitGroup
	for range 3 { // everything three times over
		for d := range devices {
			work.Go(func() {
				for seq := range messages {
					tally.count(d, []byte(mark{9, uint32(seq), time.Unix(1, 0)}.text(0)), time.Unix(1, 5))
				}
			})
		}
	}
	tally.await(devices*messages, 10*time.Second)
	work.Wait()
	tally.count(0, []byte(mark{8, 0, time.Unix(0, 0)}.text(0)), time.Unix(1, 0))
	tally.count(0, []byte(mark{9, messages, time.Unix(0, 0)}.text(0)), time.Unix(1, 0))
	tally.count(0, []byte("nothing"), time.Unix(1, 0))
	if f, a, s := tally.fresh.Load(), tally.again.Load(), tally.strange.Load(); f != devices*messages || a != 2*devices*messages || s != 3 {
		t.Errorf("fresh %d, again %d, strange %d", f, a, s)
	}
	if l := tally.latency.latency(); l.Count != devices*messages || l.Max != 5 {
		t.Errorf("latency %+v", l)
	}
	tally.await(devices*messages+1, time.Millisecond) // returns all the same
	one := newTally(1, devices, messages, false)
	one.count(3, []byte(mark{1, 5, time.Unix(0, 0)}.text(0)), time.Unix(0, 0))
	one.count(4, []byte(mark{1, 5, time.Unix(0, 0)}.text(0)), time.Unix(0, 0))
	if one.fresh.Load() != 1 || one.again.Load() != 1 {
		t.Errorf("one device each: fresh %d, again %d", one.fresh.Load(), one.again.Load())
	}
}

func TestProc(t *testing.T) {
	t.Parallel()
	stat := "12 (a) b (c)) S 1 2 3 4 5 6 7 8 9 10 300 45 0 0"
	if d, err := parseStat([]byte(stat)); err != nil || d != 3450*time.Millisecond {
		t.Errorf("%s, %v", d, err)
	}
	if n, err := parseStatus([]byte("Name:\tx\nVmRSS:\t   1234 kB\nX: 1\n")); err != nil || n != 1234<<10 {
		t.Errorf("%d, %v", n, err)
	}
	for _, bad := range []string{"", "1 (a) S 1", "1 a S 1 2 3 4 5 6 7 8 9 10 300 45", "1 (a) S 1 2 3 4 5 6 7 8 9 10 x 45"} {
		if d, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q is %s", bad, d)
		}
	}
	for _, bad := range []string{"", "VmRSS: many kB"} {
		if n, err := parseStatus([]byte(bad)); err == nil {
			t.Errorf("%q is %d", bad, n)
		}
	}
	before, err := cpuTime(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(10 * time.Second); ; {
		now, err := cpuTime(os.Getpid())
		if err != nil || now > before {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("this process uses no CPU time")
		}
	}
	if n, err := memory(os.Getpid()); err != nil || n < 1<<20 {
		t.Errorf("memory %d, %v", n, err)
	}
}

func TestCommitFloor(t *testing.T) {
	t.Parallel()
	f, err := commitFloor(t.Context(), t.TempDir(), 8, 100*time.Millisecond)
	if err != nil || f.perSecond <= 0 || f.commit.Count == 0 {
		t.Errorf("%+v, %v", f, err)
	}
}

// The floor can be measured again in the same directory.
func TestCommitFloorAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for range 2 {
		out, err := commitFloor(t.Context(), dir, 4, 50*time.Millisecond)
		if err != nil || out.commit.Count == 0 || out.perSecond <= 0 {
			t.Fatalf("%+v, %v", out, err)
		}
	}
}
