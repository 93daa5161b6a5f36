package route

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// rows puts parts and messages into an empty database.
func rows(t testing.TB, d *db.DB, parts []*part, write func(ctx context.Context, tx *db.Tx) error) {
	t.Helper()
	if err := Migrate(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	for list := range slices.Chunk(parts, 1000) {
		if err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error { return insertParts(ctx, tx, list) }); err != nil {
			t.Fatal(err)
		}
	}
	if write == nil {
		return
	}
	if err := d.InTx(t.Context(), write); err != nil {
		t.Fatal(err)
	}
}

func testPart(id, app int64, name wire.Name, s state, due int64) *part {
	return &part{id: id, msg: id, app: app, name: name, state: s, dueAt: due, expiresAt: 1 << 40, devices: roaring.BitmapOf(uint32(id))}
}

// Each app and channel with work is named once, with the time since which its oldest work waits, in order.
func TestLinesAreThoseWithWork(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		parts := []*part{
			testPart(1, 2, wire.Huawei, waiting, 50), testPart(2, 2, wire.Huawei, waiting, 40), testPart(3, 2, wire.Huawei, done, 1),
			testPart(4, 2, wire.OPPO, claimed, 100), testPart(5, 2, wire.Vivo, waiting, 101), // this one is due later
			testPart(6, 3, wire.APNs, done, 1), testPart(7, 9, wire.APNs, waiting, 7), testPart(8, 1, sms, waiting, 8),
		}
		rows(t, d, parts, func(ctx context.Context, tx *db.Tx) error {
			s := &Service{}
			for _, m := range []struct{ app, msg int64 }{{2, 10}, {2, 11}, {4, 12}, {5, 13}, {6, 14}} {
				if err := s.Record(ctx, tx, m.app, m.msg, m.msg*10, 1<<40); err != nil {
					return err
				}
			}
			if err := updatePlan(ctx, tx, 13, planning, planned, 0); err != nil {
				return err
			}
			if err := updatePlan(ctx, tx, 14, planning, planned, 0); err != nil {
				return err
			}
			return s.Withdraw(ctx, tx, 6, 14)
		})
		got, err := queryLines(t.Context(), d, 100)
		if err != nil {
			t.Fatal(err)
		}
		want := []line{
			{lineKey{1, sms}, 8}, {lineKey{2, ""}, 100}, {lineKey{2, wire.Huawei}, 40}, {lineKey{2, wire.OPPO}, 100}, {lineKey{4, ""}, 120},
			{lineKey{6, ""}, 140}, {lineKey{9, wire.APNs}, 7},
		}
		if !slices.Equal(got, want) {
			t.Errorf("got %v\nwant %v", got, want)
		}
		counts, err := countOpen(t.Context(), d)
		if err != nil || fmt.Sprint(counts) != "map[apns:1 huawei:2 oppo:1 sms:1 vivo:1]" {
			t.Errorf("open: %v, %v", counts, err)
		}
	})
}

// A plan that goes on after its message was withdrawn leaves that alone.
func TestAWithdrawalOvertakesThePlan(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		s := &Service{Deps: Deps{DB: d}}
		rows(t, d, nil, func(ctx context.Context, tx *db.Tx) error { return s.Record(ctx, tx, 1, 5, 1, 1<<40) })
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error { return s.Withdraw(ctx, tx, 1, 5) })
		if err != nil {
			t.Fatal(err)
		}
		err = d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error { return updatePlan(ctx, tx, 5, planning, planning, 100) })
		if err != errOvertaken { //nolint:errorlint // it is returned as it is
			t.Errorf("%v", err)
		}
		list, err := queryUnplanned(t.Context(), d, 1, 10)
		if err != nil || len(list) != 1 || list[0].state != retracting || list[0].next != 0 {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// Old rows go in transactions of a bounded size, the message last; what is younger stays.
func TestOldRowsAreDeletedInSteps(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		now := retention.Milliseconds() + 1000
		s := &Service{Deps: Deps{DB: d, Clock: clock.NewFake(time.UnixMilli(now)), Log: slog.New(slog.DiscardHandler)}}
		var parts []*part
		for i := range int64(2*cleanRows + 1) {
			p := testPart(i+1, 1, wire.Huawei, done, 0)
			p.msg = 1
			parts = append(parts, p)
		}
		young := testPart(1<<20, 1, wire.Huawei, done, 0)
		young.msg = 2
		rows(t, d, append(parts, young), func(ctx context.Context, tx *db.Tx) error {
			if err := s.Record(ctx, tx, 1, 1, 900, 950); err != nil {
				return err
			}
			if err := s.Record(ctx, tx, 1, 2, 1001, 1050); err != nil {
				return err
			}
			for _, p := range []*part{parts[0], parts[1], young} {
				if err := insertResults(ctx, tx, 1, p.id, []*result{{part: p.id, msg: p.msg, name: p.name, devices: roaring.New()}}); err != nil {
					return err
				}
			}
			return nil
		})
		if err := s.clean(t.Context()); err != nil {
			t.Fatal(err)
		}
		for table, want := range map[string]int{"push_route": 1, "push_route_part": 1, "push_route_result": 1} {
			var n int
			if err := d.QueryRow(t.Context(), `select count(*) from `+table+` where msg_id = 2`).Scan(&n); err != nil || n != want {
				t.Errorf("%s keeps %d of the young, %v", table, n, err)
			}
			if err := d.QueryRow(t.Context(), `select count(*) from `+table).Scan(&n); err != nil || n != want {
				t.Errorf("%s has %d, %v", table, n, err)
			}
		}
	})
}

// The work is found in about the same time, however many parts wait.
func BenchmarkLines(b *testing.B) {
	d := dbtest.SQLite(b)
	var parts []*part
	for i := range int64(100_000) {
		parts = append(parts, testPart(i+1, i%20, order[i/20%5], waiting, i))
	}
	rows(b, d, parts, nil)
	for b.Loop() {
		if list, err := queryLines(b.Context(), d, 1<<30); err != nil || len(list) != 100 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkTrace(b *testing.B) {
	d := dbtest.SQLite(b)
	s := &Service{Deps: Deps{DB: d}}
	var parts []*part
	for i := range uint32(10_000) { // a broadcast to 10 million
		p := testPart(int64(i)+1, 1, wire.Huawei, done, 0)
		p.msg, p.devices = 1, roaring.New()
		parts = append(parts, p)
	}
	rows(b, d, parts, func(ctx context.Context, tx *db.Tx) error {
		for i, p := range parts {
			set := roaring.New()
			for j := range uint64(1000) {
				set.Add(uint32(uint64(i)*1000 + j))
			}
			if err := insertResults(ctx, tx, 1, p.id, []*result{{part: p.id, msg: 1, name: p.name, status: wire.Accepted, devices: set}}); err != nil {
				return err
			}
		}
		return nil
	})
	b.Run("of one device", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if events, err := s.Trace(b.Context(), 1, 1, 5_000_000); err != nil || len(events) != 2 {
				b.Fatal(events, err)
			}
		}
	})
	b.Run("by channel", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if reach, err := s.ByChannel(b.Context(), 1, 1); err != nil || reach[wire.Huawei].Accepted.GetCardinality() != 10_000_000 {
				b.Fatal(err)
			}
		}
	})
}
