// Package schedule sends pushes at times to come: once (single) or on days that repeat (periodical). It is the vendor's
// schedule API with what stands behind it.
//
// Tables: push_schedule, push_schedule_app, push_schedule_fire, push_schedule_cid. Jobs: kind push.schedule, key the
// schedule's id. Events: none; an accepted push has those of its own.
//
// A schedule is *live* while it may still fire. Live ones are listed and counted against the app's limit. One that is
// over can no longer be read or changed, but what it sent can, for the retention of messages (35 days). A disabled one
// stays live until its last time to fire has passed.
//
// Times carry no zone. They are of the zone the app had when the trigger was set; a later change of the app's zone moves
// no schedule. Where clocks are put back, the first of two equal times counts; a time that clocks skip fires as much
// later as they skip. A periodical trigger fires first on its first point from start on, and then in every frequency-th
// day, week (from Monday) or month from the one of that first firing; days that a month does not have are skipped.
//
// Firing. Each live schedule has one job, due at the next firing (of a disabled one: when it would end). The handler
// evaluates the audience then, and commits in one transaction: the message and its targets (Pusher), the row of
// push_schedule_fire that is unique for the schedule and its time, the schedule's next time, the next job and the end
// of this one. So an occurrence sends one push, whatever dies and whoever else runs. A change of the schedule meanwhile
// raises its revision, which makes that transaction fail, and the firing begins again with what holds then.
//
// An occurrence the audience or content of which is refused (1011 and the like) is recorded with code and message; the
// next ones go on. Other failures are tried again until it is too late.
//
// Too late. An occurrence is sent late by at most the push's time to live, no more than 1 h and no less than 1 min: a
// server that was down for the night must not send good-morning greetings in the afternoon. Older ones are recorded
// as missed (code 8203, needRetry) and not sent. Enabling, or setting another trigger, makes up for nothing.
//
// Lock order of rows: the schedule, its job, its app.
package schedule
