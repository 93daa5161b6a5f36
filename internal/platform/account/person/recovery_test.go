package person_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person"
)

// AG-REC-02: recovery tells nobody who is known, waits, can be stopped, and leaves the second factor alone.
func TestRecovery(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		x := h.session(t, in.Token)
		e := ok[*person.Enrolment](t)(h.BeginTOTP(ctx, x))
		_, _, err := h.ConfirmTOTP(ctx, x, ok[string](t)(totp.GenerateCode(e.Secret, h.clock.Now())))
		must(t, err)
		h.clock.Advance(time.Hour)

		hashed := h.Hashed()
		for i, email := range []string{form(1).Email, "nobody@example.com"} {
			sent, rows := len(h.courier.messages), h.count(t, `select count(*) from account_person_code`)
			must(t, h.BeginRecovery(ctx, email, "zh-CN", at(i)))
			as[*person.WaitError](t, "at once again", h.BeginRecovery(ctx, email, "zh-CN", at(i)))
			_, err := h.ProveRecovery(ctx, email, "x", at(i))
			wants(t, "a guess", err, person.ErrCode)
			if len(h.courier.messages) != sent+1 || h.Hashed() != hashed || h.count(t, `select count(*) from account_person_code`)-rows > 1 {
				t.Errorf("%s is told apart", email)
			}
		}
		if m := h.courier.last(t, "nobody@example.com"); m.Kind != person.KindNobody || m.Code != "" || m.User != 0 {
			t.Errorf("nobody is sent %+v", m)
		}
		code := h.courier.last(t, form(1).Email).Code
		r := ok[*person.Recovery](t)(h.ProveRecovery(ctx, form(1).Email, code, at(1)))
		_, err = h.ProveRecovery(ctx, form(1).Email, code, at(1))
		wants(t, "replayed", err, person.ErrCode)
		n := h.courier.notice(t, person.NoticeRecovery, in.User)
		if len(n.Emails) != 1 || len(n.Mobiles) != 1 || n.NotMe == "" {
			t.Errorf("told %+v", n)
		}
		_, err = h.FinishRecovery(ctx, r.Token, other, at(1))
		if w := as[*person.WaitError](t, "too early", err); w != nil && w.After != 48*time.Hour {
			t.Errorf("wait %s", w.After)
		}
		h.clock.Advance(48 * time.Hour)
		_, err = h.FinishRecovery(ctx, r.Token, "password123", at(1))
		as[*person.InvalidError](t, "a common password", err)
		got := ok[*person.SignedIn](t)(h.FinishRecovery(ctx, r.Token, other, at(1)))
		if !got.Second {
			t.Error("recovery went round the second factor")
		}
		_, err = h.FinishRecovery(ctx, r.Token, other, at(1))
		wants(t, "twice", err, person.ErrLink)
		_, err = h.SignIn(ctx, mobile(1), good, at(1))
		wants(t, "the old password", err, person.ErrCredentials)
		_ = ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), other, at(1)))
		if p := ok[*person.Person](t)(h.Person(ctx, in.User)); !p.CoolUntil.Equal(h.clock.Now().Add(person.CoolDown)) {
			t.Errorf("cool until %s", p.CoolUntil)
		}
		// At most three in 30 days.
		for i := range 3 {
			h.clock.Advance(time.Hour)
			must(t, h.BeginRecovery(ctx, form(1).Email, "", at(1)))
			_, err := h.ProveRecovery(ctx, form(1).Email, h.courier.last(t, form(1).Email).Code, at(1))
			if _, wait := errors.AsType[*person.WaitError](err); wait != (i == 2) {
				t.Errorf("recovery %d: %v", i+2, err)
			}
		}
	})
}

// AG-REC-02: "not me" ends sessions and keys, takes back what was done, and leads to recovery.
func TestNotMe(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		h.clock.Advance(8 * 24 * time.Hour)
		// Somebody who knows the password takes the log-in over.
		thief := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(66)))
		n := h.courier.notice(t, person.NoticeLogin, in.User)
		if n.Facts["ip"] != at(66).IP.String() || n.NotMe == "" {
			t.Errorf("told %+v", n)
		}
		x := h.session(t, thief.Token)
		login := n
		secret, _, err := h.CreateToken(ctx, x, h.actor(t, thief.Token, 0), "ci", []gate.Permission{gate.PushSend}, time.Hour)
		must(t, err)
		ticket := ok[string](t)(h.BeginChange(ctx, x, person.FieldEmail, "thief@example.com", person.ChannelEmail, at(66)))
		must(t, h.ConfirmChange(ctx, x, ticket, h.courier.last(t, "thief@example.com").Code, at(66)))
		key := newAuthenticator(t)
		stolen := h.addPasskey(t, thief.Token, key)

		n = h.courier.notice(t, person.NoticeContact, in.User)
		if !slices.Contains(n.Emails, form(1).Email) || !slices.Contains(n.Emails, "thief@example.com") {
			t.Errorf("the change is told to %v", n.Emails)
		}
		h.clock.Advance(time.Hour)
		// Whichever notice it is said to, everything comes back.
		must(t, h.NotMe(ctx, login.NotMe, at(1)))
		wants(t, "the link twice", h.NotMe(ctx, login.NotMe, at(1)), person.ErrLink)
		_, err = h.Authenticate(ctx, stolen)
		wants(t, "the thief's session", err, person.ErrSession)
		_, err = h.AuthenticateToken(ctx, secret, at(66))
		wants(t, "the thief's token", err, person.ErrSession)
		options, ceremony, err := h.BeginPasskeySignIn(ctx, at(66))
		must(t, err)
		_, err = h.SignInByPasskey(ctx, ceremony, key.get(options), at(66))
		wants(t, "the thief's passkey", err, person.ErrPasskey)
		_, err = h.SignIn(ctx, mobile(1), good, at(66))
		wants(t, "the password", err, person.ErrFrozen)
		_, err = h.SignIn(ctx, mobile(1), "a wrong passphrase", at(66))
		wants(t, "a wrong password of a frozen log-in", err, person.ErrCredentials)
		if p := ok[*person.Person](t)(h.Person(ctx, in.User)); p.Email != form(1).Email || p.State != person.StateFrozen {
			t.Errorf("%+v", p)
		}
		r := ok[*person.Recovery](t)(h.ProveRecovery(ctx, form(1).Email, h.courier.last(t, form(1).Email).Code, at(1)))
		h.clock.Advance(48 * time.Hour)
		_ = ok[*person.SignedIn](t)(h.FinishRecovery(ctx, r.Token, other, at(1)))
		if p := ok[*person.Person](t)(h.Person(ctx, in.User)); p.State != person.StateActive {
			t.Errorf("%+v", p)
		}

		// From the list of log-ins it is the same.
		again := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), other, at(1)))
		must(t, h.NotMeSession(ctx, h.session(t, again.Token), at(1)))
		_, err = h.Authenticate(ctx, again.Token)
		wants(t, "one's own session", err, person.ErrSession)
		// And a recovery that somebody else began ends with it.
		link := ok[string](t)(h.RecoveryLink(ctx, "cli:root", in.User))
		n = h.courier.notice(t, person.NoticeRecovery, in.User)
		must(t, h.NotMe(ctx, n.NotMe, at(1)))
		_, err = h.FinishRecovery(ctx, link, good, at(1))
		wants(t, "a recovery that was stopped", err, person.ErrLink)
		link = ok[string](t)(h.RecoveryLink(ctx, "cli:root", in.User))
		_ = ok[*person.SignedIn](t)(h.FinishRecovery(ctx, link, "another passphrase of several words", at(1)))
	})
}

// AG-REG-05: addresses change with a fresh proof and a code; the old address is told; there is a history and a cool-down.
func TestChangesOfAddresses(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in, two := h.register(t, 1, false), h.register(t, 2, false)
		x := h.session(t, in.Token)
		begin := func(field, value string) (string, error) {
			channel := person.ChannelEmail
			if field == person.FieldMobile {
				channel = person.ChannelSMS
			}
			return h.BeginChange(ctx, x, field, value, channel, at(1))
		}
		ticket := ok[string](t)(begin(person.FieldMobile, "139 0013 9000"))
		code := h.courier.last(t, "+8613900139000").Code
		wants(t, "a wrong code", h.ConfirmChange(ctx, x, ticket, "x", at(1)), person.ErrCode)
		wants(t, "by somebody else", h.ConfirmChange(ctx, h.session(t, two.Token), ticket, code, at(1)), person.ErrLink)
		must(t, h.ConfirmChange(ctx, x, ticket, code, at(1)))
		wants(t, "twice", h.ConfirmChange(ctx, x, ticket, code, at(1)), person.ErrLink)
		p := ok[*person.Person](t)(h.Person(ctx, in.User))
		if p.Mobile != "+8613900139000" || p.CoolUntil.IsZero() {
			t.Errorf("%+v", p)
		}
		n := h.courier.notice(t, person.NoticeContact, in.User)
		if !slices.Contains(n.Mobiles, "+86"+mobile(1)) {
			t.Errorf("the old number is not told: %+v", n)
		}
		list := ok[[]person.Change](t)(h.Changes(ctx, in.User))
		if len(list) != 1 || list[0].Field != person.FieldMobile || strings.Contains(list[0].Old+list[0].New, "0013") || list[0].Where.IP != at(1).IP {
			t.Errorf("%+v", list)
		}
		// Beginning tells nothing about others; the proof does.
		h.clock.Advance(2 * time.Minute)
		x = h.session(t, in.Token)
		ticket = ok[string](t)(begin(person.FieldEmail, form(2).Email))
		as[*person.TakenError](t, "somebody's address", h.ConfirmChange(ctx, x, ticket, h.courier.last(t, form(2).Email).Code, at(1)))
		h.clock.Advance(person.ProofTTL)
		_, err := begin(person.FieldEmail, "new@example.com")
		wants(t, "without a fresh proof", err, person.ErrProof)
		wants(t, "a name without a fresh proof", h.Rename(ctx, x, "李四", at(1)), person.ErrProof)
		// Old addresses are forgotten when nothing can bring them back any more.
		h.clock.Advance(8 * 24 * time.Hour)
		must(t, h.Purge(ctx))
		if h.count(t, `select count(*) from account_person_change where old_sealed <> ''`) != 0 {
			t.Error("an old address is kept")
		}
	})
}

// Addresses and names cannot be read or found in the database.
func TestPersonalDataIsSealed(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		h.register(t, 1, false)
		for table, columns := range map[string]string{
			"user": "name_sealed || email_blind || email_sealed || mobile_blind || mobile_sealed", "account": "name_sealed || initial_sealed", "code": "target_blind",
			"contact": "address", "session": "where_sealed", "login": "where_sealed", "throttle": "target",
		} {
			for _, plain := range []string{"张三", "user1", mobile(1), "198.51"} {
				if n := h.count(t, `select count(*) from account_person_`+table+` where `+columns+` like '%' || $1 || '%'`, plain); n != 0 {
					t.Errorf("%q is in account_person_%s", plain, table)
				}
			}
		}
		if n := h.count(t, `select count(*) from audit_log where actor || action || object || detail like '%user1%' or detail like '%13800%'`); n != 0 {
			t.Error("an address is in the audit log")
		}
	})
}

// AG-REG-04: checks come back every year, at once when there is reason, and "unknown" tomorrow without consequence.
func TestChecks(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		due := func() bool { return slices.Contains(ok[[]int64](t)(h.DueChecks(ctx, 10)), in.User) }
		h.clock.Advance(364 * 24 * time.Hour)
		if due() {
			t.Error("due before a year")
		}
		h.clock.Advance(24 * time.Hour)
		if !due() {
			t.Error("not due after a year")
		}
		must(t, h.RecordCheck(ctx, "system:check", in.User, "carrier", person.CheckUnknown))
		if p := ok[*person.Person](t)(h.Person(ctx, in.User)); due() || p.State != person.StateActive {
			t.Errorf("unknown: due %v, %+v", due(), p)
		}
		h.clock.Advance(24 * time.Hour)
		if !due() {
			t.Error("a source that did not answer is not asked again")
		}
		must(t, h.RecordCheck(ctx, "system:check", in.User, "carrier", person.CheckValid))
		must(t, h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return h.RequireCheck(ctx, tx, in.User) }))
		if !due() {
			t.Error("not due though there is reason")
		}
		as[*person.InvalidError](t, "a result of its own", h.RecordCheck(ctx, "x", in.User, "carrier", "maybe"))
		if list := ok[[]person.Check](t)(h.Checks(ctx, in.User)); len(list) != 3 || list[0].Result != person.CheckValid || list[2].Source != person.SourceCode {
			t.Errorf("%+v", list)
		}
	})
}

// AG-REG-06: what was tried to reach somebody can be shown.
func TestAttemptsToReachSomebody(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		h.clock.Advance(time.Hour)
		must(t, h.BeginRecovery(ctx, form(1).Email, "", at(1)))
		m := h.courier.last(t, form(1).Email)
		must(t, h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return h.Reached(ctx, tx, m.Attempt, person.ContactBounced, "550 no such user")
		}))
		list := ok[[]person.Attempt](t)(h.Attempts(ctx, in.User, 10))
		if len(list) != 1 || list[0].Outcome != person.ContactBounced || list[0].Receipt != "550 no such user" || list[0].Address != "u***@example.com" || list[0].OutcomeAt.IsZero() || list[0].Channel != person.ChannelEmail {
			t.Errorf("%+v", list)
		}
		h.clock.Advance(366 * 24 * time.Hour)
		must(t, h.Purge(ctx))
		if len(ok[[]person.Attempt](t)(h.Attempts(ctx, in.User, 10))) != 0 {
			t.Error("kept for ever")
		}
	})
}
