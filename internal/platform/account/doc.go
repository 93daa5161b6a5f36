// Package account owns apps, the developers who make them and groups of them: their keys, state and settings, and the
// push certificates of apps. Teams and sign-up follow.
//
// Tables: account_app, account_developer, account_group, account_member (which apps a group has), account_certificate.
// Publishes every app, developer and group into engine/gate of every node (over the bus after a change, and by a full
// reload every half minute against lost messages) and the facts of apps to the edges.
//
// Invariants:
//   - an AppKey, DevKey or GroupKey and an internal number are never reused; what is deleted keeps its row, and its
//     revision tells other nodes;
//   - revision rises with every change of a row. Who changes a row first locks it by raising it, then reads;
//   - secrets are stored sealed, and as a hash to compare with;
//   - a developer has at most one app of a package and one group of a name, not counting deleted ones;
//   - an app in a group belongs to the group's developer or to none; a deleted app is in no group;
//   - every change is in the audit log, by the same transaction.
//
// Order of locks in the database: apps by key, then groups by number, then the audit log.
package account
