// Package huawei plays Push Kit for Android: HUAWEI ID's token endpoint, versions 1 and 2 of messages:send, and version 3 for
// live views. It checks who calls (access tokens and their app, signatures and their age), every field of a message, its size, the
// number of tokens, what a device may get on a day, and refuses with Push Kit's codes. Receipts are of version 1.
//
// Faults: the documented codes, answered to messages:send whatever it says; secret_changed ends the access tokens and refuses the
// next request for one; flow_control is 503; html is a proxy's page; cut is no answer. Codes of expired tokens hold once.
package huawei
