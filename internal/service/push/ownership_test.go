package push

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/lease"
)

// rescanAll looks in every owned partition for what nobody released.
func (r *rig) rescanAll() {
	r.t.Helper()
	for p := range edgewire.Partitions {
		if own := r.ownership(p); own != nil {
			if err := r.rescanPartition(context.Background(), p, own, true); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

// A wide message that is in memory because a device asked has not been released by that.
func TestLoadedIsNotReleased(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(5, android5...)
		r.advance(time.Minute)
		deliveries := listen[edgewire.Deliver](r, edgewire.SubjectDeliver)
		wide := r.storeOnly(app, all...)
		if got := r.connect(app, all[0]); len(got) != 1 || got[0] != wide {
			t.Fatalf("owed %v, want %d", got, wide)
		}
		r.fake.Advance(2 * time.Second)
		r.rescanAll()
		if b := receive(t, deliveries); b.Frame.Msg != wide {
			t.Errorf("broadcast %+v", b)
		}
	})
}

// A page of the rescan full of known messages does not hide what follows it.
func TestRescanGoesOnAfterABurst(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(5, android5...)
	r.advance(time.Minute)
	own := r.ownership(edgewire.Partition(app.ID))
	base := clock.Millis(r.fake.Now())
	own.releasedTo.Store(base)
	err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
		for i := range rescanLimit + 10 {
			m := message{ID: int64(1000 + i), App: app.ID, Targets: 1, AcceptedAt: base + 1, ExpiresAt: base + 1_000_000, Raw: []byte("{}")}
			if err := insertMessage(ctx, tx, &m); err != nil {
				return err
			}
			r.released.add(m.ID, struct{}{})
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	r.fake.Advance(time.Second)
	offers := listen[edgewire.Offer](r, edgewire.SubjectOffer)
	r.storeOnly(app, all[2])
	r.rescanAll()
	if o := receive(t, offers); len(o.Ordinals) != 1 || o.Ordinals[0] != all[2].ordinal {
		t.Errorf("offer %+v", o)
	}
	if behind := clock.Millis(r.fake.Now()) - own.releasedTo.Load(); behind > 1000 {
		t.Errorf("released up to %d ms ago", behind)
	}
}

// Who no longer owns a partition does not answer for it, and does not remember owning it after a failed start.
func TestLostPartitionIsSilent(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(5, android5...)
		r.send(app, "", all...)
		p := edgewire.Partition(app.ID)
		r.Lose(p)
		if out, err := r.Owed(context.Background(), edgewire.OwedRequest{App: app.ID, Ordinal: all[0].ordinal}); !errors.Is(err, lease.ErrLost) {
			t.Errorf("answered %d frames, %v", len(out.Frames), err)
		}
		r.fake.Advance(time.Minute) // the lease runs out
		if err := r.Acquire(context.Background(), p); err == nil {
			r.rescanAll() // nothing to remember: Acquire may succeed without writing
			r.Lose(p)
		}
		if r.ownership(p) != nil || r.noticed(notice{App: app.ID, Msg: 1, Ordinals: []uint32{1}}) {
			t.Error("a partition that could not be taken is remembered as owned")
		}
	})
}

// A wide message that is replaced in memory while receipts for it wait for the database loses none of them.
func TestReceiptsSurviveAReloadInMemory(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	ctx := context.Background()
	app, all := r.newApp(0, android5...)
	msg := r.send(app, "", all...)
	acknowledge := func(d target) error {
		return r.MergeReceipts(ctx, edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: msg, Stage: edgewire.Delivered, Ordinals: []uint32{d.ordinal}}}})
	}
	if err := acknowledge(all[0]); err != nil {
		t.Fatal(err)
	}
	w, err := r.wideOf(ctx, msg)
	if err != nil {
		t.Fatal(err)
	}
	blocked, release, merged := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		_ = r.db.InTx(ctx, func(context.Context, *db.Tx) error { close(blocked); <-release; return nil })
	}()
	<-blocked
	go func() { merged <- acknowledge(all[1]) }()
	eventually(t, "the merger holds the message and waits for the database", func() bool { return len(r.merges) == 0 })
	r.mu.Lock()
	delete(r.wides, msg)
	r.mu.Unlock()
	again, err := r.wideOf(ctx, msg)
	if err != nil || again == w {
		t.Fatalf("not loaded anew: %v", err)
	}
	close(release)
	if err := errors.Join(<-merged, acknowledge(all[2]), acknowledge(all[1])); err != nil {
		t.Fatal(err)
	}
	r.boot()
	if c := r.funnel(app, msg); c.Delivered != 3 {
		t.Errorf("3 deliveries were acknowledged, the database has %d", c.Delivered)
	}
	if err := r.outbox.Drain(ctx); err != nil || r.progress.Delivered != 3 {
		t.Errorf("%d deliveries were counted, %v", r.progress.Delivered, err)
	}
}

// The node that accepted a replacement dies before it has told anybody: the rescan replaces.
func TestReplacementSurvivesItsNode(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(0, android5...)
		r.advance(time.Minute)
		old := r.send(app, "", all...)
		by := r.storeOnly(app, all[0])
		err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update push_message set override_id = $2 where msg_id = $1`, by, old)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		r.fake.Advance(time.Second)
		r.rescanAll()
		eventually(t, "the older message is replaced", func() bool { return r.funnel(app, old).Failed[Replaced] == 1 })
	})
}

func TestReplacementIsCounted(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, android5...)
	old := r.send(app, "", all[:2]...)
	r.send(app, fmt.Sprintf(`"override_msg_id":%d`, old), all[:2]...)
	if err := r.outbox.Drain(context.Background()); err != nil || r.progress.Failed != 2 {
		t.Errorf("%d failures were counted, %v", r.progress.Failed, err)
	}
}

// One turn of the sweep ends everything that is due in the owned partitions, whatever waits in others.
func TestSweepKeepsPace(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, "android")
	other, odd := r.newApp(0, "android")
	for range 3 * sweepBatch {
		r.send(other, `"time_to_live":10`, odd[0])
		r.send(app, `"time_to_live":10`, all[0])
	}
	r.advance(time.Minute)
	r.Lose(edgewire.Partition(other.ID))
	if err := r.sweep(context.Background()); err != nil {
		t.Fatal(err)
	}
	left, err := queryMessages(context.Background(), r.db, `state = 1 and app_id = $1`, app.ID)
	if err != nil || len(left) != 0 {
		t.Errorf("%d expired messages are left, %v", len(left), err)
	}
}

// A device that makes up ids, or names another app's messages, loads nothing.
func TestReportOfForeignMessagesLoadsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, android5...)
	other, odd := r.newApp(0, "android")
	msg := r.send(app, "", all...)
	r.behind.Wait() // the owner loads what it is told of
	r.evictWides(clock.Millis(r.fake.Now()) + 2*retention.Milliseconds())
	events := []DeviceEvent{{ID: FormatID(msg), Event: "clicked"}, {ID: "77", Event: "clicked"}, {ID: "x", Event: "clicked"}}
	if err := r.Report(context.Background(), other.ID, odd[0].ordinal, events); err != nil {
		t.Fatal(err)
	}
	r.mu.RLock()
	defer r.mu.RUnlock()
	if len(r.wides) != 0 {
		t.Error("a foreign message was loaded")
	}
}

func TestPendingIsBounded(t *testing.T) {
	t.Parallel()
	p, now := newPending(), time.Unix(1_800_000_000, 0)
	for i := range maxPending + 10 {
		p.add(now, 1, int64(i+1), []uint32{uint32(i)}, now.Add(time.Hour))
	}
	if p.len() != maxPending {
		t.Errorf("%d are listed", p.len())
	}
	due := p.due(now.Add(offerAfter), func(int64, uint32) bool { return true })[1]
	if len(due) != maxPending || due[0] != 10 {
		t.Errorf("%d are due, from %d", len(due), due[0])
	}
}
