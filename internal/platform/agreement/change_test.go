package agreement_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/agreement"
	"borealis/internal/platform/agreement/agreementevent"
	"borealis/internal/platform/agreement/legaltext"
)

// AG-PRE-08, DS-01: the first use by the account after effect and notice accepts a commercial change, and is the
// evidence; traffic of end users and acts of leaving are no use.
func TestFirstUseAfterEffectAcceptsACommercialChange(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.join(t, 1)
		w.clock.Advance(30 * day)
		e := w.announce(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。"))
		if e.EffectiveAt != w.now()+(7*day).Milliseconds() {
			t.Fatalf("takes effect at %d", e.EffectiveAt)
		}
		if due := w.due(t, 1, agreement.SetAgreement); due.Ask != agreement.AskBanner || !due.Upcoming || due.Bound != 1 || due.UseCounts != e.EffectiveAt {
			t.Errorf("after the announcement: %+v", due)
		}
		w.use(t, 1, agreement.UseAPI, "early")
		w.to(e.EffectiveAt - 1)
		w.use(t, 1, agreement.UseConsole, "just before")
		if got := w.boundAt(t, 1, agreement.SetAgreement, w.now()); got != 1 {
			t.Fatalf("bound by %d before the effect", got)
		}
		w.to(e.EffectiveAt)
		if due := w.due(t, 1, agreement.SetAgreement); due.Ask != agreement.AskBanner || due.Upcoming || due.Class != legaltext.Commercial {
			t.Errorf("in effect: %+v", due)
		}
		w.use(t, 1, agreement.UseEndUser, "device")
		w.use(t, 1, agreement.UseLeaving, "export")
		if got := w.boundAt(t, 1, agreement.SetAgreement, w.now()); got != 1 {
			t.Fatalf("bound by %d without a use", got)
		}
		told[agreementevent.Accepted](t, w)
		got := w.use(t, 1, agreement.UseAPI, "request-1")
		if len(got) != 1 || got[0].State != agreement.AcceptedContinuedUse || got[0].Event != "request-1" || got[0].BindsFrom != w.now() {
			t.Fatalf("%+v", got)
		}
		if ev := told[agreementevent.Accepted](t, w); len(ev) != 1 || ev[0].State != string(agreement.AcceptedContinuedUse) || ev[0].Number != 2 {
			t.Errorf("told %+v", ev)
		}
		w.clock.Advance(time.Second)
		if got := w.use(t, 1, agreement.UseAPI, "request-2"); len(got) != 0 {
			t.Errorf("the second use: %+v", got)
		}
		if got := w.boundAt(t, 1, agreement.SetAgreement, w.now()); got != 2 {
			t.Errorf("bound by %d", got)
		}
		if due := w.due(t, 1, agreement.SetAgreement); due.Ask != agreement.AskNothing {
			t.Errorf("after it: %+v", due)
		}
		if _, err := w.s.Used(t.Context(), agreement.Use{Account: 1, Kind: agreement.UseAPI}); !fieldIs(err, "event") {
			t.Errorf("a use without a trace: %v", err)
		}
	})
}

// AG-PRE-08: who came between announcement and effect has a whole notice too.
func TestNoticeOfALateComerBeginsWhenItCame(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		e := w.announce(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。"))
		w.clock.Advance(5 * day)
		w.join(t, 1)
		joined := w.now()
		w.to(e.EffectiveAt)
		if got := w.use(t, 1, agreement.UseAPI, "soon"); len(got) != 0 {
			t.Errorf("two days of notice were enough: %+v", got)
		}
		w.to(joined + (7 * day).Milliseconds() - 1)
		if got := w.use(t, 1, agreement.UseAPI, "almost"); len(got) != 0 {
			t.Errorf("a moment too early: %+v", got)
		}
		w.clock.Advance(time.Millisecond)
		if got := w.use(t, 1, agreement.UseAPI, "now"); len(got) != 1 {
			t.Errorf("after the notice: %+v", got)
		}
	})
}

// DS-01: editorial changes bind by themselves; use never accepts what concerns personal data, nor what is built on it; a
// click does, purpose by purpose, and without it the processing stays off.
func TestChangesOfPersonalDataNeedAClickForEachPurpose(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		if err := w.register(agreement.SignUp{Account: 1, Hashes: w.hashes(t), Locale: "zh", Purposes: []string{"product_news"}}); err != nil {
			t.Fatal(err)
		}
		w.clock.Advance(time.Hour)
		allowed := func(code string) bool {
			ok, err := w.s.Allowed(t.Context(), 1, agreement.SetPrivacy, code)
			if err != nil {
				t.Fatal(err)
			}
			return ok
		}
		policy := func(n int, class legaltext.Class, purposes map[string]string) *legaltext.Document {
			p := text("privacy-policy", version(n), class, "1.1 第"+version(n)+"版。")
			p.Purposes = purposes
			return p
		}
		same := map[string]string{"product_news": "产品动态"}
		w.announce(t, policy(2, legaltext.Editorial, same))
		if got := w.boundAt(t, 1, agreement.SetPrivacy, w.now()); got != 2 || !allowed("product_news") {
			t.Errorf("an editorial change: bound by %d, news %v", got, allowed("product_news"))
		}
		more := map[string]string{"product_news": "产品动态和合作方信息", "profiling": "画像"}
		third := w.announce(t, policy(3, legaltext.PersonalData, more))
		w.to(third.EffectiveAt)
		w.announce(t, policy(4, legaltext.Editorial, more))
		w.clock.Advance(time.Hour)
		if got := w.use(t, 1, agreement.UseConsole, "e"); len(got) > 0 || w.boundAt(t, 1, agreement.SetPrivacy, w.now()) != 2 {
			t.Errorf("use accepted %+v", got)
		}
		due := w.due(t, 1, agreement.SetPrivacy)
		if due.Ask != agreement.AskClick || due.Blocking || due.Class != legaltext.PersonalData || due.UseCounts != 0 || due.Edition.Number != 4 {
			t.Errorf("due %+v", due)
		}
		if allowed("product_news") || allowed("profiling") {
			t.Error("processing that was changed goes on without consent")
		}
		choices, err := w.s.Choices(t.Context(), 1)
		if i := slices.IndexFunc(choices, func(c agreement.Choice) bool { return c.Code == "profiling" }); err != nil || i < 0 || !choices[i].Asked || !choices[i].Purpose {
			t.Errorf("choices %+v, %v", choices, err)
		}
		in := decision(1, &due.Edition)
		in.Purposes = []string{"product_news"}
		if _, err := w.accept(in); err != nil {
			t.Fatal(err)
		}
		if !allowed("product_news") || allowed("profiling") || w.boundAt(t, 1, agreement.SetPrivacy, w.now()) != 4 {
			t.Error("one purpose granted is not one purpose on")
		}
		// A commercial change afterwards leaves the purposes as they are, clicked or not (AG-USR-06: a class of its own).
		fifth := w.announce(t, policy(5, legaltext.Commercial, more))
		if _, err := w.accept(decision(1, fifth)); err != nil {
			t.Fatal(err)
		}
		w.to(fifth.EffectiveAt)
		if !allowed("product_news") || allowed("profiling") {
			t.Error("a commercial change moved the purposes")
		}
		// Refused, only the processing is off: nobody has to leave.
		sixth := w.announce(t, policy(6, legaltext.PersonalData, more))
		w.to(sixth.EffectiveAt)
		a, err := w.decline(decision(1, sixth))
		if err != nil || a.ReadOnlyFrom != 0 || a.ExitUntil != 0 {
			t.Fatalf("%+v, %v", a, err)
		}
		if st := w.standing(t, 1); st.ReadOnly || st.Blocked || allowed("product_news") {
			t.Errorf("standing %+v, news %v", st, allowed("product_news"))
		}
		// A purpose that the text no longer has is off.
		seventh := w.announce(t, policy(7, legaltext.Editorial, nil))
		w.to(seventh.EffectiveAt)
		if allowed("product_news") {
			t.Error("a purpose without a text")
		}
	})
}

// AG-PRE-09: who does not agree is read-only from the effect on, has 30 days to leave, and may change their mind.
func TestWhoDeclinesIsReadOnlyAndHasTimeToLeave(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		for account := int64(1); account <= 3; account++ {
			w.join(t, account)
		}
		w.clock.Advance(day)
		if _, err := w.decline(decision(1, &agreement.Edition{Set: agreement.SetAgreement, Hash: w.hashes(t)[agreement.SetAgreement]})); !errors.Is(err, agreement.ErrAccepted) {
			t.Errorf("declined what binds: %v", err)
		}
		e := w.announce(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。"))
		for account := int64(1); account <= 3; account++ {
			a, err := w.decline(decision(account, e))
			if err != nil || a.ReadOnlyFrom != e.EffectiveAt || a.ExitUntil != e.EffectiveAt+(30*day).Milliseconds() {
				t.Fatalf("%+v, %v", a, err)
			}
			again, err := w.decline(decision(account, e))
			if err != nil || again.ID != a.ID {
				t.Errorf("twice: %+v, %v", again, err)
			}
		}
		if ev := told[agreementevent.Declined](t, w); len(ev) != 3 || ev[0].ExitUntil != e.EffectiveAt+(30*day).Milliseconds() {
			t.Errorf("told %+v", ev)
		}
		if st := w.standing(t, 1); st.ReadOnly || st.ReadOnlyFrom != e.EffectiveAt {
			t.Errorf("while the old text binds: %+v", st)
		}
		w.to(e.EffectiveAt)
		if st := w.standing(t, 1); !st.ReadOnly || st.ExitUntil == 0 || w.due(t, 1, agreement.SetAgreement).Ask != agreement.AskNothing {
			t.Errorf("in effect: %+v", st)
		}
		if got := w.use(t, 1, agreement.UseAPI, "after all"); len(got) != 0 {
			t.Errorf("use accepted what was declined: %+v", got)
		}
		if got := w.boundAt(t, 1, agreement.SetAgreement, w.now()); got != 1 {
			t.Errorf("bound by %d", got)
		}
		// A newer edition does not end it, an acceptance does.
		w.clock.Advance(day)
		third := w.announce(t, text("user-agreement", "3.0", legaltext.Editorial, "1.1 新版！"))
		w.clock.Advance(day)
		if st := w.standing(t, 2); !st.ReadOnly {
			t.Errorf("after an editorial change: %+v", st)
		}
		if _, err := w.accept(decision(2, e)); currentOf(err, agreement.SetAgreement) != third.Hash {
			t.Errorf("accepted what is superseded: %v", err)
		}
		if _, err := w.accept(decision(2, third)); err != nil {
			t.Fatal(err)
		}
		if st := w.standing(t, 2); st.ReadOnly || w.boundAt(t, 2, agreement.SetAgreement, w.now()) != 3 {
			t.Errorf("changed their mind: %+v", st)
		}
		w.tx(t, func(ctx context.Context, tx *db.Tx) error { return w.s.End(ctx, tx, 3) })
		if list, err := w.s.Exits(t.Context(), 10); len(list) != 0 || err != nil {
			t.Errorf("before the time is over: %+v, %v", list, err)
		}
		w.to(e.EffectiveAt + (30 * day).Milliseconds())
		list, err := w.s.Exits(t.Context(), 10)
		if err != nil || len(list) != 1 || list[0].Account != 1 || list[0].Set != agreement.SetAgreement {
			t.Errorf("to be closed: %+v, %v", list, err)
		}
	})
}

// AG-PRE-07: announced before it takes effect, with its class; withdrawn in time, it never was.
func TestWithdrawnAnnouncementHasNoEffect(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.join(t, 1)
		w.join(t, 2)
		told[agreementevent.Announced](t, w)
		e := w.announce(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。"))
		if ev := told[agreementevent.Announced](t, w); len(ev) != 1 || ev[0].Class != "commercial" || ev[0].EffectiveAt != e.EffectiveAt || ev[0].First {
			t.Errorf("told %+v", ev)
		}
		if _, err := w.accept(decision(1, e)); err != nil {
			t.Fatal(err)
		}
		if _, err := w.decline(decision(2, e)); err != nil {
			t.Fatal(err)
		}
		for _, c := range []struct {
			number int64
			reason string
			want   error
		}{{9, "x", agreement.ErrNotFound}, {1, "x", agreement.ErrStage}} {
			if err := w.s.Withdraw(t.Context(), staff, agreement.SetAgreement, c.number, c.reason); !errors.Is(err, c.want) {
				t.Errorf("%d: %v", c.number, err)
			}
		}
		if err := w.s.Withdraw(t.Context(), staff, agreement.SetAgreement, 2, ""); !fieldIs(err, "reason") {
			t.Errorf("without a reason: %v", err)
		}
		if err := w.s.Withdraw(t.Context(), staff, agreement.SetAgreement, 2, "wrong date"); err != nil {
			t.Fatal(err)
		}
		w.to(e.EffectiveAt)
		for account := int64(1); account <= 2; account++ {
			if got := w.boundAt(t, account, agreement.SetAgreement, w.now()); got != 1 {
				t.Errorf("account %d is bound by %d", account, got)
			}
			if st := w.standing(t, account); st.ReadOnly || st.ReadOnlyFrom != 0 {
				t.Errorf("account %d: %+v", account, st)
			}
		}
		if v, err := w.s.Versions(t.Context(), "user-agreement"); err != nil || v[0].Stage != agreement.Withdrawn || v[1].Stage != agreement.Effective {
			t.Errorf("%+v, %v", v, err)
		}
		// The same text again, under a number and a hash of its own.
		again, err := w.s.Announce(t.Context(), staff, agreement.Announcement{Set: agreement.SetAgreement, Documents: []agreement.Ref{{Code: "user-agreement", Version: "2.0"}}})
		if err != nil || again.Number != 3 || again.Hash == e.Hash {
			t.Fatalf("%+v, %v", again, err)
		}
		if _, err := w.accept(decision(1, e)); currentOf(err, agreement.SetAgreement) == "" {
			t.Errorf("accepted the withdrawn edition: %v", err)
		}
		if err := w.s.Withdraw(t.Context(), staff, agreement.SetAgreement, 3, "too late"); err != nil {
			t.Errorf("before it takes effect: %v", err)
		}
	})
}

// DS-01, AG-PRE-07: periods are kept, and a change is not called less than it is.
func TestAnnouncementsThatAreRefused(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		announce := func(at time.Time, docs ...*legaltext.Document) error {
			_, err := w.s.Announce(t.Context(), staff, agreement.Announcement{Set: docs[0].Set(), Documents: w.prepare(t, docs...), EffectiveAt: at})
			return err
		}
		soon := w.clock.Now().Add(7*day - time.Millisecond)
		if err := announce(soon, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新。")); !fieldIs(err, "effective_at") {
			t.Errorf("commercial without its notice: %v", err)
		}
		if err := announce(clock.FromMillis(w.now()-1), text("user-agreement", "2.1", legaltext.Editorial, "1.1 新。")); !fieldIs(err, "effective_at") {
			t.Errorf("in the past: %v", err)
		}
		sneaky := text("privacy-policy", "2.0", legaltext.Commercial, "1.1 新。")
		sneaky.Purposes = map[string]string{"product_news": "产品动态", "profiling": "画像"}
		if err := announce(time.Time{}, sneaky); !fieldIs(err, "class") {
			t.Errorf("a new purpose as a commercial change: %v", err)
		}
		sneaky = text("privacy-policy", "2.1", legaltext.Editorial, "1.1 新。")
		sneaky.Purposes = map[string]string{"product_news": "产品动态和广告"}
		if err := announce(time.Time{}, sneaky); !fieldIs(err, "class") {
			t.Errorf("another purpose as an editorial change: %v", err)
		}
		if err := announce(time.Time{}, text("supplement", "1.0", legaltext.Editorial, "1.1 补充。")); !fieldIs(err, "class") {
			t.Errorf("a new document as an editorial change: %v", err)
		}
		if err := announce(time.Time{}, text("user-agreement", "2.2", legaltext.Editorial, "1.1 {{operator}}。")); !fieldIs(err, "body") {
			t.Errorf("a placeholder: %v", err)
		}
		later := w.clock.Now().Add(20 * day)
		if err := announce(later, text("user-agreement", "3.0", legaltext.Commercial, "1.1 新。")); err != nil {
			t.Fatal(err)
		}
		if err := announce(later, text("user-agreement", "4.0", legaltext.Editorial, "1.1 新！")); !fieldIs(err, "effective_at") {
			t.Errorf("before the edition announced before: %v", err)
		}
		for name, a := range map[string]struct {
			in    agreement.Announcement
			field string
			want  error
		}{
			"nothing":      {agreement.Announcement{Set: agreement.SetAgreement}, "documents", nil},
			"no such set":  {agreement.Announcement{Set: "x", Remove: []string{"y"}}, "", agreement.ErrNotFound},
			"no such text": {agreement.Announcement{Set: agreement.SetAgreement, Documents: []agreement.Ref{{Code: "x", Version: "1"}}}, "", agreement.ErrNotFound},
			"of other set": {agreement.Announcement{Set: agreement.SetPrivacy, Documents: []agreement.Ref{{Code: "user-agreement", Version: "4.0"}}}, "documents", nil},
			"announced":    {agreement.Announcement{Set: agreement.SetAgreement, Documents: []agreement.Ref{{Code: "user-agreement", Version: "3.0"}}}, "", agreement.ErrStage},
			"twice":        {agreement.Announcement{Set: agreement.SetAgreement, Documents: []agreement.Ref{{Code: "user-agreement", Version: "4.0"}, {Code: "user-agreement", Version: "4.0"}}}, "documents", nil},
			"empty set":    {agreement.Announcement{Set: agreement.SetPrivacy, Remove: []string{"privacy-policy"}}, "remove", nil},
			"not there":    {agreement.Announcement{Set: agreement.SetAgreement, Remove: []string{"supplement"}}, "remove", nil},
		} {
			_, err := w.s.Announce(t.Context(), staff, a.in)
			if a.want != nil && !errors.Is(err, a.want) || a.want == nil && !fieldIs(err, a.field) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if _, err := agreement.New(agreement.Deps{Keys: w.keys, Rules: agreement.Rules{Commercial: 6 * day}}); !fieldIs(err, "commercial") {
			t.Errorf("a notice of six days: %v", err)
		}
	})
}

// Offers that a newer edition overtakes expire; the effect of an edition is told once, whichever node looks.
func TestTickTellsEffectOnceAndExpiresOffers(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		w.found(t)
		w.join(t, 1)
		other := w.node(t)
		tick := func() {
			var wg sync.WaitGroup
			for range 4 {
				for _, s := range []*agreement.Service{w.s, other} {
					wg.Go(func() {
						if err := s.Tick(t.Context()); err != nil {
							t.Error(err)
						}
					})
				}
			}
			wg.Wait()
		}
		tick()
		told[agreementevent.Effective](t, w)
		second := w.announce(t, text("user-agreement", "2.0", legaltext.Commercial, "1.1 新版。"))
		for range 2 {
			w.tx(t, func(ctx context.Context, tx *db.Tx) error { return w.s.RecordOffer(ctx, tx, decision(1, second)) })
		}
		third := w.announce(t, text("user-agreement", "3.0", legaltext.Commercial, "1.1 三版。"))
		w.to(second.EffectiveAt)
		tick()
		if ev := told[agreementevent.Effective](t, w); len(ev) != 1 || ev[0].Hash != second.Hash {
			t.Errorf("told %+v", ev)
		}
		states := func() []agreement.State {
			list, err := w.s.Evidence(t.Context(), staff, 1, "test")
			if err != nil {
				t.Fatal(err)
			}
			var out []agreement.State
			for _, a := range list {
				if a.Set == agreement.SetAgreement {
					out = append(out, a.State)
				}
			}
			return out
		}
		if got := states(); !slices.Equal(got, []agreement.State{agreement.AcceptedClick, agreement.Offered}) {
			t.Errorf("offered: %v", got)
		}
		w.to(third.EffectiveAt)
		tick()
		if got := states(); !slices.Equal(got, []agreement.State{agreement.AcceptedClick, agreement.Expired}) {
			t.Errorf("overtaken: %v", got)
		}
		// The announcement of another node is seen by a use here, too.
		if _, err := other.Used(t.Context(), agreement.Use{Account: 1, Kind: agreement.UseAPI, Event: "e"}); err != nil {
			t.Fatal(err)
		}
		fourth := w.announce(t, text("user-agreement", "4.0", legaltext.Commercial, "1.1 四版。"))
		w.to(fourth.EffectiveAt)
		if err := other.Tick(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got, err := other.Used(t.Context(), agreement.Use{Account: 1, Kind: agreement.UseAPI, Event: "f"}); err != nil || len(got) != 1 || got[0].Number != 4 {
			t.Errorf("%+v, %v", got, err)
		}
	})
}
