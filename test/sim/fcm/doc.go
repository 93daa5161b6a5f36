// Package fcm plays Firebase Cloud Messaging, HTTP v1, and Google's token endpoint in front of it: it checks assertions
// (signature, audience, scope, age), access tokens (age, project), every field of a message, its size and the rates of project
// and device, and refuses as Google does.
//
// A token that no phone has is UNREGISTERED if it could be one of FCM's, else an invalid argument. Rates are counted from the
// first message, not by the clock's minute, and errors of the caller count.
//
// Faults: the error codes of FCM, which are answered to messages:send whatever it says; unauthenticated ends all access
// tokens; account_disabled does too, and refuses the next assertion; token_unavailable the same with 503; html is a proxy's page; cut
// is no answer.
package fcm
