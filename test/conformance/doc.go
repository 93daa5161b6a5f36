// Package conformance proves with stock clients, and with none of ours, that a node keeps its promises on the wire:
// mosquitto's clients, mqtt.js and both Eclipse paho clients as devices; curl and the vendor's own libraries for Node,
// Python and Java as the backend of an app.
//
// Every test runs real nodes on loopback sockets and follows only what a stranger is told: the answer to the
// registration says where to connect, the documents say which topics there are. Nothing here skips: a missing program
// fails the tests and names what to install.
//
// # The vendor's libraries
//
// They are installed as their users do it, unmodified and pinned, once per content of what pins them, into the user's
// cache directory: node/ by npm, python/ by pip, java/ by Maven. A driver of a few lines beside each makes the calls it is
// told on standard input and prints what the library gave its caller; what is tried, and what must come of it, is in Go
// and the same for all of them (calls_*_test.go). Libraries without an option for an address keep the vendor's names,
// which are led to the node inside their process, and a certificate of the suite's own authority.
//
// What became of each call of each library is the matrix in docs/compatibility.md: TestVendorLibraries fails if the
// committed table is not what ran, and make gen-compat writes it. A bug of a library's own is listed in bugs_test.go with
// a try that fails when the bug has gone. Developers and groups are made in newFixture alone.
//
// The refusals of the HTTP surfaces, and that a refused call changes nothing, are in badinput_test.go,
// badinput_device_test.go and limits_test.go; errortable_test.go has the vendor's tables of codes, and a call for each.
package conformance
