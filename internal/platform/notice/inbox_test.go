package notice

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/mail/mailtest"
)

// AG-NOT-03: unread count, categories, acknowledgement, receipts per member; nobody sees or touches the box of another.
func TestTheBox(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		owner, member := person(1), Recipient{User: 2, Account: 1, Email: "user2@example.com"}
		terms := Notice{Key: "terms", Code: "N-AGR-CHANGE", Actor: "user:9", Values: map[string]string{
			"document": "开发者服务协议", "effective": "2026-12-10", "summary": "第三条有变化", "link": "https://console.borealis.example/terms",
		}}
		if _, err := r.Send(t.Context(), terms, []Recipient{member}); err == nil {
			t.Error("an account is told in matters of law without its owner")
		}
		id := r.send(terms, owner, member)
		r.fake.Advance(time.Minute)
		r.send(balance("b1"), owner)
		u, err := r.Unread(t.Context(), 1)
		r.must(err)
		if u.Total != 2 || u.ByCategory["agreement"] != 1 || u.ByCategory["balance"] != 1 || u.Unacknowledged != 1 {
			t.Errorf("unread %+v", u)
		}
		box, err := r.Box(t.Context(), 1, BoxFilter{})
		r.must(err)
		if len(box) != 2 || box[0].Code != "N-BALANCE-LOW" || !box[1].Acknowledge || box[1].Texts.ZH.Title != "协议变更：开发者服务协议" {
			t.Fatalf("box %+v", box)
		}
		if next, err := r.Box(t.Context(), 1, BoxFilter{Before: box[0].VisibleAt, BeforeID: box[0].ID, Limit: 1}); err != nil || len(next) != 1 || next[0].ID != box[1].ID {
			t.Errorf("next page %+v, %v", next, err)
		}
		if c, err := r.Box(t.Context(), 1, BoxFilter{Category: "balance", Unread: true, Account: 1}); err != nil || len(c) != 1 {
			t.Errorf("category %+v, %v", c, err)
		}
		act := func(fn func(ctx context.Context, tx *db.Tx) error) error { return r.tx(fn) }
		if err := act(func(ctx context.Context, tx *db.Tx) error { return r.Acknowledge(ctx, tx, 2, box[1].ID) }); !errors.Is(err, ErrNoMessage) {
			t.Errorf("a member confirmed the owner's message: %v", err)
		}
		r.must(act(func(ctx context.Context, tx *db.Tx) error {
			if n, err := r.MarkRead(ctx, tx, 2, box[0].ID, box[1].ID); n != 0 || err != nil {
				t.Errorf("a member read the owner's messages: %d, %v", n, err)
			}
			n, err := r.MarkRead(ctx, tx, 1, box[0].ID, box[1].ID)
			if n != 2 {
				t.Errorf("%d messages marked", n)
			}
			return err
		}))
		var invalid *InvalidError
		if err := act(func(ctx context.Context, tx *db.Tx) error { return r.Acknowledge(ctx, tx, 1, box[0].ID) }); !errors.As(err, &invalid) {
			t.Errorf("confirmed what does not ask: %v", err)
		}
		if u, err := r.Unread(t.Context(), 1); err != nil || u.Total != 0 || u.Unacknowledged != 1 {
			t.Errorf("reading confirmed: %+v, %v", u, err)
		}
		r.fake.Advance(time.Minute)
		for range 2 { // the first time counts
			r.must(act(func(ctx context.Context, tx *db.Tx) error { return r.Acknowledge(ctx, tx, 1, box[1].ID) }))
			r.fake.Advance(time.Minute)
		}
		list := r.facts(id)
		if list[0].ReadAt != clock.Millis(start.Add(time.Minute)) || list[0].AckedAt != clock.Millis(start.Add(2*time.Minute)) || list[1].ReadAt != 0 || list[1].AckedAt != 0 {
			t.Errorf("receipts %+v", list)
		}
		r.must(act(func(ctx context.Context, tx *db.Tx) error {
			n, err := r.MarkAllRead(ctx, tx, 2, "")
			if n != 1 {
				t.Errorf("%d messages marked", n)
			}
			return err
		}))
	})
}

// AG-NOT-01: unsubscribing does not touch what must be told; the rest can be turned off, and marketing must be turned on.
func TestPreferences(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		set := func(p Preference) error {
			return r.tx(func(ctx context.Context, tx *db.Tx) error { return r.SetPreference(ctx, tx, 1, p) })
		}
		for _, class := range []string{Legal, Security, Billing} {
			var invalid *InvalidError
			if err := set(Preference{class, Email, false}); !errors.As(err, &invalid) || invalid.Field != "class" {
				t.Errorf("%s can be turned off: %v", class, err)
			}
		}
		r.must(set(Preference{Product, InSite, false}))
		r.send(news("news", "N-NEWS"), person(1), person(2))
		id := r.send(news("offer 1", "N-OFFER"), person(1), person(2))
		r.due()
		if u, _ := r.Unread(t.Context(), 1); u.Total != 0 {
			t.Error("unwanted news are in the box")
		}
		if u, _ := r.Unread(t.Context(), 2); u.Total != 1 {
			t.Error("news are not in the box")
		}
		if f := r.facts(id); f[0].on(Email).State != Suppressed || f[1].on(Email).State != Suppressed || f[0].DeemedAt != 0 {
			t.Errorf("marketing without consent: %+v", f)
		}
		r.must(set(Preference{Marketing, Email, true}))
		r.send(news("offer 2", "N-OFFER"), person(1), person(2))
		r.due()
		mails := r.smtp.Mails()
		if len(mails) != 1 || mails[0].To[0] != "user1@example.com" {
			t.Fatalf("mails %+v", mails)
		}
		link := mails[0].Header(t).Get("List-Unsubscribe")
		token := strings.TrimSuffix(strings.TrimPrefix(link, "<https://console.borealis.example/u/"), ">")
		for _, bad := range []string{"", "x", token + "x"} {
			var invalid *InvalidError
			if err := r.tx(func(ctx context.Context, tx *db.Tx) error { _, err := r.Unsubscribe(ctx, tx, bad); return err }); !errors.As(err, &invalid) {
				t.Errorf("token %q: %v", bad, err)
			}
		}
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error {
			p, err := r.Unsubscribe(ctx, tx, token)
			if p != (Preference{Marketing, Email, false}) {
				t.Errorf("preference %+v", p)
			}
			return err
		}))
		r.send(news("offer 3", "N-OFFER"), person(1))
		r.send(balance("b1"), person(1))
		r.due()
		if n := len(r.smtp.Mails()); n != 2 || r.smtp.Mails()[1].Header(t).Get("List-Unsubscribe") != "" {
			t.Errorf("%d mails", n)
		}
		list, err := r.Preferences(t.Context(), 1)
		r.must(err)
		if fmt.Sprint(list) != "[{product insite false} {product email true} {product sms true} {marketing insite false} {marketing email false}]" {
			t.Errorf("preferences %v", list)
		}
	})
}
