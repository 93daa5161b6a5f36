// Package gate is the one point where every service asks whether an action may happen.
//
// It owns no table. The owners of facts (account for apps and their settings; later agreement, billing, trust) publish
// into it, services ask it, and nobody reads another owner's tables. All answers come from memory.
//
// It also has the one table of roles and permissions (permission.go): who asks whether somebody may do something asks
// Actor.May.
//
// Invariants: an App is immutable once published; a change publishes a new one. An unknown app is never admitted.
package gate
