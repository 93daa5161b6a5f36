package stat_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/service/stat"
)

// world is who is connected, and of what platform everybody is.
type world struct {
	connected map[int64]*roaring.Bitmap
}

func (w *world) Devices(app int64) *roaring.Bitmap {
	if set := w.connected[app]; set != nil {
		return set.Clone()
	}
	return roaring.New()
}

// SplitPlatforms: even ordinals are Android, odd ones iOS; those from 4 billion on have not joined.
func (*world) SplitPlatforms(_ int64, set *roaring.Bitmap) map[audience.Platform]*roaring.Bitmap {
	out := make(map[audience.Platform]*roaring.Bitmap)
	for it := set.Iterator(); it.HasNext(); {
		o := it.Next()
		p := platformOf(o)
		if o >= 4_000_000_000 {
			continue
		}
		if out[p] == nil {
			out[p] = roaring.New()
		}
		out[p].Add(o)
	}
	return out
}

func platformOf(ordinal uint32) audience.Platform {
	return map[uint32]audience.Platform{0: audience.Android, 1: audience.IOS}[ordinal%2]
}

// counter is one node.
type counter struct {
	*stat.Users
	*world
	t     testing.TB
	db    *db.DB
	box   *outbox.Outbox
	clock *clock.Fake
	gate  *gate.Gate
	mux   *http.ServeMux
}

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	zone, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return zone
}

func newCounter(t testing.TB, d *db.DB, fake *clock.Fake) *counter {
	t.Helper()
	ctx := context.Background()
	for _, migrate := range []func(context.Context, *db.DB) error{outbox.Migrate, stat.Migrate} {
		if err := migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	log := slog.New(slog.DiscardHandler)
	c := &counter{t: t, db: d, clock: fake, mux: http.NewServeMux(), world: &world{connected: make(map[int64]*roaring.Bitmap)}}
	c.box = outbox.New(d, clock.System{}, log)
	c.gate = gate.New(ratelimit.NewWindows[gate.RateKey](fake, time.Minute, 10))
	c.Users = stat.NewUsers(stat.UsersDeps{DB: d, Gate: c.gate, Outbox: c.box, Connected: c, Platforms: c, Zone: location(t, "Asia/Shanghai"), Clock: fake, Log: log})
	c.app(1, "Asia/Shanghai")
	c.app(2, "Asia/Kolkata")
	c.CompatRoutes(func(pattern string, h gate.Handler) {
		c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) {
			id := int64(1)
			if r.Header.Get("App") == "2" {
				id = 2
			}
			h(w, r, c.gate.AppByID(id))
		})
	})
	c.GroupCompatRoutes(func(pattern string, h gate.GroupHandler) {
		c.mux.HandleFunc(pattern, func(w http.ResponseWriter, r *http.Request) { h(w, r, &gate.Group{ID: 1, Apps: []int64{1, 2, 99}}) })
	})
	return c
}

func (c *counter) app(id int64, zone string, change ...func(*gate.Settings)) {
	app := gate.App{ID: id, Key: fmt.Sprint(id), State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1}
	app.Settings.Zone = zone
	for _, f := range change {
		f(&app.Settings)
	}
	c.gate.Publish(app)
}

func (c *counter) publish(topic string, event any) {
	c.t.Helper()
	err := c.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { return c.box.Publish(ctx, tx, topic, event) })
	if err != nil {
		c.t.Fatal(err)
	}
}

func (c *counter) drain() {
	c.t.Helper()
	if err := c.box.Drain(context.Background()); err != nil {
		c.t.Fatal(err)
	}
}

// registered tells of a new device, now.
func (c *counter) registered(app int64, ordinal uint32) {
	c.t.Helper()
	c.publish(deviceevent.TopicRegistered, deviceevent.Registered{App: app, Ordinal: ordinal, Platform: uint8(platformOf(ordinal)), At: clock.Millis(c.clock.Now())})
}

// seen tells of devices that were in contact, now; active ones first.
func (c *counter) seen(app int64, active int, ordinals ...uint32) {
	c.t.Helper()
	all := make(map[audience.Platform]*deviceevent.Seen)
	sets := make(map[audience.Platform][2]*roaring.Bitmap)
	for i, o := range ordinals {
		p := platformOf(o)
		if all[p] == nil {
			all[p] = &deviceevent.Seen{App: app, Platform: uint8(p), At: clock.Millis(c.clock.Now())}
			sets[p] = [2]*roaring.Bitmap{roaring.New(), roaring.New()}
		}
		sets[p][0].Add(o)
		if i < active {
			sets[p][1].Add(o)
		}
	}
	for p, e := range all {
		var err error
		if e.Seen, err = sets[p][0].ToBytes(); err != nil {
			c.t.Fatal(err)
		}
		if !sets[p][1].IsEmpty() {
			if e.Active, err = sets[p][1].ToBytes(); err != nil {
				c.t.Fatal(err)
			}
		}
		c.publish(deviceevent.TopicSeen, *e)
	}
}

// get makes a call and returns status and body.
func (c *counter) get(app, path string, query ...string) (status int, body string) {
	c.t.Helper()
	values := url.Values{}
	for i := 0; i+1 < len(query); i += 2 {
		values.Set(query[i], query[i+1])
	}
	r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, path+"?"+values.Encode(), nil)
	r.Header.Set("App", app)
	w := httptest.NewRecorder()
	c.mux.ServeHTTP(w, r)
	return w.Code, w.Body.String()
}

func (c *counter) users(app, unit, start string, duration int, want string) {
	c.t.Helper()
	status, body := c.get(app, "/v3/users", "time_unit", unit, "start", start, "duration", fmt.Sprint(duration))
	want = fmt.Sprintf(`{"time_unit":%q,"start":%q,"duration":%d,"items":%s}`, unit, start, duration, want)
	if status != http.StatusOK || body != want {
		c.t.Errorf("%s from %s: %d\n got %s\nwant %s", unit, start, status, body, want)
	}
}

func TestUsersAreCountedOnceInEachSpan(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		fake := clock.NewFake(time.Date(2027, 2, 28, 23, 10, 0, 0, location(t, "Asia/Shanghai")))
		nodes := []*counter{newCounter(t, d, fake), newCounter(t, d, fake)}
		c := nodes[0]
		c.registered(1, 2)
		c.registered(1, 70_001) // another chunk
		c.seen(1, 0, 2, 4, 6)
		c.seen(1, 1, 4, 2) // 4 is active
		c.seen(1, 0, 2, 4) // once more
		c.seen(2, 0, 2)    // of another app
		fake.Advance(time.Hour)
		c.seen(1, 0, 4, 8)
		var wg sync.WaitGroup
		for _, n := range nodes {
			wg.Go(n.drain)
		}
		wg.Wait()
		c.users("1", "HOUR", "2027-02-28 22", 5, `[{"time":"2027-02-28 22"},`+
			`{"time":"2027-02-28 23","android":{"new":1,"online":3,"active":2},"ios":{"new":1,"online":0,"active":1}}]`)
		c.users("1", "HOUR", "2027-03-01 00", 2, `[{"time":"2027-03-01 00","android":{"new":0,"online":2,"active":0}},{"time":"2027-03-01 01"}]`)
		c.users("1", "DAY", "2027-02-27", 3, `[{"time":"2027-02-27"},`+
			`{"time":"2027-02-28","android":{"new":1,"online":3,"active":2},"ios":{"new":1,"online":0,"active":1}},`+
			`{"time":"2027-03-01","android":{"new":0,"online":2,"active":0}}]`)
		c.users("1", "MONTH", "2027-02", 2, `[{"time":"2027-02","android":{"new":1,"online":3,"active":2},"ios":{"new":1,"online":0,"active":1}},`+
			`{"time":"2027-03","android":{"new":0,"online":2,"active":0}}]`)
		fake.Advance(time.Hour)
		c.seen(1, 0, 4, 10) // 4 in a second hour of the day and the month
		c.drain()
		c.users("1", "DAY", "2027-03-01", 1, `[{"time":"2027-03-01","android":{"new":0,"online":3,"active":0}}]`)
		c.users("1", "MONTH", "2027-03", 1, `[{"time":"2027-03","android":{"new":0,"online":3,"active":0}}]`)
	})
}

// Spans are those of the app's zone, also where it is half an hour off.
func TestSpansAreOfTheAppsZone(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Date(2027, 2, 28, 18, 20, 0, 0, time.UTC)) // 23:50 in India, 02:20 of the next day in Shanghai
	c := newCounter(t, dbtest.SQLite(t), fake)
	for id := range int64(2) {
		c.seen(id+1, 0, 2)
	}
	fake.Advance(20 * time.Minute)
	for id := range int64(2) {
		c.seen(id+1, 0, 4)
	}
	c.drain()
	const one = `"android":{"new":0,"online":1,"active":0}`
	c.users("2", "HOUR", "2027-02-28 23", 1, `[{"time":"2027-02-28 23",`+one+`}]`)
	c.users("2", "DAY", "2027-02-28", 2, `[{"time":"2027-02-28",`+one+`},{"time":"2027-03-01",`+one+`}]`)
	c.users("1", "HOUR", "2027-03-01 02", 1, `[{"time":"2027-03-01 02","android":{"new":0,"online":2,"active":0}}]`)
	c.users("1", "DAY", "2027-02-28", 1, `[{"time":"2027-02-28"}]`)
	// Groups add their apps up; both have the device.
	status, body := c.get("", "/v3/group/users", "time_unit", "DAY", "start", "2027-02-28", "duration", "2")
	if want := `{"time_unit":"DAY","start":"2027-02-28","duration":2,"items":[{"time":"2027-02-28",` + one +
		`},{"time":"2027-03-01","android":{"new":0,"online":3,"active":0}}]}`; status != http.StatusOK || body != want {
		t.Errorf("%d %s", status, body)
	}
}

// Who stays connected has no events, and is online in every hour.
func TestConnectionsAreSampled(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		fake := clock.NewFake(time.Date(2027, 2, 28, 10, 59, 0, 0, location(t, "Asia/Shanghai")))
		c := newCounter(t, d, fake)
		c.connected[1] = roaring.BitmapOf(2, 3, 70_000, 4_000_000_001)
		c.connected[2] = roaring.BitmapOf(2)
		c.Owns = func(app int64) bool { return app == 1 }
		c.seen(1, 0, 2, 4) // 4 has gone again
		c.drain()
		for range 3 { // 10:59, 11:00, 11:01
			if err := c.Sample(ctx); err != nil {
				t.Fatal(err)
			}
			fake.Advance(time.Minute)
		}
		c.connected[1].Add(6)
		if err := c.Sample(ctx); err != nil {
			t.Fatal(err)
		}
		c.users("1", "HOUR", "2027-02-28 10", 2, `[{"time":"2027-02-28 10","android":{"new":0,"online":3,"active":0},"ios":{"new":0,"online":1,"active":0}},`+
			`{"time":"2027-02-28 11","android":{"new":0,"online":3,"active":0},"ios":{"new":0,"online":1,"active":0}}]`)
		c.users("1", "DAY", "2027-02-28", 1, `[{"time":"2027-02-28","android":{"new":0,"online":4,"active":0},"ios":{"new":0,"online":1,"active":0}}]`)
		c.users("2", "DAY", "2027-02-28", 1, `[{"time":"2027-02-28"}]`) // sampled elsewhere
		cancelled, cancel := context.WithCancel(ctx)
		cancel()
		c.connected[1].Add(8)
		if err := c.Sample(cancelled); err == nil {
			t.Error("a sample that is not stored is no failure")
		}
		if err := c.Sample(ctx); err != nil { // made good
			t.Fatal(err)
		}
		c.users("1", "HOUR", "2027-02-28 11", 1, `[{"time":"2027-02-28 11","android":{"new":0,"online":4,"active":0},"ios":{"new":0,"online":1,"active":0}}]`)
	})
}

// Closing keeps the counts and throws the sets away, once, however many nodes do it; what comes too late is not counted.
func TestPastSpansAreClosed(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		fake := clock.NewFake(time.Date(2027, 1, 30, 12, 0, 0, 0, location(t, "Asia/Shanghai")))
		nodes := []*counter{newCounter(t, d, fake), newCounter(t, d, fake)}
		c := nodes[0]
		var many []uint32
		for i := range uint32(250) { // in as many chunks
			many = append(many, i*65536)
		}
		c.seen(1, 0, many...)
		c.drain()
		late := clock.Millis(fake.Now())
		closeAll := func() {
			var wg sync.WaitGroup
			for _, n := range nodes {
				wg.Go(func() {
					if err := n.Close(ctx); err != nil {
						t.Error(err)
					}
				})
			}
			wg.Wait()
		}
		rows := func(table string) (n int) {
			if err := d.QueryRow(ctx, `select count(*) from `+table).Scan(&n); err != nil {
				t.Fatal(err)
			}
			return n
		}
		closeAll()
		if sets := rows("stat_set"); sets != 3*len(many) {
			t.Errorf("%d sets are kept", sets)
		}
		const counted = `"android":{"new":0,"online":250,"active":0}`
		for _, step := range []struct {
			after time.Duration
			sets  int
		}{{3 * 24 * time.Hour, 2 * len(many)}, {24 * time.Hour, len(many)}, {24 * time.Hour, 0}} {
			fake.Advance(step.after)
			closeAll()
			// A device of that time comes in late. The month takes it while it is open.
			set, err := roaring.BitmapOf(0).ToBytes()
			if err != nil {
				t.Fatal(err)
			}
			c.publish(deviceevent.TopicSeen, deviceevent.Seen{App: 1, Platform: uint8(audience.Android), Seen: set, At: late})
			c.drain()
			c.users("1", "HOUR", "2027-01-30 12", 1, `[{"time":"2027-01-30 12",`+counted+`}]`)
			c.users("1", "DAY", "2027-01-30", 1, `[{"time":"2027-01-30",`+counted+`}]`)
			c.users("1", "MONTH", "2027-01", 1, `[{"time":"2027-01",`+counted+`}]`)
		}
		if sets, counts := rows("stat_set"), rows("stat_users"); sets != 0 || counts != 3 {
			t.Errorf("%d sets and %d counts", sets, counts)
		}
		fake.Advance(60 * 24 * time.Hour)
		closeAll()
		if counts := rows("stat_users"); counts != 2 {
			t.Errorf("%d counts after two months", counts)
		}
		fake.Advance(400 * 24 * time.Hour)
		closeAll()
		if counts := rows("stat_users"); counts != 1 {
			t.Errorf("%d counts after a year", counts)
		}
	})
}

func TestUsersRefusals(t *testing.T) {
	t.Parallel()
	fake := clock.NewFake(time.Date(2027, 8, 31, 12, 30, 0, 0, location(t, "Asia/Shanghai")))
	c := newCounter(t, dbtest.SQLite(t), fake)
	ask := func(path string, changes map[string]string) (status, code int) {
		t.Helper()
		query := map[string]string{"time_unit": "DAY", "start": "2027-08-30", "duration": "2"}
		maps.Copy(query, changes)
		var list []string
		for name, value := range query {
			list = append(list, name, value)
		}
		status, body := c.get("1", path, list...)
		var answer struct {
			Error struct {
				Code    int    `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		}
		if err := json.Unmarshal([]byte(body), &answer); err != nil || (status == http.StatusOK) != (answer.Error.Message == "") {
			t.Errorf("%v: %d %s", changes, status, body)
		}
		return status, answer.Error.Code
	}
	type query = map[string]string
	for _, test := range []struct {
		query      query
		app, group int // codes
	}{
		{query{}, 0, 0},
		{query{"time_unit": ""}, 1002, 1002},
		{query{"start": ""}, 1002, 1002},
		{query{"duration": ""}, 1002, 1002},
		{query{"time_unit": "WEEK"}, 1003, 1003},
		{query{"duration": "0"}, 1003, 1003},
		{query{"duration": "two"}, 1003, 1003},
		{query{"duration": "99999999999999999999"}, 1003, 1003},
		{query{"start": "2027-08-30 10"}, 3004, 3004},
		{query{"start": "2027-08"}, 3004, 3004},
		{query{"start": "2027-8-3"}, 3004, 3004},
		{query{"start": "2027-02-30"}, 3004, 3004},
		{query{"time_unit": "HOUR"}, 3004, 3004},
		{query{"time_unit": "HOUR", "start": "2027-08-30 24"}, 3004, 3004},
		{query{"time_unit": "MONTH"}, 3004, 3004},
		{query{"time_unit": "HOUR", "start": "2027-08-30 23", "duration": "24"}, 0, 0},
		{query{"time_unit": "HOUR", "start": "2027-08-30 00", "duration": "25"}, 3005, 3005},
		{query{"start": "2027-07-02", "duration": "60"}, 0, 3005},
		{query{"duration": "30"}, 0, 0},
		{query{"duration": "31"}, 0, 3005},
		{query{"duration": "61"}, 3005, 3005},
		{query{"start": "2027-07-01"}, 3005, 3005},
		{query{"start": "2027-08-01"}, 0, 0},
		{query{"start": "2027-07-31"}, 0, 3005},
		{query{"time_unit": "MONTH", "start": "2027-07", "duration": "2"}, 0, 3005},
		{query{"time_unit": "MONTH", "start": "2027-07", "duration": "1"}, 0, 3005},
		{query{"time_unit": "MONTH", "start": "2027-08", "duration": "3"}, 3005, 3005},
		{query{"time_unit": "MONTH", "start": "2027-06", "duration": "1"}, 3005, 3005},
		{query{"start": "9999-12-31"}, 0, 0},
	} {
		for path, want := range map[string]int{"/v3/users": test.app, "/v3/group/users": test.group} {
			if status, code := ask(path, test.query); code != want || want != 0 && status != http.StatusBadRequest {
				t.Errorf("%s %v: %d with code %d, want %d", path, test.query, status, code, want)
			}
		}
	}
	c.app(2, "Asia/Shanghai", func(s *gate.Settings) { s.PaidCalls = false })
	if status, code := ask("/v3/group/users", nil); status != http.StatusForbidden || code != 2006 {
		t.Errorf("a group with an app that does not pay: %d with code %d", status, code)
	}
	if status, _ := ask("/v3/users", nil); status != http.StatusOK {
		t.Errorf("another app: %d", status)
	}
	c.app(1, "Asia/Shanghai", func(s *gate.Settings) { s.PaidCalls = false })
	if status, code := ask("/v3/users", nil); status != http.StatusForbidden || code != 2006 {
		t.Errorf("an app that does not pay: %d with code %d", status, code)
	}
}
