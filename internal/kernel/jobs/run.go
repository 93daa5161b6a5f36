package jobs

import (
	"context"
	"errors"
	"fmt"
	"math"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	// lease is how long a job stays taken by a node that says nothing more; renewal leaves room for two failed tries.
	lease   = 30 * time.Second
	renewal = 10 * time.Second
	// poll is the longest sleep: other nodes enqueue and die without telling.
	poll = 5 * time.Second
	// pause after a failed look, and after one that another node won.
	pause = time.Second
	beat  = 20 * time.Millisecond
	// perTx bounds the leases renewed in one transaction.
	perTx = 100
	// suspicious is how many deaths of the process in a row a job may have seen and be due at once after the next.
	suspicious = 3
	// finishTimeout bounds the writing of a run's outcome.
	finishTimeout = 5 * time.Second
	// maxErrorText is how many bytes of an error are kept.
	maxErrorText = 500
)

// Run does jobs until ctx ends, then waits for those that run and gives back what they did not finish.
func (q *Queue) Run(ctx context.Context) error {
	defer q.wg.Wait()
	for ctx.Err() == nil {
		err := q.recover(ctx)
		if err == nil {
			break
		}
		q.log.Warn("jobs of the last run not resumed", "err", err)
		q.sleep(ctx, pause)
	}
	renewed := q.clock.Now()
	for ctx.Err() == nil {
		if q.clock.Now().Sub(renewed) >= renewal {
			renewed = q.clock.Now()
			q.renew(ctx)
		}
		q.sleep(ctx, min(q.dispatch(ctx), poll))
	}
	return nil
}

func (q *Queue) sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	case <-q.wake:
	}
}

// recover makes the jobs of the process before due. In a cluster they are due when their leases end.
func (q *Queue) recover(ctx context.Context) error {
	if q.db.Engine() != db.SQLite {
		return nil
	}
	now := q.clock.Now()
	return q.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		return resume(ctx, tx, clock.Millis(now), clock.Millis(now.Add(time.Minute)))
	})
}

// dispatch starts what is due, as far as there are workers, and returns how long there is nothing more to start.
func (q *Queue) dispatch(ctx context.Context) time.Duration {
	q.sleeping.Store(math.MaxInt64) // what is enqueued from here on wakes
	next := int64(math.MaxInt64)
	for _, k := range q.kinds {
		due, err := q.start(ctx, k)
		if err != nil {
			if ctx.Err() == nil {
				q.log.Warn("jobs not taken", "kind", k.name, "err", err)
			}
			due = clock.Millis(q.clock.Now().Add(pause))
		}
		next = min(next, due)
	}
	now := clock.Millis(q.clock.Now())
	next = min(next, now+poll.Milliseconds())
	q.sleeping.Store(next)
	return time.Duration(next-now) * time.Millisecond
}

// start takes and starts due jobs of a kind. It returns when (Unix ms) to look again; the end of a run is another
// occasion.
func (q *Queue) start(ctx context.Context, k *kind) (int64, error) {
	for ctx.Err() == nil {
		free := q.free(k)
		if free == 0 {
			break
		}
		due, some, err := nextDue(ctx, q.db, k.name)
		if err != nil {
			return 0, err
		}
		if !some {
			break
		}
		now := clock.Millis(q.clock.Now())
		if due > now {
			return due, nil
		}
		list, err := q.take(ctx, k, free)
		if err != nil {
			return 0, err
		}
		if len(list) == 0 {
			return now + beat.Milliseconds(), nil
		}
		for _, j := range list {
			q.launch(ctx, k, j)
		}
	}
	return math.MaxInt64, nil
}

func (q *Queue) free(k *kind) int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return k.workers - len(k.running)
}

func (q *Queue) take(ctx context.Context, k *kind, limit int) (list []*Job, err error) {
	now := q.clock.Now()
	until := now.Add(lease)
	err = q.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		list, err = take(ctx, tx, k.name, clock.Millis(now), clock.Millis(until), limit)
		return err
	})
	if err != nil {
		return nil, err
	}
	for _, j := range list {
		j.until = until
	}
	return list, nil
}

// launch runs a job that was taken. Its worker is occupied when launch returns.
func (q *Queue) launch(ctx context.Context, k *kind, j *Job) {
	runCtx, cancel := context.WithCancelCause(ctx)
	q.mu.Lock()
	k.running[j] = cancel
	q.mu.Unlock()
	q.wg.Go(func() {
		defer cancel(nil)
		err := call(runCtx, k.handle, j)
		q.finish(ctx, j, err)
		q.mu.Lock()
		delete(k.running, j)
		q.mu.Unlock()
		q.poke() // a worker is free, and the job may be due again
	})
}

func call(ctx context.Context, h Handler, j *Job) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("jobs: %s panicked: %v\n%s", j.Kind, p, debug.Stack())
		}
	}()
	return h(ctx, j)
}

// finish writes what became of a run. If it cannot, the job runs again when its lease ends.
func (q *Queue) finish(ctx context.Context, j *Job, err error) {
	if j.completed.Load() {
		if err != nil {
			q.log.Warn("job failed after it was completed", "kind", j.Kind, "key", j.Key, "err", err)
		}
		return
	}
	stopped := ctx.Err() != nil
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), finishTimeout)
	defer cancel()
	due, counts, text := q.clock.Now(), true, ""
	switch {
	case err == nil:
	case stopped:
		counts = false
	default:
		due, text = due.Add(wait(j.Attempt, err)), errorText(err)
		if !errors.Is(err, ErrSuperseded) {
			q.log.Warn("job failed", "kind", j.Kind, "key", j.Key, "attempt", j.Attempt, "err", err)
		}
	}
	write := q.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err == nil {
			if done, err := remove(ctx, tx, j); done || err != nil {
				return err
			}
		}
		return giveBack(ctx, tx, j, clock.Millis(due), counts, text)
	})
	if write != nil {
		q.log.Warn("outcome of a job not written", "kind", j.Kind, "key", j.Key, "err", write)
	}
}

// errorText is an error as it is kept: short, and text for every database.
func errorText(err error) string {
	text := err.Error()
	return strings.ToValidUTF8(strings.ReplaceAll(text[:min(len(text), maxErrorText)], "\x00", ""), "")
}

// renew prolongs the leases of what runs, and ends the context of a run that lost its job.
func (q *Queue) renew(ctx context.Context) {
	type run struct {
		job    *Job
		cancel context.CancelCauseFunc
	}
	var runs []run
	q.mu.Lock()
	for _, k := range q.kinds {
		for j, cancel := range k.running {
			runs = append(runs, run{j, cancel})
		}
	}
	q.mu.Unlock()
	slices.SortFunc(runs, func(a, b run) int { return int(a.job.id - b.job.id) })
	now := q.clock.Now()
	until := now.Add(lease)
	for part := range slices.Chunk(runs, perTx) {
		lost := make([]bool, len(part))
		err := q.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			for i, r := range part {
				held, err := extend(ctx, tx, r.job, clock.Millis(until))
				if err != nil {
					return err
				}
				lost[i] = !held
			}
			return nil
		})
		if err != nil {
			if ctx.Err() == nil {
				q.log.Warn("leases of jobs not renewed", "err", err)
			}
			for i, r := range part {
				lost[i] = !now.Before(r.job.until)
			}
		}
		for i, r := range part {
			switch {
			case lost[i]:
				r.cancel(ErrSuperseded)
			case err == nil:
				r.job.until = until
			}
		}
	}
}

// RunDue does what is due now, and what becomes due by that, and returns how many runs there were: for tests and tools
// that have no time to wait. It does not recover and needs no Run.
func (q *Queue) RunDue(ctx context.Context) (int, error) {
	runs := 0
	for {
		some := false
		for _, k := range q.kinds {
			list, err := q.take(ctx, k, k.workers)
			if err != nil {
				return runs, err
			}
			for _, j := range list {
				q.launch(ctx, k, j)
			}
			runs += len(list)
			some = some || len(list) > 0
		}
		if !some {
			return runs, ctx.Err()
		}
		q.wg.Wait()
	}
}
