package push

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/RoaringBitmap/roaring/v2"
	"pgregory.net/rapid"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
)

// Cut at any steps, the portions of a set are disjoint, complete, and agree with the question about one device.
func TestPortionsDivideTheTargets(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		p := pace{over: 1, key: rapid.Uint16().Draw(t, "key")}
		set := roaring.BitmapOf(rapid.SliceOfN(rapid.Uint32Max(300_000), 1, 300).Draw(t, "targets")...)
		cuts := rapid.SliceOfN(rapid.Uint32Max(paceSteps), 0, 5).Draw(t, "cuts")
		cuts = append(cuts, paceSteps)
		slices.Sort(cuts)
		sum, from := roaring.New(), uint32(0)
		for _, to := range cuts {
			portion := p.portion(set, from, to)
			if portion.Intersects(sum) {
				t.Fatal("a target is released twice")
			}
			for it := portion.Iterator(); it.HasNext(); {
				o := it.Next()
				if !p.releases(o, to) || p.releases(o, from) {
					t.Fatalf("device %d is in the portion %d to %d and its step is %d", o, from, to, p.step(o))
				}
			}
			sum.Or(portion)
			from = to
		}
		if !sum.Equals(set) {
			t.Fatal("a target is never released")
		}
	})
}

// The release is even: after each tenth of the time about a tenth of many targets has been released.
func TestPaceIsEven(t *testing.T) {
	t.Parallel()
	p := pace{from: 1000, over: 60_000, key: 77}
	set := roaring.New()
	set.AddRange(5, 5+10_000)
	for tenth := range 11 {
		got := p.portion(set, 0, p.stepAt(1000+int64(tenth)*6000)).GetCardinality()
		if want := uint64(tenth) * 1000; got < want-min(want, 20) || got > want+20 {
			t.Errorf("after %d tenths %d are released", tenth, got)
		}
	}
}

// A paced push goes out in portions, each device once; who connects early waits for their turn; a node that takes over
// continues, and the end of the time to live counts from each release.
func TestPacedPush(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		r := newRig(t, d)
		app, all := r.newApp(5, android5...)
		deliveries := listen[edgewire.Deliver](r, edgewire.SubjectDeliver)
		msg := r.send(app, `"big_push_duration":10,"time_to_live":60`, all...)
		eventually(t, "the owner has it", func() bool { w, _ := r.wideOf(ctx, msg); return w != nil && len(r.pacedWides(0)) == 1 })
		released := func() (n int) {
			for _, d := range all {
				n += len(r.connect(app, d))
			}
			return n
		}
		if n := released(); n != 0 || len(deliveries) != 0 {
			t.Fatalf("%d devices have it at once", n)
		}
		sent := roaring.New()
		tick := func() {
			t.Helper()
			if err := r.releasePaced(ctx); err != nil {
				t.Fatal(err)
			}
			for sent.GetCardinality() < uint64(released()) {
				b := receive(t, deliveries)
				set := roaring.New()
				if err := set.UnmarshalBinary(b.Set); err != nil || b.Frame.Msg != msg {
					t.Fatalf("broadcast %+v, %v", b, err)
				}
				if set.Intersects(sent) {
					t.Errorf("sent twice: %v", set)
				}
				sent.Or(set)
			}
		}
		for range 75 { // in steps in which leases are kept
			r.advance(4 * time.Second)
			tick()
		}
		half := sent.GetCardinality()
		if half == 0 || half == 5 {
			t.Errorf("after half of the time %d of 5 are released", half)
		}
		var delivered []uint32
		for it := sent.Iterator(); it.HasNext(); {
			delivered = append(delivered, it.Next())
		}
		err := r.MergeReceipts(ctx, edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: msg, Stage: edgewire.Delivered, Ordinals: delivered}}})
		if err != nil {
			t.Fatal(err)
		}
		r.boot() // another process continues
		sent.Clear()
		r.advance(4*time.Minute + 30*time.Second)
		tick()
		if sent.GetCardinality() != 5-half || sent.ContainsInt(int(delivered[0])) {
			t.Errorf("after the restart %v were sent, %v had it", sent, delivered)
		}
		r.advance(2 * time.Minute)
		if err := r.sweep(ctx); err != nil {
			t.Fatal(err)
		}
		if c := r.funnel(app, msg); c.Failed[Expired] != int64(5-half) || c.Delivered != int64(half) {
			t.Errorf("funnel %+v", c)
		}
	})
}

func TestOnlySoManyPacedPushesAtOnce(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(5, android5...)
	for range maxPaced {
		r.send(app, `"big_push_duration":1`, all[0])
	}
	body := fmt.Appendf(nil, `{"platform":"all","audience":"all","notification":{"alert":"x"},"options":{"big_push_duration":1}}`)
	p, err := r.Parse(app, body)
	if err != nil {
		t.Fatal(err)
	}
	_, err = r.Accept(context.Background(), app, p)
	wantCode(t, err, 1012)
	_, err = r.Validate(context.Background(), app, p)
	wantCode(t, err, 1012)
	r.advance(time.Minute)
	if _, err := r.Accept(context.Background(), app, p); err != nil {
		t.Errorf("when the others have been released: %v", err)
	}
}
