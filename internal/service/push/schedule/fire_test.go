package schedule

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

func TestASingleScheduleFiresOnceAtItsTimeAndIsOver(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.create(r.single(time.Hour))
		r.fake.Advance(time.Hour - time.Millisecond)
		if r.due(); r.fired() != 0 || r.live() != 1 || r.pastCodes(id) != "" {
			t.Error("fired early")
		}
		r.pass(3, time.Millisecond)
		if r.fired() != 1 || r.live() != 0 {
			t.Errorf("fired %d, live %d", r.fired(), r.live())
		}
		r.want("GET", "/v3/schedules/"+id+"/msg_ids", "", 200, fmt.Sprintf(
			`{"count":1,"msgids":["{\"msg_id\":\"1\",\"error\":{\"code\":0,\"message\":\"\"},\"needRetry\":false,\"ts\":%d}"]}`, now.Add(time.Hour).UnixMilli()))
		if got := r.count(`select count(*) from fired where app_id = 1 and push = $1`, hello); got != 1 {
			t.Error("another push than that of the schedule was sent")
		}
		r.refuses("GET", "/v3/schedules/"+id, "", 404, 8104)
		r.refuses("DELETE", "/v3/schedules/"+id, "", 404, 8104)
		r.refuses("PUT", "/v3/schedules/"+id, `{"name":"x"}`, 400, 8100)
		r.fake.Advance(retention - 2*time.Millisecond)
		r.sweepNow()
		if r.pastCodes(id) != "0" {
			t.Error("the past is gone before its time")
		}
		r.fake.Advance(time.Millisecond)
		r.sweepNow()
		r.refuses("GET", "/v3/schedules/"+id+"/msg_ids", "", 404, 8104)
		r.refuses("PUT", "/v3/schedules/"+id, `{"name":"x"}`, 404, 8104)
		if n := r.count(`select count(*) from push_schedule_fire`) + r.count(`select count(*) from jobs_job`); n != 0 {
			t.Errorf("%d rows remain", n)
		}
	})
}

func (r *rig) sweepNow() {
	r.t.Helper()
	if err := r.sweep(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

func TestAPeriodicalScheduleFiresAtEachTimeUntilItsEnd(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.create(r.daily(3))
		for day := 1; day <= 2; day++ {
			r.pass(24, time.Hour)
			if r.fired() != day || r.live() != 1 {
				t.Fatalf("day %d: fired %d, live %d", day, r.fired(), r.live())
			}
		}
		r.pass(5*24, time.Hour)
		if r.fired() != 3 || r.live() != 0 || r.pastCodes(id) != "0 0 0" {
			t.Errorf("fired %d, live %d, past %s", r.fired(), r.live(), r.pastCodes(id))
		}
	})
}

func TestARefusedFiringIsOnRecordAndTheNextGoesOn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.create(r.daily(3))
		r.pusher.set(func() error { return compat.Errorf(400, 1011, "cannot find user by this audience") }, nil)
		r.pass(1, 24*time.Hour)
		r.pusher.set(nil, nil)
		r.set(func(a *gate.App) { a.State = gate.Suspended })
		r.pass(1, 24*time.Hour)
		r.set(func(a *gate.App) { a.State = gate.Enabled })
		r.pass(1, 24*time.Hour)
		past := r.pastOf(id)
		if r.pastCodes(id) != "1011 2003 0" || past[0].Error.Message != "cannot find user by this audience" || past[0].Retry || r.fired() != 1 {
			t.Errorf("past %+v", past)
		}
	})
}

func TestAFiringThatFailsIsTriedAgainUntilItIsTooLate(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for name, failure := range map[string]error{"failure": errors.New("no connection"), "timeout": compat.Errorf(503, 1030, "timeout")} {
			r := newRig(t, d)
			before := r.fired()
			id := r.create(r.daily(2))
			r.pusher.next = int64(before)
			r.pusher.set(func() error { return failure }, nil)
			r.pass(1, 24*time.Hour)
			r.pass(10, time.Minute)
			if r.pastCodes(id) != "" || r.live() != 1 {
				t.Errorf("%s: given up early: %s", name, r.pastCodes(id))
			}
			r.pusher.set(nil, nil)
			r.pass(12, time.Minute)
			if r.pastCodes(id) != "0" || r.fired() != before+1 {
				t.Errorf("%s: not made good: %s", name, r.pastCodes(id))
			}
			r.pusher.set(func() error { return failure }, nil)
			r.pass(30, time.Hour)
			if past := r.pastOf(id); r.pastCodes(id) != "0 8203" || !past[1].Retry || past[1].Error.Message != "not sent: attempts failed until it was too late" || r.live() != 0 {
				t.Errorf("%s: past %+v", name, past)
			}
		}
	})
}

// A server that was down sends what is late by less than the push lives, and no more than an hour.
func TestWhatWasMissedWhileDown(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		for ttl, window := range map[int]time.Duration{0: time.Minute, 600: 10 * time.Minute, 86400: time.Hour} {
			for late, want := range map[time.Duration]string{window: "0", window + time.Millisecond: "8203"} {
				code, text := r.call("POST", "/v3/schedules", `{"name":"n","enabled":true,"trigger":`+r.single(time.Hour)+
					`,"push":{"platform":"all","audience":"all","notification":{"alert":"hello"},"options":{"time_to_live":`+fmt.Sprint(ttl)+`}}}`)
				if code != 200 {
					t.Fatal(text)
				}
				id := text[len(`{"schedule_id":"`):][:36]
				r.pass(1, time.Hour+late)
				if got := r.pastCodes(id); got != want {
					t.Errorf("time to live %d s, %v late: %s, want %s", ttl, late, got, want)
				}
			}
		}
		fired := r.fired()
		r = newRig(t, d)
		r.pusher.next = int64(fired)
		id := r.create(r.daily(30))
		r.pass(1, 3*24*time.Hour+30*time.Minute)
		if got := r.pastCodes(id); got != "8203 8203 0" || r.fired() != fired+1 {
			t.Errorf("three days down: %s, %d fired", got, r.fired()-fired)
		}
		for i, p := range r.pastOf(id)[:2] {
			if !p.Retry || p.At != r.fake.Now().UnixMilli() || p.Error.Message != "not sent: the server was not running at that time" {
				t.Errorf("missed %d: %+v", i, p)
			}
		}
	})
}

func TestDisablingStopsAndEnablingGoesOn(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id, other := r.create(r.daily(5)), r.create(r.daily(5))
		put := func(id, body string) {
			t.Helper()
			if code, text := r.call("PUT", "/v3/schedules/"+id, body); code != 200 {
				t.Errorf("%d %s", code, text)
			}
		}
		put(other, `{"enabled":"false"}`)
		r.pass(1, 25*time.Hour)
		put(id, `{"enabled":false}`)
		r.pass(48, time.Hour)
		if r.pastCodes(id) != "0" || r.live() != 2 {
			t.Errorf("while disabled: %s, %d live", r.pastCodes(id), r.live())
		}
		put(id, `{"enabled":true}`)
		put(id, `{"enabled":true}`)
		r.pass(5*24, time.Hour)
		if r.pastCodes(id) != "0 0 0" || r.pastCodes(other) != "" || r.live() != 0 {
			t.Errorf("enabled again: %s, the other %q, %d live", r.pastCodes(id), r.pastCodes(other), r.live())
		}
		r.refuses("PUT", "/v3/schedules/"+other, `{"enabled":true}`, 400, 8100)
	})
}

// To enable what is enabled, or to rename, must not lose a firing that is being tried again.
func TestAChangeThatMovesNothingKeepsADueFiring(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	r := newRig(t, d)
	id := r.create(r.single(time.Hour))
	r.pusher.set(func() error { return errors.New("no connection") }, nil)
	r.pass(1, time.Hour)
	if code, text := r.call("PUT", "/v3/schedules/"+id, `{"enabled":true,"name":"renamed"}`); code != 200 {
		t.Fatal(text)
	}
	r.pusher.set(nil, nil)
	r.pass(1, 2*time.Second)
	if r.pastCodes(id) != "0" {
		t.Errorf("past %q", r.pastCodes(id))
	}
}

// What is changed while a schedule fires holds for that firing, or comes after it; nothing is sent twice.
func TestChangesDuringAFiring(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		for name, c := range map[string]struct {
			method, body string
			fires        int
			push         string
		}{
			"another push":    {"PUT", `{"push":{"platform":"all","audience":"all","notification":{"alert":"new"}}}`, 1, `{"platform":"all","audience":"all","notification":{"alert":"new"}}`},
			"another name":    {"PUT", `{"name":"new"}`, 1, hello},
			"disabled":        {"PUT", `{"enabled":false}`, 0, hello},
			"deleted":         {"DELETE", ``, 0, hello},
			"another trigger": {"PUT", `{"trigger":{"single":{"time":"2027-03-05 00:00:00"}}}`, 0, hello},
		} {
			r := newRig(t, d)
			if err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error { _, err := tx.Exec(ctx, `delete from fired`); return err }); err != nil {
				t.Fatal(err)
			}
			id := r.create(r.single(time.Hour))
			calls := 0
			r.pusher.set(func() error {
				if calls++; calls == 1 {
					if code, text := r.call(c.method, "/v3/schedules/"+id, c.body); code != 200 {
						t.Errorf("%s: %d %s", name, code, text)
					}
				}
				return nil
			}, nil)
			r.pass(1, time.Hour)
			r.pass(5, time.Second)
			if n := r.count(`select count(*) from fired where push = $1`, c.push); n != c.fires || r.fired() != c.fires {
				t.Errorf("%s: fired %d, %d as it should", name, r.fired(), n)
			}
			if name == "another trigger" {
				if r.pass(1, 4*24*time.Hour); r.fired() != 0 || r.pastCodes(id) != "8203" {
					t.Errorf("%s: then fired %d, past %s", name, r.fired(), r.pastCodes(id))
				}
			}
			if name != "deleted" {
				if code, text := r.call("DELETE", "/v3/schedules/"+id, ""); code != 200 && code != 404 {
					t.Error(text)
				}
			}
		}
	})
}

// A node that stalls in the middle of a firing loses it to another; one that cannot tell whether its commit succeeded
// does not send again.
func TestOneOccurrenceSendsOnePush(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		a := newRig(t, d)
		b := newNode(t, d, a.fake, a.gate, &pusher{db: d, next: 1000})
		id := a.create(a.daily(4))
		a.pusher.set(func() error {
			a.fake.Advance(31 * time.Second) // the lease of a's run is over
			b.due()
			return nil
		}, nil)
		a.fake.Advance(24 * time.Hour)
		a.due()
		if a.fired() != 1 || a.pastCodes(id) != "0" {
			t.Errorf("stalled: fired %d, past %s", a.fired(), a.pastCodes(id))
		}
		a.pusher.set(nil, func() error { return errors.New("connection lost") })
		a.fake.Advance(24 * time.Hour)
		a.due()
		a.pusher.set(nil, nil)
		a.pass(5, time.Minute)
		if a.fired() != 2 || a.pastCodes(id) != "0 0" {
			t.Errorf("unknown outcome: fired %d, past %s", a.fired(), a.pastCodes(id))
		}
		// A clock that goes back and a trigger that is set again bring an old time up once more.
		a.fake.Advance(-6 * time.Minute)
		a.pass(1, 0)
		if code, text := a.call("PUT", "/v3/schedules/"+id, `{"trigger":`+periodicalText("2027-03-01 12:00:00", "2027-03-06 00:00:00", "12:00:00", "day", 1)+`}`); code != 200 {
			t.Fatal(text)
		}
		a.pass(4, 4*time.Minute)
		if a.fired() != 2 || a.pastCodes(id) != "0 0" || a.live() != 1 {
			t.Errorf("clock went back: fired %d, past %s, live %d", a.fired(), a.pastCodes(id), a.live())
		}
		a.pass(1, 24*time.Hour)
		if a.fired() != 3 {
			t.Errorf("after that: fired %d", a.fired())
		}
	})
}

func TestTimesAreOfTheZoneThatTheAppHadThen(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		r.set(func(a *gate.App) { a.Settings.Zone = "America/New_York" })
		id := r.create(`{"single":{"time":"2027-03-14 02:30:00"}}`) // an hour that clocks skip: 07:30 UTC
		r.set(func(a *gate.App) { a.Settings.Zone = "UTC" })
		if code, text := r.call("PUT", "/v3/schedules/"+id, `{"name":"renamed"}`); code != 200 {
			t.Fatal(text)
		}
		r.fake.Advance(time.Date(2027, 3, 14, 7, 30, 0, 0, time.UTC).Sub(now) - time.Second)
		if r.due(); r.fired() != 0 {
			t.Error("fired early")
		}
		if r.pass(1, time.Second); r.fired() != 1 {
			t.Error("not fired")
		}
	})
}

// A later process finds everything in the database.
func TestSchedulesSurviveARestart(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id := r.create(r.daily(3))
		r.pass(1, 24*time.Hour)
		r = newNode(t, d, r.fake, r.gate, &pusher{db: d, next: 100})
		r.pass(1, 24*time.Hour)
		r.want("GET", "/v3/schedules/"+id+"/msg_ids", "", 200, fmt.Sprintf(
			`{"count":2,"msgids":["{\"msg_id\":\"1\",\"error\":{\"code\":0,\"message\":\"\"},\"needRetry\":false,\"ts\":%d}","{\"msg_id\":\"101\",\"error\":{\"code\":0,\"message\":\"\"},\"needRetry\":false,\"ts\":%d}"]}`,
			now.Add(24*time.Hour).UnixMilli(), now.Add(48*time.Hour).UnixMilli()))
	})
}
