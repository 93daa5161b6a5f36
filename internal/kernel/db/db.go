package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	_ "github.com/jackc/pgx/v5/stdlib" // driver "pgx"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Engine is the kind of database.
type Engine uint8

// Engines.
const (
	SQLite Engine = iota
	PostgreSQL
)

// String is the engine's name.
func (e Engine) String() string {
	if e == PostgreSQL {
		return "postgres"
	}
	return "sqlite"
}

// ErrNoRows is what Row.Scan returns when the query found nothing.
var ErrNoRows = sql.ErrNoRows

// Options say which database to open.
type Options struct {
	// URL of a PostgreSQL database ("postgres://…"); empty: SQLite at Path.
	URL string
	// Path of the SQLite file; its directory exists.
	Path string
	// MaxConns bounds the connections to PostgreSQL, and the reading ones to SQLite; 0: a default by the number of
	// processors.
	MaxConns int
	Log      *slog.Logger
}

// DB is an open database. It is safe for concurrent use.
type DB struct {
	engine Engine
	writes *sql.DB
	reads  *sql.DB
	stmts  *statements // of reads; nil on PostgreSQL, where the driver caches
	writer *writer     // nil on PostgreSQL
	lock   *os.File    // nil on PostgreSQL
}

// Open connects and, on SQLite, locks the file against other processes and starts the writer; Close stops it.
func Open(ctx context.Context, o Options) (*DB, error) {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.URL != "" {
		return openPostgres(ctx, o)
	}
	return openSQLite(ctx, o)
}

func openPostgres(ctx context.Context, o Options) (*DB, error) {
	pool, err := sql.Open("pgx", o.URL)
	if err != nil {
		return nil, fmt.Errorf("db: open PostgreSQL: %w", err)
	}
	n := o.MaxConns
	if n == 0 {
		n = 8 * runtime.GOMAXPROCS(0)
	}
	pool.SetMaxOpenConns(n)
	pool.SetMaxIdleConns(n)
	pool.SetConnMaxIdleTime(5 * time.Minute)
	if err := pool.PingContext(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("db: connect to PostgreSQL: %w", err), pool.Close())
	}
	return &DB{engine: PostgreSQL, writes: pool, reads: pool}, nil
}

func openSQLite(ctx context.Context, o Options) (*DB, error) {
	lock, err := lockFile(o.Path + ".lock")
	if err != nil {
		return nil, err
	}
	d := &DB{engine: SQLite, lock: lock}
	fail := func(err error) (*DB, error) { return nil, errors.Join(err, d.Close()) }

	// synchronous=full: a commit that returned survives power loss. The WAL is checkpointed by the writer.
	pragmas := "_pragma=busy_timeout(10000)&_pragma=journal_mode(wal)&_pragma=synchronous(full)&_pragma=foreign_keys(1)" +
		"&_pragma=temp_store(memory)&_pragma=cache_size(-16000)&_pragma=journal_size_limit(67108864)"
	file := "file:" + filepath.ToSlash(o.Path)
	if d.writes, err = sql.Open("sqlite", file+"?_txlock=immediate&"+pragmas); err != nil {
		return fail(fmt.Errorf("db: open SQLite: %w", err))
	}
	d.writes.SetMaxOpenConns(1)
	if err := d.writes.PingContext(ctx); err != nil {
		return fail(fmt.Errorf("db: open %s: %w", o.Path, err))
	}
	if d.reads, err = sql.Open("sqlite", file+"?"+pragmas+"&_pragma=query_only(1)"); err != nil {
		return fail(fmt.Errorf("db: open SQLite: %w", err))
	}
	n := o.MaxConns
	if n == 0 {
		n = max(4, runtime.GOMAXPROCS(0))
	}
	d.reads.SetMaxOpenConns(n)
	d.reads.SetMaxIdleConns(n)
	d.stmts = newStatements(d.reads)
	d.writer = startWriter(d.writes, o.Log)
	return d, nil
}

// Engine tells which kind of database this is.
func (d *DB) Engine() Engine { return d.engine }

// Close waits for running transactions and closes the database.
func (d *DB) Close() error {
	var errs []error
	if d.writer != nil {
		d.writer.stop()
	}
	if d.stmts != nil {
		d.stmts.close()
	}
	if d.writes != nil {
		errs = append(errs, d.writes.Close())
	}
	if d.reads != nil && d.reads != d.writes {
		errs = append(errs, d.reads.Close())
	}
	if d.lock != nil {
		errs = append(errs, d.lock.Close())
	}
	return errors.Join(errs...)
}

// Ping checks that the database answers.
func (d *DB) Ping(ctx context.Context) error { return d.reads.PingContext(ctx) }

// Query reads outside a transaction. It sees everything that was committed before.
func (d *DB) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := d.stmts.get(ctx, query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return d.reads.QueryContext(ctx, query, args...)
}

// QueryRow reads one row outside a transaction.
func (d *DB) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if st := d.stmts.get(ctx, query); st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return d.reads.QueryRowContext(ctx, query, args...)
}

// In is the placeholder list "$from,$from+1,…" for n values, for `where x in (…)`. It is marked by a comment, so that
// the text is not kept prepared; InFixed is for lists whose length never changes.
func In(from, n int) string { return varying + InFixed(from, n) }

// InFixed is In for a list that has the same length every time: the text is kept prepared.
func InFixed(from, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		fmt.Fprintf(&b, "$%d", from+i)
	}
	return b.String()
}

// IsUnique reports whether err is a violated primary key or unique index.
func IsUnique(err error) bool {
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		return se.Code() == sqlite3.SQLITE_CONSTRAINT_UNIQUE || se.Code() == sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY
	}
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "23505"
}

// IsFull reports whether err says that the disk, or the space given to the database, is full.
func IsFull(err error) bool {
	if se, ok := errors.AsType[*sqlite.Error](err); ok {
		return se.Code()&0xff == sqlite3.SQLITE_FULL
	}
	var pe *pgconn.PgError
	return errors.As(err, &pe) && pe.Code == "53100"
}
