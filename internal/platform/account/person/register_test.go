package person_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person"
)

// AG-REG-01, AG-REG-02, AG-REG-03, AG-REG-11, AG-DEF-02, AG-DEF-05, AG-REC-05.
func TestRegistration(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		f := form(1)
		d := ok[*person.Draft](t)(h.Begin(ctx, f, at(1)))
		if d.EmailVerified || d.MobileVerified || !d.MobileNeeded || strings.Contains(d.Email, "user1") || strings.Contains(d.Mobile, "13800") {
			t.Errorf("the draft shows %+v", d)
		}
		complete := func() error {
			_, _, err := h.Complete(ctx, person.Completion{Draft: d.Token, Password: good, Hook: h.hook()}, at(1))
			return err
		}
		if e := as[*person.InvalidError](t, "nothing proved", complete()); e.Field != person.FieldEmail {
			t.Errorf("%v", e)
		}
		h.prove(t, d.Token, person.FieldEmail, f.Email)
		if e := as[*person.InvalidError](t, "mobile not proved", complete()); e.Field != person.FieldMobile {
			t.Errorf("%v", e)
		}
		as[*person.InvalidError](t, "an SMS to a mailbox", h.SendCode(ctx, d.Token, person.FieldEmail, person.ChannelSMS, at(1)))
		must(t, h.SendCode(ctx, d.Token, person.FieldMobile, person.ChannelVoice, at(1))) // when SMS does not arrive
		must(t, h.Verify(ctx, d.Token, person.FieldMobile, h.courier.last(t, "+8613800100001").Code))
		if got := ok[*person.Draft](t)(h.Draft(ctx, d.Token)); !got.EmailVerified || !got.MobileVerified {
			t.Errorf("resumed as %+v", got)
		}
		// Without acceptance nothing exists.
		_, _, err := h.Complete(ctx, person.Completion{Draft: d.Token, Password: good}, at(1))
		wants(t, "no hook", err, person.ErrMustAgree)
		declined := errors.New("declined")
		_, _, err = h.Complete(ctx, person.Completion{Draft: d.Token, Password: good, Hook: func(_ context.Context, _ *db.Tx, r person.Registered) (map[string]string, error) {
			if r.User == 0 || r.Account == 0 || r.At == 0 {
				t.Errorf("the hook is told %+v", r)
			}
			return nil, declined
		}}, at(1))
		wants(t, "a hook that fails", err, declined)
		for _, table := range []string{"user", "account", "subject", "member", "session", "login"} {
			if n := h.count(t, `select count(*) from account_person_`+table); n != 0 {
				t.Errorf("%d rows in %s though nothing was accepted", n, table)
			}
		}
		weak := person.Completion{Draft: d.Token, Password: "password123", Hook: h.hook()}
		_, _, err = h.Complete(ctx, weak, at(1))
		as[*person.InvalidError](t, "a common password", err)

		in, reg, err := h.Complete(ctx, person.Completion{Draft: d.Token, Password: good, Hook: h.hook()}, at(1))
		must(t, err)
		if a, there := h.agreed.Load(in.User); !there || a != reg.Account {
			t.Error("the agreement was not accepted in the same transaction")
		}
		_, _, err = h.Complete(ctx, person.Completion{Draft: d.Token, Password: good, Hook: h.hook()}, at(1))
		wants(t, "the draft again", err, person.ErrLink)
		p := ok[*person.Person](t)(h.Person(ctx, in.User))
		if p.Name != f.Name || p.Email != f.Email || p.Mobile != "+8613800100001" || !p.EmailVerified || !p.MobileVerified {
			t.Errorf("the person is %+v", p)
		}
		a := ok[*person.Account](t)(h.Account(ctx, reg.Account))
		if a.Subject != a.Initial.Subject || a.Initial.User != in.User || a.Initial.Mobile != p.Mobile || a.Kind != person.KindPerson {
			t.Errorf("the account is %+v", a)
		}
		if actor := h.actor(t, in.Token, 0); actor.Role != gate.RoleOwner || actor.May(gate.OwnersManage) != nil {
			t.Errorf("acts as %+v", actor)
		}
		w := h.courier.notice(t, person.NoticeWelcome, in.User)
		if w.Facts["agreement"] != "v1" || w.Facts["account"] == "" || w.NotMe != "" {
			t.Errorf("welcomed with %+v", w)
		}
		for k, v := range w.Facts {
			if strings.Contains(v, good) || strings.Contains(v, "13800100001") {
				t.Errorf("the welcome has a secret in %s", k)
			}
		}
		if _, err := h.audit.Verify(ctx, h.db); err != nil {
			t.Errorf("the audit log: %v", err)
		}
	})
}

// AG-REG-01: exactly one of many sign-ups of one mobile number wins, and the others leave nothing.
func TestRaceOnOneMobileNumber(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		const n = 6
		drafts := make([]string, n)
		for i := range drafts {
			f := form(i + 1)
			f.Mobile = "13900139000"
			drafts[i] = h.draft(t, f)
		}
		var (
			wg   sync.WaitGroup
			mu   sync.Mutex
			wins int
		)
		for _, d := range drafts {
			wg.Go(func() {
				_, _, err := h.Complete(ctx, person.Completion{Draft: d, Password: good, Hook: h.hook()}, at(1))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					wins++
				} else if e := as[*person.TakenError](t, "a loser", err); e != nil && e.Field != person.FieldMobile {
					t.Errorf("%v", e)
				}
			})
		}
		wg.Wait()
		agreed := 0
		h.agreed.Range(func(_, _ any) bool { agreed++; return true })
		if users := h.count(t, `select count(*) from account_person_user`); wins != 1 || users != 1 || agreed != 1 || h.count(t, `select count(*) from account_person_account`) != 1 {
			t.Errorf("%d won, %d people, %d accepted", wins, users, agreed)
		}
	})
}

// AG-REG-01, AG-DEF-02: drafts end after a day, with everything in them; abandoned ones at once.
func TestDraftsArePurged(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		token := h.draft(t, form(1))
		gone := ok[*person.Draft](t)(h.Begin(ctx, form(2), at(1)))
		must(t, h.Abandon(ctx, gone.Token))
		if n := h.count(t, `select count(*) from account_person_draft`); n != 1 {
			t.Errorf("%d drafts", n)
		}
		h.clock.Advance(person.DraftTTL - 2*time.Minute)
		must(t, h.Purge(ctx))
		_ = ok[*person.Draft](t)(h.Draft(ctx, token))
		h.clock.Advance(2 * time.Minute)
		_, err := h.Draft(ctx, token) // before anybody purges
		wants(t, "after a day", err, person.ErrLink)
		_, _, err = h.Complete(ctx, person.Completion{Draft: token, Password: good, Hook: h.hook()}, at(1))
		wants(t, "completed after a day", err, person.ErrLink)
		h.clock.Advance(2 * time.Minute)
		must(t, h.Purge(ctx))
		for _, table := range []string{"draft", "code"} {
			if n := h.count(t, `select count(*) from account_person_`+table); n != 0 {
				t.Errorf("%d rows left in %s", n, table)
			}
		}
	})
}

// AG-REG-03: codes are good once, five times tried, five minutes, for one place, one at a time.
func TestCodes(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		f := form(1)
		begin := func() string { return ok[*person.Draft](t)(h.Begin(ctx, f, at(1))).Token }
		send := func(d string) string {
			t.Helper()
			h.clock.Advance(person.CodePause)
			must(t, h.SendCode(ctx, d, person.FieldEmail, person.ChannelEmail, at(1)))
			return h.courier.last(t, f.Email).Code
		}
		verify := func(d, code string) error { return h.Verify(ctx, d, person.FieldEmail, code) }
		wrong := func(code string) string {
			if code == "000000" {
				return "000001"
			}
			return "000000"
		}
		d, elsewhere := begin(), begin()
		code := send(d)
		if len(code) != 6 || h.count(t, `select count(*) from account_person_code where mac like '%' || $1 || '%' or nonce like '%' || $1 || '%'`, code) != 0 {
			t.Errorf("the code %q is stored", code)
		}
		wants(t, "in another draft of the same address", verify(elsewhere, code), person.ErrCode)
		wants(t, "wrong", verify(d, wrong(code)), person.ErrCode)
		must(t, verify(d, code))
		wants(t, "replayed", verify(d, code), person.ErrCode)

		code = send(d)
		for range person.CodeTries {
			wants(t, "wrong", verify(d, wrong(code)), person.ErrCode)
		}
		wants(t, "right after five tries", verify(d, code), person.ErrCode)

		old := send(d)
		code = send(d)
		if old != code {
			wants(t, "an older code", verify(d, old), person.ErrCode)
		}
		h.clock.Advance(person.CodeTTL)
		wants(t, "after five minutes", verify(d, code), person.ErrCode)
		code = send(d)
		h.clock.Advance(person.CodeTTL - time.Second)
		must(t, verify(d, code))

		// A code for another address proves nothing about this one.
		g := form(2)
		d2 := ok[*person.Draft](t)(h.Begin(ctx, g, at(1))).Token
		must(t, h.SendCode(ctx, d2, person.FieldEmail, person.ChannelEmail, at(1)))
		for_email := h.courier.last(t, g.Email).Code
		wants(t, "the mail's code for the phone", h.Verify(ctx, d2, person.FieldMobile, for_email), person.ErrCode)
	})
}

func TestCodesAreTriedNoMoreThanFiveTimesAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		d := ok[*person.Draft](t)(h.Begin(ctx, form(1), at(1))).Token
		must(t, h.SendCode(ctx, d, person.FieldEmail, person.ChannelEmail, at(1)))
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { _ = h.Verify(ctx, d, person.FieldEmail, "x") })
		}
		wg.Wait()
		if n := h.count(t, `select tries from account_person_code`); n != person.CodeTries {
			t.Errorf("%d tries were counted", n)
		}
	})
}

// AG-REG-03: one a minute, ten a day for one address, whoever asks; and a bound for who asks.
func TestCodesAreLimited(t *testing.T) {
	eachWith(t, person.Options{Platform: true, CodesPerAddress: 13}, func(t *testing.T, h *house) {
		ctx := context.Background()
		d := ok[*person.Draft](t)(h.Begin(ctx, form(1), at(1))).Token
		send := func(from int) error { return h.SendCode(ctx, d, person.FieldEmail, person.ChannelEmail, at(from)) }
		for i := range person.CodesPerDay {
			must(t, send(1))
			if w := as[*person.WaitError](t, "at once again", send(i+10)); w != nil && w.After != person.CodePause {
				t.Errorf("wait %s", w.After)
			}
			h.clock.Advance(person.CodePause)
		}
		if w := as[*person.WaitError](t, "the eleventh", send(2)); w != nil && w.After != 24*time.Hour-person.CodesPerDay*time.Minute {
			t.Errorf("wait %s", w.After)
		}
		h.clock.Advance(24 * time.Hour)
		_, err := h.Draft(ctx, d)
		wants(t, "the draft", err, person.ErrLink)
		// Who asks: 13 an hour from one address, for whomever.
		refused := 0
		for i := range 20 {
			if _, err := h.Begin(ctx, form(100+i), at(3)); err != nil {
				as[*person.WaitError](t, "many sign-ups from one address", err)
				refused++
			}
		}
		if refused != 7 {
			t.Errorf("%d refused", refused)
		}
	})
}

// AG-REG-03: sign-up tells nobody who is registered until they have proved the address.
func TestSignUpDoesNotTellWhoIsKnown(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		h.register(t, 1, false)
		h.clock.Advance(time.Hour)
		known, unknown := form(1), form(2)
		hashed, sent := h.Hashed(), len(h.courier.messages)
		for _, f := range []person.Form{known, unknown} {
			d, err := h.Begin(ctx, f, at(2))
			must(t, err)
			must(t, h.SendCode(ctx, d.Token, person.FieldEmail, person.ChannelEmail, at(2)))
			wants(t, "a guess", h.Verify(ctx, d.Token, person.FieldEmail, "x"), person.ErrCode)
		}
		if h.Hashed() != hashed || len(h.courier.messages) != sent+2 || h.courier.messages[sent].Kind != h.courier.messages[sent+1].Kind {
			t.Error("the two differ")
		}
		h.clock.Advance(time.Hour)
		_, _, err := h.Complete(ctx, person.Completion{Draft: h.draft(t, known), Password: other, Hook: h.hook()}, at(2))
		as[*person.TakenError](t, "after the proof", err)
	})
}

func TestAmendingAnAddressTakesItsProofBack(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		token := h.draft(t, form(1))
		f := form(1)
		f.Email = "new@example.com"
		d := ok[*person.Draft](t)(h.Amend(ctx, token, f))
		if d.EmailVerified || !d.MobileVerified {
			t.Errorf("amended to %+v", d)
		}
		f.Mobile = "12345"
		_, err := h.Amend(ctx, token, f)
		as[*person.InvalidError](t, "no number", err)
	})
}

// Private mode: one link and an e-mail address are enough, and the link is good once.
func TestBootstrap(t *testing.T) {
	eachWith(t, person.Options{CodesPerAddress: 1000}, func(t *testing.T, h *house) {
		ctx := context.Background()
		_, err := h.Begin(ctx, form(1), at(1))
		wants(t, "a stranger", err, person.ErrSignUpClosed)
		old := ok[string](t)(h.Bootstrap(ctx))
		link := ok[string](t)(h.Bootstrap(ctx))
		_, _, err = h.BootstrapOwner(ctx, person.Owner{Token: old, Email: "owner@example.com"}, at(1))
		wants(t, "a replaced link", err, person.ErrLink)
		_, _, err = h.BootstrapOwner(ctx, person.Owner{Token: link, Email: "owner"}, at(1))
		as[*person.InvalidError](t, "no address", err)
		var wg sync.WaitGroup
		var mu sync.Mutex
		var in []*person.SignedIn
		for range 4 {
			wg.Go(func() {
				got, _, err := h.BootstrapOwner(ctx, person.Owner{Token: link, Email: "owner@example.com", Password: good}, at(1))
				mu.Lock()
				defer mu.Unlock()
				if err == nil {
					in = append(in, got)
				} else {
					wants(t, "a second owner", err, person.ErrLink)
				}
			})
		}
		wg.Wait()
		if len(in) != 1 {
			t.Fatalf("%d owners came by one link", len(in))
		}
		a := h.actor(t, in[0].Token, 0)
		if a.Operator != gate.OperatorOwner || a.Role != gate.RoleOwner || a.May(gate.OperatorStaff) != nil || a.May(gate.AppsManage) != nil {
			t.Errorf("the owner is %+v", a)
		}
		if again := ok[string](t)(h.Bootstrap(ctx)); again != "" {
			t.Error("there is a link though there is an owner")
		}
		// The owner signs in by e-mail address, invites, and who is invited needs no mobile number either.
		_ = ok[*person.SignedIn](t)(h.SignIn(ctx, "Owner@example.com", good, at(2)))
		_, invitation, err := h.Invite(ctx, a, "dev@example.com", gate.RoleDeveloper, time.Time{})
		must(t, err)
		d := ok[*person.Draft](t)(h.Begin(ctx, person.Form{Invitation: invitation}, at(3)))
		dev, reg, err := h.Complete(ctx, person.Completion{Draft: d.Token, Password: other}, at(3))
		must(t, err)
		if b := h.actor(t, dev.Token, 0); b.Role != gate.RoleDeveloper || b.Account != a.Account || !reg.Invited || b.Operator != "" {
			t.Errorf("who was invited is %+v", b)
		}
		wants(t, "the last operator", h.SetOperator(ctx, a, a.User, ""), person.ErrLastOwner)
		must(t, h.SetOperator(ctx, a, dev.User, gate.OperatorReviewer))
		_, err = h.Authenticate(ctx, dev.Token)
		wants(t, "a session from before", err, person.ErrSession)
	})
}
