// Package conformance proves with stock clients, and with none of ours, that a node keeps its promises on the wire:
// mosquitto's clients, mqtt.js and both Eclipse paho clients as devices; curl and the vendor's Node libraries as the
// backend of an app.
//
// Every test runs real nodes on loopback sockets and follows only what a stranger is told: the answer to the
// registration says where to connect, the documents say which topics there are. Nothing here skips: a missing program
// fails the tests and names what to install. The Node packages are those of node/package-lock.json, installed once
// into the user's cache directory.
//
// The refusals of the HTTP surfaces, and that a refused call changes nothing, are in badinput_test.go,
// badinput_device_test.go and limits_test.go.
package conformance
