// Package account owns apps: their keys, state and settings. Developer accounts, teams and sign-up follow.
//
// Tables: account_app. Publishes every app into engine/gate of every node (over the bus after a change, and by a full
// reload every half minute against lost messages) and its facts to the edges.
//
// Invariants: an AppKey and an internal number are never reused; revision rises with every change of a row; the master
// secret is stored sealed, and as a hash to compare with.
package account
