package agreement

import (
	"context"

	"borealis/internal/platform/agreement/legaltext"
)

// Ask is what an account is asked to do.
type Ask string

// Asks.
const (
	// AskNothing: it is bound by what is in effect, or has answered.
	AskNothing Ask = ""
	// AskBanner: tell of the change. A click accepts it at once; otherwise use accepts it from UseCounts on.
	AskBanner Ask = "banner"
	// AskClick: only a click accepts.
	AskClick Ask = "click"
)

// need is what a set asks of an account that did list.
type need struct {
	ask   Ask
	about *Edition
	bound *Bound
	// blocking: nothing is accepted yet, so nothing may be used.
	blocking bool
	class    legaltext.Class
	// use is from when on a use accepts, 0 for never.
	use  int64
	left *decision // the decline that stands
}

func (s *Service) need(c chain, list []decision, ends []span, now int64) need {
	n := need{bound: bound(c, list, ends, now)}
	current := c.current(now)
	switch {
	case current == nil || n.bound != nil && n.bound.EndedAt > 0:
		return n
	case n.bound == nil:
		n.ask, n.about, n.blocking, n.class = AskClick, current, true, current.Class
		return n
	}
	if n.left = declined(c, list); n.left != nil && n.left.readOnly > 0 {
		n.about = c.byID(n.left.edition)
		return n
	}
	if current.Number > n.bound.Edition.Number {
		return s.needed(n, list, current, c)
	}
	for i := range c {
		if c[i].EffectiveAt <= now {
			continue
		}
		if m := s.needed(n, list, &c[i], c); m.about != nil {
			return m
		}
	}
	return n
}

// needed is what edition e asks of who is bound by an earlier one.
func (s *Service) needed(n need, list []decision, e *Edition, c chain) need {
	answered, first := false, int64(0)
	for i := range list {
		d := &list[i]
		answered = answered || d.edition == e.ID && (d.state.accepted() || d.state == Declined)
		if d.state.accepted() && (first == 0 || d.bindsFrom < first) {
			first = d.bindsFrom
		}
	}
	n.class, _ = c.between(n.bound.Edition.Number, e.Number)
	if answered || n.class == legaltext.Editorial {
		return n
	}
	n.about = e
	if n.ask = AskBanner; n.class == legaltext.PersonalData {
		n.ask = AskClick
		return n
	}
	n.use = max(e.EffectiveAt, max(e.AnnouncedAt, first)+s.rules.Commercial.Milliseconds())
	return n
}

// Due is what one set asks of an account now.
type Due struct {
	Set string
	// App is the app whose use of a service it is about, 0 for the whole account.
	App int64
	Ask Ask
	// Edition is what to show and accept. Upcoming says that it has not taken effect yet.
	Edition  Edition
	Upcoming bool
	// Bound is the number of the edition that binds now, for a redline; 0 if none does.
	Bound int64
	// Class is the strictest change between the two.
	Class legaltext.Class
	// Blocking says that the account has accepted nothing of the set, so nothing that needs it may be used.
	Blocking bool
	// UseCounts is from when on a use accepts, Unix milliseconds; 0: never.
	UseCounts int64
	// ReadOnlyFrom and ExitUntil are those of a decline that stands, 0 otherwise; Ask is AskNothing then.
	ReadOnlyFrom, ExitUntil int64
}

// Standing is how an account stands with its agreements at a moment.
type Standing struct {
	Due []Due
	// ReadOnly says that the account declined and what it declined is in effect: it may read, export, settle and close,
	// its sends are held. ReadOnlyFrom is from when on, Unix milliseconds (0: not at all), ExitUntil how long.
	ReadOnly                bool
	ReadOnlyFrom, ExitUntil int64
	// Blocked says that a set everybody accepts is not accepted.
	Blocked bool
	// Ended says that the agreement has ended.
	Ended bool
}

// Standing tells what is due for an account now and what it may do. Of the terms of services it looks at those that the
// account accepted for one of its apps.
func (s *Service) Standing(ctx context.Context, account int64) (*Standing, error) {
	chains, err := loadChains(ctx, s.db)
	if err != nil {
		return nil, err
	}
	h, err := loadHistory(ctx, s.db, account)
	if err != nil {
		return nil, err
	}
	now := s.now()
	st := &Standing{Ended: h.ended(now)}
	if st.Ended {
		return st, nil
	}
	for _, key := range h.keys(chains) {
		c := chains[key.set]
		n := s.need(c, h.of(key.set, key.app, c), h.ends, now)
		if n.about == nil {
			continue
		}
		d := Due{Set: key.set, App: key.app, Ask: n.ask, Edition: *n.about, Upcoming: n.about.EffectiveAt > now, Class: n.class, Blocking: n.blocking, UseCounts: n.use}
		if n.bound != nil {
			d.Bound = n.bound.Edition.Number
		}
		if n.left != nil {
			d.ReadOnlyFrom, d.ExitUntil = n.left.readOnly, n.left.exitEnd
		}
		st.Due = append(st.Due, d)
		if key.app != 0 {
			continue
		}
		st.Blocked = st.Blocked || n.blocking
		if n.left != nil && n.left.readOnly > 0 && (st.ReadOnlyFrom == 0 || n.left.readOnly < st.ReadOnlyFrom) {
			st.ReadOnlyFrom, st.ExitUntil = n.left.readOnly, n.left.exitEnd
		}
	}
	st.ReadOnly = st.ReadOnlyFrom > 0 && st.ReadOnlyFrom <= now
	return st, nil
}
