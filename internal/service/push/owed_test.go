package push

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// send accepts a notification to the devices and returns its id.
func (r *rig) send(app *gate.App, options string, to ...target) int64 {
	r.t.Helper()
	rids := make([]string, len(to))
	for i, d := range to {
		rids[i] = `"` + d.rid + `"`
	}
	body := fmt.Sprintf(`{"platform":"all","audience":{"registration_id":[%s]},"notification":{"alert":"x"},"options":{%s}}`, strings.Join(rids, ","), options)
	p, err := r.Parse(app, []byte(body))
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := r.Accept(context.Background(), app, p)
	if err != nil {
		r.t.Fatal(err)
	}
	r.fake.Advance(time.Millisecond)
	return out.Msg
}

func (r *rig) funnel(app *gate.App, msg int64) Counts {
	r.t.Helper()
	f, err := r.Funnels(context.Background(), app.ID, []int64{msg})
	if err != nil || len(f) != 1 {
		r.t.Fatalf("%d funnels: %v", len(f), err)
	}
	return f[0].Total
}

func (r *rig) connect(app *gate.App, d target) []int64 {
	r.t.Helper()
	out, err := r.Owed(context.Background(), edgewire.OwedRequest{App: app.ID, Ordinal: d.ordinal})
	if err != nil {
		r.t.Fatal(err)
	}
	var ids []int64
	for _, f := range out.Frames {
		ids = append(ids, f.Msg)
	}
	return ids
}

// A newer wide message displaces an older direct one, and the other way round.
func TestDisplacingAcrossShapes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(1, "android", "android", "android", "android", "android")
		direct := r.send(app, "", all[0])
		wide := r.send(app, "", all...)
		if got := r.connect(app, all[0]); len(got) != 1 || got[0] != wide {
			t.Fatalf("owed %v, want %d", got, wide)
		}
		if c := r.funnel(app, direct); c.Failed[Overflow] != 1 {
			t.Errorf("the direct one: %+v", c)
		}
		later := r.send(app, "", all[0])
		if got := r.connect(app, all[0]); len(got) != 1 || got[0] != later {
			t.Fatalf("owed %v, want %d", got, later)
		}
		if c := r.funnel(app, wide); c.Failed[Overflow] != 1 {
			t.Errorf("the wide one: %+v", c)
		}
	})
}
