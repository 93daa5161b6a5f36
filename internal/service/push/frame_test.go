package push

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/service/push/pushevent"
)

func agreed(context.Context, *db.Tx) error { return nil }

// sendFrame sends a frame of group 7 to a device.
func (r *rig) sendFrame(app *gate.App, d target, body string, change func(*DeviceFrame)) int64 {
	r.t.Helper()
	f := DeviceFrame{App: app.ID, Ordinal: d.ordinal, Group: 7, Type: "webpush", Body: []byte(body), TTL: time.Hour}
	if change != nil {
		change(&f)
	}
	msg, err := r.SendFrame(context.Background(), f, agreed)
	if err != nil {
		r.t.Fatal(err)
	}
	return msg
}

func (r *rig) acknowledge(app *gate.App, msg int64, by ...target) {
	r.t.Helper()
	item := edgewire.Receipt{Msg: msg, Stage: edgewire.Delivered}
	for _, d := range by {
		item.Ordinals = append(item.Ordinals, d.ordinal)
	}
	if err := r.MergeReceipts(context.Background(), edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{item}}); err != nil {
		r.t.Fatal(err)
	}
}

// left counts the rows that are kept of all frames.
func (r *rig) left() (n int) {
	r.t.Helper()
	err := r.db.QueryRow(context.Background(), `select (select count(*) from push_message where kind = 2) + (select count(*) from push_frame)
		+ (select count(*) from push_target t where not exists (select 1 from push_message m where m.msg_id = t.msg_id and m.kind <> 2))`).Scan(&n)
	if err != nil {
		r.t.Fatal(err)
	}
	return n
}

// A frame reaches its device beside the newest N, is in no report and no statistics, and is gone when it is acknowledged: also
// after a restart.
func TestAFrameReachesItsDevice(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(1, "android", "web")
		noticed := listen[edgewire.Offer](r, edgewire.SubjectOffer)
		msg := r.sendFrame(app, all[1], `{"instance":"a"}`, nil)
		push := r.send(app, "", all[1])
		r.send(app, "", all[1]) // displaces the other push, not the frame
		second := r.sendFrame(app, all[1], `[]`, nil)
		r.advance(3 * time.Second)
		if err := r.offer(ctx); err != nil {
			t.Fatal(err)
		}
		if o := receive(t, noticed); o.App != app.ID || !slices.Contains(o.Ordinals, all[1].ordinal) {
			t.Errorf("offered %+v", o)
		}
		r.boot()
		out, err := r.Owed(ctx, edgewire.OwedRequest{Edge: "e", App: app.ID, Ordinal: all[1].ordinal})
		if err != nil || len(out.Frames) != 3 || out.Frames[0].Msg != msg || out.Frames[2].Msg != second {
			t.Fatalf("owed %+v, %v", out, err)
		}
		if got, want := string(out.Frames[0].Payload), fmt.Sprintf(`{"id":"%d","type":"webpush","webpush":{"instance":"a"},"expires_at":%d}`, msg, out.Frames[0].Expires); got != want {
			t.Errorf("frame %s\nwant  %s", got, want)
		}
		if got := r.connect(app, all[0]); len(got) != 0 {
			t.Errorf("another device is owed %v", got)
		}
		r.boot()
		// What other devices say of it counts for nothing.
		if err := r.Report(ctx, app.ID, all[0].ordinal, []DeviceEvent{{ID: FormatID(msg), Event: "displayed"}}); err != nil {
			t.Fatal(err)
		}
		if got := r.connect(app, all[1]); !slices.Contains(got, msg) {
			t.Errorf("another device ended it: %v", got)
		}
		r.acknowledge(app, msg, all[1])
		r.acknowledge(app, msg, all[1])
		r.acknowledge(app, second, all[1])
		if got := r.connect(app, all[1]); len(got) != 1 {
			t.Errorf("owed after receipts: %v", got)
		}
		if n := r.left(); n != 0 {
			t.Errorf("%d rows are left", n)
		}
		if err := r.outbox.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		if r.progress != (pushevent.Progress{Failed: 1}) || r.accepted != 2 {
			t.Errorf("counted: %+v, %d accepted; want the two pushes, one of them displaced", r.progress, r.accepted)
		}
		funnels, err := r.Funnels(ctx, app.ID, []int64{msg})
		if err != nil || len(funnels) != 0 {
			t.Errorf("the frame is reported on: %+v, %v", funnels, err)
		}
		wantCode(t, r.Withdraw(ctx, app, second), 1003)
		if c := r.funnel(app, push); c.Failed[Overflow] != 1 {
			t.Errorf("the push: %+v", c)
		}
	})
}

func TestAFrameTakesThePlaceOfItsTopic(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(1, "android", "android")
		topic := func(name string) func(*DeviceFrame) { return func(f *DeviceFrame) { f.Topic = name } }
		told := listen[edgewire.Withdraw](r, edgewire.SubjectWithdraw)
		first := r.sendFrame(app, all[0], "1", topic("a"))
		other := r.sendFrame(app, all[0], "2", topic("b"))
		plain := r.sendFrame(app, all[0], "3", nil)
		elsewhere := r.sendFrame(app, all[0], "4", func(f *DeviceFrame) { f.Topic, f.Group = "a", 8 })
		neighbour := r.sendFrame(app, all[1], "5", topic("a"))
		newer := r.sendFrame(app, all[0], "6", topic("a"))
		if w := receive(t, told); w.Msg != first {
			t.Errorf("edges are told of %+v", w)
		}
		if got, want := r.connect(app, all[0]), []int64{other, plain, elsewhere, newer}; !slices.Equal(got, want) {
			t.Errorf("owed %v, want %v", got, want)
		}
		if got := r.connect(app, all[1]); !slices.Equal(got, []int64{neighbour}) {
			t.Errorf("the neighbour is owed %v", got)
		}
		r.acknowledge(app, newer, all[0])
		again := r.sendFrame(app, all[0], "7", topic("a"))
		if got := r.connect(app, all[0]); !slices.Contains(got, again) || slices.Contains(got, newer) {
			t.Errorf("owed %v", got)
		}
		if err := r.outbox.Drain(context.Background()); err != nil {
			t.Fatal(err)
		}
		if r.progress != (pushevent.Progress{}) || r.accepted != 0 {
			t.Errorf("counted: %+v, %d", r.progress, r.accepted)
		}
	})
}

func TestFramesEnd(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(1, "android", "android")
		other, _ := r.newApp(1, "android")
		now := r.sendFrame(app, all[0], "0", func(f *DeviceFrame) { f.TTL = 0 })
		short := r.sendFrame(app, all[0], "1", func(f *DeviceFrame) { f.TTL = time.Minute })
		one := r.sendFrame(app, all[0], "2", nil)
		two := r.sendFrame(app, all[0], "3", func(f *DeviceFrame) { f.Group = 8 })
		three := r.sendFrame(app, all[0], "4", nil)
		neighbour := r.sendFrame(app, all[1], "5", nil)
		if got := r.connect(app, all[0]); slices.Contains(got, now) || len(got) != 4 {
			t.Errorf("owed %v: the one without time to live is for connected devices", got)
		}
		for _, bad := range []struct{ app, group, msg int64 }{{other.ID, 7, one}, {app.ID, 8, one}, {app.ID, 7, 12345}, {app.ID, 7, r.send(app, "", all[1])}} {
			if found, err := r.WithdrawFrame(ctx, bad.app, bad.group, bad.msg); found || err != nil {
				t.Errorf("%+v: %v, %v", bad, found, err)
			}
		}
		for _, want := range []bool{true, false} {
			if found, err := r.WithdrawFrame(ctx, app.ID, 7, one); found != want || err != nil {
				t.Errorf("%v, %v", found, err)
			}
		}
		if got := r.connect(app, all[0]); !slices.Equal(got, []int64{short, two, three}) {
			t.Errorf("owed %v", got)
		}
		r.advance(2 * time.Minute)
		if got := r.connect(app, all[0]); !slices.Equal(got, []int64{two, three}) {
			t.Errorf("owed %v after the time to live of one", got)
		}
		if err := r.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if n := r.left(); n != 9 {
			t.Errorf("%d rows of three frames are left", n)
		}
		if err := r.WithdrawFrames(ctx, app.ID, all[0].ordinal, 7); err != nil {
			t.Fatal(err)
		}
		if got := r.connect(app, all[0]); !slices.Equal(got, []int64{two}) {
			t.Errorf("owed %v", got)
		}
		if got := r.connect(app, all[1]); !slices.Contains(got, neighbour) {
			t.Errorf("the neighbour is owed %v", got)
		}
		if err := r.outbox.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		if r.progress != (pushevent.Progress{}) {
			t.Errorf("counted: %+v", r.progress)
		}
	})
}

func TestFramesAreRefused(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(1, "android")
		f := DeviceFrame{App: app.ID, Ordinal: all[0].ordinal, Group: 7, Type: "webpush", Body: []byte("1"), TTL: time.Hour}
		no := errors.New("no")
		if _, err := r.SendFrame(ctx, f, func(context.Context, *db.Tx) error { return no }); !errors.Is(err, no) {
			t.Errorf("%v", err)
		}
		stranger := f
		stranger.Ordinal = 999
		if _, err := r.SendFrame(ctx, stranger, agreed); !errors.Is(err, ErrNoDevice) {
			t.Errorf("%v", err)
		}
		if n := r.left(); n != 0 {
			t.Errorf("%d rows of refused frames", n)
		}
		var last int64
		for range maxFrames {
			last = r.sendFrame(app, all[0], "1", func(f *DeviceFrame) { f.Topic = "" })
		}
		if _, err := r.SendFrame(ctx, f, agreed); !errors.Is(err, ErrManyFrames) {
			t.Errorf("%v", err)
		}
		r.sendFrame(app, all[0], "1", func(f *DeviceFrame) { f.Group = 8 })
		r.acknowledge(app, last, all[0])
		last = r.sendFrame(app, all[0], "1", nil)
		for i := range maxDeviceFrames - maxFrames - 1 {
			r.sendFrame(app, all[0], "1", func(f *DeviceFrame) { f.Group = int64(i/maxFrames + 9) })
		}
		f.Group = 6
		if _, err := r.SendFrame(ctx, f, agreed); !errors.Is(err, ErrManyFrames) {
			t.Errorf("more than a device may have in all: %v", err)
		}
		r.acknowledge(app, last, all[0])
		r.sendFrame(app, all[0], "1", func(f *DeviceFrame) { f.Group = 6 })
		if err := r.devices.Delete(ctx, app.ID, all[0].ordinal); err != nil {
			t.Fatal(err)
		}
		if _, err := r.SendFrame(ctx, f, agreed); !errors.Is(err, ErrNoDevice) {
			t.Errorf("after the device ended: %v", err)
		}
	})
}

// Whoever asks what becomes of a frame is told once: that the device has it, or that it never will. Of a frame whose topic has a
// newer one nothing is told, and nothing of those that nobody asks about.
func TestWhatBecomesOfAFrameIsTold(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(1, "android", "android")
		asked := func(receipt int64, change func(*DeviceFrame)) int64 {
			return r.sendFrame(app, all[0], "1", func(f *DeviceFrame) {
				f.Receipt = receipt
				if change != nil {
					change(f)
				}
			})
		}
		topic := func(f *DeviceFrame) { f.Topic = "a" }
		had, replaced := asked(11, nil), asked(12, topic)
		newer, late := asked(13, topic), asked(14, func(f *DeviceFrame) { f.TTL = time.Minute })
		withdrawn, stays, silent := asked(15, nil), asked(16, func(f *DeviceFrame) { f.Group = 8 }), r.sendFrame(app, all[0], "1", nil)
		r.boot()
		for range 2 {
			r.acknowledge(app, had, all[0], all[1])
			r.acknowledge(app, replaced, all[0])
			r.acknowledge(app, stays, all[1])
			r.acknowledge(app, silent, all[0])
			if _, err := r.WithdrawFrame(ctx, app.ID, 7, withdrawn); err != nil {
				t.Fatal(err)
			}
		}
		shown := []DeviceEvent{{ID: FormatID(newer), Event: "clicked"}}
		if err := r.Report(ctx, app.ID, all[0].ordinal, shown); err != nil {
			t.Fatal(err)
		}
		r.advance(2 * time.Minute)
		for range 2 {
			if err := r.sweep(ctx); err != nil {
				t.Fatal(err)
			}
		}
		r.acknowledge(app, late, all[0])
		if err := r.outbox.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		want := map[int64]pushevent.FrameEnded{
			11: {Msg: had, Delivered: true}, 13: {Msg: newer, Delivered: true}, 14: {Msg: late}, 15: {Msg: withdrawn},
		}
		check := func(count int) {
			t.Helper()
			if len(r.ended) != count {
				t.Errorf("told %+v", r.ended)
			}
			for _, f := range r.ended {
				w := want[f.Receipt]
				if f.App != app.ID || f.Msg != w.Msg || f.Delivered != w.Delivered || f.At == 0 || f.Group != map[bool]int64{true: 8, false: 7}[f.Receipt == 16] {
					t.Errorf("told %+v, want %+v", f, w)
				}
			}
		}
		check(4)
		// With its group, as when a subscription ends, it is withdrawn.
		if err := r.WithdrawFrames(ctx, app.ID, all[0].ordinal, 8); err != nil {
			t.Fatal(err)
		}
		if err := r.outbox.Drain(ctx); err != nil {
			t.Fatal(err)
		}
		want[16] = pushevent.FrameEnded{Msg: stays}
		check(5)
		if n := r.left(); n != 0 {
			t.Errorf("%d rows are left", n)
		}
	})
}
