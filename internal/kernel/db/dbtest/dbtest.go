// Package dbtest runs a test on every database engine: SQLite in a temporary directory and PostgreSQL in a throw-away
// cluster that Main starts for the test binary. There is no skip: a machine without PostgreSQL fails the test, because
// SQL that was tried on one engine only is not tested.
package dbtest

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"borealis/internal/kernel/db"
)

// Each runs body as a subtest on both engines, each with an empty database. The test binary's TestMain must be Main.
func Each(t *testing.T, body func(t *testing.T, d *db.DB)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) { body(t, SQLite(t)) })
	t.Run("postgres", func(t *testing.T) { body(t, Postgres(t)) })
}

// SQLite opens an empty SQLite database that is closed at the end of the test.
func SQLite(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, db.Options{Path: filepath.Join(t.TempDir(), "test.db")})
}

// Postgres opens an empty PostgreSQL database that is closed at the end of the test.
func Postgres(t testing.TB) *db.DB {
	t.Helper()
	return Open(t, db.Options{URL: PostgresURL(t), MaxConns: 8})
}

// Open opens a database and closes it at the end of the test.
func Open(t testing.TB, o db.Options) *db.DB {
	t.Helper()
	d, err := db.Open(context.Background(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Errorf("close database: %v", err)
		}
	})
	return d
}

var created atomic.Int64

// PostgresURL makes an empty PostgreSQL database, dropped with the cluster, and returns its URL.
func PostgresURL(t testing.TB) string {
	t.Helper()
	base, err := shared.url()
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v", err)
	}
	admin := Open(t, db.Options{URL: base, MaxConns: 1})
	name := fmt.Sprintf("test_%d", created.Add(1))
	// Create database cannot run inside a transaction, so it goes through the reading pool.
	rows, err := admin.Query(context.Background(), "create database "+name)
	if err != nil {
		t.Fatal(err)
	}
	if err := rows.Close(); err != nil {
		t.Fatal(err)
	}
	return strings.Replace(base, "/postgres?", "/"+name+"?", 1)
}
