package push

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// A process that has numbered no part yet can take a message back: the numbers of parts are not fetched within a transaction.
func TestWithdrawAsTheFirstThingAProcessDoes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Huawei}
		r, app, all := withVendors(t, d, 5, v)
		r.tokens(app, all[0], wire.Huawei)
		for _, to := range [][]target{all[:2], all} {
			msg := r.send(app, `"classification":1`, to...)
			eventually(t, "accepted", func() bool { return strings.HasSuffix(r.story(app, msg, to[0]), "huawei accepted") })
			r.boot()
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if err := r.Withdraw(ctx, app, msg); err != nil {
				t.Fatal(err)
			}
			r.runRoutes()
			eventually(t, "taken back", func() bool {
				return strings.HasSuffix(r.story(app, msg, to[0]), "huawei taking back accepted")
			})
		}
	})
}

// A message that is withdrawn while a vendor takes it over is taken back from there.
func TestWithdrawWhileAVendorIsCalled(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		called, release := make(chan struct{}, 10), make(chan struct{})
		v := &vendor{name: wire.Huawei}
		r, app, all := withVendors(t, d, 5, v)
		r.tokens(app, all[0], wire.Huawei)
		for _, to := range [][]target{all[:2], all} {
			v.will(func(string) wire.Outcome {
				called <- struct{}{}
				<-release
				return wire.Outcome{Status: wire.Accepted}
			})
			msg := r.send(app, `"classification":1`, to...)
			<-called
			if err := r.Withdraw(t.Context(), app, msg); err != nil {
				t.Fatal(err)
			}
			release <- struct{}{}
			eventually(t, "taken back", func() bool {
				return strings.HasSuffix(r.story(app, msg, to[0]), "huawei accepted, huawei routed withdraw, huawei taking back accepted")
			})
		}
	})
}

// Who was held for a channel that the app no longer has when the message is planned gets it from us.
func TestAChannelIsRemovedBeforeItsMessagesArePlanned(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Vivo}
		r, app, all := withVendors(t, d, 5, v)
		for _, to := range [][]target{all[:1], all} {
			r.boot() // without routes
			r.tokens(app, all[0], wire.Vivo)
			if err := r.parts.route.SetChannel(t.Context(), "test", app, wire.Vivo, []byte("{}"), 0); err != nil {
				t.Fatal(err)
			}
			msg := r.send(app, vendorFirst, to...)
			if got := r.connect(app, all[0]); slices.Contains(got, msg) {
				t.Fatal("not held")
			}
			if had, err := r.parts.route.RemoveChannel(t.Context(), "test", app, wire.Vivo); err != nil || !had {
				t.Fatal(had, err)
			}
			r.runRoutes()
			eventually(t, "comes from us", func() bool { return slices.Contains(r.connect(app, all[0]), msg) })
		}
	})
}

// Credentials that cannot be read any more are as good as refused ones: nothing waits for them.
func TestCredentialsThatCannotBeReadHoldUpNothing(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Vivo}
		r, app, all := withVendors(t, d, 1, v)
		r.tokens(app, all[0], wire.Vivo)
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update push_channel set sealed = 'bad' where app_id = $1`, app.ID)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		msg := r.send(app, vendorFirst, all...)
		eventually(t, "comes from us", func() bool { return slices.Contains(r.connect(app, all[0]), msg) })
		eventually(t, "is told", func() bool {
			list, err := r.parts.route.Channels(t.Context(), app.ID)
			return err == nil && len(list) == 1 && strings.Contains(list[0].Problem, "cannot be used: app_id: is missing")
		})
	})
}

// Nothing of a suspended app goes out; what has not expired when it is enabled again does.
func TestMessagesOfASuspendedAppWait(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Xiaomi}
		r, app, all := withVendors(t, d, 1, v)
		r.tokens(app, all[0], wire.Xiaomi)
		r.online(app, all[0])
		suspended := *app
		suspended.State, suspended.Revision = gate.Suspended, app.Revision+1
		msg := r.send(app, `"classification":1`, all...)
		eventually(t, "planned", func() bool { return r.story(app, msg, all[0]) == "xiaomi routed unacknowledged, xiaomi due" })
		r.gate.Publish(suspended)
		other, others := r.newApp(0, "android")
		if err := r.parts.route.SetChannel(t.Context(), "test", other, wire.Xiaomi, []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
		r.tokens(other, others[0], wire.Xiaomi)
		r.advance(time.Minute)
		later := r.send(other, `"classification":1`, others...) // when this one has gone, a round has passed the other by
		eventually(t, "another app's", func() bool { return r.funnel(other, later).Vendor == 1 })
		if got := v.got(); slices.Contains(got, ids(all[0], wire.Xiaomi, msg)) {
			t.Errorf("sent %v", got)
		}
		enabled := suspended
		enabled.State, enabled.Revision = gate.Enabled, suspended.Revision+1
		r.gate.Publish(enabled)
		eventually(t, "enabled again", func() bool { return r.funnel(app, msg).Vendor == 1 })
	})
}

// A message whose devices are due at many times is planned in steps that are small enough, and each device is in one part.
func TestManyPartsOfAMessageArePlannedInSteps(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	v := &vendor{name: wire.Xiaomi}
	r, app, all := withVendors(t, d, 260, v)
	for _, dev := range all {
		r.tokens(app, dev, wire.Xiaomi)
	}
	msg := r.send(app, `"classification":1,"big_push_duration":1400`, all...)
	eventually(t, "planned", func() bool {
		var open int
		if err := d.QueryRow(t.Context(), `select count(*) from push_route where state = 1`).Scan(&open); err != nil {
			t.Fatal(err)
		}
		return open == 0
	})
	for _, dev := range all {
		if got := r.story(app, msg, dev); got != "xiaomi routed offline, xiaomi due" {
			t.Errorf("device %d: %q", dev.ordinal, got)
		}
	}
	var parts int
	if err := d.QueryRow(t.Context(), `select count(*) from push_route_part`).Scan(&parts); err != nil || parts <= 200 {
		t.Errorf("%d parts are too few for this test, %v", parts, err)
	}
}
