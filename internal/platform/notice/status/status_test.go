package status_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/notice/status"
	"borealis/internal/platform/notice/wording"
)

func TestMain(m *testing.M) {
	// Each check of the models runs dozens of real transactions; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "8"); err != nil {
		panic(err)
	}
	dbtest.Main(m)
}

type rig struct {
	*status.Service
	t      *testing.T
	d      *db.DB
	c      *clock.Fake
	audit  *audit.Log
	opened []int64
}

var start = time.Date(2026, 11, 25, 4, 0, 0, 0, time.UTC)

func newRig(t *testing.T, d *db.DB) *rig {
	t.Helper()
	for _, m := range []func(context.Context, *db.DB) error{audit.Migrate, status.Migrate} {
		if err := m(t.Context(), d); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, d: d, c: clock.NewFake(start)}
	r.audit = audit.New(r.c, []byte("0123456789abcdef0123456789abcdef"))
	r.Service = status.New(status.Deps{
		DB: d, Clock: r.c, Log: slog.New(slog.DiscardHandler), Audit: r.audit, Rules: wording.Rules{Hosts: []string{"borealis.example"}},
		Opened: func(_ context.Context, tx *db.Tx, i *status.Incident) error {
			id := i.ID
			tx.AfterCommit(func() { r.opened = append(r.opened, id) })
			return nil
		},
	})
	for i, code := range []string{"push", "sms", "carrier"} {
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.Set(ctx, tx, "user:1", status.Component{Code: code, NameZH: "服务", NameEN: code, Part: "services", ThirdParty: code == "carrier", Position: int64(i)})
		}))
	}
	return r
}

func (r *rig) tx(fn db.TxFunc) error { return r.d.InTx(r.t.Context(), fn) }

func (r *rig) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

func (r *rig) page() *status.Page {
	r.t.Helper()
	p, err := r.Page(r.t.Context())
	r.must(err)
	return p
}

func (r *rig) state(code string) string {
	r.t.Helper()
	for _, c := range r.page().Components {
		if c.Code == code {
			return c.State
		}
	}
	r.t.Fatalf("no component %s", code)
	return ""
}

func (r *rig) at(d time.Duration) int64 { return clock.Millis(r.c.Now().Add(d)) }

func words() wording.Texts {
	return wording.Texts{ZH: wording.Text{Title: "升级", Body: "期间推送可能延迟"}, EN: wording.Text{Title: "Upgrade", Body: "Pushes may be late"}}
}

func (r *rig) schedule(m status.Maintenance) (id int64, err error) {
	m.Texts = words()
	if m.Components == nil {
		m.Components = []string{"push"}
	}
	err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
		id, err = r.Schedule(ctx, tx, "user:1", m)
		return err
	})
	return id, err
}

func (r *rig) maintenance(id int64) *status.Maintenance {
	r.t.Helper()
	m, err := r.Maintenance(r.t.Context(), id)
	r.must(err)
	return m
}

// AG-EXM-01: planned maintenance is announced 72 hours before, in windows of limited length; the rest is urgent and says why.
func TestWindowsAreAnnounced(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		hour := time.Hour
		for name, c := range map[string]struct {
			from, to time.Duration
			change   func(*status.Maintenance)
			field    string
		}{
			"in time":           {72 * hour, 74 * hour, nil, ""},
			"too late":          {72*hour - time.Millisecond, 74 * hour, nil, "start_at"},
			"urgent":            {hour, 2 * hour, func(m *status.Maintenance) { m.Urgent, m.Reason = true, "漏洞修复" }, ""},
			"urgent, no word":   {hour, 2 * hour, func(m *status.Maintenance) { m.Urgent = true }, "reason"},
			"past":              {-hour, hour, func(m *status.Maintenance) { m.Urgent, m.Reason = true, "x" }, "start_at"},
			"too long":          {80 * hour, 80*hour + status.MaxWindow + time.Millisecond, nil, "end_at"},
			"longest":           {80 * hour, 80*hour + status.MaxWindow, nil, ""},
			"backwards":         {80 * hour, 79 * hour, nil, "end_at"},
			"no component":      {80 * hour, 81 * hour, func(m *status.Maintenance) { m.Components = []string{} }, "components"},
			"unknown component": {80 * hour, 81 * hour, func(m *status.Maintenance) { m.Components = []string{"fax"} }, "components"},
		} {
			m := status.Maintenance{StartAt: r.at(c.from), EndAt: r.at(c.to)}
			if c.change != nil {
				c.change(&m)
			}
			_, err := r.schedule(m)
			var invalid *wording.InvalidError
			if c.field == "" && err != nil || c.field != "" && (!errors.As(err, &invalid) || invalid.Field != c.field) {
				t.Errorf("%s: %v", name, err)
			}
		}
	})
}

// AG-EXM-01: a window runs by the clock; what exceeds it becomes an incident by itself, which ends with the maintenance.
func TestAnOverrunBecomesAnIncident(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		id, err := r.schedule(status.Maintenance{StartAt: r.at(100 * time.Hour), EndAt: r.at(102 * time.Hour), Components: []string{"sms", "push"}})
		r.must(err)
		tick := func(d time.Duration) { r.c.Advance(d); r.must(r.Tick(t.Context())) }
		tick(100*time.Hour - time.Millisecond)
		if m := r.maintenance(id); m.State != status.Scheduled || r.state("push") != status.Operational || len(r.page().Maintenance) != 1 {
			t.Errorf("before: %+v", m)
		}
		tick(time.Millisecond)
		if m := r.maintenance(id); m.State != status.InProgress || r.state("push") != status.Maintained || r.state("carrier") != status.Operational || r.page().Overall != status.Maintained {
			t.Errorf("begun: %+v", m)
		}
		if err := r.tx(func(ctx context.Context, tx *db.Tx) error {
			return r.Move(ctx, tx, "user:1", id, r.at(100*time.Hour), r.at(101*time.Hour), false, "")
		}); !errors.Is(err, status.ErrState) {
			t.Errorf("a window was moved while it ran: %v", err)
		}
		tick(2 * time.Hour)
		if m := r.maintenance(id); m.State != status.InProgress {
			t.Errorf("at its end: %+v", m)
		}
		tick(time.Millisecond)
		tick(time.Second)
		m := r.maintenance(id)
		if m.State != status.Overrun || m.Incident == 0 || r.state("sms") != status.Partial || fmt.Sprint(r.opened) != fmt.Sprint([]int64{m.Incident}) {
			t.Fatalf("overrun: %+v, opened %v", m, r.opened)
		}
		i, err := r.Incident(t.Context(), m.Incident)
		r.must(err)
		if i.Cause != status.CauseOverrun || i.StartedAt != m.EndAt || i.Maintenance != id || i.Texts.ZH.Title != "维护超时：升级" || i.Excused() || status.ForceMajeure(i.Cause) {
			t.Errorf("incident %+v", i)
		}
		r.c.Advance(30 * time.Minute)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Complete(ctx, tx, "user:1", id) }))
		m, _ = r.Maintenance(t.Context(), id)
		i, _ = r.Incident(t.Context(), m.Incident)
		if m.State != status.Completed || i.State != status.Resolved || r.page().Overall != status.Operational {
			t.Errorf("completed: %+v, %+v", m, i)
		}
		// Only the announced window does not count against guarantees.
		if from, to := m.Excluded(r.at(0)); from != m.StartAt || to != m.EndAt {
			t.Errorf("excluded %d to %d", from, to)
		}
		u, err := r.Uptime(t.Context(), "push", clock.Millis(start), r.at(0))
		r.must(err)
		if got := u.By[status.Maintained]; got != (2*time.Hour + time.Millisecond).Milliseconds() {
			t.Errorf("maintenance %d ms", got)
		}
		if got := u.By[status.Partial]; got != (30*time.Minute+time.Second).Milliseconds() || u.Total != r.at(0)-clock.Millis(start) || u.Share() >= 1 || u.Share() < 0.99 {
			t.Errorf("uptime %+v", u)
		}
		rows, err := r.audit.List(t.Context(), d, fmt.Sprint("maintenance:", id), 0, 10)
		if err != nil || len(rows) != 3 || rows[1].Action != "maintenance.overrun" || rows[1].Actor != "system:maintenance" {
			t.Errorf("audit %+v, %v", rows, err)
		}
	})
}

func TestUrgentAndMovedWindowsCount(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		urgent, err := r.schedule(status.Maintenance{StartAt: r.at(time.Hour), EndAt: r.at(2 * time.Hour), Urgent: true, Reason: "漏洞"})
		r.must(err)
		moved, err := r.schedule(status.Maintenance{StartAt: r.at(100 * time.Hour), EndAt: r.at(101 * time.Hour)})
		r.must(err)
		off, err := r.schedule(status.Maintenance{StartAt: r.at(100 * time.Hour), EndAt: r.at(101 * time.Hour)})
		r.must(err)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Cancel(ctx, tx, "user:1", off) }))
		r.c.Advance(50 * time.Hour)
		move := func(urgent bool, reason string) error {
			return r.tx(func(ctx context.Context, tx *db.Tx) error {
				return r.Move(ctx, tx, "user:1", moved, r.at(60*time.Hour), r.at(61*time.Hour), urgent, reason)
			})
		}
		var invalid *wording.InvalidError
		if err := move(false, ""); !errors.As(err, &invalid) {
			t.Errorf("a window was moved to where it is announced too late: %v", err)
		}
		r.must(move(true, "供应商改期"))
		r.c.Advance(60*time.Hour + 30*time.Minute)
		r.must(r.Tick(t.Context()))
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Complete(ctx, tx, "user:1", moved) }))
		for _, id := range []int64{urgent, moved} {
			if from, to := r.maintenance(id).Excluded(r.at(0)); from != to {
				t.Errorf("%d: %d to %d does not count", id, from, to)
			}
		}
		if m := r.maintenance(off); m.State != status.Cancelled || m.StartedAt != 0 {
			t.Errorf("cancelled %+v", m)
		}
		if err := r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Cancel(ctx, tx, "user:1", moved) }); !errors.Is(err, status.ErrState) {
			t.Error(err)
		}
		if err := r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Complete(ctx, tx, "user:1", 999) }); !errors.Is(err, status.ErrNone) {
			t.Error(err)
		}
		// The urgent one passed while nobody looked: it began and is overrun.
		if m := r.maintenance(urgent); m.State != status.Overrun {
			t.Errorf("a window that passed %+v", m)
		}
	})
}

// AG-EXM-03: incidents have a class of cause; what excuses needs evidence, and an attack proof of care as well.
func TestCausesOfIncidents(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		var id int64
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) (err error) {
			id, err = r.Open(ctx, tx, "user:1", status.Incident{Level: status.Major, Texts: words(), Components: []string{"push", "carrier"}})
			return err
		}))
		if r.state("push") != status.Major || r.state("sms") != status.Operational || r.page().Overall != status.Major {
			t.Errorf("page %+v", r.page())
		}
		update := func(c status.Change) error {
			c.Texts = words()
			return r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Update(ctx, tx, "user:1", id, c) })
		}
		get := func() *status.Incident {
			i, err := r.Incident(t.Context(), id)
			r.must(err)
			return i
		}
		r.must(update(status.Change{State: status.Identified, Cause: status.CauseAttack, Components: []string{"push"}, Level: status.Degraded}))
		i := get()
		if i.Excused() || i.ProofDue() != i.StartedAt+status.ProofWithin.Milliseconds() || r.state("carrier") != status.Operational || r.state("push") != status.Degraded {
			t.Errorf("incident %+v", i)
		}
		r.must(update(status.Change{State: status.Monitoring, Evidence: "案件编号 1"}))
		if i := get(); i.Excused() || i.ProofDue() != 0 {
			t.Errorf("an attack is excused without proof of care: %+v", i)
		}
		r.must(update(status.Change{State: status.Resolved, Controls: "等保测评报告 2"}))
		if i := get(); !i.Excused() || i.ResolvedAt == 0 || len(i.Updates) != 4 || r.state("push") != status.Operational {
			t.Errorf("incident %+v", i)
		}
		if err := update(status.Change{State: status.Monitoring}); !errors.Is(err, status.ErrState) {
			t.Error(err)
		}
		r.must(update(status.Change{State: status.Investigating}))
		if i := get(); i.ResolvedAt != 0 || r.state("push") != status.Degraded {
			t.Errorf("opened again %+v", i)
		}
		for field, c := range map[string]status.Change{"state": {State: "gone"}, "cause": {State: status.Identified, Cause: "moon"}, "level": {State: status.Identified, Level: status.Maintained}} {
			var invalid *wording.InvalidError
			if err := update(c); !errors.As(err, &invalid) || invalid.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		for _, cause := range []string{status.CauseGovernment, status.CauseWar, status.CauseCarrierRule, status.CauseNoFault} {
			if i := (status.Incident{Cause: cause, Evidence: "x"}); !i.Excused() {
				t.Errorf("%s does not excuse", cause)
			}
		}
		if n, err := r.CauseCounts(t.Context(), 0, r.at(time.Hour)); err != nil || n[status.CauseAttack] != 1 {
			t.Errorf("causes %v, %v", n, err)
		}
		if list, err := r.Incidents(t.Context(), 0); err != nil || len(list) != 1 {
			t.Errorf("history %+v, %v", list, err)
		}
	})
}

// AG-SVC-11: users are told at the first moment; how long it took is known.
func TestChangesOfServices(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		record := func(c status.ServiceChange) (id int64, err error) {
			c.Texts, c.Service = words(), "push"
			err = r.tx(func(ctx context.Context, tx *db.Tx) (err error) { id, err = r.Record(ctx, tx, "user:1", c); return err })
			return id, err
		}
		var invalid *wording.InvalidError
		if _, err := record(status.ServiceChange{Kind: status.KindTermination, Planned: true, EffectiveAt: r.at(29 * 24 * time.Hour)}); !errors.As(err, &invalid) || invalid.Field != "effective_at" {
			t.Errorf("an end told too late: %v", err)
		}
		if _, err := record(status.ServiceChange{Kind: status.KindTermination, Planned: true, EffectiveAt: r.at(time.Hour), Reason: "监管要求"}); err != nil {
			t.Error(err)
		}
		if _, err := record(status.ServiceChange{Kind: "magic", EffectiveAt: r.at(0)}); !errors.As(err, &invalid) || invalid.Field != "kind" {
			t.Error(err)
		}
		id, err := record(status.ServiceChange{Kind: status.KindSuspension, EffectiveAt: r.at(0)})
		r.must(err)
		told := func(notice string) {
			r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Told(ctx, tx, id, notice) }))
		}
		r.c.Advance(14 * time.Minute)
		told("n1")
		r.c.Advance(time.Hour)
		told("n2")
		told("n2")
		list, err := r.Changes(t.Context(), 0)
		r.must(err)
		if c := list[0]; c.ID != id || c.ToldAt != clock.Millis(start.Add(14*time.Minute)) || c.Late(r.at(0)) || fmt.Sprint(c.Notices) != "[n1 n2]" || len(list) != 2 {
			t.Errorf("changes %+v", list)
		}
		if c := list[1]; !c.Late(r.at(0)) {
			t.Errorf("told of after it took effect: %+v", c)
		}
		if err := r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Told(ctx, tx, 999, "n") }); !errors.Is(err, status.ErrNone) {
			t.Error(err)
		}
	})
}

// Whatever happens in whatever order: a component shows the worst of what is open, its history adds up, and states change as they may.
func TestStatesFollowFromWhatIsOpen(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		severity := map[string]int{status.Operational: 0, status.Maintained: 1, status.Degraded: 2, status.Partial: 3, status.Major: 4}
		rapid.Check(t, func(rt *rapid.T) {
			var incidents, windows []int64
			levels := rapid.SampledFrom([]string{status.Degraded, status.Partial, status.Major})
			some := rapid.SampledFrom([][]string{{"push"}, {"sms"}, {"push", "sms"}, {"carrier", "push"}})
			ok := func(err error) {
				if err != nil && !errors.Is(err, status.ErrState) {
					rt.Fatal(err)
				}
			}
			pick := func(rt *rapid.T, list []int64) int64 {
				if len(list) == 0 {
					return 0
				}
				return rapid.SampledFrom(list).Draw(rt, "id")
			}
			before := map[int64]string{}
			rt.Repeat(map[string]func(*rapid.T){
				"open": func(rt *rapid.T) {
					ok(r.tx(func(ctx context.Context, tx *db.Tx) error {
						id, err := r.Open(ctx, tx, "user:1", status.Incident{Level: levels.Draw(rt, "level"), Texts: words(), Components: some.Draw(rt, "components")})
						tx.AfterCommit(func() { incidents = append(incidents, id) })
						return err
					}))
				},
				"update": func(rt *rapid.T) {
					if id := pick(rt, incidents); id != 0 {
						c := status.Change{State: rapid.SampledFrom([]string{status.Investigating, status.Monitoring, status.Resolved}).Draw(rt, "state"), Texts: words()}
						if rapid.Bool().Draw(rt, "other components") {
							c.Components, c.Level = some.Draw(rt, "components"), levels.Draw(rt, "level")
						}
						ok(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Update(ctx, tx, "user:1", id, c) }))
					}
				},
				"schedule": func(rt *rapid.T) {
					id, err := r.schedule(status.Maintenance{StartAt: r.at(time.Minute), EndAt: r.at(time.Hour), Urgent: true, Reason: "x", Components: some.Draw(rt, "components")})
					ok(err)
					windows = append(windows, id)
				},
				"complete": func(rt *rapid.T) {
					if id := pick(rt, windows); id != 0 {
						ok(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Complete(ctx, tx, "user:1", id) }))
					}
				},
				"cancel": func(rt *rapid.T) {
					if id := pick(rt, windows); id != 0 {
						ok(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Cancel(ctx, tx, "user:1", id) }))
					}
				},
				"time": func(rt *rapid.T) {
					r.c.Advance(time.Duration(rapid.IntRange(1, 90).Draw(rt, "minutes")) * time.Minute)
					ok(r.Tick(t.Context()))
				},
				"": func(rt *rapid.T) {
					want := map[string]string{"push": status.Operational, "sms": status.Operational, "carrier": status.Operational}
					worse := func(codes []string, level string) {
						for _, c := range codes {
							if severity[level] > severity[want[c]] {
								want[c] = level
							}
						}
					}
					p := r.page()
					for _, i := range p.Incidents {
						if i.ResolvedAt == 0 {
							worse(i.Components, i.Level)
						}
					}
					for _, m := range p.Maintenance {
						if m.State == status.InProgress {
							worse(m.Components, status.Maintained)
						}
					}
					for _, c := range p.Components {
						if c.State != want[c.Code] {
							rt.Fatalf("%s is %s, want %s", c.Code, c.State, want[c.Code])
						}
						u, err := r.Uptime(t.Context(), c.Code, 0, r.at(0))
						if err != nil || u.Total != r.at(0)-clock.Millis(start) || u.Share() < 0 || u.Share() > 1 {
							rt.Fatalf("uptime %+v, %v", u, err)
						}
					}
					for _, id := range windows {
						now := r.maintenance(id).State
						if old := before[id]; (old == status.Completed || old == status.Cancelled) && old != now {
							rt.Fatalf("a window went from %s to %s", old, now)
						}
						before[id] = now
					}
				},
			})
			// What is still open ends, so that the next run begins in peace.
			r.c.Advance(3 * time.Hour)
			ok(r.Tick(t.Context()))
			for _, id := range windows {
				ok(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Complete(ctx, tx, "user:1", id) }))
			}
			for _, id := range incidents {
				ok(r.tx(func(ctx context.Context, tx *db.Tx) error {
					return r.Update(ctx, tx, "user:1", id, status.Change{State: status.Resolved, Texts: words()})
				}))
			}
			if p := r.page(); p.Overall != status.Operational {
				rt.Fatalf("in the end: %+v", p)
			}
		})
	})
}
