// Package redline compares two versions of a text for people: line by line, and inside changed lines word by word
// (Chinese: character by character).
//
// What comes out is complete: the equal and deleted parts are exactly the old text, the equal and inserted parts exactly
// the new one. Work and memory are bounded; texts that differ in more than maxEdits places between the first and the
// last difference come out as replaced there as a whole.
package redline
