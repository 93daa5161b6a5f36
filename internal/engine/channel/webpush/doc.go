// Package webpush is the wire to the push services of browsers (RFC 8030): those of Google, Mozilla, Microsoft and Apple, and any
// other that speaks Web Push, such as a UnifiedPush server or our own internal/service/webpush.
//
// A token is the PushSubscription of a browser as JSON: {"endpoint":…,"keys":{"p256dh":…,"auth":…}}. The message is encrypted
// for it (RFC 8291, aes128gcm), so that the push service reads nothing, and signed for its origin (RFC 8292, VAPID). What the
// service worker gets is described in docs/channels/webpush.md; payload.go makes it.
//
// Endpoints come from devices, so any address may be among them. Without wire.Deps.BaseURL only https to public addresses
// is called; both limits are lifted for the networks of wire.Deps.Allow. With it only what is below it is called. Redirects are not followed. What a
// push service answers says something of one subscription only: its limits, failures and refusals are marked Outcome.Alone, and only
// the known services of browser makers are believed that the credentials are wrong, or that they are busy for long. The others have
// their own few calls at a time and short limits, so that endpoints which do not answer hold up nobody.
//
// Web Push has no receipts and takes nothing back by our id.
package webpush
