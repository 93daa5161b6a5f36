package notice

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"mime/quotedprintable"
	netmail "net/mail"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/mail"
	"borealis/internal/kernel/mail/mailtest"
)

// plain is the text part of a mail.
func plain(t *testing.T, m *mailtest.Mail) string {
	t.Helper()
	msg, err := netmail.ReadMessage(bytes.NewReader(m.Data))
	if err != nil {
		t.Fatal(err)
	}
	_, boundary, _ := strings.Cut(msg.Header.Get("Content-Type"), "boundary=")
	part, err := multipart.NewReader(msg.Body, strings.Trim(boundary, `"`)).NextRawPart()
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(quotedprintable.NewReader(part))
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// AG-NOT-01, AG-CS-01: everybody is told on all channels of the notice, in both languages, with the contact of support; the facts are kept.
func TestANoticeReachesItsRecipients(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		zh, en := person(1), person(2)
		zh.Word, en.Locale = "北风 7", "en"
		old := Recipient{Email: "former@example.com"} // an address without a user
		id := r.send(balance("b1"), zh, en, old)
		r.due()
		if n := len(r.smtp.Mails()); n != 3 {
			t.Fatalf("%d mails", n)
		}
		text := plain(t, r.smtp.To("user1@example.com")[0])
		if !contains(text, "12.50 元", "Your balance is 12.50 yuan", "北风 7", "我们不会以任何方式向您索要密码", "客服电话 0755-0000000", "support@borealis.example") || strings.Index(text, "12.50 元") > strings.Index(text, "yuan") {
			t.Errorf("text %s", text)
		}
		text = plain(t, r.smtp.To("user2@example.com")[0])
		if strings.Index(text, "12.50 元") < strings.Index(text, "yuan") || strings.Contains(text, "北风") || !contains(text, "We never ask you for your password") {
			t.Errorf("text %s", text)
		}
		for _, f := range r.facts(id) {
			e := f.on(Email)
			if e.State != Sent || e.SentAt != clock.Millis(start) || e.Attempts != 1 || f.DeemedDate != "2026-11-25" || strings.Contains(e.Address, "user1@") || !strings.Contains(e.Address, "***") {
				t.Errorf("fact %+v", f)
			}
			if (f.User == 0) != (f.VisibleAt == 0) {
				t.Errorf("in the box of user %d: %d", f.User, f.VisibleAt)
			}
		}
		sum, err := r.Notice(t.Context(), id)
		r.must(err)
		if sum.Recipients != 3 || sum.Deemed != 3 || sum.Unreached != 0 || sum.Deliveries[Sent] != 3 || len(sum.ContentHash) != 64 || !sum.Accepted {
			t.Errorf("summary %+v", sum)
		}
		byAddress, err := r.AddressFacts(t.Context(), "User1@EXAMPLE.com", 0, 10)
		if err != nil || len(byAddress) != 1 || byAddress[0].User != 1 {
			t.Errorf("by address %+v, %v", byAddress, err)
		}
		if list, err := r.AccountFacts(t.Context(), 2, 0, 10); err != nil || len(list) != 1 || list[0].Code != "N-BALANCE-LOW" {
			t.Errorf("by account %+v, %v", list, err)
		}
		var leaks int
		r.must(d.QueryRow(t.Context(), `select count(*) from notice_recipient where email like '%example.com%' or email_masked like 'user%' or mobile like '%138%'`).Scan(&leaks))
		if leaks != 0 {
			t.Errorf("%d rows have personal data in the open", leaks)
		}
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Erase(ctx, tx, 1) }))
		if list, _ := r.AddressFacts(t.Context(), "user1@example.com", 0, 10); len(list) != 0 {
			t.Error("an erased address is found")
		}
	})
}

// DS-08, AG-NOT-01: the date is that of the hand-over to each recipient, in Shanghai, also when sending goes on over midnight.
func TestDeemedDatesAroundMidnight(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var r *rig
		var mails atomic.Int64
		r = newRig(t, d, mailtest.Options{Data: func(*mailtest.Mail) error {
			if mails.Add(1) == 2 {
				r.fake.Advance(5 * time.Second) // the second hand-over ends at 00:00:03
			}
			return nil
		}}, nil)
		r.fake.Advance(59*time.Minute + 58*time.Second)
		n := balance("midnight")
		n.Channels = []string{Email}
		id := r.send(n, person(1), person(2), person(3))
		r.due()
		list := r.facts(id)
		for i, want := range []string{"2026-11-25", "2026-11-26", "2026-11-26"} {
			if list[i].DeemedDate != want || list[i].DeemedAt != list[i].on(Email).SentAt {
				t.Errorf("recipient %d: %s at %d", i, list[i].DeemedDate, list[i].DeemedAt)
			}
		}
	})
}

// bounceOf is the report of a server on a mail.
func bounceOf(t *testing.T, m *mailtest.Mail, action string) []byte {
	t.Helper()
	h := m.Header(t)
	return []byte(strings.ReplaceAll(fmt.Sprintf("From: <MAILER-DAEMON@mx.example>\nContent-Type: multipart/report; report-type=delivery-status; boundary=b\n\n--b\n"+
		"Content-Type: text/plain\n\nsorry\n--b\nContent-Type: message/delivery-status\n\nReporting-MTA: dns; mx.example\n\nFinal-Recipient: rfc822; %s\nAction: %s\nStatus: 5.1.1\n"+
		"Diagnostic-Code: smtp; 550 <%s> unknown\n\n--b\nContent-Type: text/rfc822-headers\n\nMessage-ID: %s\n\n--b--\n", m.To[0], action, m.To[0], h.Get("Message-Id")), "\n", "\r\n"))
}

// DS-08: a bounce starts the fallback and is recorded beside the sending; the deemed date stays.
func TestABounceStartsTheFallbackAndBothFactsAreKept(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		n := balance("b1")
		n.Channels = []string{Email}
		id := r.send(n, person(1))
		r.due()
		m := r.smtp.Mails()[0]
		r.fake.Advance(26 * time.Hour)
		for _, other := range [][]byte{
			[]byte("Subject: away\r\nAuto-Submitted: auto-replied\r\n\r\nI am away"), bounceOf(t, m, "delayed"),
			bytes.Replace(bounceOf(t, m, "failed"), []byte("Message-ID: <"), []byte("Message-ID: <x"), 1),
		} {
			if hit, err := r.Bounced(t.Context(), other); hit || err != nil {
				t.Errorf("%t, %v for %s", hit, err, other)
			}
		}
		if f := r.fact(id); f.on(Email).State != Sent || len(f.Deliveries) != 1 {
			t.Fatalf("fact %+v", f)
		}
		for i := range 2 { // the same report again changes nothing
			if hit, err := r.Bounced(t.Context(), bounceOf(t, m, "failed")); hit != (i == 0) || err != nil {
				t.Errorf("bounce %d: %t, %v", i, hit, err)
			}
		}
		r.due()
		f := r.fact(id)
		e, s := f.on(Email), f.on(SMS)
		if e.State != Bounced || e.SentAt == 0 || e.BouncedAt != clock.Millis(start.Add(26*time.Hour)) || !contains(e.Bounce, "5.1.1", "unknown") || strings.Contains(e.Bounce, "user1@") {
			t.Errorf("e-mail %+v", e)
		}
		if s.State != Sent || !s.Fallback || f.DeemedDate != "2026-11-25" || f.DeemedAt != clock.Millis(start) {
			t.Errorf("fact %+v", f)
		}
		if got := r.sms.all(); len(got) != 1 || got[0].Mobile != "+8613800138101" || !contains(got[0].Body, "12.50") || got[0].Code != "N-BALANCE-LOW" || got[0].Values["amount"] != "12.50" {
			t.Errorf("text messages %+v", got)
		}
	})
}

// A refused address goes on through the fallback until something reaches the recipient.
func TestTheFallbackEndsInTheBox(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{Recipient: func(string) error { return mailtest.Refuse(550, 5, 1, 1, "no") }}, nil)
		r.sms.answer = func(Text) TextOutcome { return TextOutcome{Class: mail.Permanent, Code: "bad"} }
		v, err := draft(r, "author", smsFirst())
		r.must(err)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.Review(ctx, tx, "reviewer", "N-TEST", v) }))
		id := r.send(Notice{Key: "k", Code: "N-TEST", Actor: "system:test"}, person(1), Recipient{Email: "nobody@example.com"})
		r.fake.Advance(2 * time.Hour)
		r.due()
		list := r.facts(id)
		f := list[0]
		if f.on(Email).State != Failed || f.on(SMS).State != Failed || f.VisibleAt == 0 || f.DeemedAt != f.VisibleAt || f.DeemedDate != "2026-11-26" {
			t.Errorf("fact %+v", f)
		}
		if list[1].DeemedAt != 0 {
			t.Errorf("fact %+v", list[1])
		}
		if sum, err := r.Notice(t.Context(), id); err != nil || sum.Unreached != 1 || sum.Deemed != 1 {
			t.Errorf("summary %+v, %v", sum, err)
		}
	})
}

func TestTemporaryFailuresAreTriedAgain(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		var refuse atomic.Int64
		refuse.Store(3)
		r := newRig(t, d, mailtest.Options{Recipient: func(string) error {
			if refuse.Add(-1) >= 0 {
				return mailtest.Refuse(451, 4, 3, 0, "later")
			}
			return nil
		}}, nil)
		id := r.send(balance("b1"), person(1))
		for i, pause := range []time.Duration{0, time.Minute, 5 * time.Minute, 15 * time.Minute} {
			r.fake.Advance(pause)
			r.due()
			r.due() // nothing is due before its time
			f := r.fact(id)
			e := f.on(Email)
			if want := i + 1; e.Attempts != want || (e.State == Sent) != (i == 3) || i < 3 && e.Code != "4.3.0" {
				t.Fatalf("after attempt %d: %+v", i+1, e)
			}
		}
		refuse.Store(1000)
		id = r.send(balance("b2"), person(2))
		for range len(pauses()) + 2 {
			r.due()
			r.fake.Advance(12 * time.Hour)
		}
		f := r.fact(id)
		if e := f.on(Email); e.State != Failed || e.Attempts != len(pauses())+1 || f.on(SMS).State != Sent {
			t.Errorf("fact %+v", f)
		}
	})
}

func TestATextMessageThatMayHaveBeenSentIsNotRepeated(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		r.sms.answer = func(Text) TextOutcome { return TextOutcome{Class: mail.Temporary, Unsure: true} }
		n := balance("b1")
		n.Channels = []string{SMS}
		id := r.send(n, person(1))
		r.due()
		r.fake.Advance(24 * time.Hour)
		r.due()
		if f := r.fact(id); f.on(SMS).State != Unsure || len(r.sms.all()) != 1 || f.DeemedAt != f.VisibleAt || f.VisibleAt == 0 {
			t.Errorf("fact %+v", f)
		}
	})
}

// A key names one notice for ever.
func TestTheSameKeyIsTheSameNotice(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		first := r.send(balance("k"), person(1))
		if again := r.send(balance("k"), person(1), person(2)); again != first {
			t.Error("the key made a second notice")
		}
		other := balance("k")
		other.Values["amount"] = "9"
		if _, err := r.Send(t.Context(), other, []Recipient{person(1)}); !errors.Is(err, ErrConflict) {
			t.Errorf("another content: %v", err)
		}
		undo := errors.New("undo")
		err := r.tx(func(ctx context.Context, tx *db.Tx) error {
			if _, err := r.Enqueue(ctx, tx, balance("rolled back"), []Recipient{person(3)}); err != nil {
				return err
			}
			return undo
		})
		if !errors.Is(err, undo) {
			t.Fatal(err)
		}
		r.due()
		if len(r.smtp.Mails()) != 1 {
			t.Errorf("%d mails", len(r.smtp.Mails()))
		}
		if _, err := r.ByKey(t.Context(), "rolled back"); !errors.Is(err, ErrNoNotice) {
			t.Error(err)
		}
	})
}

// A big audience is told all or not at all, and a caller that died goes on where it ended, or with the audience of now.
func TestBigAudiences(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		var people []Recipient
		for i := range int64(250) {
			people = append(people, Recipient{User: i + 1, Email: fmt.Sprintf("u%d@example.com", i)})
		}
		n := balance("big")
		n.Channels = []string{InSite}
		tmpl, err := r.Template(t.Context(), n.Code)
		r.must(err)
		req, err := r.prepare(&n, tmpl, people[:230])
		r.must(err)
		w, err := r.begin(t.Context(), req)
		r.must(err)
		r.must(r.tx(func(ctx context.Context, tx *db.Tx) error { return r.insertPeople(ctx, tx, w.id, req, 0, 100, false) })) // and the process dies
		r.must(r.releaseAll(t.Context()))
		if u, err := r.Unread(t.Context(), 1); err != nil || u.Total != 0 {
			t.Errorf("a notice that was not accepted is in the box: %+v, %v", u, err)
		}
		id, err := r.Send(t.Context(), n, people) // the audience has grown
		r.must(err)
		if id != w.id {
			t.Error("the key made a second notice")
		}
		// Who still writes for the dead caller is stopped.
		if err := r.tx(w.check); !errors.Is(err, ErrConflict) {
			t.Errorf("the old writer goes on: %v", err)
		}
		r.must(r.releaseAll(t.Context()))
		sum, err := r.Notice(t.Context(), id)
		r.must(err)
		if sum.Recipients != 250 || sum.Deemed != 250 {
			t.Errorf("summary %+v", sum)
		}
		for _, user := range []int64{1, 100, 101, 250} {
			if u, err := r.Unread(t.Context(), user); err != nil || u.Total != 1 {
				t.Errorf("user %d: %+v, %v", user, u, err)
			}
		}
	})
}

func TestWhatCannotBeSentNamesTheField(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		for field, c := range map[string]struct {
			change func(*Notice)
			people []Recipient
		}{
			"key":                  {func(n *Notice) { n.Key = "" }, []Recipient{person(1)}},
			"actor":                {func(n *Notice) { n.Actor = "" }, []Recipient{person(1)}},
			"channels":             {func(n *Notice) { n.Channels = []string{} }, []Recipient{person(1)}},
			"values.amount":        {func(n *Notice) { n.Values["amount"] = "much" }, []Recipient{person(1)}},
			"values.link":          {func(n *Notice) { n.Values["link"] = "https://evil.example/" }, []Recipient{person(1)}},
			"recipients":           {func(*Notice) {}, nil},
			"recipients[0].email":  {func(*Notice) {}, []Recipient{{User: 1, Email: "a\r\nBcc: b@example.com"}}},
			"recipients[1].mobile": {func(*Notice) {}, []Recipient{person(1), {User: 2, Mobile: "138"}}},
			"recipients[0].locale": {func(*Notice) {}, []Recipient{{User: 2, Locale: "fr"}}},
			"recipients[0].word":   {func(*Notice) {}, []Recipient{{User: 2, Word: "a\nb"}}},
			"recipients[0].user":   {func(*Notice) {}, []Recipient{{User: -2}}},
		} {
			n := balance("x")
			c.change(&n)
			var invalid *InvalidError
			if _, err := r.Send(t.Context(), n, c.people); !errors.As(err, &invalid) || invalid.Field != field {
				t.Errorf("%s: %v", field, err)
			}
		}
		var rows int
		r.must(d.QueryRow(t.Context(), `select count(*) from notice_notice`).Scan(&rows))
		if rows != 0 {
			t.Errorf("%d notices were stored", rows)
		}
	})
}

func TestQueuesAreBounded(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, func(deps *Deps) { deps.MaxWaiting = 4 })
		r.send(balance("1"), person(1), person(2))
		if _, err := r.Send(t.Context(), news("n", "N-OFFER"), []Recipient{person(3)}); !errors.Is(err, ErrBusy) {
			t.Errorf("the half for mandatory notices was taken: %v", err)
		}
		r.send(balance("2"), person(3), person(4))
		if _, err := r.Send(t.Context(), balance("3"), []Recipient{person(5)}); !errors.Is(err, ErrBusy) {
			t.Error(err)
		}
		if id := r.send(balance("1"), person(1), person(2)); id == "" {
			t.Error("a repeated key is refused")
		}
		r.due()
		r.send(balance("3"), person(5))
	})
}

func TestExpiredNoticesAreNotSentAndOldOnesGo(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		r := newRig(t, d, mailtest.Options{}, nil)
		n := balance("1")
		n.Expires = clock.Millis(start.Add(time.Minute))
		id := r.send(n, person(1))
		r.fake.Advance(time.Minute)
		r.due()
		if f := r.fact(id); f.on(Email).State != Expired || len(r.smtp.Mails()) != 0 {
			t.Errorf("fact %+v", f)
		}
		news := r.send(news("2", "N-NEWS"), person(1))
		r.fake.Advance(keepOptional + time.Hour)
		r.must(r.sweep(t.Context()))
		if _, err := r.Notice(t.Context(), news); !errors.Is(err, ErrNoNotice) {
			t.Error("old news are kept")
		}
		if _, err := r.Notice(t.Context(), id); err != nil {
			t.Errorf("proof is dropped: %v", err)
		}
		r.fake.Advance(keepMandatory)
		r.must(r.sweep(t.Context()))
		for _, table := range []string{"notice_notice", "notice_recipient", "notice_delivery"} {
			var rows int
			r.must(d.QueryRow(t.Context(), `select count(*) from `+table).Scan(&rows))
			if rows != 0 {
				t.Errorf("%d rows left in %s", rows, table)
			}
		}
	})
}
