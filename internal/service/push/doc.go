// Package push accepts messages, brings them to devices and knows what became of each.
//
// Tables: push_message, push_target, push_set, push_frame, push_cid, push_partition, push_app, push_group, push_group_part; those of the
// packages below are theirs (parts.go).
// Events out: pushevent. In: none.
//
// The promise: after Accept has returned, whatever process dies, every target gets the message at least once within
// its time to live, unless it was settled in another way (Outcome), and each of these is counted with its reason.
//
// How it holds. Accept commits the message and its frozen targets before it answers. What a device is owed is then a
// fact in the database: owed = targets ∖ settled. Everything else only makes delivery quick:
//   - the accepting node hands the message to the edges at once (release);
//   - the owner of the app's partition offers direct messages that are not acknowledged within 2 s to every edge;
//   - a device that connects asks what it is owed (Owed), after its edge has marked it online;
//   - an edge that misses a numbered broadcast asks for all its devices;
//   - an owner that takes over re-releases what was accepted since the last known release (push_partition).
//
// Two shapes of message. Up to maxRows targets: a row for each (push_target). More: a *wide* message, whose targets and
// stages are sets (push_set), held in memory by the owner of the partition while the message lives.
//
// A paced message is wide, released by the owner in portions that follow from its time and the low bits of the ordinals
// (pace.go). A withdrawal is a message of its own kind, in no report and no statistics (withdraw.go), and so is
// a frame that another service brings to one device over our connections (frame.go).
//
// Receipts are merged by one goroutine per node (merger), in batches of one transaction: a mark counts only if its
// device is a target and the mark is new, so repetition, reordering and late arrival cannot miscount, and counters
// never exceed targets. Only newly set marks feed events. A displayed message was delivered, a clicked one displayed.
//
// Ownership: every merge checks the lease of its partition in its transaction (kernel/lease).
//
// Lock order: Service.mu (the map of wide messages) before wide.mu. Neither is held during database access. The merger's
// goroutine is the only writer of sets and the only one that drops a message from memory while it is owned.
package push
