// Package simulate is devices that are not there: it registers them, connects them over MQTT and behaves as the device
// SDKs do. `borealis device` and `borealis demo` show them to people; the load generator uses the connections alone.
//
// Three layers, each usable without the next:
//   - Register and SetProfile are the device API over HTTP;
//   - Conn is one MQTT connection (3.1.1 or 5, over TCP, TLS or WebSocket), fit for thousands in one process: the
//     goroutine that calls Serve is the only one, and the buffer of an idle connection has 512 bytes;
//   - Device keeps a connection for as long as it runs: it reconnects with exponential back-off and jitter, shows an
//     (id, type) once, acknowledges, reports what its user did, and keeps what it has to say until that is
//     acknowledged. Fleet runs many of them.
//
// A device says nothing about a message that it has not handed to its callback, and acknowledges after the callback
// has returned. It gives up only where trying again cannot help: wrong credentials, a disabled app, another connection
// that took its place.
//
// Bounds: messages remembered for (id, type), ups that wait to be acknowledged, size of a packet, connections and
// registrations of a Fleet under way at once.
//
// Locks: Device.mu guards its outbox and its current connection and is held while ups are written, never during a
// callback. Fleet has atomic counters only.
package simulate
