package jobs

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// rig is a queue with a clock that the test moves; its loop does not run unless the test starts it.
type rig struct {
	*Queue
	t    testing.TB
	fake *clock.Fake

	mu  sync.Mutex
	ran []string // "key:argument"
}

var start = time.Date(2026, 11, 25, 8, 0, 0, 0, time.UTC)

func newRig(t testing.TB, d *db.DB) *rig {
	t.Helper()
	if err := Migrate(context.Background(), d); err != nil {
		t.Fatal(err)
	}
	fake := clock.NewFake(start)
	return &rig{Queue: New(d, fake, slog.New(slog.DiscardHandler)), t: t, fake: fake}
}

// note is a handler that remembers what it did.
func (r *rig) note(_ context.Context, j *Job) error {
	var text string
	if err := j.Decode(&text); err != nil {
		return err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ran = append(r.ran, j.Key+":"+text)
	return nil
}

func (r *rig) done() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return strings.Join(r.ran, " ")
}

func (r *rig) tx(fn db.TxFunc) {
	r.t.Helper()
	if err := r.db.InTx(context.Background(), fn); err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) enqueue(key, text string, in time.Duration) {
	r.t.Helper()
	r.tx(func(ctx context.Context, tx *db.Tx) error {
		return r.Enqueue(ctx, tx, Spec{Kind: "note", Key: key, Args: text, At: r.fake.Now().Add(in)})
	})
}

// due does what is due and returns the number of runs.
func (r *rig) due() int {
	r.t.Helper()
	n, err := r.RunDue(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

func (r *rig) waiting() (n int) {
	r.t.Helper()
	if err := r.db.QueryRow(context.Background(), `select count(*) from jobs_job`).Scan(&n); err != nil {
		r.t.Fatal(err)
	}
	return n
}

func TestJobsRunAtTheirTimeAndOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.Handle("note", 4, r.note)
		r.enqueue("later", "x", time.Minute)
		r.enqueue("now", "y", 0)
		if r.due() != 1 || r.done() != "now:y" {
			t.Errorf("ran %q", r.done())
		}
		r.fake.Advance(time.Minute - time.Millisecond)
		if r.due() != 0 {
			t.Errorf("ran %q before the time", r.done())
		}
		r.fake.Advance(time.Millisecond)
		if r.due() != 1 || r.due() != 0 || r.done() != "now:y later:x" || r.waiting() != 0 {
			t.Errorf("ran %q, %d wait", r.done(), r.waiting())
		}
	})
}

func TestAJobIsPartOfItsTransaction(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.Handle("note", 4, r.note)
		err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(r.Enqueue(ctx, tx, Spec{Kind: "note", Key: "k", Args: "x"}), errors.New("no"))
		})
		if err == nil || r.due() != 0 {
			t.Errorf("%v, ran %q", err, r.done())
		}
	})
}

func TestTheSameKeyReplacesAndCancelRemoves(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.Handle("note", 4, r.note)
		r.enqueue("a", "old", 0)
		r.enqueue("a", "new", time.Hour)
		r.enqueue("b", "gone", 0)
		for _, want := range []bool{true, false} {
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				was, err := r.Cancel(ctx, tx, "note", "b")
				if was != want {
					t.Errorf("cancelled: %v", was)
				}
				return err
			})
		}
		if r.due() != 0 {
			t.Errorf("ran %q", r.done())
		}
		r.fake.Advance(time.Hour)
		if r.due() != 1 || r.done() != "a:new" {
			t.Errorf("ran %q", r.done())
		}
	})
}

func TestFailuresAreRepeatedLaterAndLater(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		var attempts []int
		r.Handle("note", 1, func(_ context.Context, j *Job) error {
			attempts = append(attempts, j.Attempt)
			switch j.Attempt {
			case 1:
				return errors.New("broken")
			case 2:
				panic("worse")
			case 3:
				return RetryIn(time.Hour, fmt.Errorf("told: %w", errors.New("so")))
			}
			return nil
		})
		r.enqueue("a", "x", 0)
		for _, pause := range []time.Duration{time.Second, 2 * time.Second, time.Hour} {
			if r.due() != 1 {
				t.Fatalf("before a pause of %v: attempts %v", pause, attempts)
			}
			r.fake.Advance(pause - time.Millisecond)
			if r.due() != 0 {
				t.Fatalf("not paused %v: attempts %v", pause, attempts)
			}
			r.fake.Advance(time.Millisecond + pause/10)
		}
		var text string
		if err := d.QueryRow(context.Background(), `select last_error from jobs_job`).Scan(&text); err != nil || text != "told: so" {
			t.Errorf("kept error %q, %v", text, err)
		}
		if r.due() != 1 || fmt.Sprint(attempts) != "[1 2 3 4]" || r.waiting() != 0 {
			t.Errorf("attempts %v, %d wait", attempts, r.waiting())
		}
	})
}

func TestBackoffGrowsToItsBound(t *testing.T) {
	t.Parallel()
	for attempt, want := range map[int]time.Duration{0: time.Second, 1: time.Second, 2: 2 * time.Second, 9: 256 * time.Second, 11: maxBackoff, 1000: maxBackoff} {
		for range 50 {
			if got := backoff(attempt); got < want || got > want+want/10 {
				t.Fatalf("after %d attempts %v, want %v", attempt, got, want)
			}
		}
	}
}

func TestAnEffectAndItsJobEndTogether(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		runs := 0
		r.Handle("note", 1, func(ctx context.Context, j *Job) error {
			runs++
			return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
				if err := j.Complete(ctx, tx); err != nil {
					return err
				}
				if runs == 1 {
					return errors.New("the effect failed")
				}
				if runs == 4 {
					return nil
				}
				return r.Enqueue(ctx, tx, Spec{Kind: "note", Key: j.Key, At: r.fake.Now().Add(time.Minute)}) // the next of a series
			})
		})
		r.enqueue("a", "x", 0)
		for want := 1; want <= 4; want++ {
			r.fake.Advance(time.Minute)
			if r.due(); runs < want || want < 4 && r.waiting() != 1 {
				t.Fatalf("%d runs, %d wait; want %d runs", runs, r.waiting(), want)
			}
		}
		if r.waiting() != 0 {
			t.Errorf("%d wait", r.waiting())
		}
	})
}

// A run whose job was replaced or cancelled cannot commit, and its replacement waits until it has returned.
func TestASupersededRunHasNoEffect(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for name, supersede := range map[string]func(*rig){
			"replaced": func(r *rig) { r.enqueue("a", "new", 0) },
			"cancelled": func(r *rig) {
				r.tx(func(ctx context.Context, tx *db.Tx) error { _, err := r.Cancel(ctx, tx, "note", "a"); return err })
			},
		} {
			r := newRig(t, d)
			entered, leave := make(chan struct{}), make(chan struct{})
			var ended []error
			r.Handle("note", 2, func(ctx context.Context, j *Job) error {
				var text string
				if err := j.Decode(&text); err != nil {
					return err
				}
				if text == "old" {
					close(entered)
					<-ctx.Done()
					ended = append(ended, context.Cause(ctx))
					<-leave
				}
				err := d.InTx(context.WithoutCancel(ctx), j.Complete)
				ended = append(ended, err)
				return err
			})
			r.enqueue("a", "old", 0)
			list, err := r.take(context.Background(), r.kinds[0], 2)
			if err != nil || len(list) != 1 {
				t.Fatal(list, err)
			}
			r.launch(context.Background(), r.kinds[0], list[0])
			<-entered
			r.renew(context.Background()) // still held: the run goes on
			supersede(r)
			if again, err := r.take(context.Background(), r.kinds[0], 2); err != nil || len(again) != 0 {
				t.Errorf("%s: taken beside a run: %d, %v", name, len(again), err)
			}
			r.renew(context.Background())
			close(leave)
			r.wg.Wait()
			if len(ended) != 2 || !errors.Is(ended[0], ErrSuperseded) || !errors.Is(ended[1], ErrSuperseded) {
				t.Errorf("%s: the run ended with %v", name, ended)
			}
			want := 0
			if name == "replaced" {
				want = 1
			}
			if n := r.due(); n != want || r.waiting() != 0 {
				t.Errorf("%s: then %d ran, %d wait", name, n, r.waiting())
			}
		}
	})
}

// A node that says nothing more loses its jobs when the lease ends, and cannot complete them then.
func TestJobsOfADeadNodeAreTakenOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dead, alive := newRig(t, d), newRig(t, d)
		dead.Handle("note", 4, dead.note)
		alive.Handle("note", 4, alive.note)
		dead.enqueue("a", "x", 0)
		list, err := dead.take(context.Background(), dead.kinds[0], 4)
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		alive.fake.Advance(lease - time.Millisecond)
		if alive.due() != 0 {
			t.Error("taken while the lease held")
		}
		alive.fake.Advance(time.Millisecond)
		if alive.due() != 1 || alive.done() != "a:x" {
			t.Errorf("ran %q", alive.done())
		}
		if err := d.InTx(context.Background(), list[0].Complete); !errors.Is(err, ErrSuperseded) {
			t.Errorf("the dead node completed: %v", err)
		}
	})
}

func TestNodesShareTheWork(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		const n = 200
		nodes := []*rig{newRig(t, d), newRig(t, d), newRig(t, d)}
		nodes[0].tx(func(ctx context.Context, tx *db.Tx) error {
			for i := range n {
				if err := nodes[0].Enqueue(ctx, tx, Spec{Kind: "note", Key: fmt.Sprint(i), Args: "x"}); err != nil {
					return err
				}
			}
			return nil
		})
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			runs = map[string]int{}
		)
		for _, r := range nodes {
			r.Handle("note", 3, func(_ context.Context, j *Job) error {
				mu.Lock()
				defer mu.Unlock()
				runs[j.Key]++
				return nil
			})
			wg.Go(func() { r.due() })
		}
		wg.Wait()
		if len(runs) != n || nodes[0].waiting() != 0 {
			t.Errorf("%d of %d ran, %d wait", len(runs), n, nodes[0].waiting())
		}
		for key, times := range runs {
			if times != 1 {
				t.Errorf("%s ran %d times", key, times)
			}
		}
	})
}

func TestSpecsAreBounded(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	r := newRig(t, d)
	for name, s := range map[string]Spec{
		"no kind": {Key: "a"}, "no key": {Kind: "a"}, "long key": {Kind: "a", Key: strings.Repeat("k", MaxName+1)},
		"long arguments": {Kind: "a", Key: "b", Args: make([]byte, MaxArgs)}, "strange arguments": {Kind: "a", Key: "b", Args: func() {}},
	} {
		if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return r.Enqueue(ctx, tx, s) }); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	if r.waiting() != 0 {
		t.Error("something was stored")
	}
}
