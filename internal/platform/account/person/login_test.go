package person_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"
	"pgregory.net/rapid"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/account/person"
)

func mobile(n int) string { return form(n).Mobile }

// AG-REC-01: log-in names are the number and the mobile number; everything else gets one answer after the same work.
func TestSignInTellsNobodyWhoIsKnown(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		for i, name := range []string{mobile(1), "+86 " + mobile(1), strconv.FormatInt(in.User, 10)} {
			got := ok[*person.SignedIn](t)(h.SignIn(ctx, name, good, at(10+i)))
			if got.User != in.User || got.Second || got.Token == in.Token {
				t.Errorf("%s: %+v", name, got)
			}
		}
		type work struct {
			hashes          int64
			rows, throttles int
			sent            int
		}
		measure := func(name string, from int) (work, error) {
			b := work{h.Hashed(), h.count(t, `select count(*) from account_person_login`), h.count(t, `select count(*) from account_person_throttle`), len(h.courier.messages) + len(h.courier.notices)}
			_, err := h.SignIn(ctx, name, "some other passphrase", at(from))
			return work{h.Hashed() - b.hashes, h.count(t, `select count(*) from account_person_login`) - b.rows, h.count(t, `select count(*) from account_person_throttle`) - b.throttles, len(h.courier.messages) + len(h.courier.notices) - b.sent}, err
		}
		known, err := measure(mobile(1), 20)
		wants(t, "a wrong password", err, person.ErrCredentials)
		for i, name := range []string{mobile(2), "999999", "0", "", "nobody", "user1@example.com", "nobody@example.com", "-1"} {
			got, err := measure(name, 21+i)
			wants(t, "unknown "+name, err, person.ErrCredentials)
			if got != known || err.Error() != person.ErrCredentials.Error() {
				t.Errorf("%q costs %+v, a known one %+v", name, got, known)
			}
		}
		if known.hashes != 1 || known.rows != 1 {
			t.Errorf("%+v", known)
		}
	})
}

// AG-REC-01: brute force is slowed down per person, whatever they are called by and wherever it comes from, the same for nobody.
func TestBruteForceIsSlowedDown(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		id := strconv.FormatInt(in.User, 10)
		for _, names := range [][]string{{mobile(1), id}, {mobile(2), mobile(2)}} {
			from, tried := 100, 0
			hashed := h.Hashed()
			for range 5 {
				_, err := h.SignIn(ctx, names[tried%2], "a wrong passphrase", at(from+tried))
				wants(t, "wrong", err, person.ErrCredentials)
				tried++
			}
			_, err := h.SignIn(ctx, names[0], good, at(99))
			if w := as[*person.WaitError](t, "the right one while locked", err); w != nil && w.After != 30*time.Second {
				t.Errorf("wait %s", w.After)
			}
			if h.Hashed() != hashed+5 {
				t.Errorf("%d hashes", h.Hashed()-hashed)
			}
			// Each further attempt waits twice as long, up to a quarter of an hour.
			for _, wait := range []time.Duration{time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 15 * time.Minute, 15 * time.Minute} {
				h.clock.Advance(wait/2 + time.Second)
				_, err := h.SignIn(ctx, names[0], "a wrong passphrase", at(98))
				if w := wait / 2; wait == 15*time.Minute && err != nil && !errors.Is(err, person.ErrCredentials) {
					h.clock.Advance(15*time.Minute - w)
					_, err = h.SignIn(ctx, names[0], "a wrong passphrase", at(98))
				}
				wants(t, "after the wait", err, person.ErrCredentials)
				_, err = h.SignIn(ctx, names[0], good, at(97))
				if w := as[*person.WaitError](t, "at once", err); w != nil && w.After != wait {
					t.Errorf("wait %s, want %s", w.After, wait)
				}
			}
		}
		h.clock.Advance(15 * time.Minute)
		_ = ok[*person.SignedIn](t)(h.SignIn(ctx, id, good, at(96)))
		_, err := h.SignIn(ctx, id, "a wrong passphrase", at(95)) // forgiven
		wants(t, "after a success", err, person.ErrCredentials)
		// Many at once are not more than one by one.
		before := h.Hashed()
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() { _, _ = h.SignIn(ctx, mobile(3), "a wrong passphrase", at(200+i)) })
		}
		wg.Wait()
		if n := h.Hashed() - before; n != 5 {
			t.Errorf("%d of 20 at once were tried", n)
		}
	})
}

// AG-REC-01: and per address, for whomever it tries; an own log-in in between does not reset it.
func TestOneAddressCannotTryEverybody(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		h.register(t, 1, false)
		tried := 0
		for i := range 40 {
			_, err := h.SignIn(ctx, "nobody"+strconv.Itoa(i), "a wrong passphrase", at(7))
			if errors.Is(err, person.ErrCredentials) {
				tried++
			}
			if i%4 == 0 {
				_, _ = h.SignIn(ctx, mobile(1), good, at(7))
			}
		}
		if tried != 30 {
			t.Errorf("%d passwords tried from one address", tried)
		}
		_ = ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(8)))
	})
}

// Session fixation: no token survives a rise of what the session may do, and none is taken over from the caller.
func TestTokensRotate(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		dead := func(what, token string) {
			t.Helper()
			_, err := h.Authenticate(ctx, token)
			wants(t, what, err, person.ErrSession)
		}
		dead("a token that somebody made up", "bss_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
		x := h.session(t, in.Token)
		h.clock.Advance(person.ProofTTL)
		wants(t, "a proof of ten minutes ago", h.Proved(h.session(t, in.Token)), person.ErrProof)
		_, err := h.StepUp(ctx, x, "a wrong passphrase", "")
		wants(t, "a wrong password", err, person.ErrCredentials)
		stepped := ok[string](t)(h.StepUp(ctx, x, good, ""))
		dead("the token from before the step up", in.Token)
		_, err = h.StepUp(ctx, x, good, "")
		wants(t, "stepping up twice from one token", err, person.ErrSession)
		x = h.session(t, stepped)
		must(t, h.Proved(x))

		elsewhere := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(2)))
		e := ok[*person.Enrolment](t)(h.BeginTOTP(ctx, x))
		code := ok[string](t)(totp.GenerateCode(e.Secret, h.clock.Now()))
		on, recovery, err := h.ConfirmTOTP(ctx, x, code)
		must(t, err)
		dead("the token from before the second factor", stepped)
		dead("another session", elsewhere.Token)
		if len(recovery) != person.RecoveryCodes {
			t.Errorf("%d recovery codes", len(recovery))
		}

		h.clock.Advance(time.Minute)
		half := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(3)))
		if !half.Second {
			t.Fatal("no second factor is asked for")
		}
		dead("a session that waits for the second factor", half.Token)
		_, err = h.SecondFactor(ctx, half.Token, "000000", at(3))
		wants(t, "a wrong code", err, person.ErrCode)
		full := ok[*person.SignedIn](t)(h.SecondFactor(ctx, half.Token, ok[string](t)(totp.GenerateCode(e.Secret, h.clock.Now())), at(3)))
		dead("the token from before the code", half.Token)
		_, err = h.SecondFactor(ctx, half.Token, recovery[0], at(3))
		wants(t, "the half session again", err, person.ErrSession)
		x = h.session(t, full.Token)

		changed := ok[string](t)(h.ChangePassword(ctx, x, good, other))
		dead("the token from before the new password", full.Token)
		dead("another session", on)
		_ = h.session(t, changed)
		if h.count(t, `select count(*) from account_person_session where token_hash = $1`, changed) != 0 {
			t.Error("a token is stored as it is")
		}
		must(t, h.SignOut(ctx, changed))
		dead("after signing out", changed)
	})
}

// AG-SEC-02: codes of the app: clocks that are off by one period are taken, replays are not, nor guesses.
func TestTOTP(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		x := h.session(t, in.Token)
		e := ok[*person.Enrolment](t)(h.BeginTOTP(ctx, x))
		codeAt := func(off time.Duration) string {
			return ok[string](t)(totp.GenerateCode(e.Secret, h.clock.Now().Add(off)))
		}
		if got := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(1))); got.Second {
			t.Error("a factor that is not confirmed is asked for")
		}
		_, recovery, err := h.ConfirmTOTP(ctx, x, codeAt(0))
		must(t, err)
		second := func(code string) error {
			half := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(1)))
			_, err := h.SecondFactor(ctx, half.Token, code, at(1))
			return err
		}
		wants(t, "the code that confirmed", second(codeAt(0)), person.ErrCode)
		h.clock.Advance(5 * time.Minute)
		for _, off := range []time.Duration{-60 * time.Second, 60 * time.Second, time.Hour} {
			wants(t, "a clock that is off by "+off.String(), second(codeAt(off)), person.ErrCode)
		}
		must(t, second(codeAt(-30*time.Second)))
		wants(t, "replayed", second(codeAt(-30*time.Second)), person.ErrCode)
		must(t, second(codeAt(30*time.Second)))
		wants(t, "an earlier one after a later one", second(codeAt(0)), person.ErrCode)

		// One code at once from two places is used once.
		h.clock.Advance(5 * time.Minute)
		var halves []*person.SignedIn
		for range 4 {
			halves = append(halves, ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(1))))
		}
		var wg sync.WaitGroup
		var mu sync.Mutex
		used, code := 0, codeAt(0)
		for _, half := range halves {
			wg.Go(func() {
				if _, err := h.SecondFactor(ctx, half.Token, code, at(1)); err == nil {
					mu.Lock()
					used++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if used != 1 {
			t.Errorf("one code was used %d times", used)
		}
		// Recovery codes work once, with or without the dash.
		h.clock.Advance(time.Hour)
		must(t, second(recovery[0]))
		wants(t, "used", second(recovery[0]), person.ErrCode)
		must(t, second(recovery[1][:5]+" "+recovery[1][6:]))
		if p := ok[*person.Posture](t)(h.Posture(ctx, in.User)); p.RecoveryCodesLeft != person.RecoveryCodes-2 || !p.TOTP {
			t.Errorf("%+v", p)
		}
		// Guesses are counted.
		guesses := 0
		for range 20 {
			half, err := h.SignIn(ctx, mobile(1), good, at(1))
			if err != nil {
				continue
			}
			if _, err := h.SecondFactor(ctx, half.Token, "000000", at(1)); errors.Is(err, person.ErrCode) {
				guesses++
			}
		}
		if guesses > 5 {
			t.Errorf("%d guesses", guesses)
		}
		// A password that was stolen is no proof where there is a second factor.
		h.clock.Advance(time.Hour)
		half := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(1)))
		full := ok[*person.SignedIn](t)(h.SecondFactor(ctx, half.Token, codeAt(0), at(1)))
		_, err = h.StepUp(ctx, h.session(t, full.Token), good, "")
		wants(t, "a password alone", err, person.ErrCode)
		if h.count(t, `select count(*) from account_person_totp where secret_sealed like '%' || $1 || '%'`, e.Secret) != 0 {
			t.Error("the secret is stored as it is")
		}
	})
}

// TOTP never accepts a code twice, nor one that is off by more than a period, whatever the order.
func TestTOTPProperty(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	h := open(t, d, person.Options{Platform: true, CodesPerAddress: 1000})
	ctx := context.Background()
	in := h.register(t, 1, false)
	x := h.session(t, in.Token)
	e := ok[*person.Enrolment](t)(h.BeginTOTP(ctx, x))
	token, _, err := h.ConfirmTOTP(ctx, x, ok[string](t)(totp.GenerateCode(e.Secret, h.clock.Now())))
	must(t, err)
	last := h.clock.Now().Unix() / 30
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 8).Draw(rt, "attempts") {
			h.clock.Advance(time.Duration(rapid.IntRange(0, 90).Draw(rt, "seconds")) * time.Second)
			now := h.clock.Now().Unix() / 30
			step := now + int64(rapid.IntRange(-3, 3).Draw(rt, "off"))
			code, err := totp.GenerateCode(e.Secret, time.Unix(step*30, 0))
			if err != nil {
				rt.Fatal(err)
			}
			sess, err := h.Authenticate(ctx, token)
			if err != nil { // it has been used for too long: begin anew, which takes a code too
				h.clock.Advance(2 * time.Minute)
				half, err := h.SignIn(ctx, mobile(1), good, at(1))
				if err != nil {
					rt.Fatal(err)
				}
				code, _ := totp.GenerateCode(e.Secret, h.clock.Now())
				full, err := h.SecondFactor(ctx, half.Token, code, at(1))
				if err != nil {
					rt.Fatal(err)
				}
				token, last = full.Token, h.clock.Now().Unix()/30
				continue
			}
			fresh, err := h.StepUp(ctx, sess, "", code)
			if w, wait := errors.AsType[*person.WaitError](err); wait {
				h.clock.Advance(w.After)
				continue
			}
			want := step >= now-1 && step <= now+1 && step > last
			if (err == nil) != want {
				rt.Fatalf("step %d at %d after %d: %v", step, now, last, err)
			}
			if err == nil {
				token, last = fresh, step
			}
		}
	})
}

func TestSessionsEnd(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		a := h.register(t, 1, false)
		x := h.session(t, a.Token)
		if !x.Deadline.Equal(h.clock.Now().Add(12 * time.Hour)) {
			t.Errorf("until %s", x.Deadline)
		}
		for range 5 { // it is used, so it does not go idle
			h.clock.Advance(2*time.Hour - time.Minute)
			_ = h.session(t, a.Token)
		}
		h.clock.Advance(2 * time.Hour)
		_, err := h.Authenticate(ctx, a.Token)
		wants(t, "idle", err, person.ErrSession)

		b := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(2)))
		for range 7 {
			h.clock.Advance(100 * time.Minute)
			_ = h.session(t, b.Token)
		}
		h.clock.Advance(20 * time.Minute)
		_, err = h.Authenticate(ctx, b.Token)
		wants(t, "after twelve hours", err, person.ErrSession)

		c := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(3)))
		d := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(4)))
		list := ok[[]person.Session](t)(h.Sessions(ctx, a.User))
		if len(list) != 2 || list[0].ID != d.Session || list[0].Where.IP != at(4).IP || list[0].Where.Agent != "Firefox" || list[0].Method != person.MethodPassword {
			t.Errorf("sessions %+v", list)
		}
		stranger := h.register(t, 2, false)
		wants(t, "somebody else's", h.EndSession(ctx, h.actor(t, stranger.Token, 0), c.Session), person.ErrNotFound)
		must(t, h.EndSession(ctx, h.actor(t, d.Token, 0), c.Session))
		_, err = h.Authenticate(ctx, c.Token)
		wants(t, "ended from elsewhere", err, person.ErrSession)
		must(t, h.EndOtherSessions(ctx, h.session(t, d.Token)))
		_ = h.session(t, d.Token)
		log := ok[[]person.Login](t)(h.Logins(ctx, a.User, 10))
		if len(log) != 4 || log[0].Session != d.Session || log[3].Method != person.MethodRegister {
			t.Errorf("log-ins %+v", log)
		}
	})
}

// AG-SEC-02: operators and owners of organisations' accounts can do nothing without a second factor.
func TestSecondFactorIsDemandedOfOwnersOfOrganisations(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		single, company := h.register(t, 1, false), h.register(t, 2, true)
		must(t, h.actor(t, single.Token, 0).May(gate.AppsManage))
		a := h.actor(t, company.Token, 0)
		if e := as[*gate.ForbiddenError](t, "an owner without", a.May(gate.AppsManage)); e != nil && e.Obstacle != gate.ProofMissing {
			t.Errorf("%+v", e)
		}
		x := h.session(t, company.Token)
		e := ok[*person.Enrolment](t)(h.BeginTOTP(ctx, x))
		token, _, err := h.ConfirmTOTP(ctx, x, ok[string](t)(totp.GenerateCode(e.Secret, h.clock.Now())))
		must(t, err)
		must(t, h.actor(t, token, 0).May(gate.AppsManage))
		_, err = h.RemoveTOTP(ctx, h.session(t, token))
		as[*person.InvalidError](t, "turning it off", err)
		must(t, h.actor(t, token, 0).May(gate.AppsManage))
	})
}
