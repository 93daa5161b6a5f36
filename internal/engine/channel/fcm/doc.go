// Package fcm is the wire to Firebase Cloud Messaging, HTTP v1: one call for each token over HTTP/2, authorised by an
// OAuth 2 access token that Google gives for an assertion signed with the service account's key (RFC 7523).
//
// Files: credentials.go the service account; grant.go access tokens; message.go what goes onto the wire; answer.go what
// comes back; send.go the calls.
//
// A notification carries the id of its message as tag, or the id of the message it replaces, so that a repetition and a
// replacement take its place on the screen. Nothing is collapsed unless third_party_channel.fcm names a collapse_key: FCM keeps
// at most four keys for a device that is away.
package fcm
