package push

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/service/push/route"
)

// An offline device with three dead tokens and one live one gets exactly one notification, and the trace tells how.
func TestDeadTokensGiveWayToTheLiveOne(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		dead := always(wire.Invalid, "gone")
		huawei, honor, xiaomi, oppo := &vendor{name: wire.Huawei, answer: dead}, &vendor{name: wire.Honor, answer: dead}, &vendor{name: wire.Xiaomi, answer: dead}, &vendor{name: wire.OPPO}
		r, app, all := withVendors(t, d, 5, huawei, honor, xiaomi, oppo)
		for name, to := range map[string][]target{"few": all[:1], "many": all} {
			r.tokens(app, all[0], wire.Huawei, wire.Honor, wire.Xiaomi, wire.OPPO)
			msg := r.send(app, `"classification":1`, to...)
			eventually(t, name+": the vendor takes it", func() bool { return r.funnel(app, msg).Vendor == 1 })
			eventually(t, name+": the trace ends", func() bool { return strings.HasSuffix(r.story(app, msg, all[0]), "oppo accepted") })
			want := "huawei routed offline, huawei invalid gone, honor routed after huawei, honor invalid gone, " +
				"xiaomi routed after honor, xiaomi invalid gone, oppo routed after xiaomi, oppo accepted"
			if got := r.story(app, msg, all[0]); got != want {
				t.Errorf("%s: trace %q\nwant %q", name, got, want)
			}
			if got := oppo.got(); !slices.Contains(got, ids(all[0], wire.OPPO, msg)) || len(huawei.got())+len(honor.got())+len(xiaomi.got()) > 0 {
				t.Errorf("%s: sent %v", name, got)
			}
			left, err := r.devices.Tokens(t.Context(), app.ID, all[0].ordinal)
			if err != nil || len(left) != 1 || left[0].Channel != "oppo" {
				t.Errorf("%s: tokens left: %v, %v", name, left, err)
			}
			if got := r.connect(app, all[0]); len(got) != 0 {
				t.Errorf("%s: owed %v after the vendor took it", name, got)
			}
		}
		if n := len(oppo.got()); n != 2 {
			t.Errorf("%d notifications of two messages", n)
		}
	})
}

// A connected device gets a message over its connection, and through its vendor only if it does not acknowledge.
func TestAVendorStepsInWhenADeviceIsSilent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Huawei}
		r, app, all := withVendors(t, d, 5, v)
		r.online(app, all...)
		for _, to := range [][]target{all[:2], all} {
			for _, dev := range to[:2] {
				r.tokens(app, dev, wire.Huawei)
			}
			msg := r.send(app, `"classification":1`, to...)
			eventually(t, "planned", func() bool { return r.story(app, msg, to[0]) == "huawei routed unacknowledged, huawei due" })
			r.acknowledge(app, msg, to[1])
			if got := r.connect(app, to[0]); !slices.Contains(got, msg) {
				t.Errorf("owed %v meanwhile", got)
			}
			r.advance(11 * time.Second)
			eventually(t, "the vendor takes it", func() bool { return r.funnel(app, msg).Vendor == 1 })
			if got := v.got(); slices.Contains(got, ids(to[1], wire.Huawei, msg)) || !slices.Contains(got, ids(to[0], wire.Huawei, msg)) {
				t.Errorf("sent %v", got)
			}
			r.acknowledge(app, msg, to[0])
			if c := r.funnel(app, msg); c.Vendor != 0 || c.Delivered != 2 {
				t.Errorf("a delivery after all: %+v", c)
			}
		}
	})
}

const vendorFirst, vendorOnly = `"classification":1,"third_party_channel":{"vivo":{"distribution":"first_ospush"}}`, `"classification":1,"third_party_channel":{"vivo":{"distribution":"ospush"}}`

// What goes to vendors first is not delivered by us meanwhile; who has no token gets it from us at once.
func TestVendorsFirst(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Vivo}
		r, app, all := withVendors(t, d, 5, v)
		r.online(app, all...)
		r.tokens(app, all[0], wire.Vivo)
		for name, to := range map[string][]target{"few": all[:2], "many": all} {
			offers, frames := listen[edgewire.Offer](r, edgewire.SubjectOffer), listen[edgewire.Deliver](r, edgewire.SubjectDeliver)
			release := make(chan struct{})
			v.will(func(string) wire.Outcome { <-release; return wire.Outcome{Status: wire.Accepted} })
			msg := r.send(app, vendorFirst, to...)
			if name == "few" {
				if o := receive(t, offers); !slices.Equal(o.Ordinals, []uint32{all[1].ordinal}) {
					t.Errorf("offered to %v", o.Ordinals)
				}
			} else {
				f := receive(t, frames)
				set := roaring.New()
				if err := set.UnmarshalBinary(f.Set); err != nil || set.Contains(all[0].ordinal) || set.GetCardinality() != 4 {
					t.Errorf("broadcast to %v, %v", set, err)
				}
			}
			if got := r.connect(app, all[0]); slices.Contains(got, msg) {
				t.Errorf("%s: delivered by us while the vendor is at it", name)
			}
			if got := r.connect(app, all[1]); !slices.Contains(got, msg) {
				t.Errorf("%s: a device without token is owed %v", name, got)
			}
			close(release)
			eventually(t, name+": accepted", func() bool { return r.funnel(app, msg).Vendor == 1 })
		}
	})
}

// What no vendor takes comes back to us, or ends if the push was for vendors alone.
func TestWhatNoVendorTakes(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Vivo, answer: always(wire.Rejected, "text")}
		r, app, all := withVendors(t, d, 5, v)
		for _, dev := range all {
			r.tokens(app, dev, wire.Vivo)
		}
		for _, to := range [][]target{all[:1], all} {
			first, only := r.send(app, vendorFirst, to...), r.send(app, vendorOnly, to...)
			eventually(t, "ends", func() bool { return r.funnel(app, only).Failed[Unreachable] == int64(len(to)) })
			eventually(t, "comes back", func() bool { return slices.Contains(r.connect(app, all[0]), first) })
			r.acknowledge(app, first, to...)
			if c := r.funnel(app, first); c.Delivered != int64(len(to)) {
				t.Errorf("%+v", c)
			}
			if got := r.connect(app, all[0]); slices.Contains(got, only) {
				t.Errorf("owed %v", got)
			}
		}
	})
}

// A device gets no more marketing messages on a day than its vendor allows; the others come from us, and the next day counts anew.
func TestMarketingIsCountedByDeviceAndDay(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.OPPO, marketing: 2}
		r, app, all := withVendors(t, d, 5, v)
		r.tokens(app, all[0], wire.OPPO)
		settle := func(msg int64, byVendor bool) {
			t.Helper()
			if byVendor {
				eventually(t, "accepted by the vendor", func() bool { return r.funnel(app, msg).Vendor == 1 })
				return
			}
			eventually(t, "counted", func() bool { return r.story(app, msg, all[0]) == "oppo routed offline, oppo quota daily" })
			if got := r.connect(app, all[0]); !slices.Contains(got, msg) {
				t.Errorf("owed %v", got)
			}
		}
		settle(r.send(app, ``, all[0]), true)
		v.will(always(wire.Rejected, "x"))
		refused := r.send(app, ``, all[0])
		eventually(t, "refused", func() bool { return r.story(app, refused, all[0]) == "oppo routed offline, oppo rejected x" })
		v.will(nil)
		settle(r.send(app, ``, all...), true) // the refused one did not count
		settle(r.send(app, ``, all[0]), false)
		settle(r.send(app, `"classification":1`, all[0]), true)
		r.boot()
		r.runRoutes()
		settle(r.send(app, ``, all[0]), false)
		r.advance(24 * time.Hour)
		settle(r.send(app, ``, all[0]), true)
	})
}

// A vendor that fails is tried again, also by the next process; the device is reached once.
func TestFailuresAreRepeatedOverRestarts(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Honor, answer: always(wire.Failed, "503")}
		r, app, all := withVendors(t, d, 5, v)
		r.tokens(app, all[0], wire.Honor)
		msg := r.send(app, `"classification":1`, all...)
		eventually(t, "tried", func() bool { return strings.Contains(r.story(app, msg, all[0]), "honor failed 503") })
		if got := r.connect(app, all[0]); slices.Contains(got, msg) {
			t.Error("we deliver while the vendor is to")
		}
		r.boot()
		r.runRoutes()
		v.will(nil)
		r.advance(time.Minute)
		eventually(t, "accepted", func() bool { return r.funnel(app, msg).Vendor == 1 })
		if got := v.got(); len(got) != 1 {
			t.Errorf("sent %v", got)
		}
	})
}

// Refused credentials are told to the operator, and the message goes another way.
func TestRefusedCredentialsAreNoted(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Meizu, answer: always(wire.Denied, "1006")}
		r, app, all := withVendors(t, d, 1, v)
		r.tokens(app, all[0], wire.Meizu)
		msg := r.send(app, `"classification":1`, all...)
		eventually(t, "noted", func() bool {
			list, err := r.parts.route.Channels(t.Context(), app.ID)
			return err == nil && len(list) == 1 && list[0].Problem == "1006: says the vendor"
		})
		eventually(t, "comes back", func() bool { return slices.Contains(r.connect(app, all[0]), msg) })
		eventually(t, "counted", func() bool {
			families, err := r.registry.Gather()
			if err != nil {
				t.Error(err)
			}
			for _, f := range families {
				if f.GetName() == "borealis_push_channel_answers_total" {
					labels := f.GetMetric()[0].GetLabel()
					return labels[0].GetValue() == "meizu" && labels[1].GetValue() == "denied" && f.GetMetric()[0].GetCounter().GetValue() == 1
				}
			}
			return false
		})
		if err := r.parts.route.SetChannel(t.Context(), "test", app, wire.Meizu, []byte("bad"), 0); err == nil {
			t.Error("bad credentials were kept")
		}
		v.will(nil)
		if err := r.parts.route.SetChannel(t.Context(), "test", app, wire.Meizu, []byte("{}"), 0); err != nil {
			t.Fatal(err)
		}
		next := r.send(app, `"classification":1`, all...)
		eventually(t, "accepted", func() bool { return r.funnel(app, next).Vendor == 1 })
		if list, err := r.parts.route.Channels(t.Context(), app.ID); err != nil || list[0].Problem != "" {
			t.Errorf("%+v, %v", list, err)
		}
	})
}

// A used-up quota of the account refuses pushes that are for the vendor alone, until it is renewed.
func TestAnAccountWithoutQuota(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Vivo, answer: func(string) wire.Outcome {
			o := wire.NewOutcome(wire.Quota, "10070", "used up")
			o.After = time.Hour
			return o
		}}
		r, app, all := withVendors(t, d, 1, v)
		r.tokens(app, all[0], wire.Vivo)
		msg := r.send(app, `"classification":1`, all...)
		eventually(t, "comes back", func() bool { return slices.Contains(r.connect(app, all[0]), msg) })
		eventually(t, "noted", func() bool {
			list, err := r.parts.route.Channels(t.Context(), app.ID)
			return err == nil && list[0].QuotaUntil > 0
		})
		body := fmt.Sprintf(`{"platform":"all","audience":{"registration_id":["%s"]},"notification":{"alert":"x"},"options":{%s}}`, all[0].rid, vendorOnly)
		p, err := r.Parse(app, []byte(body))
		if err != nil {
			t.Fatal(err)
		}
		r.advance(2 * time.Second) // what is known of channels is a second old at most
		_, err = r.Accept(t.Context(), app, p)
		wantCode(t, err, 1012)
		r.advance(time.Hour)
		if _, err = r.Accept(t.Context(), app, p); err != nil {
			t.Error(err)
		}
	})
}

// A withdrawn message is taken back from those who have it, and not sent to those who were to get it.
func TestWithdrawThroughVendors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Huawei}
		r, app, all := withVendors(t, d, 5, v)
		r.tokens(app, all[0], wire.Huawei)
		r.tokens(app, all[1], wire.Huawei)
		r.online(app, all[1])
		for _, to := range [][]target{all[:2], all} {
			msg := r.send(app, `"classification":1`, to...)
			eventually(t, "accepted", func() bool { return strings.HasSuffix(r.story(app, msg, to[0]), "huawei accepted") })
			if err := r.Withdraw(t.Context(), app, msg); err != nil {
				t.Fatal(err)
			}
			r.advance(11 * time.Second)
			eventually(t, "taken back", func() bool {
				v.mu.Lock()
				defer v.mu.Unlock()
				return slices.Contains(v.retracted, ids(to[0], wire.Huawei, msg))
			})
			eventually(t, "nothing is left to do", func() bool { return !strings.Contains(r.story(app, msg, to[1]), "due") })
			if got := v.got(); slices.Contains(got, ids(to[1], wire.Huawei, msg)) {
				t.Errorf("sent after the withdrawal: %v", got)
			}
		}
	})
}

// The targets of a paced message get it from vendors when their turn comes.
func TestPacedMessagesArePacedAtVendors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Xiaomi}
		r, app, all := withVendors(t, d, 40, v)
		for _, dev := range all {
			r.tokens(app, dev, wire.Xiaomi)
		}
		msg := r.send(app, `"classification":1,"big_push_duration":10`, all...)
		eventually(t, "planned", func() bool { return r.story(app, msg, all[39]) != "" })
		r.advance(5 * time.Minute)
		eventually(t, "about half", func() bool { return len(v.got()) >= 10 })
		if n := len(v.got()); n > 30 {
			t.Errorf("%d of 40 in half of the time", n)
		}
		r.advance(6 * time.Minute)
		eventually(t, "all", func() bool { return r.funnel(app, msg).Vendor == 40 })
	})
}

// Custom messages have nothing for a vendor to show, unless they bring it or ask for their delivery.
func TestCustomMessagesThroughVendors(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		huawei, oppo := &vendor{name: wire.Huawei}, &vendor{name: wire.OPPO}
		r, app, all := withVendors(t, d, 1, huawei, oppo)
		r.tokens(app, all[0], wire.Huawei, wire.OPPO)
		body := `{"platform":"all","audience":{"registration_id":["` + all[0].rid + `"]},"message":{"msg_content":"c"}%s}`
		for _, c := range []struct{ extra, want string }{
			{``, ""},
			{`,"notification_3rd":{"title":"t","content":"shown"}`, "huawei"},
			{`,"options":{"third_party_channel":{"huawei":{"distribution_customize":"secondary_push"}}}`, "huawei"},
			{`,"options":{"third_party_channel":{"huawei":{"distribution":"ospush"}}}`, ""},
		} {
			msg := r.sendBody(app, fmt.Sprintf(body, c.extra))
			if c.want == "" {
				if events, err := r.parts.route.Trace(t.Context(), app.ID, msg, all[0].ordinal); err != nil || len(events) > 0 {
					t.Errorf("%s: %v, %v", c.extra, events, err)
				}
				if got := r.connect(app, all[0]); !slices.Contains(got, msg) {
					t.Errorf("%s: owed %v", c.extra, got)
				}
				continue
			}
			eventually(t, c.extra, func() bool { return r.funnel(app, msg).Vendor == 1 })
		}
	})
}

var _ route.Messages = routeMessages{}

// The trace says of each device why it got a message or did not.
func TestTraceSaysWhereAMessageStands(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		v := &vendor{name: wire.Huawei}
		r, app, all := withVendors(t, d, 5, v)
		r.tokens(app, all[0], wire.Huawei)
		what := func(msg int64, dev target) string {
			t.Helper()
			events, err := r.Trace(t.Context(), app.ID, msg, dev.ordinal)
			if err != nil {
				t.Fatal(err)
			}
			var out []string
			for _, e := range events {
				out = append(out, strings.TrimSpace(e.Channel+" "+e.What+" "+e.Code))
			}
			return strings.Join(out, ", ")
		}
		for _, to := range [][]target{all[:3], all} {
			msg := r.send(app, `"classification":1`, to...)
			eventually(t, "vendor", func() bool { return what(msg, all[0]) == "accepted, huawei routed, huawei accepted" })
			r.acknowledge(app, msg, all[1])
			if got := what(msg, all[1]); got != "accepted, connection sent, connection delivered" && got != "connection sent, connection delivered, accepted" {
				t.Errorf("delivered: %q", got)
			}
			if got := what(msg, all[2]); got != "accepted, connection waiting" {
				t.Errorf("waiting: %q", got)
			}
			if events, err := r.Trace(t.Context(), app.ID, msg, all[2].ordinal); err != nil || !strings.Contains(events[1].Detail, "no vendor is asked") {
				t.Errorf("no vendor: %+v, %v", events, err)
			}
			r.acknowledge(app, msg, all[0]) // as a receipt of the vendor says it
			if got := what(msg, all[0]); !strings.Contains(got, "huawei delivered") || strings.Contains(got, "connection") {
				t.Errorf("delivered by the vendor: %q", got)
			}
			if err := r.Withdraw(t.Context(), app, msg); err != nil {
				t.Fatal(err)
			}
			eventually(t, "withdrawn", func() bool {
				return strings.HasSuffix(what(msg, all[2]), "ended withdrawn, withdrawn by its sender") || strings.HasSuffix(what(msg, all[2]), "withdrawn by its sender, ended withdrawn")
			})
		}
		if got := what(r.send(app, "", all[0]), all[4]); got != "accepted, not a target" {
			t.Errorf("not a target: %q", got)
		}
		if got := what(1, all[0]); got != "" {
			t.Errorf("no message: %q", got)
		}
	})
}

// Devices with FCM and the channel of their maker are reached as the push says.
func TestFCMBesideTheMaker(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		fcm, huawei := &vendor{name: wire.FCM}, &vendor{name: wire.Huawei}
		r, app, all := withVendors(t, d, 3, fcm, huawei)
		r.online(app, all[1], all[2])
		for _, dev := range all {
			r.tokens(app, dev, wire.FCM, wire.Huawei)
		}
		for _, c := range []struct{ mode, offline, online string }{
			{"", "fcm routed offline, fcm accepted", "fcm routed unacknowledged, fcm due"},
			{"jpush", "", ""},
			{"fcm", "fcm routed preferred, fcm accepted", "fcm routed preferred, fcm accepted"},
			{"pns", "huawei routed preferred, huawei accepted", "huawei routed preferred, huawei accepted"},
			{"secondary_fcm_push", "fcm routed offline, fcm accepted", "fcm routed unacknowledged, fcm due"},
			{"secondary_pns_push", "huawei routed offline, huawei accepted", "huawei routed unacknowledged, huawei due"},
		} {
			msg := r.send(app, fmt.Sprintf(`"classification":1,"third_party_channel":{"fcm":{"distribution_fcm":%q}}`, c.mode), all[:2]...)
			eventually(t, c.mode, func() bool { return r.story(app, msg, all[0]) == c.offline && r.story(app, msg, all[1]) == c.online })
			if owed := slices.Contains(r.connect(app, all[1]), msg); owed == strings.Contains(c.online, "accepted") {
				t.Errorf("%q: owed by us: %v", c.mode, owed)
			}
		}
		// One vendor before us does not put the others there too.
		msg := r.send(app, `"classification":1,"third_party_channel":{"vivo":{"distribution":"first_ospush"},"huawei":{"distribution":"first_ospush"},"fcm":{"distribution":"secondary_push"}}`, all[:2]...)
		eventually(t, "mixed", func() bool {
			return r.story(app, msg, all[1]) == "fcm routed unacknowledged, fcm due" && slices.Contains(r.connect(app, all[1]), msg)
		})
		eventually(t, "mixed, away", func() bool { return r.story(app, msg, all[0]) == "fcm routed offline, fcm accepted" })
	})
}

// The vendor's reports have columns for each channel: what a phone maker took over is in its own, and not in ours.
func TestReportsDivideByChannel(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		huawei, oppo := &vendor{name: wire.Huawei}, &vendor{name: wire.OPPO, answer: always(wire.Rejected, "x")}
		r, app, all := withVendors(t, d, 5, huawei, oppo)
		r.tokens(app, all[0], wire.Huawei)
		r.tokens(app, all[1], wire.Huawei)
		r.tokens(app, all[2], wire.OPPO)
		for _, to := range [][]target{all[:3], all} {
			msg := r.send(app, `"classification":1`, to...)
			eventually(t, "accepted", func() bool { return r.funnel(app, msg).Vendor == 2 })
			eventually(t, "refused", func() bool { return strings.HasSuffix(r.story(app, msg, all[2]), "oppo rejected x") })
			r.acknowledge(app, msg, all[0], all[2])
			if err := r.Report(t.Context(), app.ID, all[0].ordinal, []DeviceEvent{{ID: FormatID(msg), Event: "clicked"}}); err != nil {
				t.Fatal(err)
			}
			list, err := r.Funnels(t.Context(), app.ID, []int64{msg})
			if err != nil {
				t.Fatal(err)
			}
			f := &list[0]
			if got, want := *f.through(wire.Huawei), (Counts{Targets: 2, Sent: 2, Delivered: 1, Displayed: 1, Clicked: 1}); got != want {
				t.Errorf("huawei %+v", got)
			}
			if got, want := *f.through(wire.OPPO), (Counts{Targets: 1}); got != want {
				t.Errorf("oppo %+v", got)
			}
			own := f.own()
			if own.Targets != int64(len(to)-2) || own.Sent != 1 || own.Delivered != 1 || own.Clicked != 0 {
				t.Errorf("ours %+v", own)
			}
			d := detailsOf(f).Notification
			if d.Android["huawei"].Received != 1 || d.Android["jg_android"].Target != int64(len(to)-2) || d.Android["oppo"].Sent != 0 || d.Android["vivo"] != nil {
				t.Errorf("details %+v", d.Android)
			}
		}
	})
}
