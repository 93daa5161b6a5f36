// Package wire is what the wires to the push services of phone makers and browsers have in common. Each
// vendor is a package beside this one and implements Vendor. There is no policy here: who is reached through which vendor, when,
// and what an outcome means for a message is decided by the service that sends.
//
// Tables and events: none. What an app has of a vendor (Credentials) is kept by who sends, sealed.
//
// A vendor's package has the same files as the others: credentials.go (Parse), message.go and options.go (a Message in the vendor's terms, or
// why it would be refused), codes.go or answer.go (what answers mean), send.go (Vendor, New, Traits, Send, Probe), receipts.go. What several
// need is here: reading credentials (ReadFields, CheckKey), access tokens and their one renewal (AccessTokens.Use, Unauthorized), calls without an
// answer (Undelivered) or with one of somebody else (Answer.Refused), JSON, texts, days, and what the app is given (AppData, AppJSON, Texts).
//
// Contract of every vendor:
//   - Send takes at most Traits.Batch tokens and answers with one Outcome for each, in their order, whatever happens:
//     no error, no panic, no wait beyond the context. It does not repeat calls, with one exception: an access token that the vendor no
//     longer takes is fetched anew once. An outcome says whether and when a repetition makes sense (Outcome.Status, After);
//   - what cannot be told (no answer, a cut connection) is Unknown: it may have been accepted. It can be repeated
//     without a second notification where the vendor takes an id of ours (Message.ID) for that; Traits.Idempotent says so;
//   - texts are cut to what the vendor takes if Message.Truncate is set, else the outcome is Rejected;
//   - nothing is logged, credentials and tokens are in no error; bodies that are read are bounded;
//   - addresses are the vendor's own, or below Deps.BaseURL for simulators. A credential never names a host. Where devices
//     name the address (web push), it is public (kernel/netguard), in Deps.Allow, or below Deps.BaseURL.
package wire
