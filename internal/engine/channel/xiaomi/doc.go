// Package xiaomi is the wire to Xiaomi's push service (MiPush), v3: forms that carry one message for up to a thousand regids.
//
// Tables and events: none. docs/channels/xiaomi.md says how the fields of a push map.
//
// Invariants: a message carries its ID as jobkey, so phones show a repetition once, and as a number (notify_id), so that later messages
// can replace it or take it back. Receipts are believed only if they bring back the stamp that the message carried: Xiaomi signs nothing.
package xiaomi
