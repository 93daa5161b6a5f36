package stat_test

import (
	"context"
	"maps"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"borealis/internal/engine/audience"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// place is where a count stands.
type place struct {
	unit, bucket int64
	platform     audience.Platform
	metric       int64
}

// model keeps every set for ever.
type model map[place]map[uint32]bool

func (m model) note(local time.Time, metric int64, ordinals ...uint32) {
	for unit, bucket := range map[int64]int64{1: number(local)*100 + int64(local.Hour()), 2: number(local), 3: number(local) / 100} {
		for _, o := range ordinals {
			p := place{unit, bucket, platformOf(o), metric}
			if m[p] == nil {
				m[p] = make(map[uint32]bool)
			}
			m[p][o] = true
		}
	}
}

// Whatever is seen, registered and sampled, in whatever order, closed or not: the counts are those of sets.
func TestUsersAreCountedAsSets(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	d := dbtest.SQLite(t)
	fake := clock.NewFake(time.Date(2027, 1, 30, 0, 0, 0, 0, time.UTC))
	c := newCounter(t, d, fake)
	next := int64(100)
	rapid.Check(t, func(t *rapid.T) {
		app := next
		next++
		zone := rapid.SampledFrom([]string{"Asia/Shanghai", "Asia/Kolkata", "Pacific/Kiritimati", "Etc/GMT+12", "America/St_Johns", "UTC"}).Draw(t, "zone")
		c.app(app, zone)
		local := func() time.Time { return fake.Now().In(c.gate.AppByID(app).Settings.Location()) }
		c.connected = map[int64]*roaring.Bitmap{}
		want := make(model)
		ordinals := rapid.SliceOfN(rapid.SampledFrom([]uint32{0, 1, 2, 3, 65_535, 65_536, 70_001, 3_000_000_000}), 1, 6)
		wait := rapid.SampledFrom([]time.Duration{0, time.Minute, 20 * time.Minute, time.Hour, 7 * time.Hour, 50 * time.Hour, 20 * 24 * time.Hour})
		t.Repeat(map[string]func(*rapid.T){
			"seen": func(t *rapid.T) {
				devices := ordinals.Draw(t, "devices")
				active := rapid.IntRange(0, len(devices)).Draw(t, "active")
				c.seen(app, active, devices...)
				want.note(local(), 2, devices...)
				want.note(local(), 3, devices[:active]...)
				c.drain()
			},
			"registered": func(t *rapid.T) {
				o := ordinals.Draw(t, "devices")[0]
				c.registered(app, o)
				want.note(local(), 1, o)
				want.note(local(), 3, o)
				c.drain()
			},
			"connected": func(t *rapid.T) {
				c.connected[app] = roaring.BitmapOf(ordinals.Draw(t, "devices")...)
				if err := c.Sample(ctx); err != nil {
					t.Fatal(err)
				}
				want.note(local(), 2, c.connected[app].ToArray()...)
			},
			"wait": func(t *rapid.T) { fake.Advance(wait.Draw(t, "time")) },
			"close": func(t *rapid.T) {
				if err := c.Close(ctx); err != nil {
					t.Fatal(err)
				}
			},
		})
		// Counts of hours are deleted after 63 days, those of days after 400.
		oldest := map[int64]int64{1: number(fake.Now().AddDate(0, 0, -62)) * 100, 2: number(fake.Now().AddDate(0, 0, -399))}
		gone := func(p place) bool { return p.bucket < oldest[p.unit] }
		got := counts(t, d, app)
		maps.DeleteFunc(got, func(p place, _ int) bool { return gone(p) })
		for p, set := range want {
			if !gone(p) && got[p] != len(set) {
				t.Fatalf("%+v: %d, want %d", p, got[p], len(set))
			}
			delete(got, p)
		}
		if len(got) > 0 {
			t.Fatalf("too much: %v", got)
		}
	})
}

// number is a day as it is stored.
func number(t time.Time) int64 {
	return int64(t.Year())*10000 + int64(t.Month())*100 + int64(t.Day())
}

// counts are all stored counts of an app.
func counts(t *rapid.T, d *db.DB, app int64) map[place]int {
	rows, err := d.Query(context.Background(), `select unit, bucket, platform, metric, sum(n) from
		(select unit, bucket, platform, metric, n from stat_set where app_id = $1
		union all select unit, bucket, platform, metric, n from stat_users where app_id = $1) spans group by unit, bucket, platform, metric`, app)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	got := make(map[place]int)
	for rows.Next() {
		var (
			p place
			n int
		)
		if err := rows.Scan(&p.unit, &p.bucket, &p.platform, &p.metric, &n); err != nil {
			t.Fatal(err)
		}
		got[p] = n
	}
	return got
}
