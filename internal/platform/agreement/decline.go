package agreement

import (
	"context"
	"fmt"
	"slices"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/agreementevent"
)

// Decline records that an account does not agree to an edition that does not bind it yet, in effect or announced.
//
// If commercial changes are among what it does not agree to, the account must leave: it is read-only and its sends are
// held from the effect of the edition on (before, what bound still binds), and may export, settle and close until
// ExitUntil. Accepting the edition or a later one ends this. If only personal data is concerned, the processing stays
// off and nothing else follows. Declining twice returns the first decline.
// Errors: ErrNotSigner, *HashError, ErrAccepted, ErrEnded, ErrNotPublished, *FieldError.
func (s *Service) Decline(ctx context.Context, tx *db.Tx, in Decision) (*Acceptance, error) {
	c, e, h, now, err := s.decide(ctx, tx, &in)
	if err != nil {
		return nil, err
	}
	list := h.of(in.Set, in.App, c)
	from := reach(c, list)
	if from >= e.Number {
		return nil, fmt.Errorf("%w, or will: edition %d of %s", ErrAccepted, e.Number, e.Set)
	}
	if i := slices.IndexFunc(list, func(d decision) bool { return d.state == Declined && d.edition == e.ID }); i >= 0 {
		var a Acceptance
		err := tx.QueryRow(ctx, `select `+acceptanceColumns+` from agreement_acceptance where id = $1`, list[i].id).Scan(a.dest()...)
		return &a, err
	}
	a := &Acceptance{
		Account: in.Account, App: in.App, Set: e.Set, Number: e.Number, Hash: e.Hash, State: Declined, Locale: in.Locale, Person: in.Person, DecidedAt: now,
	}
	if _, commercial := c.between(from, e.Number); commercial && from > 0 {
		a.ReadOnlyFrom = max(now, e.EffectiveAt)
		a.ExitUntil = a.ReadOnlyFrom + s.rules.Exit.Milliseconds()
	}
	p, err := s.proof(ctx, tx, e, &in)
	if err != nil {
		return nil, err
	}
	if _, err := s.record(ctx, tx, e, a, p, in.Origin); err != nil {
		return nil, err
	}
	return a, s.outbox.Publish(ctx, tx, agreementevent.TopicDeclined, agreementevent.Declined{
		Account: a.Account, App: a.App, Set: a.Set, Number: a.Number, At: now, ReadOnlyFrom: a.ReadOnlyFrom, ExitUntil: a.ExitUntil,
	})
}

// Exit is an account that declined and has to be closed (or, for the terms of a service, an app's service to be disabled).
type Exit struct {
	Account, App int64
	Set          string
	Number       int64
	// Until is when the time to leave ended, Unix milliseconds.
	Until int64
}

// Exits are accounts whose time to leave ended, the longest ago first, at most limit (1 to 1,000).
// An account stays in the list until its agreement ends or it accepts.
func (s *Service) Exits(ctx context.Context, limit int) ([]Exit, error) {
	chains, err := loadChains(ctx, s.db)
	if err != nil {
		return nil, err
	}
	list, err := s.exits(ctx, min(max(limit, 1), 1000))
	if err != nil {
		return nil, err
	}
	var out []Exit
	for _, x := range list {
		h, err := loadHistory(ctx, s.db, x.Account)
		if err != nil {
			return nil, err
		}
		c := chains[x.Set]
		if d := declined(c, h.of(x.Set, x.App, c)); d != nil && d.number == x.Number {
			out = append(out, x)
		}
	}
	return out, nil
}

// exits are the declines among which Exits are found: it leaves out most that no longer stand.
func (s *Service) exits(ctx context.Context, limit int) ([]Exit, error) {
	rows, err := s.db.Query(ctx, `select a.account, a.app, a.set_code, a.number, a.exit_until from agreement_acceptance a
		join agreement_edition e on e.id = a.edition
		where a.exit_until > 0 and a.exit_until <= $1 and e.withdrawn_at = 0
			and not exists (select 1 from agreement_end x where x.account = a.account and x.until = 0)
			and not exists (select 1 from agreement_acceptance y join agreement_edition f on f.id = y.edition
				where y.account = a.account and y.app = a.app and y.set_code = a.set_code and y.number >= a.number
					and y.state in ('accepted_click', 'accepted_continued_use') and f.withdrawn_at = 0)
		order by a.exit_until, a.id limit $2`, s.now(), limit)
	if err != nil {
		return nil, fmt.Errorf("agreement: exits: %w", err)
	}
	defer rows.Close()
	var list []Exit
	for rows.Next() {
		var x Exit
		if err := rows.Scan(&x.Account, &x.App, &x.Set, &x.Number, &x.Until); err != nil {
			return nil, fmt.Errorf("agreement: exits: %w", err)
		}
		list = append(list, x)
	}
	return list, rows.Err()
}
