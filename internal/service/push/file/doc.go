// Package file keeps lists of aliases or registration ids that were uploaded as text files, for pushes to "the file", and
// serves the vendor-compatible file API (/v3/files).
//
// Tables: push_file, push_file_count. The bytes are in kernel/blob. Events: none.
//
// A file belongs to an app, or to a developer for pushes to app groups. It is checked while it streams in and kept as it
// came; Lines reads it when a push uses it.
//
// Invariants: an owner never has more than 20 files that live; a file that is listed is complete, of valid UTF-8, and
// has between 1 and 1,000,000 lines of at most 255 bytes; an upload that was refused, or cut off by a crash, leaves
// nothing that anybody sees, and its bytes go away. An id that is unknown, another owner's, or expired is one and the same
// to a caller.
package file
