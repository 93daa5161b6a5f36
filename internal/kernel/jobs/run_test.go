package jobs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) {
	if path := os.Getenv(childVariable); path != "" {
		child(path)
		return
	}
	dbtest.Main(m)
}

// running starts Run and returns what stops it.
func (r *rig) running() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			r.t.Error(err)
		}
	}
}

func receive[T any](t testing.TB, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(10 * time.Second):
		t.Fatalf("%s: nothing within 10 s", what)
	}
	return v
}

// What is enqueued wakes the loop, and what is due later runs then and not at the next look.
func TestTheLoopWakesForWhatIsDue(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.clock = clock.System{}
		ran := make(chan time.Duration, 1)
		r.Handle("note", 1, func(_ context.Context, j *Job) error {
			ran <- time.Since(j.At)
			return nil
		})
		defer r.running()()
		for i, in := range []time.Duration{0, 300 * time.Millisecond, 0} {
			at := time.Now().Add(in)
			r.tx(func(ctx context.Context, tx *db.Tx) error {
				return r.Enqueue(ctx, tx, Spec{Kind: "note", Key: fmt.Sprint(i), At: at})
			})
			if late := receive(t, "job", ran); late < -time.Millisecond || late > poll/2 {
				t.Errorf("job %d ran %v after its time", i, late)
			}
		}
	})
}

func TestWorkersAreBounded(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	r := newRig(t, d)
	var now, most, total atomic.Int64
	all := make(chan struct{})
	r.Handle("note", 3, func(context.Context, *Job) error {
		n := now.Add(1)
		for old := most.Load(); n > old && !most.CompareAndSwap(old, n); {
			old = most.Load()
		}
		for most.Load() < 3 { // all workers meet
			time.Sleep(time.Millisecond)
		}
		now.Add(-1)
		if total.Add(1) == 30 {
			close(all)
		}
		return nil
	})
	for i := range 30 {
		r.enqueue(fmt.Sprint(i), "x", 0)
	}
	defer r.running()()
	receive(t, "thirty jobs", all)
	if most.Load() != 3 {
		t.Errorf("%d at once", most.Load())
	}
}

// A queue that stops ends its handlers and gives their jobs back, as if the attempt had not been.
func TestStoppingGivesBack(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		entered := make(chan int, 1)
		r.Handle("note", 1, func(ctx context.Context, j *Job) error {
			entered <- j.Attempt
			<-ctx.Done()
			return ctx.Err()
		})
		r.enqueue("a", "x", 0)
		for range 2 {
			stop := r.running()
			if attempt := receive(t, "run", entered); attempt != 1 {
				t.Errorf("attempt %d", attempt)
			}
			stop()
		}
	})
}

// On SQLite nobody else can hold a job, so a new process need not wait for leases.
func TestAProcessResumesWhatTheOneBeforeLeft(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	before := newRig(t, d)
	before.Handle("note", 9, before.note)
	before.enqueue("killer", "x", 0)
	for range suspicious {
		if list, err := before.take(context.Background(), before.kinds[0], 9); err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		before.tx(func(ctx context.Context, tx *db.Tx) error {
			return resume(ctx, tx, clock.Millis(start), 0)
		})
	}
	before.enqueue("a", "x", 0)
	if list, err := before.take(context.Background(), before.kinds[0], 9); err != nil || len(list) != 2 {
		t.Fatal(list, err)
	}
	r := newRig(t, d)
	ran := make(chan string, 9)
	r.Handle("note", 9, func(_ context.Context, j *Job) error { ran <- j.Key; return nil })
	stop := r.running()
	if key := receive(t, "resumed job", ran); key != "a" {
		t.Errorf("%q ran", key)
	}
	stop()
	if n := r.due(); n != 0 {
		t.Errorf("%d more ran: a job that was there at every death came back at once", n)
	}
	r.fake.Advance(time.Minute)
	if n := r.due(); n != 1 {
		t.Errorf("%d ran a minute later", n)
	}
}

const childVariable = "BOREALIS_JOBS_TEST_DB"

// child is a process that does jobs, each of which writes a row, until it is killed or nothing is left.
func child(path string) {
	ctx, cancel := context.WithCancel(context.Background())
	fail := func(err error) {
		if err != nil {
			fmt.Println("error", err)
			os.Exit(1)
		}
	}
	d, err := db.Open(ctx, db.Options{Path: path})
	fail(err)
	q := New(d, clock.System{}, slog.New(slog.DiscardHandler))
	q.Handle("work", 8, func(ctx context.Context, j *Job) error {
		fmt.Println("doing")
		return d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			if err := j.Complete(ctx, tx); err != nil {
				return err
			}
			_, err := tx.Exec(ctx, `insert into effect (job_key) values ($1)`, j.Key)
			return err
		})
	})
	q.Handle("end", 1, func(ctx context.Context, _ *Job) error {
		var n int
		if err := d.QueryRow(ctx, `select count(*) from jobs_job where kind = 'work'`).Scan(&n); err != nil || n > 0 {
			return RetryIn(20*time.Millisecond, errors.Join(err, errors.New("not yet")))
		}
		cancel()
		return nil
	})
	fail(q.Run(ctx))
	fail(d.Close())
	fmt.Println("end")
}

// Whenever the process is killed, each job has its effect once.
func TestKilledProcessesLoseNothingAndRepeatNothing(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	path := filepath.Join(t.TempDir(), "killed.db")
	d, err := db.Open(ctx, db.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	const n = 300
	q := New(d, clock.System{}, slog.New(slog.DiscardHandler))
	err = errors.Join(Migrate(ctx, d), d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `create table effect (job_key text not null)`); err != nil {
			return err
		}
		for i := range n {
			if err := q.Enqueue(ctx, tx, Spec{Kind: "work", Key: fmt.Sprint(i)}); err != nil {
				return err
			}
		}
		return q.Enqueue(ctx, tx, Spec{Kind: "end", Key: "end"})
	}), d.Close())
	if err != nil {
		t.Fatal(err)
	}
	kills := 0
	for ended := false; !ended; {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childVariable+"="+path)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		enough := 1 + rand.IntN(60)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if enough--; enough == 0 && kills < 8 {
				kills++
				if err := cmd.Process.Kill(); err != nil {
					t.Error(err)
				}
			}
			ended = lines.Text() == "end"
		}
		if err := cmd.Wait(); err == nil != ended {
			t.Fatalf("ended %v: %v", ended, err)
		}
	}
	d = dbtest.Open(t, db.Options{Path: path})
	var effects, different int
	if err := d.QueryRow(ctx, `select count(*), count(distinct job_key) from effect`).Scan(&effects, &different); err != nil || effects != n || different != n {
		t.Errorf("%d effects of %d jobs after %d kills, want %d (%v)", effects, different, kills, n, err)
	}
	if kills == 0 {
		t.Error("nothing was killed")
	}
}

// The queue does what a map of times would: the last time asked for holds, cancelled jobs do not run, none runs early,
// late by more than the test's steps, or twice.
func TestTheQueueIsAMapOfTimes(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	tb := t
	rapid.Check(t, func(t *rapid.T) {
		r := newRig(tb, d)
		r.tx(func(ctx context.Context, tx *db.Tx) error { _, err := tx.Exec(ctx, `delete from jobs_job`); return err })
		var mu sync.Mutex
		got := map[string]int{}
		r.Handle("note", 4, func(_ context.Context, j *Job) error {
			mu.Lock()
			defer mu.Unlock()
			got[j.Key+j.At.Format(time.RFC3339Nano)]++
			return nil
		})
		model, want := map[string]time.Time{}, map[string]int{}
		keys := rapid.SampledFrom([]string{"a", "b", "c", "d"})
		t.Repeat(map[string]func(*rapid.T){
			"enqueue": func(t *rapid.T) {
				key, in := keys.Draw(t, "key"), time.Duration(rapid.IntRange(-2, 10).Draw(t, "in"))*time.Second
				r.enqueue(key, "", in)
				model[key] = r.fake.Now().Add(in)
			},
			"cancel": func(t *rapid.T) {
				key := keys.Draw(t, "key")
				r.tx(func(ctx context.Context, tx *db.Tx) error {
					was, err := r.Cancel(ctx, tx, "note", key)
					if _, is := model[key]; is != was {
						t.Errorf("cancelled %v, want %v", was, is)
					}
					return err
				})
				delete(model, key)
			},
			"time": func(t *rapid.T) { r.fake.Advance(time.Duration(rapid.IntRange(0, 6).Draw(t, "seconds")) * time.Second) },
			"run": func(t *rapid.T) {
				r.due()
				for key, at := range model {
					if !at.After(r.fake.Now()) {
						want[key+at.Format(time.RFC3339Nano)]++
						delete(model, key)
					}
				}
				if fmt.Sprint(got) != fmt.Sprint(want) {
					t.Fatalf("ran %v, want %v", got, want)
				}
			},
		})
	})
}
