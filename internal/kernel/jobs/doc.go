// Package jobs runs work at or after a time, exactly as often as it was asked for, whatever dies.
//
// A job has a kind, a key that is unique within the kind, arguments and a time. Enqueue writes it in the caller's
// transaction; if the caller's effect commits, the job will run. A kind is handled by one function on every core node;
// a job runs on one of them at a time, a bounded number of each kind per node.
//
// The same key again replaces what waits under it: time, arguments, attempts. A run that is in progress then has lost
// its job, as after Cancel: its Complete fails with ErrSuperseded, its context ends within renewal, and the replacement
// starts when that run has returned.
//
// Effects. A handler that returns nil has done its job, which is then deleted. That alone means at least once: a process
// may die between the effect and the deletion. A handler whose effect is a transaction calls Job.Complete in it, and
// the effect happens exactly once, because only the run that still holds the job can commit.
//
// Failures. An error, a panic or a process that dies means another attempt: after an error with exponential back-off, or
// when the handler says (RetryIn); after a death when the lease ends, and on SQLite, where there is one process, as soon
// as the next one starts. Attempts have no end of their own; a handler that gives up records that and returns nil.
//
// Cost. An idle queue sleeps until the next job is due. Enqueue wakes it after the commit; jobs of other nodes and of
// dead ones are seen by a look every few seconds, which reads one index entry for each kind. It writes only to take,
// finish and put off jobs, through kernel/db like everybody else.
//
// Table: jobs_job.
//
// Lock order: Queue.mu guards the running jobs and is not held during database access or a handler.
package jobs
