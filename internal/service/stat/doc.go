// Package stat counts what the other parts tell in their events.
//
// Service counts by app and day: an event counts exactly once, because the outbox deletes it in the transaction in which
// it is counted. Users counts devices by app, platform and hour, day and month, each device once.
//
// Tables: stat_day; stat_set, stat_users. Events in: pushevent.Accepted, pushevent.Progress, deviceevent.Registered,
// deviceevent.Seen. Out: none.
//
// What Users counts:
//   - new: devices that registered;
//   - online: devices that were connected at some moment, or called the device API. Events tell when a connection begins
//     and ends; who stays connected is sampled every minute on the node that owns the app;
//   - active: devices that did something of their own: registered, called the device API, or sent a message upward
//     (events of messages, profile, tokens). Connections, signs of life and receipts of deliveries are not that.
//
// Each is a set of ordinals, so repeated and reordered events, and several nodes that tell the same, change nothing. A
// contact counts when it is written, at most ten seconds after it was.
//
// Hours, days and months are those of the app's zone at that time, kept under their local names: any zone works, also
// one that is not whole hours from UTC. An hour that a change of the clocks repeats is one hour; when an app's zone is
// changed, what was counted before keeps its names.
//
// Invariants:
//   - the set of a month contains those of its days, that of a day those of its hours, as long as they are kept;
//   - a set never shrinks, so its cardinality tells whether it changed;
//   - a set that is two and a half days past, wherever on earth, is closed: counted, and thrown away. What comes later
//     than that is not counted.
//
// Counts of hours are kept for 63 days, those of days for 400, those of months for good.
package stat
