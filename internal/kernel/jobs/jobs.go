package jobs

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fxamacker/cbor/v2"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

// Limits of a Spec, in bytes.
const (
	MaxName = 255 // of kind and key each
	MaxArgs = 64 << 10
)

// ErrSuperseded says that the job was replaced or cancelled while it ran, or taken by another node after its lease ended.
// The transaction of the run must not commit.
var ErrSuperseded = errors.New("jobs: the job is no longer held by this run")

// Spec is a job to be done.
type Spec struct {
	// Kind says which handler; Key is unique among the jobs of the kind. Both have 1 to MaxName bytes.
	Kind, Key string
	// Args are what the handler gets, encoded as CBOR with at most MaxArgs bytes; nil: none. Use integer keys, and only
	// add to them: a job may be done by a later version.
	Args any
	// At is the earliest time to run, to the millisecond; the zero value means at once.
	At time.Time
}

// Handler does a job. Its context ends when the queue stops or the job was superseded.
type Handler func(ctx context.Context, j *Job) error

// Job is one run of a job.
type Job struct {
	Kind, Key string
	// At is the time the job was asked for; the run may be later.
	At time.Time
	// Attempt counts the runs of the job, this one included, from 1.
	Attempt int

	id, token, generation int64
	args                  []byte
	until                 time.Time // end of the lease; for the goroutine of Run
	completed             atomic.Bool
}

// Decode unmarshals the arguments.
func (j *Job) Decode(into any) error {
	if err := cbor.Unmarshal(j.args, into); err != nil {
		return fmt.Errorf("jobs: arguments of %s %s: %w", j.Kind, j.Key, err)
	}
	return nil
}

// Complete ends the job in the transaction of its effect. With ErrSuperseded the transaction must fail. To enqueue the
// same key again, do it after Complete.
func (j *Job) Complete(ctx context.Context, tx *db.Tx) error {
	done, err := remove(ctx, tx, j)
	if err != nil {
		return err
	}
	if !done {
		return ErrSuperseded
	}
	tx.AfterCommit(func() { j.completed.Store(true) })
	return nil
}

// kind is what the queue knows of one kind of jobs.
type kind struct {
	name    string
	workers int
	handle  Handler

	running map[*Job]context.CancelCauseFunc // guarded by Queue.mu
}

// Queue is one node's view of the jobs. It is safe for concurrent use.
type Queue struct {
	db    *db.DB
	clock clock.Clock
	log   *slog.Logger
	kinds []*kind

	wake chan struct{}
	// sleeping is until when (Unix ms) Run sleeps; everything due earlier wakes it.
	sleeping atomic.Int64

	mu sync.Mutex
	wg sync.WaitGroup // of runs
}

// Migrate brings the package's table forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "jobs", migrations) }

// New returns a queue that handles nothing yet.
func New(d *db.DB, c clock.Clock, log *slog.Logger) *Queue {
	q := &Queue{db: d, clock: c, log: log, wake: make(chan struct{}, 1)}
	q.sleeping.Store(math.MaxInt64)
	return q
}

// Handle registers the handler of a kind, a name that stays the same for ever, and how many of its jobs may run on this
// node at once. Register everything before Run.
func (q *Queue) Handle(name string, workers int, h Handler) {
	q.kinds = append(q.kinds, &kind{name: name, workers: max(workers, 1), handle: h, running: make(map[*Job]context.CancelCauseFunc)})
}

// Enqueue adds a job to the caller's transaction, in place of one with the same kind and key.
func (q *Queue) Enqueue(ctx context.Context, tx *db.Tx, s Spec) error {
	if s.Kind == "" || s.Key == "" || len(s.Kind) > MaxName || len(s.Key) > MaxName {
		return fmt.Errorf("jobs: kind and key must have 1 to %d bytes", MaxName)
	}
	args := []byte{}
	if s.Args != nil {
		var err error
		if args, err = cbor.Marshal(s.Args); err != nil {
			return fmt.Errorf("jobs: encode arguments of %s: %w", s.Kind, err)
		}
		if len(args) > MaxArgs {
			return fmt.Errorf("jobs: arguments of %s have %d bytes, at most %d are allowed", s.Kind, len(args), MaxArgs)
		}
	}
	if s.At.IsZero() {
		s.At = q.clock.Now()
	}
	at := clock.Millis(s.At)
	if err := put(ctx, tx, s.Kind, s.Key, args, at); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		if at < q.sleeping.Load() {
			q.poke()
		}
	})
	return nil
}

// Cancel removes a job in the caller's transaction, and tells whether there was one. A run in progress goes on until its
// context ends, and cannot Complete.
func (q *Queue) Cancel(ctx context.Context, tx *db.Tx, kind, key string) (bool, error) {
	n, err := tx.Exec(ctx, `delete from jobs_job where kind = $1 and job_key = $2`, kind, key)
	if err != nil {
		return false, fmt.Errorf("jobs: cancel: %w", err)
	}
	return n > 0, nil
}

// poke makes Run look for jobs.
func (q *Queue) poke() {
	select {
	case q.wake <- struct{}{}:
	default:
	}
}
