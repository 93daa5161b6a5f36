package push

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/device"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// switchTo changes what a device takes.
func (r *rig) switchTo(app *gate.App, d target, push, notifications bool) {
	r.t.Helper()
	c := device.ProfileChange{PushEnabled: &push, NotificationsEnabled: &notifications}
	if err := r.devices.SetProfile(context.Background(), app, d.ordinal, c, device.ByDevice); err != nil {
		r.t.Fatal(err)
	}
}

// targetsOf are the targets of a push to an audience, by ordinal.
func (r *rig) targetsOf(app *gate.App, audience, options string) ([]uint32, error) {
	r.t.Helper()
	body := fmt.Appendf(nil, `{"platform":"all","audience":%s,"notification":{"alert":"x"},"options":{%s}}`, audience, options)
	p, err := r.Parse(app, body)
	if err != nil {
		r.t.Fatal(err)
	}
	o, err := r.prepare(context.Background(), app, p, 1, ofCaller(app, p))
	if err != nil {
		return nil, err
	}
	return o.t.all().ToArray(), nil
}

// A device that takes no pushes is no target; one that shows no notifications is none if the push says so.
func TestSwitchedOffDevicesAreNoTargets(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(5, android5...)
		off, muted := all[1], all[3]
		r.switchTo(app, off, false, true)
		r.switchTo(app, muted, true, false)
		for _, d := range all {
			r.alias(app, d, "us")
		}
		on := []uint32{all[0].ordinal, all[2].ordinal, all[3].ordinal, all[4].ordinal}
		loud := []uint32{all[0].ordinal, all[2].ordinal, all[4].ordinal}
		tags := `{"tag_not":["nobody"]}`
		one := func(d target) string { return fmt.Sprintf(`{"registration_id":["%s"]}`, d.rid) }
		for _, audience := range []string{`"all"`, `{"alias":["us"]}`, tags} {
			for options, want := range map[string][]uint32{"": on, `"notification_switch_filter":false`: on, `"notification_switch_filter":true`: loud} {
				if got, err := r.targetsOf(app, audience, options); err != nil || !slices.Equal(got, want) {
					t.Errorf("%s {%s}: %v, want %v (%v)", audience, options, got, want, err)
				}
			}
		}
		for _, c := range []struct {
			to      target
			options string
			code    int
		}{{off, "", 1011}, {muted, `"notification_switch_filter":true`, 1011}, {muted, "", 0}, {all[0], `"notification_switch_filter":true`, 0}} {
			_, err := r.targetsOf(app, one(c.to), c.options)
			if c.code != 0 {
				wantCode(t, err, c.code)
			} else if err != nil {
				t.Errorf("%+v: %v", c, err)
			}
		}
	})
}

// What a device was owed when it switched push off waits, whichever way it would come, and is there when it switches it on.
func TestSwitchedOffDevicesGetNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(2, android5...)
		quiet := all[2]
		direct, wide := r.send(app, "", quiet), r.send(app, "", all...)
		third := r.send(app, "", quiet) // displaces the first, when the device gets what it is owed
		paced := r.send(app, `"big_push_duration":1,"time_to_live":3600`, all...)
		eventually(t, "the owner has it", func() bool { return len(r.pacedWides(0)) == 1 })
		r.switchTo(app, quiet, false, true)
		deliveries := listen[edgewire.Deliver](r, edgewire.SubjectDeliver)
		if got := r.connect(app, quiet); got != nil {
			t.Errorf("on connecting it gets %v", got)
		}
		out, err := r.Owed(ctx, edgewire.OwedRequest{App: app.ID, Ordinal: quiet.ordinal, Reload: true})
		if err != nil || len(out.Frames) > 0 {
			t.Errorf("on reloading it gets %v, %v", out.Frames, err)
		}
		if c := r.funnel(app, direct); c.Failed[Overflow] != 0 {
			t.Errorf("the oldest was displaced: %+v", c)
		}
		for range 16 {
			r.advance(4 * time.Second)
		}
		if err := r.releasePaced(ctx); err != nil {
			t.Fatal(err)
		}
		b := receive(t, deliveries)
		set := roaring.New()
		if err := set.UnmarshalBinary(b.Set); err != nil || b.Frame.Msg != paced || set.GetCardinality() != 4 || set.Contains(quiet.ordinal) {
			t.Errorf("the portion is %v, %v", set, err)
		}
		// It may show what it has got before, so it is told to take that away.
		if err := r.MergeReceipts(ctx, edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: wide, Stage: edgewire.Sent, Ordinals: []uint32{quiet.ordinal}}}}); err != nil {
			t.Fatal(err)
		}
		if err := r.Withdraw(ctx, app, wide); err != nil {
			t.Fatal(err)
		}
		if out, err := r.Owed(ctx, edgewire.OwedRequest{App: app.ID, Ordinal: quiet.ordinal}); err != nil || len(out.Frames) != 1 ||
			string(out.Frames[0].Payload) != fmt.Sprintf(`{"id":"%d","type":"withdraw","withdraw":"%d"}`, out.Frames[0].Msg, wide) {
			t.Errorf("of the withdrawal it hears %+v, %v", out.Frames, err)
		}
		r.switchTo(app, quiet, true, true)
		got := slices.DeleteFunc(r.connect(app, quiet), func(id int64) bool { return id > paced })
		if want := []int64{third, paced}; !slices.Equal(got, want) {
			t.Errorf("switched on again it gets %v, want %v", got, want)
		}
	})
}
