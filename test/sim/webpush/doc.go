// Package webpush is a push service for browsers as applications see it (RFC 8030, 8291, 8292), written from those documents.
// The browsers are its own: it makes the subscriptions and holds their keys, so it can decrypt what it is sent and
// hand it to the phones. A phone in state phone.Inactive is a browser that is closed: messages wait for it (Wake) for their
// time to live, and a topic replaces.
//
// It is stricter than push services are in one thing: a body that the browser could not decrypt is refused, since the
// browser would only drop it.
package webpush
