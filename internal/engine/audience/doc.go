// Package audience answers "who": it turns an expression over tags, aliases, registration ids and platforms into a set
// of device ordinals.
//
// The truth about one device is its row, which package device owns. Here every app has its sets in memory — the joined
// devices, those of each platform, each tag and each alias, and the muted ones — loaded on first use and kept up to date from a log of
// changes that is written in the same transactions as the rows. A device is joined from its first authenticated
// connection; before that, and while it takes no pushes, it is known: it can be given tags and an alias, and is in no result
// of Evaluate.
//
// A load reads the rows, or, in an app with many devices, the newest snapshot: the sets as the containers they consist
// of in memory, in parts of about 64 kilobytes. Nodes that have an app loaded write one when its log has grown enough
// (Maintain, which Run calls): one node at a time, part by part, while readers and writers go on. Snapshots only save
// time; one that is missing, damaged or too old for the log is replaced by the rows, and then by a new one. Deleting an
// app's row of audience_snapshot makes the next start read the rows.
//
// Tables: audience_head (per app: the last position of the log, the next tag id), audience_log (the changes),
// audience_tag (the dictionary of tag names and ids), audience_snapshot (per app: the newest complete snapshot, and who
// writes the next), audience_part (what is in them). An id is never used again: deleting a tag deletes its dictionary
// row, and device rows that still carry the id no longer mean anything by it. The dictionary is bounded by MaxTags; Maintain
// drops tags nobody has once it is half full.
//
// Invariants:
//   - positions of an app have no gaps and become visible in their order, because Lock and Append hold the head row
//     until the caller's transaction ends;
//   - an entry says which memberships its device gained and lost, so replaying entries over sets that already contain
//     them changes nothing. Neither a load nor a snapshot therefore needs one moment: it notes the position, copies what
//     is at least as new, and the log is followed from the noted position. That holds as long as each membership is
//     copied from a place to which it does not move back (collector);
//   - the dictionary is read after the position, and a load has no tag that is not in it: what a snapshot has of a tag
//     that was dropped since is left out;
//   - the newest entry of an app is never trimmed, so "nothing after my position" means up to date, and an answer that
//     does not begin right after it means that entries were trimmed: the sets are loaded again. Entries after the newest
//     snapshot are kept, up to two million;
//   - a snapshot is complete when its row says so, which is its last transaction; parts without that are rubbish.
//     Numbers of snapshots rise, and each transaction of a writer checks that its number is still the last one given
//     out, so that a node that was taken for dead writes nothing more.
//
// Order of locks in the database: the head row (Lock), then device rows. In memory: rounds.mu or Index.mu, then
// nothing; state.mu is taken by whoever leads a round and by readers, never while waiting for a round.
package audience
