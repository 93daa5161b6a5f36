// Package hmos plays Push Kit for HarmonyOS: version 3 of messages:send with its six push types, and messages:revoke. It checks
// what the service account signed and its age, every field of every type, size, the number of tokens, what a project and a device
// may get on a day, and refuses with Push Kit's codes. Receipts are of version 2. A device shows an appMessageId once in 24 hours.
//
// Faults: the documented codes, answered whatever a call says; flow_control is 503; html is a proxy's page; cut is no answer.
package hmos
