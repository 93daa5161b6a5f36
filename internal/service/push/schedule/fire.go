package schedule

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/jobs"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/service/push/payload"
)

const (
	// jobKind is the kind of the jobs that fire.
	jobKind = "push.schedule"
	// workers is how many schedules fire on a node at once.
	workers = 8
	// An occurrence is sent late by at most the push's time to live, within these bounds.
	minLate, maxLate = time.Minute, time.Hour
)

var (
	// errEarly: the clock of another node, which set the job going, is ahead, or ours went back.
	errEarly = errors.New("push_schedule: not due yet")
	// errChanged: the schedule was changed while it fired.
	errChanged = errors.New("push_schedule: changed meanwhile")
	// errRepeated: the occurrence is recorded already, which a clock that went back can bring about.
	errRepeated = errors.New("push_schedule: the occurrence has been recorded before")
)

// fire is the handler of a schedule's job.
func (s *Service) fire(ctx context.Context, j *jobs.Job) error {
	r, err := queryRow(ctx, s.db, j.Key)
	if err != nil || r == nil || !r.Live {
		return err
	}
	now := clock.Millis(s.clock.Now())
	switch {
	case r.NextAt > now:
		return jobs.RetryIn(clock.FromMillis(r.NextAt).Sub(clock.FromMillis(now)), errEarly)
	case !r.Enabled:
		return s.settle(ctx, j, r, nil, now)
	}
	app := s.gate.AppByID(r.App)
	var p *payload.Push
	if app == nil {
		err = fmt.Errorf("push_schedule: app %d is not known", r.App)
	} else if p, err = s.pusher.ParseScheduled(app, r.Push); err == nil && app.State != gate.Enabled {
		err = compat.Errorf(http.StatusForbidden, 2003, "The appKey is in black list.")
	}
	late := maxLate
	if p != nil {
		late = min(max(p.Options.TTL, minLate), maxLate)
	}
	if now-r.NextAt > late.Milliseconds() {
		text := "not sent: the server was not running at that time"
		if j.Attempt > 1 {
			text = "not sent: attempts failed until it was too late"
		}
		s.log.Warn("scheduled push missed", "schedule", r.ID, "app", r.App, "due", clock.FromMillis(r.NextAt), "attempt", j.Attempt)
		return s.settle(ctx, j, r, &occurrence{DueAt: r.NextAt, FiredAt: now, Code: codeTimeout, Message: text, Retry: true}, now)
	}
	if err == nil {
		_, err = s.pusher.Fire(ctx, app, p, func(ctx context.Context, tx *db.Tx, msg int64) error {
			return s.settleIn(ctx, tx, j, r, &occurrence{DueAt: r.NextAt, FiredAt: now, Msg: msg}, now)
		})
	}
	switch e, final := refused(err); {
	case final:
		return s.settle(ctx, j, r, &occurrence{DueAt: r.NextAt, FiredAt: now, Code: e.Code, Message: e.Message}, now)
	case errors.Is(err, errRepeated):
		return s.settle(ctx, j, r, nil, now)
	}
	return again(err)
}

// again is the error of a firing that failed; one that a change of the schedule came before begins again at once.
func again(err error) error {
	if errors.Is(err, errChanged) {
		return jobs.RetryIn(0, err)
	}
	return err
}

// settle is settleIn in a transaction of its own. An occurrence that is on record stays as it is.
func (s *Service) settle(ctx context.Context, j *jobs.Job, r *row, o *occurrence, now int64) error {
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.settleIn(ctx, tx, j, r, o, now) })
	if errors.Is(err, errRepeated) {
		err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.settleIn(ctx, tx, j, r, nil, now) })
	}
	return again(err)
}

// settleIn records an occurrence (nil: none), ends the job and sets the next one, or ends the schedule. r stays as it
// was: the transaction may run again.
func (s *Service) settleIn(ctx context.Context, tx *db.Tx, j *jobs.Job, r *row, o *occurrence, now int64) error {
	then := *r
	if next, ok := r.Trigger.Next(clock.FromMillis(r.NextAt)); ok && r.Enabled {
		then.NextAt = clock.Millis(next)
	} else {
		then.Live, then.EndedAt = false, now
	}
	unchanged, err := then.advance(ctx, tx)
	if err != nil {
		return err
	}
	if !unchanged {
		return errChanged
	}
	if err := j.Complete(ctx, tx); err != nil {
		return err
	}
	if o != nil {
		if err := insertOccurrence(ctx, tx, r.ID, o); err != nil {
			return err
		}
	}
	if !then.Live {
		return countEnded(ctx, tx, r.App, 1)
	}
	return s.enqueue(ctx, tx, &then)
}
