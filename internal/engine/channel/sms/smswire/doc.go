// Package smswire is what the providers of text messages have in common. There is no policy here: who is sent what, and when, is decided by
// the service that sends.
//
// Contract of every provider:
//   - Send takes at most Traits.Batch messages and answers with one outcome for each, in their order, whatever happens, as
//     wire.Vendor does;
//   - providers do not drop repetitions, unless Traits.Idempotent says so: a message whose outcome is Unknown may have been sent
//     and billed, and is not to be repeated;
//   - Invalid says that the number is none. Nothing is logged, and neither numbers nor parameters are in an error.
package smswire
