// Package apns is the wire to Apple's push service: HTTP/2, one request for each token, with a signing key or a client certificate.
//
// Send makes the requests of one batch on the app's connections, many at once. Each app and key or certificate has connections of
// its own, one to each host of Apple, because Apple ties a connection to the team and the apps of its first request. How many
// requests are open on one is what Apple's SETTINGS allow; the others wait.
//
// Kinds: a notification is an alert push, or a background push if nothing of it is seen or heard; a custom message is a background push
// with the object `message`, of the same shape as on our own connection; VoIP and live activities have their own topics. Every
// payload has the message's id as a number (wire.IDKey).
//
// Idempotent: apns-id is made of the message's id and the token, and a notification without a collapse id of the app
// collapses on the message's id. A repetition takes the place of the first one on the screen; the SDK knows the id of data.
//
// Beyond wire.Vendor there are broadcast channels (iOS 18): CreateChannel, Channel, Channels, DeleteChannel, Broadcast.
package apns
