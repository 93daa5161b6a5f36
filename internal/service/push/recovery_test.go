package push

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/web/compat"
)

var android5 = []string{"android", "android", "android", "android", "android"}

// listen returns what is published on a subject, decoded.
func listen[T any](r *rig, subject string) <-chan T {
	r.t.Helper()
	got := make(chan T, 100)
	if _, err := r.bus.Subscribe(subject, "", func(m *bus.Msg) {
		var v T
		if err := m.Decode(&v); err != nil {
			r.t.Error(err)
		}
		got <- v
	}); err != nil {
		r.t.Fatal(err)
	}
	return got
}

func receive[T any](t *testing.T, got <-chan T) T {
	t.Helper()
	select {
	case v := <-got:
		return v
	case <-time.After(20 * time.Second):
		t.Fatal("nothing within 20 s")
		panic("unreachable")
	}
}

// A push that was committed by a node which then died, without telling anybody, is released by the owner.
func TestUnnoticedMessagesAreReleased(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(5, android5...)
		r.advance(time.Minute)
		offers, deliveries := listen[edgewire.Offer](r, edgewire.SubjectOffer), listen[edgewire.Deliver](r, edgewire.SubjectDeliver)
		direct, wide := r.storeOnly(app, all[1]), r.storeOnly(app, all...)
		r.fake.Advance(2 * time.Second)
		for p := range edgewire.Partitions {
			if own := r.ownership(p); own != nil {
				if err := r.rescanPartition(context.Background(), p, own, true); err != nil {
					t.Fatal(err)
				}
			}
		}
		if o := receive(t, offers); o.App != app.ID || !slices.Equal(o.Ordinals, []uint32{all[1].ordinal}) {
			t.Errorf("offer %+v for message %d", o, direct)
		}
		if b := receive(t, deliveries); b.Frame.Msg != wide || b.Seq != 1 || len(b.Set) == 0 {
			t.Errorf("broadcast %+v for message %d", b, wide)
		}
	})
}

// storeOnly accepts a push up to its commit, as a node would that dies right after.
func (r *rig) storeOnly(app *gate.App, to ...target) int64 {
	r.t.Helper()
	ctx := context.Background()
	rids := make([]string, len(to))
	for i, d := range to {
		rids[i] = d.rid
	}
	p, err := r.Parse(app, fmt.Appendf(nil, `{"platform":"all","audience":{"registration_id":["%s"]},"notification":{"alert":"x"}}`, strings.Join(rids, `","`)))
	if err != nil {
		r.t.Fatal(err)
	}
	o, err := r.prepare(ctx, app, p, r.fake.Now().UnixMilli(), ofCaller(app, p))
	if err != nil {
		r.t.Fatal(err)
	}
	if err := r.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return r.store(ctx, tx, o) }); err != nil {
		r.t.Fatal(err)
	}
	r.fake.Advance(time.Millisecond)
	return o.m.ID
}

// A direct message that nobody acknowledges is offered to every edge after 2 s; one that is acknowledged is not.
func TestOffer(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(5, android5...)
	offers := listen[edgewire.Offer](r, edgewire.SubjectOffer)
	r.send(app, "", all[0], all[1])
	acked := r.send(app, "", all[2])
	err := r.MergeReceipts(context.Background(), edgewire.Receipts{App: app.ID, At: 1, Items: []edgewire.Receipt{{Msg: acked, Stage: edgewire.Delivered, Ordinals: []uint32{all[2].ordinal}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := r.offer(context.Background()); err != nil || len(offers) != 0 {
		t.Fatalf("offered at once: %v", err)
	}
	r.fake.Advance(offerAfter)
	if err := r.offer(context.Background()); err != nil {
		t.Fatal(err)
	}
	if o := receive(t, offers); !slices.Equal(o.Ordinals, []uint32{all[0].ordinal, all[1].ordinal}) {
		t.Errorf("offer %+v", o)
	}
}

func TestReplace(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(0, android5...)
		for name, c := range map[string]struct{ old, by []target }{
			"direct by direct": {all[:2], all[:1]},
			"direct by wide":   {all[:2], all},
			"wide by direct":   {all, all[:2]},
			"wide by wide":     {all, all[:4]},
		} {
			old := r.send(app, "", c.old...)
			by := r.send(app, fmt.Sprintf(`"override_msg_id":%d`, old), c.by...)
			want := int64(min(len(c.old), len(c.by)))
			eventually(t, name, func() bool { return r.funnel(app, old).Failed[Replaced] == want })
			if got := r.connect(app, all[0]); !slices.Contains(got, by) || slices.Contains(got, old) {
				t.Errorf("%s: %d is owed of %v, replaced %d", name, by, got, old)
			}
		}
		p, err := r.Parse(app, fmt.Appendf(nil, `{"platform":"all","audience":"all","notification":{"alert":"x"},"options":{"override_msg_id":12345}}`))
		if err != nil {
			t.Fatal(err)
		}
		var refused *compat.Error
		if _, err := r.Accept(context.Background(), app, p); !errors.As(err, &refused) || refused.Code != 1003 {
			t.Errorf("an unknown message was replaced: %v", err)
		}
	})
}

func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !holds(); {
		if time.Now().After(deadline) {
			t.Fatal(what)
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// Time to live 0: for devices that were online, within a grace; never for one that connects later.
func TestOnlineOnly(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d)
		app, all := r.newApp(5, android5...)
		for _, to := range [][]target{all[:1], all} {
			msg := r.send(app, `"time_to_live":0`, to...)
			if got := r.connect(app, all[0]); len(got) != 0 {
				t.Errorf("%d targets: a device that connects later is owed %v", len(to), got)
			}
			out, err := r.Owed(context.Background(), edgewire.OwedRequest{App: app.ID, Ordinal: all[0].ordinal, Reload: true})
			if err != nil || len(out.Frames) != 1 {
				t.Errorf("%d targets: a device that was online is owed %d, %v", len(to), len(out.Frames), err)
			}
			r.advance(onlineGrace + time.Second)
			if err := r.sweep(context.Background()); err != nil {
				t.Fatal(err)
			}
			if c := r.funnel(app, msg); c.Failed[Expired] != int64(len(to)) {
				t.Errorf("%d targets: %+v", len(to), c)
			}
		}
	})
}

// With no space left a push is refused with a code, nothing of it is kept, and what was accepted before is still owed.
func TestFullDiskRefusesPushes(t *testing.T) {
	t.Parallel()
	r := newRig(t, dbtest.SQLite(t))
	app, all := r.newApp(0, android5...)
	kept := r.send(app, "", all[0])
	space := func(pages int) {
		t.Helper()
		err := r.db.InTx(context.Background(), func(ctx context.Context, tx *db.Tx) error {
			return tx.QueryRow(ctx, fmt.Sprintf("pragma max_page_count=%d", pages)).Scan(new(int))
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	space(1)
	accepted := []int64{kept}
	call := func() *httptest.ResponseRecorder {
		body := fmt.Sprintf(`{"platform":"all","audience":{"registration_id":["%s"]},"notification":{"alert":"%s"}}`, all[0].rid, strings.Repeat("x", 2000))
		w := httptest.NewRecorder()
		r.compatPush(r.Accept)(w, httptest.NewRequest(http.MethodPost, "/v3/push", strings.NewReader(body)), app)
		r.fake.Advance(time.Millisecond)
		return w
	}
	var refused *httptest.ResponseRecorder
	for range 200 {
		if refused = call(); refused.Code != http.StatusOK {
			break
		}
		_, id, _ := strings.Cut(refused.Body.String(), `"msg_id":"`)
		msg, _ := ParseID(strings.TrimSuffix(id, `"}`))
		accepted = append(accepted, msg)
	}
	if refused.Code != http.StatusServiceUnavailable || !strings.Contains(refused.Body.String(), "1030") {
		t.Fatalf("with no space left: %d %s", refused.Code, refused.Body)
	}
	if got := r.connect(app, all[0]); !slices.Equal(got, accepted) {
		t.Errorf("owed %v, accepted %v", got, accepted)
	}
	space(1 << 20)
	if w := call(); w.Code != http.StatusOK {
		t.Errorf("with space again: %d %s", w.Code, w.Body)
	}
}
