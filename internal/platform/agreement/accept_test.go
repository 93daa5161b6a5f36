package agreement_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/agreement"
	"borealis/internal/platform/agreement/agreementevent"
	"borealis/internal/platform/agreement/legaltext"
)

// AG-PRE-02, AG-USR-06: no registration without every hash; an old one, or the one of another set, is refused and the right
// ones are named; nothing of an account remains.
func TestRegistrationWantsTheHashOfEverySetInEffect(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		if err := w.register(agreement.SignUp{Account: 1}); !errors.Is(err, agreement.ErrNotPublished) {
			t.Fatalf("before anything is published: %v", err)
		}
		contract, privacy := w.found(t)
		both := w.hashes(t)
		for name, c := range map[string]struct {
			hashes map[string]string
			want   error
			named  []string
		}{
			"nothing":             {nil, agreement.ErrHashMissing, []string{agreement.SetAgreement, agreement.SetPrivacy}},
			"privacy not agreed":  {map[string]string{agreement.SetAgreement: contract.Hash}, agreement.ErrHashMissing, []string{agreement.SetPrivacy}},
			"bundled":             {map[string]string{agreement.SetAgreement: contract.Hash, agreement.SetPrivacy: contract.Hash}, agreement.ErrHashOutdated, []string{agreement.SetPrivacy}},
			"unknown":             {map[string]string{agreement.SetAgreement: "\x00'", agreement.SetPrivacy: privacy.Hash}, agreement.ErrHashOutdated, []string{agreement.SetAgreement}},
			"missing before old":  {map[string]string{agreement.SetAgreement: "old"}, agreement.ErrHashMissing, []string{agreement.SetAgreement, agreement.SetPrivacy}},
			"upper case is other": {map[string]string{agreement.SetAgreement: strings.ToUpper(contract.Hash), agreement.SetPrivacy: privacy.Hash}, agreement.ErrHashOutdated, []string{agreement.SetAgreement}},
		} {
			err := w.register(agreement.SignUp{Account: 1, Hashes: c.hashes, Locale: legaltext.Chinese})
			if !errors.Is(err, c.want) {
				t.Errorf("%s: %v", name, err)
			}
			for _, set := range []string{agreement.SetAgreement, agreement.SetPrivacy} {
				want := ""
				if slices.Contains(c.named, set) {
					want = both[set]
				}
				if got := currentOf(err, set); got != want {
					t.Errorf("%s: %s is to be %q, not %q", name, set, got, want)
				}
			}
		}
		for field, in := range map[string]agreement.SignUp{
			"hashes":     {Hashes: map[string]string{"service:push": "x"}},
			"locale":     {Hashes: both, Locale: "fr"},
			"purposes":   {Hashes: both, Locale: "zh", Purposes: []string{"logo_use"}},
			"objections": {Hashes: both, Locale: "zh", Objections: []string{"product_news"}},
			"form":       {Hashes: both, Locale: "zh", Form: map[string]string{"x": strings.Repeat("x", 201)}},
			"rendered":   {Hashes: both, Locale: "zh", Rendered: "\x00"},
			"origin":     {Hashes: both, Locale: "zh", Origin: agreement.Origin{IP: strings.Repeat("1", 65)}},
		} {
			in.Account = 1
			if err := w.register(in); !fieldIs(err, field) {
				t.Errorf("%s: %v", field, err)
			}
		}
		if w.exists(t, 1) || w.boundAt(t, 1, agreement.SetAgreement, w.now()) != 0 {
			t.Fatal("an account remains")
		}
		w.join(t, 1)
		if !w.exists(t, 1) || w.boundAt(t, 1, agreement.SetAgreement, w.now()) != 1 || w.boundAt(t, 1, agreement.SetPrivacy, w.now()) != 1 {
			t.Error("not registered")
		}
		if got := told[agreementevent.Accepted](t, w); len(got) != 2 {
			t.Errorf("told of %+v", got)
		}
		// And the other way round: what undoes the account undoes the acceptance.
		undo := errors.New("undo")
		err := d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
			_, err := w.s.SignUp(ctx, tx, agreement.SignUp{Account: 2, Hashes: both, Locale: "zh"})
			return errors.Join(err, undo)
		})
		if !errors.Is(err, undo) || w.boundAt(t, 2, agreement.SetAgreement, w.now()) != 0 {
			t.Errorf("acceptance without its account: %v", err)
		}
	})
}

// AG-PRE-02: a visitor who declines is a number and nothing else.
func TestRefusalOfAVisitorIsACounter(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		for range 3 {
			if err := w.s.CountRefusal(t.Context(), agreement.SetAgreement); err != nil {
				t.Fatal(err)
			}
			w.clock.Advance(day)
		}
		if n, err := w.s.Refusals(t.Context(), agreement.SetAgreement, 1); n != 3 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
		if n, err := w.s.Refusals(t.Context(), agreement.SetPrivacy, 1); n != 0 || err != nil {
			t.Errorf("%d, %v", n, err)
		}
	})
}

// AG-PRE-03: the agreement takes effect when the registration is finished, and by the text of that moment.
func TestRegistrationOfTwoStepsIsDatedByTheSecond(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		first := w.hashes(t)
		in := agreement.SignUp{
			Account: 1, Person: 9, Hashes: first, Locale: legaltext.English, Purposes: []string{"product_news"}, Rendered: "abc",
			Origin: agreement.Origin{IP: "203.0.113.7", UserAgent: "Browser/1"}, Form: map[string]string{"read_ms": "12000"},
		}
		second := w.announce(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。"))
		w.to(second.EffectiveAt - 1)
		if err := w.register(in); err != nil {
			t.Fatalf("a moment before the switch: %v", err)
		}
		finished := w.now()
		w.to(second.EffectiveAt)
		in.Account = 2
		if err := w.register(in); !errors.Is(err, agreement.ErrHashOutdated) || currentOf(err, agreement.SetAgreement) != second.Hash {
			t.Fatalf("on the moment of the switch: %v", err)
		}
		list, err := w.s.Evidence(t.Context(), staff, 1, "dispute 7")
		if err != nil || len(list) != 2 {
			t.Fatalf("%+v, %v", list, err)
		}
		e := list[0]
		if e.DecidedAt != finished || e.BindsFrom != finished || e.Hash != first[agreement.SetAgreement] || e.State != agreement.AcceptedClick || e.Person != 9 || !e.Intact {
			t.Errorf("acceptance %+v", e)
		}
		if e.Origin != in.Origin || !strings.Contains(e.Proof, `"read_ms":"12000"`) || !strings.Contains(e.Proof, `"locale":"en"`) || !strings.Contains(e.Proof, `"rendered":"abc"`) {
			t.Errorf("proof %s, origin %+v", e.Proof, e.Origin)
		}
		if rows, err := w.audit.List(t.Context(), d, "account:1", 0, 10); err != nil || len(rows) != 1 || rows[0].Action != "agreement.evidence" {
			t.Errorf("the look at it is not in the log: %+v, %v", rows, err)
		}
	})
}

// AG-PRE-04: exactly one edition at any time, also on the millisecond of a switch and for closed accounts.
func TestWhichEditionBoundOnTheMomentOfASwitch(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.clock.Advance(time.Hour)
		joined := w.now()
		w.join(t, 1)
		w.clock.Advance(time.Hour)
		second := w.announce(t, text("user-agreement", "2.0", legaltext.Editorial, "1.1 更正。"))
		w.to(second.EffectiveAt)
		third := w.announce(t, text("user-agreement", "3.0", legaltext.Commercial, "1.1 新版。"))
		if _, err := w.accept(decision(1, third)); err != nil { // before it takes effect
			t.Fatal(err)
		}
		w.to(third.EffectiveAt + 5000)
		w.tx(t, func(ctx context.Context, tx *db.Tx) error { return w.s.End(ctx, tx, 1) })
		closed := w.now()
		w.clock.Advance(day)
		fourth := w.announce(t, text("user-agreement", "4.0", legaltext.Editorial, "1.1 又更正。"))
		w.to(fourth.EffectiveAt + 1)
		for name, c := range map[string]struct{ at, want int64 }{
			"before":             {joined - 1, 0},
			"registration":       {joined, 1},
			"just before second": {second.EffectiveAt - 1, 1},
			"second":             {second.EffectiveAt, 2},
			"just before third":  {third.EffectiveAt - 1, 2},
			"third":              {third.EffectiveAt, 3},
			"closed":             {closed, 3},
			"long after":         {w.now(), 3},
		} {
			if got := w.boundAt(t, 1, agreement.SetAgreement, c.at); got != c.want {
				t.Errorf("%s: edition %d, not %d", name, got, c.want)
			}
		}
		list, err := w.s.BoundAt(t.Context(), 1, w.now())
		if err != nil || len(list) != 2 || list[0].EndedAt != closed {
			t.Errorf("after the end: %+v, %v", list, err)
		}
		if st := w.standing(t, 1); !st.Ended || len(st.Due) > 0 {
			t.Errorf("standing of a closed account: %+v", st)
		}
		// AG-PRE-07: an amendment after the closure concerns nobody who left.
		if _, err := w.accept(decision(1, fourth)); !errors.Is(err, agreement.ErrEnded) {
			t.Errorf("accepted after the end: %v", err)
		}
		w.tx(t, func(ctx context.Context, tx *db.Tx) error { return w.s.Resume(ctx, tx, 1) })
		if got := w.boundAt(t, 1, agreement.SetAgreement, w.now()); got != 4 {
			t.Errorf("open again: edition %d", got)
		}
	})
}

// AG-PRE-06: the terms of a service are accepted for each app before it is first enabled, by who may sign.
func TestServiceTermsAreAcceptedBeforeFirstEnabling(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.join(t, 1)
		may := func(app int64) error {
			return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error { return w.s.MayEnable(ctx, tx, 1, app, "push") })
		}
		if err := may(7); err != nil {
			t.Errorf("without terms: %v", err)
		}
		terms := w.announce(t, text("push-terms", "1.0", legaltext.Commercial, "1.1 初版。"))
		missing, ok := errors.AsType[*agreement.NotAcceptedError](may(7))
		if !ok || missing.Hash != terms.Hash || missing.Set != "service:push" {
			t.Fatalf("%+v", missing)
		}
		in := decision(1, terms)
		if _, err := w.accept(in); !fieldIs(err, "app") {
			t.Errorf("without an app: %v", err)
		}
		in.App, in.MaySign = 7, false
		if _, err := w.accept(in); !errors.Is(err, agreement.ErrNotSigner) {
			t.Errorf("by who may not sign: %v", err)
		}
		in.MaySign = true
		if _, err := w.accept(in); err != nil {
			t.Fatal(err)
		}
		if err := may(7); err != nil {
			t.Errorf("accepted for this app: %v", err)
		}
		if err := may(8); err == nil {
			t.Error("accepted for another app")
		}
		// A change of the terms is accepted by use of the service for the app, and by nothing else.
		next := w.announce(t, text("push-terms", "2.0", legaltext.Commercial, "1.1 新版。"))
		w.to(next.EffectiveAt)
		w.use(t, 1, agreement.UseConsole, "e1")
		for _, u := range []agreement.Use{{App: 8, Service: "push"}, {App: 7, Service: "sms"}, {App: 7, Service: "push"}} {
			u.Account, u.Kind, u.Event = 1, agreement.UseAPI, "e2"
			out, err := w.s.Used(t.Context(), u)
			if err != nil || (len(out) == 1) != (u.App == 7 && u.Service == "push") {
				t.Errorf("%+v: %+v, %v", u, out, err)
			}
		}
		// Declined, the service stays off for the app and the account as a whole is not touched.
		third := w.announce(t, text("push-terms", "3.0", legaltext.Commercial, "1.1 三版。"))
		in = decision(1, third)
		in.App = 7
		if _, err := w.decline(in); err != nil {
			t.Fatal(err)
		}
		if err := may(7); err != nil {
			t.Errorf("before the declined terms take effect: %v", err)
		}
		w.to(third.EffectiveAt)
		if err := may(7); err == nil {
			t.Error("declined and in effect, yet it may be enabled")
		}
		if st := w.standing(t, 1); st.ReadOnly {
			t.Errorf("the account is read-only: %+v", st)
		}
	})
}

// Whatever races, an account accepts an edition once.
func TestRacingAcceptancesAreOne(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.join(t, 1)
		e := w.announce(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。"))
		in := decision(1, e)
		w.tx(t, func(ctx context.Context, tx *db.Tx) error { return w.s.RecordOffer(ctx, tx, in) })
		w.to(e.EffectiveAt)
		told[agreementevent.Accepted](t, w)
		var wg sync.WaitGroup
		errs := make(chan error, 16)
		for i := range 16 {
			wg.Go(func() {
				var err error
				if i%2 == 0 {
					_, err = w.s.Used(t.Context(), agreement.Use{Account: 1, Kind: agreement.UseAPI, Event: "e"})
				} else {
					_, err = w.accept(in)
				}
				errs <- err
			})
		}
		wg.Wait()
		close(errs)
		for err := range errs {
			if err != nil {
				t.Error(err)
			}
		}
		list, err := w.s.Evidence(t.Context(), staff, 1, "test")
		n := 0
		for _, a := range list {
			if a.Hash == e.Hash {
				n++
				if a.State != agreement.AcceptedClick && a.State != agreement.AcceptedContinuedUse || !a.Intact {
					t.Errorf("%+v", a)
				}
			}
		}
		if err != nil || n != 1 {
			t.Errorf("%d rows, %v", n, err)
		}
		if got := told[agreementevent.Accepted](t, w); len(got) != 1 {
			t.Errorf("told %d times", len(got))
		}
	})
}

// DS-12: an option is on until it is objected to, at sign-up or later, by one click; AG-USR-06, DS-01: a purpose is off
// until it is granted.
func TestOptionsAreOnAndPurposesOffUntilSaidOtherwise(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.join(t, 1)
		if err := w.register(agreement.SignUp{
			Account: 2, Hashes: w.hashes(t), Locale: legaltext.Chinese, Purposes: []string{"product_news"}, Objections: []string{"logo_use"},
		}); err != nil {
			t.Fatal(err)
		}
		check := func(account int64, set, code string, want bool) {
			t.Helper()
			if got, err := w.s.Allowed(t.Context(), account, set, code); got != want || err != nil {
				t.Errorf("%s of account %d: %v, %v", code, account, got, err)
			}
		}
		choose := func(account int64, set, code string, on bool) error {
			return d.InTx(t.Context(), func(ctx context.Context, tx *db.Tx) error {
				return w.s.Choose(ctx, tx, account, account, set, code, on)
			})
		}
		check(1, agreement.SetAgreement, "logo_use", true)
		check(1, agreement.SetPrivacy, "product_news", false)
		check(2, agreement.SetAgreement, "logo_use", false)
		check(2, agreement.SetPrivacy, "product_news", true)
		check(3, agreement.SetAgreement, "logo_use", false) // nobody
		check(2, agreement.SetPrivacy, "no_such", false)
		for _, c := range []struct {
			account   int64
			set, code string
			on        bool
		}{{1, agreement.SetAgreement, "logo_use", false}, {2, agreement.SetAgreement, "logo_use", true}, {2, agreement.SetPrivacy, "product_news", false}} {
			if err := choose(c.account, c.set, c.code, c.on); err != nil {
				t.Fatal(err)
			}
			check(c.account, c.set, c.code, c.on)
		}
		if err := choose(1, agreement.SetPrivacy, "logo_use", true); !fieldIs(err, "code") {
			t.Errorf("code of another set: %v", err)
		}
		w.tx(t, func(ctx context.Context, tx *db.Tx) error { return w.s.End(ctx, tx, 2) })
		check(2, agreement.SetAgreement, "logo_use", false)
	})
}
