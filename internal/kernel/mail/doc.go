// Package mail hands e-mails to the operator's SMTP server and reads the reports that come back.
//
// It keeps nothing: no table, no queue, no retry. Whoever sends has a queue of their own and asks for one attempt (Mailer.Send, or
// a Session, which keeps its connection over several messages); the Outcome says whether a retry makes sense.
//
// Promises:
//   - Sent means that the server answered 250 to the whole message, whatever happened to the connection afterwards. Everything else
//     means that it said no, or nothing: a connection that is cut before the answer is Temporary and Unsure, because the server
//     may have the message. A caller that repeats it with the same ID lets receivers notice;
//   - Permanent is a word about the recipient or the message. What is our own trouble (no connection, no TLS, wrong password, a sender
//     that the server does not want) is Temporary, however the server numbers it: a mistake in the configuration must not make
//     addresses look dead;
//   - a header holds what was meant and nothing more: addresses are parsed, subjects, names and ids with control characters are refused
//     (FieldError), so no value can begin a second header, a second recipient or a body;
//   - every attempt ends within about twice Config.Timeout and soon after its context does; messages and answers are bounded;
//   - a password crosses the network only under TLS, except to this machine itself.
//
// Every message has a plain text and, if wanted, an HTML part, says that it was made by a program (Auto-Submitted), so that answering
// machines keep still, and is signed (DKIM) if the operator gave a key.
package mail
