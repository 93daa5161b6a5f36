package push

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// A withdrawn message reaches nobody any more, and who may show it without having clicked it is told to take it away:
// of few targets and of many, also after a restart, and beside as many messages as the app keeps for a device.
func TestWithdraw(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(1, android5...)
		for name, to := range map[string][]target{"few": all[:3], "many": all} {
			msg := r.send(app, "", to...)
			err := r.MergeReceipts(ctx, edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{
				{Msg: msg, Stage: edgewire.Delivered, Ordinals: []uint32{all[0].ordinal, all[1].ordinal}},
			}})
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Report(ctx, app.ID, all[1].ordinal, []DeviceEvent{{ID: FormatID(msg), Event: "clicked"}}); err != nil {
				t.Fatal(err)
			}
			before := r.progress
			told := listen[edgewire.Withdraw](r, edgewire.SubjectWithdraw)
			for range 2 {
				if err := r.Withdraw(ctx, app, msg); err != nil {
					t.Fatal(err)
				}
			}
			if w := receive(t, told); w.Msg != msg {
				t.Errorf("%s: edges are told of %+v", name, w)
			}
			eventually(t, name+": what was owed ends", func() bool { return r.funnel(app, msg).Failed[Withdrawn] == int64(len(to)-2) })
			r.boot()
			later := r.send(app, "", all[0])
			for i, want := range [][]string{
				{"withdraw " + FormatID(msg), FormatID(later)}, {}, {}, {},
			} {
				out, err := r.Owed(ctx, edgewire.OwedRequest{Edge: "e", App: app.ID, Ordinal: all[i].ordinal})
				if err != nil {
					t.Fatal(err)
				}
				got := []string{}
				for _, f := range out.Frames {
					text := FormatID(f.Msg)
					if strings.Contains(string(f.Payload), fmt.Sprintf(`"type":"withdraw","withdraw":"%d"}`, msg)) {
						text = "withdraw " + FormatID(msg)
						err := r.MergeReceipts(ctx, edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: f.Msg, Stage: edgewire.Delivered, Ordinals: []uint32{all[i].ordinal}}}})
						if err != nil {
							t.Fatal(err)
						}
						if funnels, err := r.Funnels(ctx, app.ID, []int64{f.Msg}); err != nil || len(funnels) != 0 {
							t.Errorf("%s: the order is reported on: %+v, %v", name, funnels, err)
						}
					}
					got = append(got, text)
				}
				if !slices.Equal(got, want) {
					t.Errorf("%s: device %d is owed %q, want %q", name, i, got, want)
				}
			}
			if err := r.outbox.Drain(ctx); err != nil {
				t.Fatal(err)
			}
			if r.progress.Sent-before.Sent != 2 || r.progress.Delivered-before.Delivered != 2 {
				t.Errorf("%s: the order is counted: %+v after %+v", name, r.progress, before)
			}
			if err := r.MergeReceipts(ctx, edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: later, Stage: edgewire.Delivered, Ordinals: []uint32{all[0].ordinal}}}}); err != nil {
				t.Fatal(err)
			}
			if err := r.outbox.Drain(ctx); err != nil {
				t.Fatal(err)
			}
		}
		other, _ := r.newApp(1, "android")
		msg := r.send(app, "", all[0])
		wantCode(t, r.Withdraw(ctx, other, msg), 1003)
		wantCode(t, r.Withdraw(ctx, app, 12345), 1003)
	})
}

// The devices of a paced push that had not been reached get neither the message nor an order.
func TestWithdrawPaced(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(5, android5...)
	msg := r.send(app, `"big_push_duration":60`, all...)
	if err := r.Withdraw(context.Background(), app, msg); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are withdrawn", func() bool { return r.funnel(app, msg).Failed[Withdrawn] == 5 })
	for _, d := range all {
		if got := r.connect(app, d); len(got) != 0 {
			t.Errorf("device %d is owed %v", d.ordinal, got)
		}
	}
}
