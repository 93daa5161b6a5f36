// Package mqtt reads and writes MQTT 3.1.1 and MQTT 5.0 control packets, for servers and for clients.
//
// Reading never copies and never allocates for a well-formed packet: Next cuts one packet off a byte slice, and the
// Parse functions return structs whose byte slices alias it. They are valid as long as that slice is; whoever keeps a
// field copies it. Writing appends to a slice of the caller.
//
// The parsers are strict: what the specifications call malformed or a protocol error is refused with an *Error that
// carries the reason code to answer. They accept exactly the packets that QoS 0 and 1 need; PUBREC, PUBREL, PUBCOMP
// and AUTH are cut off by Next like any packet but have no parser, because a peer of this package never asked for
// them.
//
// The writers trust their caller: a string longer than 65,535 bytes is cut there, everything else is written as
// given, and the other side judges it.
//
// Functions are pure and may be called from any goroutine.
package mqtt
