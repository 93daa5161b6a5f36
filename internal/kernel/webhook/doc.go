// Package webhook sends JSON documents to HTTP addresses that customers name, reliably and safely.
//
// Tables: webhook_delivery, webhook_body. Events: none.
//
// Reliable: Enqueue writes a delivery in the transaction of the fact it tells of; it ends in the database when the
// receiver has answered 200. Anything else is tried again after the pauses of retries (50 s, 3 min, 1 h); then the
// delivery is dead, is kept for a bounded time and in a bounded number, and can be sent again (Redeliver). A delivery
// is sent at least once: a node claims it for the length of a lease, and one that dies leaves it to whoever looks after
// the lease has ended. An attempt that the node itself cut short counts for nothing.
//
// Fair: each node sends at most maxSending at once and at most maxPerHost to one host, and hosts take turns, so a
// receiver that hangs costs others nothing. Whoever enqueues asks Room first; that bounds what waits for each owner.
//
// Safe: addresses that are not public are refused unless the operator allows their network. The address is checked when
// the socket is connected, on what is really dialled, so neither a redirect nor a name that changes its address gets
// round it (kernel/netguard). No proxy of the environment is used, TLS is verified, answers are not read beyond a few kilobytes and never
// stored. A redirect is followed at most maxRedirects times, with the same method and body, never from https to http,
// and without credentials once it has left the origin.
//
// Signed: see Sign. Secrets and passwords are not stored with deliveries: the Source that a kind of delivery is
// registered with is asked for them at each attempt.
//
// Invariants: a leased delivery is settled only by the claim that leased it (claims is the fence); a delivery and its
// body exist together. The mutex of Service guards counters only and is not held during input or output.
package webhook
