// Package loadtest measures a running server from outside, beside a peer in the same run on the same machine:
// `borealis bench`.
//
// What is measured and how:
//   - CPU of the server is that of the whole process (utime + stime of /proc/<pid>/stat), from before the first message
//     until the process is quiet again, so that work put off is counted too;
//   - memory is VmRSS of /proc/<pid>/status, after a garbage collection and once it has stopped to change;
//   - time from API to device starts before the caller writes its request and ends when the device's connection hands
//     the message over. Both clocks are the same machine's.
//
// Three processes take part, so that figures do not mix: this one, which calls the API and reads the counters; the
// server; and the clients (Clients), which this one orders about over a pipe. The peer (Peer) is a nats-server with
// MQTT and JetStream, measured by the same clients with messages of the same size.
//
// Audience measures one thing from inside, in one process: sets of ten million devices, more than can be connected.
//
// Invariants: only loopback addresses are used for what it starts itself; every phase has a deadline; children are
// killed when this process dies, and their directories removed when it ends.
//
// Threads: Clients has one goroutine per connection and one that obeys orders; its tally is atomic.
package loadtest
