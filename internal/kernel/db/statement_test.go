package db

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"
)

func openTest(t *testing.T, conns int) *DB {
	t.Helper()
	d, err := Open(context.Background(), Options{Path: filepath.Join(t.TempDir(), "s.db"), MaxConns: conns})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(); err != nil {
			t.Error(err)
		}
	})
	return d
}

func numbers(n int) []any {
	args := make([]any, n)
	for i := range args {
		args[i] = i
	}
	return args
}

// Lists of many lengths leave the caches to other texts.
func TestListsAreNotKeptPrepared(t *testing.T) {
	t.Parallel()
	d := openTest(t, 2)
	ctx := context.Background()
	const lengths = 50
	for n := 1; n <= lengths; n++ {
		var one int
		query := `select 1 where 0 in (` + In(1, n) + `)`
		if err := d.QueryRow(ctx, query, numbers(n)...).Scan(&one); err != nil {
			t.Fatal(err)
		}
	}
	err := d.InTx(ctx, func(ctx context.Context, tx *Tx) error {
		for n := 1; n <= lengths; n++ {
			var one int
			if err := tx.QueryRow(ctx, `select 1 where 0 in (`+In(1, n)+`)`, numbers(n)...).Scan(&one); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	fixed := `select 1 where 0 in (` + InFixed(1, 3) + `)`
	var one int
	if err := d.QueryRow(ctx, fixed, numbers(3)...).Scan(&one); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the first transaction has it prepared after its commit, the second waits for that
		err := d.InTx(ctx, func(ctx context.Context, tx *Tx) error { return tx.QueryRow(ctx, fixed, numbers(3)...).Scan(&one) })
		if err != nil {
			t.Fatal(err)
		}
	}
	for name, s := range map[string]*statements{"reads": d.stmts, "writer": d.writer.stmts} {
		if s.lookup(fixed) == nil {
			t.Errorf("%s: the fixed list is not prepared", name)
		}
		if n := len(s.m); n > 10 {
			t.Errorf("%s: %d texts are kept", name, n)
		}
	}
}

// Who waits for a connection to prepare a text does not keep others from what is prepared.
func TestPrepareWaitsWithoutLock(t *testing.T) {
	t.Parallel()
	d := openTest(t, 1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	var n int
	if err := d.QueryRow(ctx, `select 1`).Scan(&n); err != nil {
		t.Fatal(err)
	}
	conn, err := d.reads.Conn(ctx)
	if err != nil {
		t.Fatal(err)
	}
	waits, stop := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		var n int
		done <- d.QueryRow(waits, `select 2`).Scan(&n)
	}()
	for d.reads.Stats().WaitCount == 0 {
		if ctx.Err() != nil {
			t.Fatal("nobody waits for a connection")
		}
	}
	if !d.stmts.mu.TryLock() {
		t.Error("the lock is held while a connection is waited for")
	} else {
		d.stmts.mu.Unlock()
	}
	stop()
	if err := <-done; err == nil {
		t.Error("a cancelled caller got an answer without a connection")
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
}

// Of callers that prepare one text at once, all get the same statement, and it is usable.
func TestPrepareAtOnce(t *testing.T) {
	t.Parallel()
	d := openTest(t, 4)
	ctx := context.Background()
	var wg sync.WaitGroup
	for i := range 16 {
		wg.Go(func() {
			for k := range 50 {
				var n int
				if err := d.QueryRow(ctx, fmt.Sprintf(`select %d`, k)).Scan(&n); err != nil || n != k {
					t.Errorf("caller %d: %d, %v, want %d", i, n, err, k)
				}
			}
		})
	}
	wg.Wait()
	if n := len(d.stmts.m); n != 50 {
		t.Errorf("%d texts are kept, want 50", n)
	}
}
