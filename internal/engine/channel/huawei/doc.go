// Package huawei is the wire to Push Kit for Android (HMS): phones with EMUI and HarmonyOS up to 4.
//
// Calls go to version 2 of the interface, which takes the project's id, or to version 1, which takes the app's, whichever the
// credentials name. They are authorised by the app's secret (OAuth 2 client credentials) or by a service account's signature. Live
// views go to version 3, which takes service accounts only.
//
// Files: credentials.go; grant.go access tokens for a secret; options.go third_party_channel.huawei; message.go and click.go what
// goes onto the wire; send.go the calls and receipts. Answers and receipts are read by package pushkit.
//
// A notification carries the id of its message, or of the one it replaces, as tag and, hashed, as notify_id: older systems know
// one of the two. bi_tag is the id of the message, by which receipts name it.
package huawei
