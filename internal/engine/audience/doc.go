// Package audience answers "who": it turns an expression over tags, aliases, registration ids and platforms into a set
// of device ordinals.
//
// The truth about one device is its row, which package device owns. Here every app has its sets in memory — the joined
// devices, those of each platform, each tag and each alias — built from the rows on first use and kept up to date from
// a log of changes that is written in the same transactions as the rows. A device is joined from its first
// authenticated connection; before that it is known: it can be given tags and an alias, and is in no result of
// Evaluate.
//
// Tables: audience_head (per app: the last position of the log, the next tag id), audience_log (the changes),
// audience_tag (the dictionary of tag names and ids). An id is never used again: deleting a tag deletes its dictionary
// row, and device rows that still carry the id no longer mean anything by it. The dictionary is bounded by MaxTags; Maintain
// drops tags nobody has once it is half full.
//
// Invariants:
//   - positions of an app have no gaps and become visible in their order, because Lock and Append hold the head row
//     until the caller's transaction ends;
//   - an entry says which memberships its device gained and lost, so replaying entries over rows that already contain
//     them changes nothing. A load therefore needs no snapshot: it notes the head position, reads the dictionary and
//     the rows, and follows the log from the noted position;
//   - the newest entry of an app is never trimmed, so "nothing after my position" means up to date, and an answer that
//     does not begin right after it means that entries were trimmed: the sets are loaded again.
//
// Order of locks in the database: the head row (Lock), then device rows. In memory: rounds.mu or Index.mu, then
// nothing; state.mu is taken by whoever leads a round and by readers, never while waiting for a round.
package audience
