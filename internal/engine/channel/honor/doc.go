// Package honor is the wire to the push service of HONOR: JSON messages for up to a thousand tokens, under an access token of the app.
//
// Tables and events: none. docs/channels/honor.md says how the fields of a push map.
//
// Invariants: a notification carries a number made of the message's ID, so a repetition takes the place of the first and a later message can
// replace it. Receipts are believed only if they bring back the stamp (biTag) that the message carried.
package honor
