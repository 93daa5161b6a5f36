package agreement_test

import (
	"context"
	"errors"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/agreement"
	"borealis/internal/platform/agreement/legaltext"
)

// runs bounds the histories that the test makes up: each costs a hundred transactions. BOREALIS_MODEL_RUNS raises it.
var runs = func() int64 {
	n, err := strconv.ParseInt(os.Getenv("BOREALIS_MODEL_RUNS"), 10, 64)
	if err != nil {
		return 12
	}
	return n
}()

// model is the rules of editions and acceptances, said once more and as plainly as can be.
type model struct {
	editions []modelEdition // not withdrawn
	numbers  int64
	binds    []modelBind
	declines []modelBind // number, and read-only from when, 0 for not at all
	joined   int64
}

// reach is the greatest edition that was accepted, or that follows by itself.
func (m *model) reach() int64 {
	n := int64(0)
	for _, b := range m.binds {
		n = max(n, b.number)
	}
	for _, e := range m.editions {
		if e.number == n || e.number < n {
			continue
		}
		if e.class != legaltext.Editorial {
			break
		}
		n = e.number
	}
	return n
}

// left is from when the account is read-only, 0 for not at all.
func (m *model) left() int64 {
	from := int64(0)
	for _, d := range m.declines {
		if d.number > m.reach() && d.from > 0 && (from == 0 || d.from < from) {
			from = d.from
		}
	}
	return from
}

type modelEdition struct {
	number, announced, effective int64
	class                        legaltext.Class
	hash                         string
}

type modelBind struct{ number, from int64 }

func (m *model) current(t int64) *modelEdition {
	var found *modelEdition
	for i := range m.editions {
		if m.editions[i].effective <= t {
			found = &m.editions[i]
		}
	}
	return found
}

// bound is the greatest accepted edition by t, moved over editorial ones in effect.
func (m *model) bound(t int64) int64 {
	n := int64(0)
	for _, b := range m.binds {
		if b.from <= t {
			n = max(n, b.number)
		}
	}
	if n == 0 {
		return 0
	}
	for _, e := range m.editions {
		if e.number <= n {
			continue
		}
		if e.class != legaltext.Editorial || e.effective > t {
			break
		}
		n = e.number
	}
	return n
}

func (m *model) strictest(from, to int64) (class legaltext.Class, commercial bool) {
	for _, e := range m.editions {
		if e.number > from && e.number <= to {
			if e.class.Rank() > class.Rank() {
				class = e.class
			}
			commercial = commercial || e.class == legaltext.Commercial
		}
	}
	return class, commercial
}

// Whatever operators and an account do in whatever order, what binds is what the model says, at every moment of the past
// and now, never goes back, and nothing was changed (AG-PRE-04, AG-PRE-08, AG-PRE-09, DS-01).
func TestWhatBindsFollowsTheModel(t *testing.T) {
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		w := newWorld(t, d)
		account, code := int64(0), 0
		w.announce(t, text("privacy-policy", "1.0", legaltext.PersonalData, "1.1 初版。"))
		rapid.Check(t, func(t *rapid.T) {
			if account++; account > runs {
				return
			}
			m := &model{}
			w.tx(t, func(ctx context.Context, tx *db.Tx) error { // a set of its own for every run
				for _, table := range []string{"agreement_member", "agreement_acceptance"} {
					if _, err := tx.Exec(ctx, `delete from `+table+` where edition in (select id from agreement_edition where set_code = 'agreement')`); err != nil {
						return err
					}
				}
				_, err := tx.Exec(ctx, `delete from agreement_edition where set_code = 'agreement'`)
				return err
			})
			announce := func(t *rapid.T, class legaltext.Class) {
				code++
				e := w.announce(t, text("user-agreement", version(code), class, "1.1 版。"))
				m.numbers = e.Number
				m.editions = append(m.editions, modelEdition{e.Number, e.AnnouncedAt, e.EffectiveAt, class, e.Hash})
			}
			announce(t, legaltext.Commercial)
			w.clock.Advance(time.Hour)
			w.join(t, account)
			m.joined = w.now()
			m.binds = append(m.binds, modelBind{m.editions[0].number, w.now()})
			moments := []int64{w.now() - 1, w.now()}
			pick := func(t *rapid.T) modelEdition { return rapid.SampledFrom(m.editions).Draw(t, "edition") }
			t.Repeat(map[string]func(*rapid.T){
				"announce": func(t *rapid.T) {
					announce(t, rapid.SampledFrom([]legaltext.Class{legaltext.Editorial, legaltext.Commercial, legaltext.PersonalData}).Draw(t, "class"))
				},
				"withdraw": func(t *rapid.T) {
					last := m.editions[len(m.editions)-1]
					err := w.s.Withdraw(context.Background(), staff, agreement.SetAgreement, last.number, "x")
					if (err == nil) != (last.effective > w.now()) {
						t.Fatalf("withdraw of %+v at %d: %v", last, w.now(), err)
					}
					if err != nil {
						return
					}
					m.editions = m.editions[:len(m.editions)-1]
					of := func(b modelBind) bool { return b.number == last.number }
					m.binds, m.declines = slices.DeleteFunc(m.binds, of), slices.DeleteFunc(m.declines, of)
				},
				"wait": func(t *rapid.T) {
					w.clock.Advance(time.Duration(rapid.IntRange(1, 9*24).Draw(t, "hours")) * time.Hour)
				},
				"until the next switch": func(t *rapid.T) {
					for _, e := range m.editions {
						if e.effective > w.now() {
							w.to(e.effective - int64(rapid.IntRange(0, 1).Draw(t, "before")))
							return
						}
					}
				},
				"accept": func(t *rapid.T) {
					e := pick(t)
					_, err := w.accept(decision(account, &agreement.Edition{Set: agreement.SetAgreement, Hash: e.hash}))
					if cur := m.current(w.now()); (err == nil) != (e.number >= cur.number) {
						t.Fatalf("accept of %+v: %v", e, err)
					} else if err != nil && !errors.Is(err, agreement.ErrHashOutdated) {
						t.Fatal(err)
					}
					if err == nil {
						already := false
						for _, b := range m.binds {
							already = already || b.number == e.number
						}
						if !already {
							m.binds = append(m.binds, modelBind{e.number, max(w.now(), e.effective)})
						}
					}
				},
				"decline": func(t *rapid.T) {
					e := pick(t)
					a, err := w.decline(decision(account, &agreement.Edition{Set: agreement.SetAgreement, Hash: e.hash}))
					switch from := m.reach(); {
					case e.number < m.current(w.now()).number:
						if !errors.Is(err, agreement.ErrHashOutdated) {
							t.Fatal(err)
						}
					case from >= e.number:
						if !errors.Is(err, agreement.ErrAccepted) {
							t.Fatal(err)
						}
					case err != nil:
						t.Fatal(err)
					default:
						again := slices.ContainsFunc(m.declines, func(b modelBind) bool { return b.number == e.number })
						if _, commercial := m.strictest(from, e.number); !again && commercial != (a.ReadOnlyFrom > 0) {
							t.Fatalf("%+v from %d", a, from)
						}
						if !again {
							m.declines = append(m.declines, modelBind{e.number, a.ReadOnlyFrom})
						}
					}
				},
				"use": func(t *rapid.T) {
					kind := rapid.SampledFrom([]agreement.UseKind{agreement.UseAPI, agreement.UseConsole, agreement.UseEndUser, agreement.UseLeaving}).Draw(t, "kind")
					got := w.use(t, account, kind, "e")
					cur, from := m.current(w.now()), m.bound(w.now())
					class, _ := m.strictest(from, cur.number)
					notice := max(cur.announced, m.joined) + (7 * day).Milliseconds()
					want := (kind == agreement.UseAPI || kind == agreement.UseConsole) && from < cur.number && class == legaltext.Commercial &&
						w.now() >= max(notice, cur.effective) && m.left() == 0 &&
						!slices.ContainsFunc(m.declines, func(b modelBind) bool { return b.number == cur.number }) // use does not overrule a word
					if (len(got) == 1) != want {
						t.Fatalf("use at %d accepted %+v; bound %d, current %+v, left %d", w.now(), got, from, cur, m.left())
					}
					if want {
						m.binds = append(m.binds, modelBind{cur.number, w.now()})
					}
				},
				"": func(t *rapid.T) {
					moments = append(moments, w.now())
					before := int64(0)
					for _, at := range moments {
						got := w.boundAt(t, account, agreement.SetAgreement, at)
						if want := m.bound(at); got != want {
							t.Fatalf("at %d edition %d binds, not %d: %+v", at, got, want, m)
						}
						if got < before {
							t.Fatalf("what binds went back from %d to %d", before, got)
						}
						before = got
					}
					if st := w.standing(t, account); st.ReadOnly != (m.left() != 0 && m.left() <= w.now()) {
						t.Fatalf("standing %+v, left from %d at %d", st, m.left(), w.now())
					}
				},
			})
		})
		if damage, err := w.s.Verify(t.Context()); err != nil || len(damage) > 0 {
			t.Errorf("%+v, %v", damage, err)
		}
	})
}
