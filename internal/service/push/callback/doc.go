// Package callback tells an app's own servers what became of its pushes: the receipts.
//
// Table: push_callback. Events: none. Receipts go out through kernel/webhook, as deliveries of the kind "receipts".
//
// A fact (a message was delivered to these devices, clicked, not delivered, accepted) is one row, written by Record in
// the transaction that makes it a fact. The loop gathers the rows of each pair of app and address into deliveries of at
// most 100 records, when there are 100 or the oldest is 10 s old. A row with many devices is told slice by slice; how
// far it got is in the row. Rows end, and the mark in a row moves, only in the transaction that enqueues their records,
// so a record is in the table or in a delivery, never in both and never in neither.
//
// The loop runs on every node for the apps it owns (Deps.Owns). Ownership only saves work: if two nodes take the same
// rows, the database lets one of them commit (errTaken).
//
// Bounds: maxRows rows and maxBytes bytes wait for each app; the oldest beyond that are dropped and counted. Nothing is
// turned into deliveries while as many wait for the receiver as webhook.Room allows, so a receiver that is down costs
// its app some rows, and nobody else anything. In memory are at most one set and one slice for each of workers apps.
//
// Basic credentials are added only to deliveries to the address in the app's settings, and only if the settings want
// them at the moment of sending.
package callback
