// Package apns proves that the simulator of Apple's push service (test/sim/apns) is one for a client that is not ours: node-apn,
// unmodified and pinned in node/package-lock.json, which npm installs once per content of that file into the user's cache
// directory. It connects with TLS, as to Apple.
//
// Nothing here skips: without Node, npm or a package registry the tests fail and say what is missing.
package apns
