package push

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/service/push/route"
)

// What a vendor reports again, as vendors do that got no answer, is one loss; other apps' messages are nobody's to report on.
func TestLossesReportedAgainAreKeptOnce(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Huawei}
		r, app, all := withVendors(t, d, 3, v)
		for _, dev := range all {
			r.tokens(app, dev, wire.Huawei)
		}
		msg := r.send(app, `"classification":1`, all...)
		eventually(t, "the vendor takes it", func() bool { return r.story(app, msg, all[1]) == "huawei routed offline, huawei accepted" })
		report := func(msg int64, devices ...target) {
			t.Helper()
			v.reported = nil
			for _, dev := range devices {
				v.reported = append(v.reported, wire.Receipt{Token: fmt.Sprintf("%s-%d", wire.Huawei, dev.ordinal), ID: fmt.Sprint(msg), Event: wire.Lost, Code: "6\x00", Reason: "off"})
			}
			if answer, err := r.VendorReceipts(t.Context(), app, wire.Huawei, nil, nil); err != nil || string(answer) != "ok" {
				t.Fatalf("%s, %v", answer, err)
			}
		}
		report(msg, all[0], all[1], all[0])
		report(msg, all[1], all[2])
		for range 3 {
			report(msg, all...)
			report(msg+1_000_000, all...)
		}
		tallies, err := r.parts.route.Tallies(t.Context(), app.ID, msg)
		want := []route.Tally{{Channel: wire.Huawei, Status: wire.Accepted, Devices: 3}, {Channel: wire.Huawei, Status: wire.Silenced, Code: "6 ", Devices: 3}}
		if err != nil || !slices.Equal(tallies, want) {
			t.Errorf("%+v, %v, want %+v", tallies, err, want)
		}
		if got := r.story(app, msg, all[1]); got != "huawei routed offline, huawei accepted, huawei silenced 6 " {
			t.Errorf("trace %q", got)
		}
		other, strangers := r.newApp(0, "android")
		if err := r.parts.route.SetChannel(t.Context(), "test", other, wire.Huawei, []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
		r.tokens(other, strangers[0], wire.Huawei)
		v.reported = []wire.Receipt{{Token: fmt.Sprintf("%s-%d", wire.Huawei, strangers[0].ordinal), ID: fmt.Sprint(msg), Event: wire.Lost, Code: "7"},
			{Token: fmt.Sprintf("%s-%d", wire.Huawei, strangers[0].ordinal), ID: fmt.Sprint(msg), Event: wire.Arrived}}
		if _, err := r.VendorReceipts(t.Context(), other, wire.Huawei, nil, nil); err != nil {
			t.Fatal(err)
		}
		if tallies, err := r.parts.route.Tallies(t.Context(), app.ID, msg); err != nil || !slices.Equal(tallies, want) || r.funnel(app, msg).Delivered != 0 {
			t.Errorf("another app's vendor said: %+v, %v", tallies, err)
		}
	})
}

// A short message that was being sent when the node died may have been read: it is not sent again.
func TestInterruptedShortMessagesAreNotRepeated(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		x := &texter{send: func(ctx context.Context) { <-ctx.Done() }}
		r := newRig(t, d)
		r.texts = x
		r.boot()
		r.runRoutes()
		app, all := r.newApp(0, "android")
		if err := r.parts.route.SetChannel(t.Context(), "test", app, "sms", []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
		mobile := "13800138000"
		if err := r.devices.SetProfile(t.Context(), app, all[0].ordinal, device.ProfileChange{Mobile: &mobile}, device.ByServer); err != nil {
			t.Fatal(err)
		}
		msg := r.sendBody(app, fmt.Sprintf(`{"platform":"all","audience":{"registration_id":[%q]},"notification":{"alert":"x"},"sms_message":{"temp_id":1,"delay_time":0}}`, all[0].rid))
		eventually(t, "being sent", func() bool { return x.calls.Load() == 1 })
		r.boot()
		r.runRoutes()
		r.advance(time.Minute)
		eventually(t, "ended", func() bool { return strings.HasSuffix(r.story(app, msg, all[0]), "sms unknown interrupted") })
		if n := x.calls.Load(); n != 1 {
			t.Errorf("sent %d times", n)
		}
	})
}

// Apps whose vendors do not answer, on all channels, hold up no other app.
func TestHangingVendorsHoldUpNoOtherApp(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		names := []wire.Name{wire.APNs, wire.HMOS, wire.FCM, wire.Huawei, wire.Honor, wire.Xiaomi, wire.OPPO, wire.Vivo, wire.Meizu}
		release := make(chan struct{})
		var all []*vendor
		for _, name := range names {
			v := &vendor{name: name}
			v.will(func(string) wire.Outcome { return wire.Outcome{Status: wire.Accepted} })
			v.before = func() { <-release }
			all = append(all, v)
		}
		good := &vendor{name: wire.WebPush}
		r, first, devices := withVendors(t, d, len(names), append(all, good)...)
		t.Cleanup(func() { close(release) })
		for i := range 4 {
			app, list := first, devices
			if i > 0 {
				app, list = r.newApp(0, slices.Repeat([]string{"android"}, len(names))...)
				for _, name := range names {
					if err := r.parts.route.SetChannel(t.Context(), "test", app, name, []byte("{}"), 0); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i, name := range names {
				r.tokens(app, list[i], name)
			}
			r.send(app, `"classification":1`, list...)
		}
		eventually(t, "lines hang", func() bool { return hanging(all) >= 20 })
		app, list := r.newApp(0, "android")
		if err := r.parts.route.SetChannel(t.Context(), "test", app, good.name, []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
		r.tokens(app, list[0], good.name)
		msg := r.send(app, `"classification":1`, list[0])
		eventually(t, "the other app's message goes", func() bool { return r.funnel(app, msg).Vendor == 1 })
	})
}

func hanging(vendors []*vendor) (n int) {
	for _, v := range vendors {
		n += int(v.waiting.Load())
	}
	return n
}

// A push service that a device named may say anything. What cannot be stored as it is must not make the part be sent for ever.
func TestAnyWordsOfAVendorAreKept(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Huawei}
		v.will(func(string) wire.Outcome {
			return wire.Outcome{Status: wire.Accepted, Code: "a\x00b", Reason: "no\x00body\xff", VendorID: "\xc3\x00"}
		})
		r, app, all := withVendors(t, d, 2, v)
		r.tokens(app, all[0], wire.Huawei)
		msg := r.send(app, `"classification":1`, all[0])
		eventually(t, "the answer is kept", func() bool { return strings.HasSuffix(r.story(app, msg, all[0]), "huawei accepted a b") })
	})
}
