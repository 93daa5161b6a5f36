package ratelimit

import (
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/clock"
)

func at(ms int64) *clock.Fake { return clock.NewFake(time.UnixMilli(ms)) }

func TestWindowAsTheHeadersShowIt(t *testing.T) {
	t.Parallel()
	c := at(1_000_000)
	w := NewWindows[string](c, time.Minute, 100)
	steps := []struct {
		advance time.Duration
		want    State
	}{
		{0, State{true, 3, 2, 60}},
		{500 * time.Millisecond, State{true, 3, 1, 60}},
		{500 * time.Millisecond, State{true, 3, 0, 59}},
		{0, State{false, 3, 0, 59}},
		{58*time.Second + 999*time.Millisecond, State{false, 3, 0, 1}},
		{time.Millisecond, State{true, 3, 2, 60}},
		{10 * time.Minute, State{true, 3, 2, 60}},
	}
	for i, s := range steps {
		c.Advance(s.advance)
		if got := w.Take("k", 3); got != s.want {
			t.Errorf("step %d: %+v, want %+v", i, got, s.want)
		}
	}
	if got := w.Take("other", 3); got != (State{true, 3, 2, 60}) {
		t.Errorf("another key: %+v", got)
	}
}

func TestPeekDoesNotCount(t *testing.T) {
	t.Parallel()
	c := at(0)
	w := NewWindows[string](c, time.Minute, 100)
	if got := w.Peek("k", 2); got != (State{true, 2, 2, 60}) || w.table.size() != 0 {
		t.Errorf("unknown key: %+v", got)
	}
	w.Take("k", 2)
	c.Advance(10 * time.Second)
	if got := w.Peek("k", 2); got != (State{true, 2, 1, 50}) {
		t.Errorf("after one: %+v", got)
	}
	c.Advance(time.Minute)
	if got := w.Peek("k", 2); got != (State{true, 2, 2, 60}) {
		t.Errorf("after the window: %+v", got)
	}
}

func TestLimitZeroIsOff(t *testing.T) {
	t.Parallel()
	w := NewWindows[string](at(0), time.Minute, 100)
	for range 10 {
		if got := w.Take("k", 0); got != (State{true, 1_000_000, 1_000_000, 60}) {
			t.Fatalf("%+v", got)
		}
	}
	if w.table.size() != 0 {
		t.Error("keys are held although nothing is counted")
	}
}

func TestLimitLoweredWithinTheWindow(t *testing.T) {
	t.Parallel()
	w := NewWindows[string](at(0), time.Minute, 100)
	for range 5 {
		w.Take("k", 10)
	}
	if got := w.Take("k", 3); got.Allowed || got.Remaining != 0 || got.Limit != 3 {
		t.Errorf("%+v", got)
	}
}

func TestClockSetBackStartsAnew(t *testing.T) {
	t.Parallel()
	c := at(1_000_000)
	w := NewWindows[string](c, time.Minute, 100)
	w.Take("k", 1)
	c.Advance(-time.Hour)
	if got := w.Take("k", 1); !got.Allowed || got.Reset != 60 {
		t.Errorf("%+v", got)
	}
}

// The window counter allows exactly what a plain list of calls per window would.
func TestWindowProperty(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		c := at(0)
		w := NewWindows[int](c, time.Minute, 1000)
		type model struct {
			start time.Time
			used  int
		}
		models := map[int]*model{}
		limit := rapid.IntRange(1, 5).Draw(t, "limit")
		for range rapid.IntRange(1, 100).Draw(t, "calls") {
			c.Advance(time.Duration(rapid.IntRange(0, 20_000).Draw(t, "ms")) * time.Millisecond)
			key := rapid.IntRange(0, 3).Draw(t, "key")
			m := models[key]
			if m == nil || c.Now().Sub(m.start) >= time.Minute {
				m = &model{start: c.Now()}
				models[key] = m
			}
			want := m.used < limit
			if want {
				m.used++
			}
			got := w.Take(key, limit)
			if got.Allowed != want || got.Remaining != limit-m.used || got.Reset < 1 || got.Reset > 60 {
				t.Fatalf("got %+v, want allowed %v remaining %d", got, want, limit-m.used)
			}
		}
	})
}

func TestKeysAreBounded(t *testing.T) {
	t.Parallel()
	c := at(0)
	w := NewWindows[int](c, time.Minute, 160)
	b := NewBuckets[int](c, 60, 5, 160)
	for i := range 10_000 {
		w.Take(i, 1)
		b.Allow(i)
	}
	if n := w.table.size(); n > 160 {
		t.Errorf("%d windows", n)
	}
	if n := b.table.size(); n > 160 {
		t.Errorf("%d buckets", n)
	}
	if got := w.Peek(9_999, 1); got.Allowed && got.Remaining == 1 {
		t.Error("the newest key was dropped")
	}
}

func TestIdleKeysGoAway(t *testing.T) {
	t.Parallel()
	c := at(0)
	w := NewWindows[int](c, time.Minute, 100_000)
	b := NewBuckets[int](c, 60, 5, 100_000)
	for i := range 1000 {
		w.Take(i, 1)
		b.Allow(i)
	}
	c.Advance(time.Hour)
	for i := range 2000 { // each new key may drop two idle ones
		w.Take(10_000+i, 1)
		b.Allow(10_000 + i)
	}
	if n := w.table.size(); n != 2000 {
		t.Errorf("%d windows, the 1000 idle ones should be gone", n)
	}
	if n := b.table.size(); n != 2000 {
		t.Errorf("%d buckets, the 1000 idle ones should be gone", n)
	}
}

func TestBucket(t *testing.T) {
	t.Parallel()
	c := at(0)
	b := NewBuckets[string](c, 60, 3, 100)
	allowed := func() (n int) {
		for range 10 {
			if b.Allow("k") {
				n++
			}
		}
		return n
	}
	if n := allowed(); n != 3 {
		t.Errorf("%d of the first burst", n)
	}
	c.Advance(2 * time.Second)
	if n := allowed(); n != 2 {
		t.Errorf("%d after two seconds at one per second", n)
	}
	c.Advance(time.Hour)
	if n := allowed(); n != 3 {
		t.Errorf("%d after an hour: the bucket holds 3", n)
	}
	if !b.Allow("other") {
		t.Error("another key")
	}
	off := NewBuckets[string](c, 0, 3, 100)
	for range 100 {
		if !off.Allow("k") {
			t.Fatal("rate 0 is off")
		}
	}
}

func TestConcurrentTakesAllowExactlyTheLimit(t *testing.T) {
	t.Parallel()
	w := NewWindows[string](at(0), time.Minute, 100)
	var allowed atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if w.Take("k", 2500).Allowed {
					allowed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	if n := allowed.Load(); n != 2500 {
		t.Errorf("%d allowed", n)
	}
}

func TestIPKey(t *testing.T) {
	t.Parallel()
	for in, want := range map[string]string{
		"10.1.2.3":         "10.1.2.3/32",
		"::ffff:10.1.2.3":  "10.1.2.3/32",
		"2001:db8:1:2:3::": "2001:db8:1:2::/64",
		"fe80::1%eth0":     "fe80::/64",
	} {
		if got := IPKey(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: %s, want %s", in, got, want)
		}
	}
	if IPKey(netip.Addr{}).IsValid() {
		t.Error("the zero address has a key of its own")
	}
}

func BenchmarkTake(b *testing.B) {
	w := NewWindows[int](clock.System{}, time.Minute, 10_000)
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		for i := 0; pb.Next(); i++ {
			w.Take(i&1023, 600)
		}
	})
}

func BenchmarkAllow(b *testing.B) {
	l := NewBuckets[netip.Prefix](clock.System{}, 600, 100, 10_000)
	var ips []netip.Prefix
	for i := range 1024 {
		ips = append(ips, IPKey(netip.MustParseAddr(fmt.Sprintf("10.0.%d.%d", i/256, i%256))))
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		l.Allow(ips[i&1023])
		i++
	}
}
