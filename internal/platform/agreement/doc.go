// Package agreement owns the texts that bind accounts, and what accounts did about them.
//
// Texts. A document (legaltext.Document) is written in Chinese, the master, and translated; a translation is bound to
// the hash of the master and is stale as soon as that changes by a character. A version of a document goes draft →
// reviewed → translated → announced → effective → superseded. The last two are no steps: they follow from the editions
// and the clock, so on the very millisecond of a switch there is one answer on every node.
//
// Sets and editions. Documents form sets: "agreement" (the user agreement with its supplements), "privacy", and
// "service:<code>" for the terms of a service. An announcement makes an edition of a set: its documents, each in one
// version, in order, under one hash (of the hashes of the masters and the number). Editions of a set take effect one
// after the other, in the order of their announcements; the newest can be withdrawn until it takes effect.
//
// Classes. editorial: binds by itself. commercial: banner, at least 7 days of notice, then the first use by the account
// accepts. personal_data: only a click accepts, and each purpose is granted by itself. Between what binds an account
// and what is in effect, the strictest class of all editions in between counts.
//
// Decisions. An acceptance is offered → accepted_click | accepted_continued_use | declined | expired. It names the hash of
// what was shown; another hash is refused with the right one (HashError). Sign-up accepts each set by its own hash in the
// transaction that creates the account. Who declines a commercial change is read-only from its effect on, with a time
// to leave. Terms of a service are accepted for each app that uses it.
//
// Times are Unix milliseconds; accounts, apps and people are numbers that other packages own. actor is as in the audit
// log. What this package does not know: whether an account exists, is closing, or must accept at all (in private mode
// nothing is demanded); callers ask only where it matters.
//
// Tables: agreement_set, agreement_document (versions), agreement_text (by hash, never changed), agreement_translation,
// agreement_edition, agreement_member, agreement_acceptance, agreement_choice, agreement_end, agreement_precedence,
// agreement_refusal. Events out: agreementevent. Steps of texts, announcements, precedence and looks at evidence are in the
// audit log, by the same transaction.
//
// Invariants:
//   - at any time at most one edition of a set (and app) binds an account; editions that bind never go back;
//   - an acceptance row exists only with the account's transaction; at most one acceptance of an edition by an account
//     and app, whatever races;
//   - no text, edition or decision changes once written, except that an offer is decided once, and origins are erased;
//     Verify recomputes all of it, decisions under a key that is not in the database;
//   - a purpose is on only by a grant under the last edition that brought or changed it, or a later one.
//
// Order of locks in the database: the set's row, then what belongs to it, then the audit log. Service.settled.mu and
// textCache.mu guard maps only.
package agreement
