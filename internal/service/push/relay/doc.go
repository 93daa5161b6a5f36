// Package relay forwards accepted pushes to Jiguang for imported devices that have not moved over yet.
//
// Tables: push_relay (messages), push_relay_set (their devices), push_relay_part (pushes at the vendor),
// push_relay_account (credentials at the vendor).
//
// Record writes a message in the transaction that accepts it. The node that owns the app's partition then sends it in
// parts of at most 1,000 registration ids, one part of a message at a time, messages to few devices before those to many. A device
// that is claimed meanwhile is left out: it gets the message here.
//
// A part has an idempotency key of the vendor (cid) that is stored before the first attempt, and every attempt of a day
// uses it: what the vendor answered with 200 is not sent twice, whatever dies. A part that may have reached the vendor and whose key is
// too old to tell ends as uncertain and is not sent again. No answer, a 5xx and refusals that an operator can end (credentials, address,
// quota) are tried again with back-off until the time to live has passed; other refusals are final. A 429, and headers that say that the
// window is used up, stop the app's calls until the window restarts.
//
// What the vendor accepted is settled through Settler for the devices that are still unclaimed, after the part says so:
// a node that dies in between settles again.
//
// What is sent is the push object as accepted, but for: audience (the registration ids), cid, callback (left out: receipts
// would carry ids that the app's server does not know), options.override_msg_id (the vendor's id of the replaced
// message if that was one part, else left out), options.big_push_duration (left out: parts are paced by the vendor's
// limit), options.time_to_live (what is left of it) and platforms of ours (left out).
//
// Invariants:
//   - a message has at most one open part (sending or accepted), and it is the last one;
//   - every transaction of the loop checks the lease of the app's partition, so a node that lost it changes nothing;
//   - the secret goes to the configured address only, over verified TLS.
package relay
