// Package legaltext reads and writes the texts of agreements: one file for each document and language, named
// <code>.<locale>.md, with a front matter that says what the text is.
//
// A text has one canonical form (Document.Canonical), and its hash is the SHA-256 of that form. The canonical form is
// itself a file that Parse reads, so whoever has an exported file can check the hash with a tool of his own.
//
// Chinese is the master. A translation names the hash of the master that it translates (source), inside its own
// canonical form: it is bound to that text and to no other.
//
// A text holds nothing that is displayed otherwise than it is hashed: no control, zero-width or direction characters.
package legaltext
