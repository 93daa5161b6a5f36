package db

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// Tx is a running transaction.
type Tx struct {
	tx     *sql.Tx
	writer *writer // nil on PostgreSQL
	after  []func()
}

// SQL is the underlying transaction, for libraries that want one.
func (t *Tx) SQL() *sql.Tx { return t.tx }

// AfterCommit has fn called once the transaction is durable, before InTx returns, in the goroutine that called InTx. It
// is not called when the transaction fails. For code that writes in a transaction of its caller and must then tell
// somebody; like everything after a commit it may be lost in a crash.
func (t *Tx) AfterCommit(fn func()) { t.after = append(t.after, fn) }

func runAll(list []func()) {
	for _, fn := range list {
		fn()
	}
}

// Exec runs a statement and returns the number of rows it changed.
func (t *Tx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	var (
		res sql.Result
		err error
	)
	if st := t.prepared(ctx, query); st != nil {
		res, err = st.ExecContext(ctx, args...)
	} else {
		res, err = t.tx.ExecContext(ctx, query, args...)
	}
	if err != nil {
		return 0, err
	}
	return res.RowsAffected()
}

// Query reads rows inside the transaction. They must be closed before the next statement.
func (t *Tx) Query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if st := t.prepared(ctx, query); st != nil {
		return st.QueryContext(ctx, args...)
	}
	return t.tx.QueryContext(ctx, query, args...)
}

// QueryRow reads one row inside the transaction.
func (t *Tx) QueryRow(ctx context.Context, query string, args ...any) *sql.Row {
	if st := t.prepared(ctx, query); st != nil {
		return st.QueryRowContext(ctx, args...)
	}
	return t.tx.QueryRowContext(ctx, query, args...)
}

func (t *Tx) prepared(ctx context.Context, query string) *sql.Stmt {
	if t.writer == nil {
		return nil
	}
	return t.writer.bind(ctx, t.tx, query)
}

// TxFunc is the body of a transaction. See the package comment for what it may do.
type TxFunc func(ctx context.Context, tx *Tx) error

// InTx runs fn in a transaction and returns when it is durable (or was rolled back, with fn's error).
func (d *DB) InTx(ctx context.Context, fn TxFunc) error { return d.inTx(ctx, false, fn) }

// InTxUrgent is InTx before all others that wait: for the few callers in front of a waiting client.
func (d *DB) InTxUrgent(ctx context.Context, fn TxFunc) error { return d.inTx(ctx, true, fn) }

func (d *DB) inTx(ctx context.Context, urgent bool, fn TxFunc) error {
	if d.writer != nil {
		return d.writer.run(ctx, urgent, fn)
	}
	const attempts = 4
	for i := 1; ; i++ {
		err := d.once(ctx, fn)
		if i == attempts || !isConflict(err) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(time.Duration(i*i) * 5 * time.Millisecond):
		}
	}
}

func (d *DB) once(ctx context.Context, fn TxFunc) (err error) {
	tx, err := d.writes.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("db: begin: %w", err)
	}
	defer func() { _ = tx.Rollback() }() // after a commit this does nothing
	t := &Tx{tx: tx}
	if err := fn(ctx, t); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("db: commit: %w", err)
	}
	runAll(t.after)
	return nil
}

// isConflict: PostgreSQL's serialization failure and deadlock, where running again helps.
func isConflict(err error) bool {
	var pe *pgconn.PgError
	return errors.As(err, &pe) && (pe.Code == "40001" || pe.Code == "40P01")
}
