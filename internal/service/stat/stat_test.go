package stat_test

import (
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/service/push/pushevent"
	"borealis/internal/service/stat"
)

func TestMain(m *testing.M) { dbtest.Main(m) }

type online int

func (o online) Count(int64) int { return int(o) }

func TestDays(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		for _, migrate := range []func(context.Context, *db.DB) error{outbox.Migrate, stat.Migrate} {
			if err := migrate(ctx, d); err != nil {
				t.Fatal(err)
			}
		}
		shanghai, err := time.LoadLocation("Asia/Shanghai")
		if err != nil {
			t.Fatal(err)
		}
		// 23 November, 23:59:59 in Shanghai; a second later it is the 24th there and still the 23rd in UTC.
		night := time.Date(2026, 11, 23, 23, 59, 59, 0, shanghai)
		box := outbox.New(d, clock.System{}, slog.New(slog.DiscardHandler))
		s := stat.New(d, clock.NewFake(night), shanghai, online(7), box)
		publish := func(topic string, event any) {
			t.Helper()
			err := d.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return box.Publish(ctx, tx, topic, event) })
			if err != nil {
				t.Fatal(err)
			}
		}
		before, after := clock.Millis(night), clock.Millis(night.Add(time.Second))
		publish(deviceevent.TopicRegistered, deviceevent.Registered{App: 1, Ordinal: 1, At: before})
		publish(deviceevent.TopicRegistered, deviceevent.Registered{App: 2, Ordinal: 1, At: before})
		for range 3 {
			publish(pushevent.TopicAccepted, pushevent.Accepted{App: 1, Msg: 5, Targets: 10, At: before})
		}
		publish(pushevent.TopicProgress, pushevent.Progress{App: 1, At: before, Sent: 9, Delivered: 8})
		publish(pushevent.TopicProgress, pushevent.Progress{App: 1, At: after, Delivered: 1, Displayed: 4, Clicked: 2, Failed: 1})

		// Two nodes consume at once, and what one of them took the other does not.
		var wg sync.WaitGroup
		for range 2 {
			wg.Go(func() {
				if err := box.Drain(ctx); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if err := box.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		if got := s.Today().Format(time.DateOnly); got != "2026-11-23" {
			t.Errorf("today is %s", got)
		}
		days, err := s.Days(ctx, 1, s.Today().AddDate(0, 0, -1), s.Today().AddDate(0, 0, 1))
		if err != nil || len(days) != 3 {
			t.Fatalf("%d days, %v", len(days), err)
		}
		for i, want := range []map[stat.Metric]int64{
			{},
			{stat.Devices: 1, stat.Messages: 3, stat.Targets: 30, stat.Sent: 9, stat.Delivered: 8},
			{stat.Delivered: 1, stat.Displayed: 4, stat.Clicked: 2, stat.Failed: 1},
		} {
			if len(days[i].Counts) != len(want) {
				t.Errorf("%s: %v, want %v", days[i].Date, days[i].Counts, want)
			}
			for m, n := range want {
				if days[i].Counts[m] != n {
					t.Errorf("%s %s: %d, want %d", days[i].Date, m, days[i].Counts[m], n)
				}
			}
		}
		if s.Online(1) != 7 {
			t.Errorf("online %d", s.Online(1))
		}
	})
}
