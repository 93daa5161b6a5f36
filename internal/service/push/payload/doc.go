// Package payload owns the push object of the JPush REST API: reading one, checking everything about it that needs no
// database, and resolving it into what a device of a given platform receives.
//
// Contract:
//   - Parse takes the bytes a client sent and answers with a Push or with a *compat.Error that carries the exact code
//     and status of the vendor's table and names the field and the reason. When a push has several faults the one
//     reported follows the vendor's order: JSON, types and values (1003), then what is missing (1002), unknown keys
//     (1009), sizes (1005), and forbidden uses of active_push (1035).
//   - Push.Raw is the canonical form of what was accepted: compact, keys in a fixed order, leniencies resolved
//     ("true" became true), absent and ignored members gone. Decode(Raw) gives the same Push again under the same
//     Rules, and still gives a Push when limits have become tighter since.
//   - Push.Resolve is a pure function of the Push, and two platforms with the same content get the same bytes, so one
//     frame can be shared by all of them.
//   - Nothing here does I/O, reads the clock, or panics on input. Work and memory are linear in the body, which is
//     bounded by MaxBody, in nesting by 32 and in number of values by 65,536.
//
// Inside: tape.go cuts the body into a flat list of nodes without copying; shape.go walks an object of that list along
// a table of its known fields (the tables are in options.go, audience.go, notification.go, message.go and channel.go,
// one line per documented field) and writes the canonical form as it goes; resolve.go reads the canonical form.
package payload
