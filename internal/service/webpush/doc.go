// Package webpush is a push service in the sense of RFC 8030: applications on devices that are connected to us get
// addresses (endpoints), anybody may POST an encrypted message to one, and the device gets it over the connection it has. UnifiedPush
// distributors are made of it; docs/webpush-server.md is for their authors.
//
// Tables: webpush_subscription. Events: none.
//
// An endpoint is a sealed token (kernel/secret) of the device, the subscription, the origin it was made under and the key it is
// bound to. So whatever can be wrong with a request short of a subscription that has ended is found without the database. Messages are
// kept by whoever satisfies Sender, until the device has acknowledged them.
//
// Invariants:
//   - a subscription takes messages as long as its row is there: the row is locked in the transaction that stores a message, so
//     after Delete has returned nothing is stored for it any more;
//   - a device has at most maxSubscriptions, one for each instance;
//   - 404 and 410 are only said of what has ended for ever, since senders forget the endpoint then.
//
// Bodies are passed on as they are. They can only be read by the application that subscribed.
package webpush
