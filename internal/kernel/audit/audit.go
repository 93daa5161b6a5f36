// Package audit keeps who did what: one row per act, in the transaction of the act, so neither exists without the other.
//
// Rows form a chain. Each carries an HMAC over its fields and the HMAC of the row before, under a key that is not in
// the database; who can write the database but does not have the key file can therefore not change, insert or remove
// a row within the log without Verify naming the place. What a chain cannot show is that its newest rows were cut off
// together with the head; a copy of Head kept elsewhere does.
//
// Tables: audit_log, audit_head. Appending locks the one row of audit_head until the caller's transaction ends, so
// append last, and never wait for anything afterwards. Acts are things people and administrators do, not traffic.
package audit

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"embed"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

// Bounds of an entry, in bytes.
const (
	maxName   = 256
	maxDetail = 16 << 10
)

// ErrTooLong says that a field of an entry is longer than the log takes.
var ErrTooLong = errors.New("audit: entry is too long")

// Entry is one act.
type Entry struct {
	// Actor is who did it, "<kind>:<id>", e.g. "user:0192…", "token:…", "cli:root", "system:retention". ≤ 256 bytes.
	Actor string
	// Action is what was done, "<noun>.<verb>", e.g. "app.create". ≤ 256 bytes.
	Action string
	// Object is what it was done to, "<kind>:<id>", e.g. "app:7". ≤ 256 bytes.
	Object string
	// Detail is marshalled to JSON, ≤ 16 KiB; nil is an empty object. It outlives what it describes: no secrets, and no
	// personal data that might have to be erased.
	Detail any
}

// Row is an act as it was logged.
type Row struct {
	// Seq numbers the rows from 1 without gaps.
	Seq int64
	// At is Unix milliseconds.
	At                    int64
	Actor, Action, Object string
	// Detail is JSON.
	Detail string
	// Prev and Hash are hex HMACs; Prev of the first row is empty.
	Prev, Hash string
}

// Log appends and verifies. It is safe for concurrent use.
type Log struct {
	clock clock.Clock
	key   []byte
}

// New returns a log that chains under key, 32 bytes that are the same on every node and for ever.
func New(c clock.Clock, key []byte) *Log { return &Log{clock: c, key: key} }

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "audit", migrations) }

// Append logs e in the caller's transaction.
func (l *Log) Append(ctx context.Context, tx *db.Tx, e Entry) error {
	row, err := e.row()
	if err != nil {
		return err
	}
	// Taking the number locks the head, so what is read with it stays the end of the chain until the commit.
	err = tx.QueryRow(ctx, `update audit_head set seq = seq + 1 where id = 1 returning seq, hash`).Scan(&row.Seq, &row.Prev)
	if err != nil {
		return fmt.Errorf("audit: take number: %w", err)
	}
	row.At = clock.Millis(l.clock.Now())
	row.Hash = l.hash(&row)
	if _, err := tx.Exec(ctx, `insert into audit_log (seq, at, actor, action, object, detail, prev, hash)
		values ($1, $2, $3, $4, $5, $6, $7, $8)`,
		row.Seq, row.At, row.Actor, row.Action, row.Object, row.Detail, row.Prev, row.Hash); err != nil {
		return fmt.Errorf("audit: append: %w", err)
	}
	if _, err := tx.Exec(ctx, `update audit_head set hash = $1 where id = 1`, row.Hash); err != nil {
		return fmt.Errorf("audit: move head: %w", err)
	}
	return nil
}

// row is what of e does not depend on the chain.
func (e *Entry) row() (Row, error) {
	row := Row{Actor: clean(e.Actor), Action: clean(e.Action), Object: clean(e.Object), Detail: "{}"}
	if e.Detail != nil {
		text, err := json.Marshal(e.Detail)
		if err != nil {
			return Row{}, fmt.Errorf("audit: detail of %s: %w", row.Action, err)
		}
		row.Detail = string(text)
	}
	if len(row.Actor) > maxName || len(row.Action) > maxName || len(row.Object) > maxName || len(row.Detail) > maxDetail {
		return Row{}, fmt.Errorf("%w: %s", ErrTooLong, row.Action[:min(len(row.Action), maxName)])
	}
	return row, nil
}

// clean removes what PostgreSQL refuses in a text.
func clean(s string) string {
	return strings.ToValidUTF8(strings.ReplaceAll(s, "\x00", ""), "\uFFFD")
}

// hash covers every field with its length, so no two different rows are hashed over the same bytes.
func (l *Log) hash(r *Row) string {
	mac := hmac.New(sha256.New, l.key)
	var num [8]byte
	for _, n := range []int64{r.Seq, r.At} {
		binary.BigEndian.PutUint64(num[:], uint64(n))
		mac.Write(num[:])
	}
	for _, s := range []string{r.Actor, r.Action, r.Object, r.Detail, r.Prev} {
		binary.BigEndian.PutUint64(num[:], uint64(len(s)))
		mac.Write(num[:])
		mac.Write([]byte(s))
	}
	return hex.EncodeToString(mac.Sum(nil))
}
