package jobs

import (
	"context"
	"errors"
	"fmt"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// put inserts or replaces a job. While the old one runs, its replacement is not due before the lease ends, or the run
// returns and puts it back to its own time.
func put(ctx context.Context, tx *db.Tx, kind, key string, args []byte, at int64) error {
	_, err := tx.Exec(ctx, `insert into jobs_job (kind, job_key, args, run_at, due_at) values ($1, $2, $3, $4, $4)
		on conflict (kind, job_key) do update set args = excluded.args, run_at = excluded.run_at,
			due_at = case when jobs_job.running and jobs_job.due_at > excluded.due_at then jobs_job.due_at else excluded.due_at end,
			attempts = 0, deaths = 0, generation = jobs_job.generation + 1, last_error = ''`, kind, key, args, at)
	if err != nil {
		return fmt.Errorf("jobs: enqueue %s: %w", kind, err)
	}
	return nil
}

// nextDue is when the next job of a kind is due, in Unix ms; ok is false when there is none.
func nextDue(ctx context.Context, d *db.DB, kind string) (at int64, ok bool, err error) {
	err = d.QueryRow(ctx, `select due_at from jobs_job where kind = $1 order by due_at limit 1`, kind).Scan(&at)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return 0, false, nil
	case err != nil:
		return 0, false, fmt.Errorf("jobs: look for %s: %w", kind, err)
	}
	return at, true, nil
}

// take claims up to limit jobs of a kind that are due now, until a time. The condition on due_at stands twice: on
// PostgreSQL the outer one is checked again for a row that another node took first.
func take(ctx context.Context, tx *db.Tx, kind string, now, until int64, limit int) ([]*Job, error) {
	rows, err := tx.Query(ctx, `update jobs_job set running = true, due_at = $3, attempts = attempts + 1, token = token + 1
		where due_at <= $2 and id in (select id from jobs_job where kind = $1 and due_at <= $2 order by due_at limit $4)
		returning id, job_key, args, run_at, attempts, token, generation`, kind, now, until, limit)
	if err != nil {
		return nil, fmt.Errorf("jobs: take: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var list []*Job
	for rows.Next() {
		var (
			j  = &Job{Kind: kind}
			at int64
		)
		if err := rows.Scan(&j.id, &j.Key, &j.args, &at, &j.Attempt, &j.token, &j.generation); err != nil {
			return nil, fmt.Errorf("jobs: take: %w", err)
		}
		j.At = clock.FromMillis(at)
		list = append(list, j)
	}
	return list, rows.Err()
}

// remove deletes a job that this run still holds, and tells whether it did.
func remove(ctx context.Context, tx *db.Tx, j *Job) (bool, error) {
	n, err := tx.Exec(ctx, `delete from jobs_job where id = $1 and token = $2 and generation = $3`, j.id, j.token, j.generation)
	if err != nil {
		return false, fmt.Errorf("jobs: complete %s: %w", j.Kind, err)
	}
	return n > 0, nil
}

// extend prolongs the lease of a run, and tells whether the run still holds its job.
func extend(ctx context.Context, tx *db.Tx, j *Job, until int64) (bool, error) {
	n, err := tx.Exec(ctx, `update jobs_job set due_at = $4 where id = $1 and token = $2 and generation = $3`, j.id, j.token, j.generation, until)
	if err != nil {
		return false, fmt.Errorf("jobs: renew lease of %s: %w", j.Kind, err)
	}
	return n > 0, nil
}

// giveBack ends a run without completing its job, which is due again at a time; a replacement is due at its own. One
// attempt less is counted if the run does not count.
func giveBack(ctx context.Context, tx *db.Tx, j *Job, due int64, counts bool, text string) error {
	uncounted := 1
	if counts {
		uncounted = 0
	}
	_, err := tx.Exec(ctx, `update jobs_job set running = false, deaths = 0,
			due_at = case when generation = $3 then $4 else run_at end,
			attempts = case when generation = $3 then attempts - $5 else attempts end,
			last_error = case when generation = $3 then $6 else last_error end
		where id = $1 and token = $2`, j.id, j.token, j.generation, due, uncounted, text)
	if err != nil {
		return fmt.Errorf("jobs: give back %s: %w", j.Kind, err)
	}
	return nil
}

// resume makes what ran in a process that died due now. A job that was there at several deaths in a row may be their
// cause and has to wait until later.
func resume(ctx context.Context, tx *db.Tx, now, later int64) error {
	_, err := tx.Exec(ctx, `update jobs_job set running = false, deaths = deaths + 1,
		due_at = case when run_at > $1 then run_at when deaths >= $3 then $2 else $1 end where running`, now, later, suspicious)
	if err != nil {
		return fmt.Errorf("jobs: resume: %w", err)
	}
	return nil
}
