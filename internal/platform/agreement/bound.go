package agreement

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

// State of an acceptance.
type State string

// States: offered becomes one of the others, and none of those becomes another.
const (
	Offered              State = "offered"
	AcceptedClick        State = "accepted_click"
	AcceptedContinuedUse State = "accepted_continued_use"
	Declined             State = "declined"
	// Expired: a newer edition took effect before an answer came.
	Expired State = "expired"
)

func (s State) accepted() bool { return s == AcceptedClick || s == AcceptedContinuedUse }

// decision is what an account did about an edition; the part of an acceptance that decides.
type decision struct {
	id, app           int64
	set               string
	edition, number   int64
	state             State
	offered, decided  int64
	bindsFrom         int64
	readOnly, exitEnd int64
}

// history is everything an account did.
type history struct {
	decisions []decision // by id
	ends      []span
}

// span is a time in which the agreement had ended; to is 0 while it has.
type span struct{ from, to int64 }

// of are the decisions about one set and app whose edition was not withdrawn.
func (h *history) of(set string, app int64, c chain) []decision {
	var list []decision
	for i := range h.decisions {
		if d := &h.decisions[i]; d.set == set && d.app == app && c.byID(d.edition) != nil {
			list = append(list, *d)
		}
	}
	return list
}

// Bound is the one edition of a set that binds an account at a time.
type Bound struct {
	Set string
	// App is the app whose use of a service it is, 0 for the whole account.
	App     int64
	Edition Edition
	// From is since when, Unix milliseconds.
	From int64
	// How is how it was accepted; an editorial change binds by itself, and How is then of the edition before it.
	How State
	// Acceptance is the number of the acceptance it rests on.
	Acceptance int64
	// EndedAt is when the agreement ended, 0 if it had not: then the edition is the last that bound.
	EndedAt int64
}

// bound is what of c binds at t who did list, nil if nothing does.
func bound(c chain, list []decision, ends []span, t int64) *Bound {
	for _, e := range ends {
		if e.from <= t && (e.to == 0 || t < e.to) {
			b := latest(c, list, e.from)
			if b != nil {
				b.EndedAt = e.from
			}
			return b
		}
	}
	return latest(c, list, t)
}

// latest is the newest edition accepted and in effect at t, moved on over editorial changes.
func latest(c chain, list []decision, t int64) *Bound {
	var best *decision
	for i := range list {
		d := &list[i]
		if d.state.accepted() && d.bindsFrom <= t && (best == nil || d.number > best.number) {
			best = d
		}
	}
	if best == nil {
		return nil
	}
	b := &Bound{Set: best.set, App: best.app, From: best.bindsFrom, How: best.state, Acceptance: best.id}
	i := slices.IndexFunc(c, func(e Edition) bool { return e.ID == best.edition })
	for i+1 < len(c) && c[i+1].EffectiveAt <= t && c[i+1].Class == legaltext.Editorial {
		i++
		b.From = max(b.From, c[i].EffectiveAt)
	}
	b.Edition = c[i]
	return b
}

// reach is the greatest edition that binds the account now or will by itself: the greatest accepted, moved on over
// editorial changes; 0 if none was accepted.
func reach(c chain, list []decision) int64 {
	n := int64(0)
	for i := range list {
		if list[i].state.accepted() {
			n = max(n, list[i].number)
		}
	}
	if n == 0 {
		return 0
	}
	for i := range c {
		if c[i].Number <= n {
			continue
		}
		if c[i].Class != legaltext.Editorial {
			break
		}
		n = c[i].Number
	}
	return n
}

// declined is the decline that stands, i.e. of an edition beyond reach: of several, the one that makes the account
// read-only first.
func declined(c chain, list []decision) *decision {
	var found *decision
	n := reach(c, list)
	for i := range list {
		d := &list[i]
		if d.state != Declined || d.number <= n {
			continue
		}
		if found == nil || d.readOnly > 0 && (found.readOnly == 0 || d.readOnly < found.readOnly) {
			found = d
		}
	}
	return found
}

// BoundAt tells which edition of each set bound an account at a time, in Unix milliseconds: exactly one of each set that
// the account (or one of its apps, for the terms of a service) had accepted by then. It answers for accounts that were
// closed since.
func (s *Service) BoundAt(ctx context.Context, account, at int64) ([]Bound, error) {
	chains, err := loadChains(ctx, s.db)
	if err != nil {
		return nil, err
	}
	h, err := loadHistory(ctx, s.db, account)
	if err != nil {
		return nil, err
	}
	var out []Bound
	for _, key := range h.keys(chains) {
		if b := bound(chains[key.set], h.of(key.set, key.app, chains[key.set]), h.ends, at); b != nil {
			out = append(out, *b)
		}
	}
	return out, nil
}

type setKey struct {
	set string
	app int64
}

// keys are the sets and apps the account has to do with: those of everybody, and what it decided about.
func (h *history) keys(chains map[string]chain) []setKey {
	var keys []setKey
	seen := map[setKey]bool{}
	add := func(k setKey) {
		if len(chains[k.set]) > 0 && !seen[k] {
			seen[k] = true
			keys = append(keys, k)
		}
	}
	for _, set := range signUpSets() {
		add(setKey{set: set})
	}
	for i := range h.decisions {
		add(setKey{h.decisions[i].set, h.decisions[i].app})
	}
	return keys
}

// ErrEnded says that the agreement with the account has ended, so nothing is accepted or declined.
var ErrEnded = errors.New("agreement: the agreement with the account has ended")

// ended says whether the agreement had ended at t.
func (h *history) ended(t int64) bool {
	return slices.ContainsFunc(h.ends, func(e span) bool { return e.from <= t && (e.to == 0 || t < e.to) })
}

// End records that the agreement with an account has ended: the deactivation was notified. Call it in the transaction
// that closes the account. What bound before can still be asked. Ending twice changes nothing.
func (s *Service) End(ctx context.Context, tx *db.Tx, account int64) error {
	if _, err := tx.Exec(ctx, `insert into agreement_end (account, at, until) select $1, $2, 0
		where not exists (select 1 from agreement_end where account = $1 and until = 0)`, account, s.now()); err != nil {
		return fmt.Errorf("agreement: end: %w", err)
	}
	return nil
}

// Resume records that an account that was closed is open again: what bound it last binds again.
func (s *Service) Resume(ctx context.Context, tx *db.Tx, account int64) error {
	if _, err := tx.Exec(ctx, `update agreement_end set until = $2 where account = $1 and until = 0`, account, s.now()); err != nil {
		return fmt.Errorf("agreement: resume: %w", err)
	}
	tx.AfterCommit(func() { s.settled.forgetAccount(account) })
	return nil
}
