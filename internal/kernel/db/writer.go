package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// ErrClosed is returned for transactions after Close.
var ErrClosed = errors.New("db: closed")

const (
	// queueLen bounds the callers that wait; more wait in their own call until there is room or their context ends.
	queueLen = 4096
	// A group is committed when nobody waits, after groupTime or with groupSize transactions, whichever is first.
	groupTime = 5 * time.Millisecond
	groupSize = 1024
)

// writer is the one goroutine that writes to SQLite. Callers that arrive while a group is being synced to disk form
// the next group, so the cost of an fsync is shared without anybody waiting for company.
type writer struct {
	pool   *sql.DB
	stmts  *statements
	missed []string             // texts of this group to prepare once it is committed; the pool has one connection
	bound  map[string]*sql.Stmt // the statements of this group's transaction
	log    *slog.Logger

	urgent, normal chan *request
	quit           chan struct{}
	stopOnce       sync.Once
	done           chan struct{}
}

type request struct {
	ctx    context.Context
	fn     TxFunc
	err    error
	after  []func() // of a function that succeeded
	result chan error
}

func startWriter(pool *sql.DB, log *slog.Logger) *writer {
	w := &writer{
		pool:   pool,
		stmts:  newStatements(pool),
		bound:  make(map[string]*sql.Stmt),
		log:    log,
		urgent: make(chan *request, queueLen),
		normal: make(chan *request, queueLen),
		quit:   make(chan struct{}),
		done:   make(chan struct{}),
	}
	go w.loop()
	return w
}

func (w *writer) stop() {
	w.stopOnce.Do(func() { close(w.quit) })
	<-w.done
	w.stmts.close()
}

// run queues fn and waits for its group to be durable. A context that ends while fn waits withdraws it; once it runs,
// the outcome is awaited, because the caller must know whether it happened.
func (w *writer) run(ctx context.Context, urgent bool, fn TxFunc) error {
	r := &request{ctx: ctx, fn: fn, result: make(chan error, 1)}
	queue := w.normal
	if urgent {
		queue = w.urgent
	}
	select {
	case <-w.quit:
		return ErrClosed
	default:
	}
	select {
	case queue <- r:
	case <-ctx.Done():
		return ctx.Err()
	case <-w.quit:
		return ErrClosed
	}
	select {
	case err := <-r.result:
		return r.finish(err)
	case <-w.done:
		select {
		case err := <-r.result:
			return r.finish(err)
		default:
			return ErrClosed
		}
	}
}

// finish ends a transaction in its caller's goroutine.
func (r *request) finish(err error) error {
	if err == nil {
		runAll(r.after)
	}
	return err
}

func (w *writer) loop() {
	defer close(w.done)
	for {
		select {
		case r := <-w.urgent:
			w.group(r)
			continue
		default:
		}
		select {
		case r := <-w.urgent:
			w.group(r)
		case r := <-w.normal:
			w.group(r)
		case <-w.quit:
			return
		}
	}
}

// next returns a waiting request, urgent ones first, or nil.
func (w *writer) next() *request {
	select {
	case r := <-w.urgent:
		return r
	default:
	}
	select {
	case r := <-w.urgent:
		return r
	case r := <-w.normal:
		return r
	default:
		return nil
	}
}

func (w *writer) group(first *request) {
	// The connection must survive callers' contexts: a cancelled statement would poison the whole group.
	ctx := context.WithoutCancel(first.ctx)
	tx, err := w.pool.BeginTx(ctx, nil)
	if err != nil {
		first.result <- fmt.Errorf("db: begin: %w", err)
		return
	}
	clear(w.bound)
	var (
		ran   []*request
		start = time.Now() //nolint:forbidigo // a measure of this goroutine's own pace, not a time of the domain
	)
	for r := first; r != nil; r = w.next() {
		if r.err = r.ctx.Err(); r.err == nil {
			r.err = w.runOne(tx, r)
		}
		ran = append(ran, r)
		if aborts(r.err) {
			break
		}
		//nolint:forbidigo // a measure of this goroutine's own pace, not a time of the domain
		if len(ran) >= groupSize || time.Since(start) >= groupTime {
			break
		}
	}
	if last := ran[len(ran)-1].err; aborts(last) {
		err = fmt.Errorf("db: transaction group rolled back: %w", last)
		_ = tx.Rollback()
	} else if err = tx.Commit(); err != nil {
		err = fmt.Errorf("db: commit: %w", err)
		_ = tx.Rollback()
	}
	for _, r := range ran {
		if r.err == nil {
			r.err = err
		}
		r.result <- r.err
	}
	for _, query := range w.missed {
		if w.stmts.lookup(query) == nil {
			w.stmts.prepare(ctx, query)
		}
	}
	w.missed = w.missed[:0]
}

func (w *writer) runOne(tx *sql.Tx, r *request) (err error) {
	ctx := context.WithoutCancel(r.ctx)
	t := &Tx{tx: tx, writer: w}
	if _, err := t.Exec(ctx, "savepoint caller"); err != nil {
		return fmt.Errorf("db: savepoint: %w", err)
	}
	defer func() {
		if p := recover(); p != nil {
			w.log.Error("transaction panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("db: transaction panicked: %v", p)
		}
		if err != nil {
			_, _ = t.Exec(ctx, "rollback to caller")
		}
		if _, e := t.Exec(ctx, "release caller"); e != nil && err == nil {
			err = fmt.Errorf("db: release savepoint: %w", e)
		}
	}()
	if err := r.fn(ctx, t); err != nil {
		return err
	}
	r.after = t.after
	return nil
}

// aborts: after these SQLite may already have rolled the whole transaction back, so what ran before in the group is
// gone, and what would run next would start a transaction of its own.
func aborts(err error) bool {
	var se *sqlite.Error
	if !errors.As(err, &se) {
		return false
	}
	switch se.Code() & 0xff {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_CORRUPT:
		return true
	}
	return false
}

// bind is the prepared statement of a text in the group's transaction, nil if there is none. It is made once for the group, as the
// transaction would keep every one it makes. It is called from the transaction that runs, so on the writer's goroutine.
func (w *writer) bind(ctx context.Context, tx *sql.Tx, query string) *sql.Stmt {
	if st := w.bound[query]; st != nil {
		return st
	}
	st := w.stmts.lookup(query)
	if st == nil {
		if len(w.missed) < maxStatements && cacheable(query) {
			w.missed = append(w.missed, query)
		}
		return nil
	}
	st = tx.StmtContext(ctx, st)
	w.bound[query] = st
	return st
}
