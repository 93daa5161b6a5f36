// Package db is the store: one SQL text on two engines, SQLite in the data directory and PostgreSQL by URL.
//
// Rules for SQL, so that the same text runs on both:
//   - placeholders are $1…$n; times are bigint Unix milliseconds passed from a clock, never now();
//   - cast(x as t), not x::t; lists are expanded by In or InFixed, not = any($1);
//   - no "for update": claim by update … where id in (select … limit n) returning;
//   - types are bigint, text, boolean; JSON is text. Migrations may use four tokens where the engines must differ:
//     {{pk}} (the type and constraint of a bigint primary key), {{serial}} (one that counts by itself), {{blob}} and {{clustered}} (a table stored in the order
//     of its composite primary key);
//   - keys are time-ordered: random primary keys cost SQLite three to five times, and batches update rows in key order,
//     because unsorted ones deadlock on PostgreSQL.
//
// Writes on SQLite go through one goroutine that puts many callers' transactions into one commit (one fsync); each runs
// under a savepoint, so one that fails takes nobody along. Urgent transactions go first. On PostgreSQL every
// transaction is its own, and one that loses a deadlock or serialization conflict is run again.
//
// Therefore a transaction function may run more than once, must not touch state outside the transaction before
// InTx has returned nil, must not wait for another transaction, and stays short (≤ 5 ms).
//
// Each package owns its tables (prefix = package name) and migrates them with Migrate; the version table is
// <package>_version.
package db
