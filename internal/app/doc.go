// Package app is the roof: it builds every part from the configuration, hands each what it stands on, and runs them.
// It is the only package that knows everyone; nobody imports it but the command.
//
// One file per concern: core.go (what a core node is made of), edge.go (what an edge node is), modules.go (order of
// start and stop), owner.go (serving the partitions this node owns), http.go, compat.go, native.go (the HTTP
// surfaces), admin.go (the socket for operators), keys.go (the keys and their fingerprint).
//
// Table: app_installation.
package app
