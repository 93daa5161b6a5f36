// Package hmos is the wire to Push Kit for HarmonyOS 5 and later: version 3 of Huawei's interface, authorised by what a service
// account signs.
//
// A message is of one of six kinds, named in the header push-type: 0 notification, 1 update of a form, 2 speech, 6 background
// message, 7 live view, 10 call. The contents of 1 and 7 are passed through (Message.Payload).
//
// Files: credentials.go; message.go what goes onto the wire; payload.go its structs; send.go the calls, retraction and receipts.
// Answers and receipts are read by package pushkit.
//
// A notification carries the id of its message, or of the one it replaces, hashed as notifyId, by which it is replaced and taken
// back; and the id as appMessageId, by which a device drops a repetition.
package hmos
