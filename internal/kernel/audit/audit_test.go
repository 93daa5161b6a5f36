package audit_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

var errUndo = errors.New("undo")

func newLog(t *testing.T, d *db.DB) (*audit.Log, *clock.Fake) {
	t.Helper()
	if err := audit.Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	c := clock.NewFake(time.UnixMilli(1_800_000_000_000))
	return audit.New(c, bytes.Repeat([]byte{7}, 32)), c
}

func appendOne(t *testing.T, l *audit.Log, d *db.DB, e audit.Entry) {
	t.Helper()
	err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error { return l.Append(ctx, tx, e) })
	if err != nil {
		t.Fatal(err)
	}
}

func TestAppendAndList(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, c := newLog(t, d)
		appendOne(t, l, d, audit.Entry{Actor: "cli:root", Action: "app.create", Object: "app:1", Detail: map[string]any{"name": "号\x00角"}})
		c.Advance(time.Second)
		appendOne(t, l, d, audit.Entry{Actor: "user:\x00\xff", Action: "app.disable", Object: "app:2"})
		rows, err := l.List(t.Context(), d, "", 0, 10)
		if err != nil {
			t.Fatal(err)
		}
		if len(rows) != 2 || rows[0].Seq != 2 || rows[1].Seq != 1 {
			t.Fatalf("rows %+v", rows)
		}
		if got := rows[0]; got.Actor != "user:\uFFFD" || got.Detail != "{}" || got.At != 1_800_000_001_000 || got.Prev != rows[1].Hash {
			t.Errorf("second row %+v", got)
		}
		if got := rows[1]; got.Detail != `{"name":"号\u0000角"}` || got.Prev != "" {
			t.Errorf("first row %+v", got)
		}
		rows, err = l.List(t.Context(), d, "app:1", 2, 10)
		if err != nil || len(rows) != 1 || rows[0].Seq != 1 {
			t.Errorf("of app:1 below 2: %+v, %v", rows, err)
		}
		if broken, err := l.Verify(t.Context(), d); broken != 0 || err != nil {
			t.Errorf("verify: %d, %v", broken, err)
		}
	})
}

func TestRolledBackActLeavesNoRow(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, _ := newLog(t, d)
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			return errors.Join(l.Append(ctx, tx, audit.Entry{Action: "never"}), errUndo)
		})
		if !errors.Is(err, errUndo) {
			t.Fatal(err)
		}
		appendOne(t, l, d, audit.Entry{Action: "real"})
		if seq, _, err := l.Head(t.Context(), d); seq != 1 || err != nil {
			t.Errorf("head %d, %v", seq, err)
		}
		if broken, err := l.Verify(t.Context(), d); broken != 0 || err != nil {
			t.Errorf("verify: %d, %v", broken, err)
		}
	})
}

func TestConcurrentAppendsChain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, _ := newLog(t, d)
		const writers, each = 4, 10
		var wg sync.WaitGroup
		errs := make(chan error, writers*each)
		for w := range writers {
			wg.Go(func() {
				for i := range each {
					errs <- d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
						return l.Append(ctx, tx, audit.Entry{Actor: fmt.Sprint(w), Action: "a", Object: fmt.Sprint(i)})
					})
				}
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Fatal(err)
			}
		}
		if seq, _, err := l.Head(t.Context(), d); seq != writers*each || err != nil {
			t.Errorf("head %d, %v", seq, err)
		}
		if broken, err := l.Verify(t.Context(), d); broken != 0 || err != nil {
			t.Errorf("verify: %d, %v", broken, err)
		}
	})
}

func TestVerifyNamesTheBrokenRow(t *testing.T) {
	attacks := map[string]struct {
		sql  string
		want int64
	}{
		"changed":      {`update audit_log set detail = '{"x":1}' where seq = 3`, 3},
		"moved actor":  {`update audit_log set actor = 'ab', action = 'c' where seq = 2`, 2},
		"removed":      {`delete from audit_log where seq = 4`, 4},
		"removed last": {`delete from audit_log where seq = 6`, 6},
		"head forged":  {`update audit_head set hash = 'ff'`, 6},
		"swapped":      {`update audit_log set seq = 5 - seq + 1002 where seq in (2, 3)`, 2},
	}
	for name, a := range attacks {
		t.Run(name, func(t *testing.T) {
			dbtest.Each(t, func(t *testing.T, d *db.DB) {
				l, _ := newLog(t, d)
				for range 6 {
					appendOne(t, l, d, audit.Entry{Actor: "a", Action: "bc", Object: "d"})
				}
				err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
					n, err := tx.Exec(ctx, a.sql)
					if n == 0 {
						return errors.Join(err, errUndo)
					}
					return err
				})
				if err != nil {
					t.Fatal(err)
				}
				if broken, err := l.Verify(t.Context(), d); broken != a.want || err != nil {
					t.Errorf("verify: %d, %v; want %d", broken, err, a.want)
				}
			})
		})
	}
}

func TestOtherKeyBreaksTheChain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, c := newLog(t, d)
		appendOne(t, l, d, audit.Entry{Action: "a"})
		other := audit.New(c, bytes.Repeat([]byte{8}, 32))
		if broken, err := other.Verify(t.Context(), d); broken != 1 || err != nil {
			t.Errorf("verify with another key: %d, %v", broken, err)
		}
	})
}

func TestVerifyOverManyPages(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, _ := newLog(t, d)
		for range 3 {
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				for range 400 {
					if err := l.Append(ctx, tx, audit.Entry{Action: "a"}); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		if broken, err := l.Verify(t.Context(), d); broken != 0 || err != nil {
			t.Errorf("verify: %d, %v", broken, err)
		}
	})
}

func TestTooLongIsRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		l, _ := newLog(t, d)
		for _, e := range []audit.Entry{
			{Actor: strings.Repeat("x", 257)}, {Action: strings.Repeat("x", 257)}, {Object: strings.Repeat("x", 257)},
			{Detail: strings.Repeat("x", 16<<10)},
		} {
			err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error { return l.Append(ctx, tx, e) })
			if !errors.Is(err, audit.ErrTooLong) {
				t.Errorf("got %v", err)
			}
		}
	})
}
