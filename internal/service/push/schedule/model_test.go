package schedule

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// modelled is what a schedule should be.
type modelled struct {
	trigger Trigger
	enabled bool
	live    bool
	at      time.Time // everything up to then is settled
	fires   []int64
}

// settle does what happened by a time.
func (m *modelled) settle(until time.Time) {
	for m.live && m.enabled {
		next, ok := m.trigger.Next(m.at)
		if !ok || next.After(until) {
			break
		}
		m.fires, m.at = append(m.fires, next.UnixMilli()), next
	}
	m.at = until
	if last, ok := m.trigger.Last(); ok && !last.After(until) {
		m.live = false
	}
}

// However schedules are made, changed, disabled, enabled and deleted while time goes by, each enabled one fires once at
// each of its times and at no other, and those that may still fire are counted and listed.
func TestSchedulesDoWhatTheirTriggersSay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		outer := t
		first := newRig(t, d)
		rapid.Check(t, func(t *rapid.T) {
			err := d.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
				for _, table := range []string{"push_schedule", "push_schedule_app", "push_schedule_fire", "push_schedule_cid", "jobs_job", "fired"} {
					if _, err := tx.Exec(ctx, `delete from `+table); err != nil {
						return err
					}
				}
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			first.fake.Advance(now.Sub(first.fake.Now()))
			r := newNode(outer, d, first.fake, first.gate, &pusher{db: d})
			model := map[string]*modelled{}
			var order []string
			zone := zone(outer, "Asia/Shanghai")
			drawTrigger := func(t *rapid.T, single bool) string {
				if single {
					return r.single(time.Duration(rapid.IntRange(1, 100*3600).Draw(t, "seconds")) * time.Second)
				}
				start := r.fake.Now().In(zone).Add(time.Duration(rapid.IntRange(-48, 48).Draw(t, "start")) * time.Hour)
				return periodicalText(start.Format(time.DateTime), start.AddDate(0, 0, rapid.IntRange(3, 9).Draw(t, "days")).Format(time.DateTime),
					fmt.Sprintf("%02d:%02d:00", rapid.IntRange(0, 23).Draw(t, "hour"), rapid.IntRange(0, 59).Draw(t, "minute")), "day", rapid.IntRange(1, 3).Draw(t, "frequency"))
			}
			pick := func(t *rapid.T) (string, *modelled) {
				if len(order) == 0 {
					t.Skip("nothing there")
				}
				id := rapid.SampledFrom(order).Draw(t, "id")
				return id, model[id]
			}
			t.Repeat(map[string]func(*rapid.T){
				"create": func(t *rapid.T) {
					text := drawTrigger(t, rapid.Bool().Draw(t, "single"))
					trigger, err := ParseTrigger([]byte(text), zone)
					if err != nil || trigger.Check(r.fake.Now()) != nil {
						t.Skip("never fires")
					}
					id := r.create(text)
					order = append(order, id)
					model[id] = &modelled{trigger: trigger, enabled: true, live: true, at: r.fake.Now()}
				},
				"enable or disable": func(t *rapid.T) {
					id, m := pick(t)
					enabled := rapid.Bool().Draw(t, "enabled")
					code, text := r.call("PUT", "/v3/schedules/"+id, fmt.Sprintf(`{"enabled":%v}`, enabled))
					if (code == 200) != m.live {
						t.Fatalf("live %v: %d %s", m.live, code, text)
					}
					if m.live {
						m.enabled = enabled
					}
				},
				"change": func(t *rapid.T) {
					id, m := pick(t)
					text := drawTrigger(t, m.trigger.IsSingle())
					trigger, err := ParseTrigger([]byte(text), zone)
					valid := err == nil && trigger.Check(r.fake.Now()) == nil
					r.due() // drawing may have moved the clock
					m.settle(r.fake.Now())
					code, answer := r.call("PUT", "/v3/schedules/"+id, `{"trigger":`+text+`}`)
					if (code == 200) != (m.live && valid) {
						t.Fatalf("live %v, valid %v: %d %s", m.live, valid, code, answer)
					}
					if code == 200 {
						m.trigger = trigger
					}
				},
				"delete": func(t *rapid.T) {
					id, m := pick(t)
					code, text := r.call("DELETE", "/v3/schedules/"+id, "")
					if (code == 200) != m.live {
						t.Fatalf("live %v: %d %s", m.live, code, text)
					}
					if code == 200 {
						delete(model, id)
						order = slices.DeleteFunc(order, func(s string) bool { return s == id })
					}
				},
				"time": func(t *rapid.T) {
					for range rapid.IntRange(1, 30).Draw(t, "hours") {
						r.pass(1, time.Hour)
						for _, m := range model {
							m.settle(r.fake.Now())
						}
					}
				},
				"": func(t *rapid.T) {
					r.due()
					live := 0
					for id, m := range model {
						m.settle(r.fake.Now())
						var fires []int64
						past, err := queryPast(context.Background(), d, id)
						for _, o := range past {
							if fires = append(fires, o.DueAt); o.Msg == 0 || o.FiredAt < o.DueAt {
								t.Errorf("%+v", o)
							}
						}
						if err != nil || !slices.Equal(fires, m.fires) {
							t.Fatalf("fired at %v, want %v (%v)", fires, m.fires, err)
						}
						if code, _ := r.call("GET", "/v3/schedules/"+id, ""); (code == http.StatusOK) != m.live {
							t.Fatalf("live %v: %d", m.live, code)
						}
						if m.live {
							live++
						}
					}
					if got, jobs := r.live(), r.count(`select count(*) from jobs_job`); got != live || jobs != live {
						t.Fatalf("%d live, %d jobs, want %d", got, jobs, live)
					}
				},
			})
		})
	})
}
