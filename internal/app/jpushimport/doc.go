// Package jpushimport brings the devices that an app has at Jiguang to a running server: from exported files, and where those
// say too little from the vendor's REST API.
//
// The vendor has no call that lists devices, so registration ids always come from a file. A file is CSV with a header row, or a JSON object a
// line. It is read once from front to back with bounded memory. What is wrong with a line is reported with its number and
// does not stop the others.
//
// Everything may be done again: a device that the server knows stays as it is. A State remembers how far a run came, so that the next one
// goes on there.
package jpushimport
