package db_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"testing/fstest"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var tables = fstest.MapFS{"migrations/0001_init.sql": {Data: []byte(`create table t_item (id {{pk}}, name text not null, body {{blob}});
create unique index t_item_name on t_item (name);
create table t_pair (a bigint not null, b bigint not null, primary key (a, b)) {{clustered}};
`)}}

func migrated(t *testing.T, d *db.DB) context.Context {
	t.Helper()
	ctx := context.Background()
	if err := d.Migrate(ctx, "t", tables); err != nil {
		t.Fatal(err)
	}
	return ctx
}

func insert(id int, name string) db.TxFunc {
	return func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, "insert into t_item (id, name, body) values ($1, $2, $3)", id, name, []byte{0, 1})
		return err
	}
}

func count(t *testing.T, d *db.DB) (n int) {
	t.Helper()
	if err := d.QueryRow(context.Background(), "select count(*) from t_item").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

func TestFailureTakesNobodyAlong(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := migrated(t, d)
		const n = 200
		var (
			wg     sync.WaitGroup
			errs   [n]error
			broken = errors.New("broken")
		)
		for i := range n {
			wg.Go(func() {
				errs[i] = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
					if err := insert(i, fmt.Sprintf("n%d", i))(ctx, tx); err != nil {
						return err
					}
					switch {
					case i%7 == 0:
						return broken
					case i%31 == 1 && d.Engine() == db.SQLite:
						panic("broken")
					}
					return nil
				})
			})
		}
		wg.Wait()
		want := 0
		for i, err := range errs {
			fails := i%7 == 0 || i%31 == 1 && d.Engine() == db.SQLite
			if (err != nil) != fails {
				t.Errorf("transaction %d: %v", i, err)
			}
			if !fails {
				want++
			}
		}
		if got := count(t, d); got != want {
			t.Errorf("%d rows are stored, %d transactions succeeded", got, want)
		}
	})
}

func TestUniqueViolationIsRecognised(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := migrated(t, d)
		if err := d.InTx(ctx, insert(1, "a")); err != nil {
			t.Fatal(err)
		}
		for _, again := range []db.TxFunc{insert(1, "b"), insert(2, "a")} {
			if err := d.InTx(ctx, again); !db.IsUnique(err) {
				t.Errorf("got %v, want a unique violation", err)
			}
		}
	})
}

func TestNewerSchemaIsRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := migrated(t, d)
		newer := fstest.MapFS{"migrations/0001_init.sql": tables["migrations/0001_init.sql"],
			"migrations/0002_more.sql": {Data: []byte("create table t_more (id {{pk}});\n")}}
		if err := d.Migrate(ctx, "t", newer); err != nil {
			t.Fatal(err)
		}
		if err := d.Migrate(ctx, "t", newer); err != nil {
			t.Errorf("migrating twice: %v", err)
		}
		if err := d.Migrate(ctx, "t", tables); !errors.Is(err, db.ErrNewerSchema) {
			t.Errorf("an older binary got %v", err)
		}
	})
}

func TestCancelledCallerIsWithdrawn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		migrated(t, d)
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		if err := d.InTx(ctx, insert(1, "a")); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if n := count(t, d); n != 0 {
			t.Errorf("%d rows of a cancelled caller", n)
		}
	})
}

// A full disk: writes answer an error, nothing of them is kept, reading goes on, and writing works again with space.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	ctx := migrated(t, d)
	if err := d.InTx(ctx, insert(0, "kept")); err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) {
		t.Helper()
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			var n int
			return tx.SQL().QueryRowContext(ctx, fmt.Sprintf("pragma max_page_count=%d", pages)).Scan(&n)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite raises it to the present size
	var (
		mu   sync.Mutex
		kept = map[string]bool{"kept": true}
		full bool
		wg   sync.WaitGroup
	)
	for i := 1; i <= 400; i++ {
		wg.Go(func() {
			name := fmt.Sprintf("%0500d", i)
			err := d.InTx(ctx, insert(i, name))
			mu.Lock()
			defer mu.Unlock()
			if err == nil {
				kept[name] = true
			} else if db.IsFull(err) {
				full = true
			} else {
				t.Errorf("write to a full disk: %v", err)
			}
		})
	}
	wg.Wait()
	if !full {
		t.Fatal("the disk never was full")
	}
	if got := count(t, d); got != len(kept) {
		t.Errorf("%d rows stored, %d acknowledged", got, len(kept))
	}
	limit(1 << 20)
	if err := d.InTx(ctx, insert(1000, "after")); err != nil {
		t.Errorf("write after space was made: %v", err)
	}
}

func TestSecondProcessIsKeptOut(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "b.db")
	dbtest.Open(t, db.Options{Path: path})
	if _, err := db.Open(context.Background(), db.Options{Path: path}); err == nil {
		t.Error("a second opener got in")
	}
}

func BenchmarkGroupCommit(b *testing.B) {
	d := dbtest.SQLite(b)
	ctx := context.Background()
	if err := d.Migrate(ctx, "t", tables); err != nil {
		b.Fatal(err)
	}
	var mu sync.Mutex
	next := 0
	b.SetParallelism(64)
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			mu.Lock()
			next++
			id := next
			mu.Unlock()
			if err := d.InTx(ctx, insert(id, fmt.Sprint(id))); err != nil {
				b.Error(err)
			}
		}
	})
}

// What waits for a commit happens once, before InTx returns, and never for what was rolled back.
func TestAfterCommit(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := migrated(t, d)
		var said []string
		seen := -1
		err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			tx.AfterCommit(func() { said = append(said, "first"); seen = count(t, d) })
			tx.AfterCommit(func() { said = append(said, "second") })
			return insert(1, "a")(ctx, tx)
		})
		if err != nil || len(said) != 2 || said[0] != "first" || seen != 1 {
			t.Errorf("after a commit: %v, said %q, %d rows seen", err, said, seen)
		}
		broken := errors.New("broken")
		err = d.InTx(ctx, func(_ context.Context, tx *db.Tx) error {
			tx.AfterCommit(func() { t.Error("called after a rollback") })
			return broken
		})
		if !errors.Is(err, broken) {
			t.Error(err)
		}
		err = d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			tx.AfterCommit(func() { t.Error("called after a failed statement") })
			return insert(1, "again")(ctx, tx)
		})
		if !db.IsUnique(err) {
			t.Error(err)
		}
	})
}
