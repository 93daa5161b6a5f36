// Package blob keeps bytes in the database, so that every node sees them and a backup of the database is complete. It is
// for uploads of some megabytes, not for streams.
//
// Tables: blob_blob, blob_chunk. Events: none.
//
// Put reads the bytes and writes them in chunks of 256 KiB, one short transaction each. What it returns is a draft: the
// blob exists once a transaction of the caller that contains Draft.Commit has committed, so a blob and the row that
// names it appear together, and a crash at any moment leaves neither. A small one, of less than a chunk, is written by
// that transaction alone.
//
// Delete in the caller's transaction makes a blob invisible at once. Its bytes follow later, as those of a draft that was
// neither committed nor discarded: Run removes them an hour after they were last touched, a few chunks at a time. Until
// then a reader that opened the blob before reads on.
//
// Invariants: a complete blob never changes, and its chunks are numbered from 0 without gaps; an id is never used again.
// A draft whose writer stood still for an hour is gone, and its Commit fails.
package blob
