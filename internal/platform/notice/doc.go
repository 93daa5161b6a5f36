// Package notice tells people what they must or may be told: by a message in the console (in-site), by e-mail, by text message; and keeps
// the proof of it. Announcements to everybody are in notice/announce, maintenance, incidents and the status page in notice/status, what
// texts must be like in notice/wording.
//
// Tables: notice_template, notice_notice, notice_recipient (also the in-site boxes), notice_delivery, notice_preference. Events: none.
//
// A notice has a code (N-MAINT), a template in Chinese and English that somebody other than its author reviewed, a class, values, and an
// audience: a list of recipients that the caller gives, because only the caller knows who has to be told. Classes legal, security and
// billing are mandatory; product and marketing can be turned off by each user, and marketing has to be turned on.
//
// Invariants:
//   - a key of the caller names one notice for ever: the same key again answers with the first notice, with another content it is refused;
//   - once Enqueue's transaction has committed or Send has returned, every recipient is told at least once on a channel, or it is
//     recorded why not: each delivery ends as sent, failed, bounced, suppressed, expired or unsure, and what fails goes on to the fallback;
//   - e-mail is sent at most once after the server has said 250, unless the process dies (or loses its database for longer than a lease)
//     in that instant; then it may be sent again with the same Message-ID;
//   - the deemed date of a recipient (AG-NOT-01, DS-08) is the date in Shanghai on which they were first handed the notice on any channel.
//     It is written once: a bounce adds its own fact and starts the fallback, and changes no date;
//   - texts and addresses are sealed; what is kept in the open is masked. A notice carries no secret but one-time codes of the class security;
//   - a reviewed template does not change, a notice keeps the text that it was sent with, and its hash;
//   - the in-site message of a mandatory notice cannot be turned off, and every account of a legal notice has its owner among the recipients;
//   - queues are bounded (MaxWaiting), optional notices first: the last half is for mandatory ones.
//
// Who sends: workers of every node claim deliveries for the length of a lease; a node that dies leaves them to whoever looks afterwards,
// and on SQLite, where there is one process, to the next start.
//
// Order of locks in the database: notice, recipient, delivery, audit log. The mutex-free Service holds counters only.
package notice
