package push

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// heard lists what waits to be told of a message: kind, reason and number of devices.
func (r *rig) heard(msg int64) []string {
	r.t.Helper()
	rows, err := r.db.Query(context.Background(), `select kind, reason, waiting, url from push_callback where msg_id = $1`, msg)
	if err != nil {
		r.t.Fatal(err)
	}
	type row struct {
		kind, waiting int64
		reason, url   string
	}
	found, err := collect(rows, func(v *row, scan func(...any) error) error { return scan(&v.kind, &v.reason, &v.waiting, &v.url) })
	if err != nil {
		r.t.Fatal(err)
	}
	var out []string
	for _, v := range found {
		out = append(out, fmt.Sprintf("%d%s×%d%s", v.kind, v.reason, v.waiting, v.url))
	}
	slices.Sort(out)
	return out
}

// What happens to a message is told once, of few targets and of many, in whatever way it ends.
func TestReceiptsAreTold(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		silent, mute := r.newApp(0, "android")
		known, all := r.newApp(2, android5...)
		app := *known
		app.Settings.CallbackURL, app.Settings.CallbackTypes, app.Revision = "https://receiver.example/r", 15, 2
		r.gate.Publish(app)
		heard := func(what string, msg int64, want ...string) {
			t.Helper()
			if got := r.heard(msg); !slices.Equal(got, want) {
				t.Errorf("%s: told %q, want %q", what, got, want)
			}
		}
		for what, to := range map[string][]target{"few": all[:3], "many": all} {
			msg := r.send(&app, `"time_to_live":60`, to...)
			receipts := edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: msg, Stage: edgewire.Delivered, Ordinals: []uint32{all[0].ordinal, all[1].ordinal}}}}
			for range 2 {
				if err := r.MergeReceipts(ctx, receipts); err != nil {
					t.Fatal(err)
				}
				if err := r.Report(ctx, app.ID, all[1].ordinal, []DeviceEvent{{ID: FormatID(msg), Event: "clicked"}}); err != nil {
					t.Fatal(err)
				}
			}
			r.advance(2 * time.Minute)
			if err := r.sweep(ctx); err != nil {
				t.Fatal(err)
			}
			heard(what, msg, "1×2", "2×1", fmt.Sprintf("4expired×%d", len(to)-2), "8×1")
		}
		withdrawn := r.send(&app, "", all[:2]...)
		if err := r.Withdraw(ctx, &app, withdrawn); err != nil {
			t.Fatal(err)
		}
		heard("withdrawn", withdrawn, "4withdrawn×2", "8×1")
		replaced := r.send(&app, "", all[0])
		by := r.send(&app, fmt.Sprintf(`"override_msg_id":%d`, replaced), all[0])
		heard("replaced", replaced, "4replaced×1", "8×1")
		r.send(&app, "", all[0])
		r.send(&app, "", all[0])
		r.connect(&app, all[0])
		heard("displaced", by, "4overflow×1", "8×1")
		heard("an app that wants nothing", r.send(silent, "", mute[0]))
	})
}

// A push can name its own receiver, and which receipts it wants.
func TestReceiptsOfOnePush(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, android5...)
	msg := r.sendBody(app, fmt.Sprintf(`{"platform":"all","audience":{"registration_id":["%s"]},"notification":{"alert":"x"},
		"callback":{"url":"https://other.example/r","type":1,"params":{"order":"A-17"}}}`, all[0].rid))
	err := r.MergeReceipts(context.Background(), edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: msg, Stage: edgewire.Delivered, Ordinals: []uint32{all[0].ordinal}}}})
	if err != nil {
		t.Fatal(err)
	}
	if got := r.heard(msg); !slices.Equal(got, []string{"1×1https://other.example/r"}) {
		t.Errorf("told %q", got)
	}
}

// sendBody accepts a push object.
func (r *rig) sendBody(app *gate.App, body string) int64 {
	r.t.Helper()
	p, err := r.Parse(app, []byte(body))
	if err != nil {
		r.t.Fatal(err)
	}
	out, err := r.Accept(context.Background(), app, p)
	if err != nil {
		r.t.Fatal(err)
	}
	return out.Msg
}
