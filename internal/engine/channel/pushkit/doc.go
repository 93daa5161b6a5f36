// Package pushkit is what the two push services of Huawei have in common, Push Kit for Android (package huawei) and for
// HarmonyOS (package hmos): service accounts and the tokens they sign, calls and what their answers mean, receipts and their
// signature, the number that a notification has on the screen.
//
// Contract: a call is not repeated, except once with a new token when the service says that the token is bad. The reason of an
// outcome never quotes the answer where that may list device tokens.
package pushkit
