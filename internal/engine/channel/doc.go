// Package channel sends through the vendors below it within what each allows: the rate of an account in the vendor's own
// unit, calls at once, and pauses for a vendor that is not well or refuses the credentials. Who is reached through which vendor, and what
// an outcome means for a message, is for the service that sends.
//
// Tables and events: none. Rates and pauses are counted in memory by node, so an account is best used by one node: the
// owner of the app's partition.
//
// Invariants: at most Traits.Parallel calls and Traits.Rate per account; every Send ends with one outcome for each
// token; while a breaker is open no call is made but the one that tries whether the vendor is back.
package channel
