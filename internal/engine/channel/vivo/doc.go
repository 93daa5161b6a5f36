// Package vivo sends through vivo Push: phones of vivo and iQOO.
//
// One device is a `send`; 2 to 1,000 are a message that is saved (saveListPayload) and then pushed to them (pushToList). A request id is
// made of the message and its devices, so a repetition has the same one, and every notification has a notifyId made of the
// message, so that a repetition takes its place. Live messages (atomic notifications) go to one device each.
//
// Sources: the server API of dev.vivo.com.cn (documents 362, 681, 788, 896) and vivo's server SDK. vivo refuses texts that do not
// look like a message to people (only digits or letters, "test"), and marketing at night: code 10071 waits until seven.
//
// Not carried: VoIP and pass-through (vivo_push_type 3 and 2), whose interfaces vivo hands out under agreement; a message that asks for
// one is Rejected.
package vivo
