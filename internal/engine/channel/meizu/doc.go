// Package meizu is the wire to the push service of Meizu (Flyme): signed forms that carry one notification for up to a hundred push ids.
//
// Tables and events: none. docs/channels/meizu.md says how the fields of a push map.
//
// Invariants: a notification carries a key made of the message's ID, so a repetition takes the place of the first and a later message can
// replace it. Receipts are asked for only if their address is registered at Meizu, and believed only with the token of that address and the
// stamp of the message.
package meizu
