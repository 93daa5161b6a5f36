// Package webpush is a push service in the sense of RFC 8030: applications on devices that are connected to us get
// addresses (endpoints), anybody may POST an encrypted message to one, and the device gets it over the connection it has. UnifiedPush
// distributors are made of it; docs/webpush-server.md is for their authors.
//
// Tables: webpush_subscription, webpush_receipts (receipt subscriptions), webpush_receipt. Events in: pushevent.FrameEnded. Out: none.
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
// Receipts (RFC 8030, section 5.1). Who posts a message may ask what becomes of it, and is told where to read that: a receipt subscription,
// whose address only he knows. The number of it goes along with the message (Message.Receipt), comes back in an event of the outbox
// when the message has ended, and the receipt gets the next number of its subscription. Readers say after which number
// they want to go on; receipts are kept by age and not by who has read them, so a reader that dies misses none. In place of HTTP/2 server
// push, which clients have given up, they poll, wait (Prefer: wait) or take an event stream; one loop of a node looks for all of them
// (readers.go).
//
// Bodies are passed on as they are. They can only be read by the application that subscribed.
package webpush
