// Package edge holds the connections of devices: it speaks MQTT with them and edgewire with the core, and knows no
// database.
//
// Owns: the sockets, one session per connection, the picture of who is online here, and the receipts that the core
// has not confirmed yet. Nothing of it survives the process: what a device is owed is the core's to remember.
//
// # Threads
//
// Every session belongs to one loop for life and only that loop's goroutine touches it; there are no locks around
// sessions. Loops come in two kinds that run the same code: gnet event loops for plain sockets (MQTT over TCP,
// WebSocket) and goroutine loops for sockets that have to be read by a goroutine (TLS). Whoever wants something from
// a loop posts a function or a delivery into its inbox. A loop works in slices of at most 2 ms and then looks at its
// sockets again. Whatever waits for the core (admission, owed messages, ups) runs in bounded pools and posts its
// result back.
//
// Lock order: presence.mu, admissions.mu, receipts.mu, tally.mu and loop.mu are leaves, none is held while another is taken.
//
// # Promises
//
//   - A device is marked online, in its loop and in the presence set, before it is asked what it is owed; so a message
//     is in that answer or finds the device online.
//   - A message in flight on a connection is not written to it a second time.
//   - Before owed messages are asked for, the receipts of that app are flushed and confirmed, so that what a device
//     has acknowledged is not given to it again.
//   - Receipts are repeated until the core confirms them. Beyond Limits.Receipts the oldest Sent go first, counted.
//   - A lost broadcast shows as a gap in Deliver.Seq or Sync, also the first of a node that began later than this edge,
//     a lost connection to the bus or an overflow is reported
//     by the bus; each makes the app's devices reload what they are owed.
//   - Every queue, list and buffer has a bound (Limits). A device that is too slow for its window is left behind and
//     reloads when it has caught up; one that does not read at all is disconnected.
//   - A reload that brought nothing that could be written (all larger than the client takes) is not repeated before the
//     device acknowledges something, or the core or the bus gives a reason.
//   - Deadlines of devices are differences of monotonic readings: setting the wall clock moves none of them.
//
// # Choices where MQTT leaves room
//
// Wills are accepted and ignored: nobody could receive them. A PUBLISH at QoS 2 or with a topic alias ends the
// connection with 0x9B or 0x94. At MQTT 5 a QoS 0 PUBLISH to a topic that is not an up topic ends the connection with
// 0x87, because nothing else could tell the device. Session Present is answered only to a client that resumes (clean
// start off and, at MQTT 5, an expiry above 0) a registration that has connected before. Any PUBACK settles a message,
// whatever its reason code.
package edge
