package agreement

import (
	"context"
	"fmt"
	"slices"

	"borealis/internal/kernel/db"
)

// choice is what an account last said about a purpose or an option, and under which edition.
type choice struct {
	set     string
	number  int64
	code    string
	granted bool
}

func loadChoices(ctx context.Context, r reader, account int64) ([]choice, error) {
	rows, err := r.Query(ctx, `select set_code, number, code, granted from agreement_choice where account = $1 order by id`, account)
	if err != nil {
		return nil, fmt.Errorf("agreement: choices: %w", err)
	}
	defer rows.Close()
	var list []choice
	for rows.Next() {
		var c choice
		if err := rows.Scan(&c.set, &c.number, &c.code, &c.granted); err != nil {
			return nil, fmt.Errorf("agreement: choices: %w", err)
		}
		list = append(list, c)
	}
	return list, rows.Err()
}

// answer is the last word about a code under the editions from number from to number to.
func answer(list []choice, set, code string, from, to int64) (granted, found bool) {
	for i := range list {
		if ch := &list[i]; ch.set == set && ch.code == code && ch.number >= from && ch.number <= to {
			granted, found = ch.granted, true
		}
	}
	return granted, found
}

// askedBy is the number of the last edition, up to number to, that brought or changed a purpose.
func (c chain) askedBy(code string, to int64) int64 {
	last := int64(0)
	for i := range c {
		if c[i].Number <= to && slices.Contains(c[i].Terms.Asks, code) {
			last = c[i].Number
		}
	}
	return last
}

// open are the purposes of an edition that nobody has answered since they were brought or changed.
func (c chain) open(list []choice, e *Edition) []string {
	var out []string
	for _, p := range e.Terms.Purposes {
		if _, found := answer(list, e.Set, p, c.askedBy(p, e.Number), e.Number); !found {
			out = append(out, p)
		}
	}
	return out
}

// choose records what was chosen with a click: the grants, a refusal of everything else that was asked, and the
// objections.
func (s *Service) choose(ctx context.Context, tx *db.Tx, c chain, e *Edition, in *Decision, now int64) error {
	if len(e.Terms.Purposes)+len(e.Terms.Options) == 0 {
		return nil
	}
	before, err := loadChoices(ctx, tx, in.Account)
	if err != nil {
		return err
	}
	asked := c.open(before, e)
	for _, p := range e.Terms.Purposes {
		granted := slices.Contains(in.Purposes, p)
		if granted || slices.Contains(asked, p) {
			if err := putChoice(ctx, tx, e, in.Account, in.Person, p, granted, now); err != nil {
				return err
			}
		}
	}
	for _, o := range in.Objections {
		if err := putChoice(ctx, tx, e, in.Account, in.Person, o, false, now); err != nil {
			return err
		}
	}
	return nil
}

func putChoice(ctx context.Context, tx *db.Tx, e *Edition, account, person int64, code string, granted bool, now int64) error {
	if _, err := tx.Exec(ctx, `insert into agreement_choice (account, set_code, number, code, granted, person, at) values ($1, $2, $3, $4, $5, $6, $7)`,
		account, e.Set, e.Number, code, granted, person, now); err != nil {
		return fmt.Errorf("agreement: choice: %w", err)
	}
	return nil
}

// Choose grants or withdraws a purpose, or objects to an option or takes the objection back, at any time: one click.
// Errors: *FieldError if the edition of the set in effect has no such code; ErrEnded, ErrNotPublished.
func (s *Service) Choose(ctx context.Context, tx *db.Tx, account, person int64, set, code string, granted bool) error {
	c, err := loadChain(ctx, tx, set)
	if err != nil {
		return err
	}
	now := s.now()
	e := c.current(now)
	if e == nil {
		return fmt.Errorf("%w: %s", ErrNotPublished, set)
	}
	if !slices.Contains(e.Terms.Purposes, code) && !slices.Contains(e.Terms.Options, code) {
		return wrong("code", "%.60q is no purpose and no option of the set %s", code, set)
	}
	h, err := loadHistory(ctx, tx, account)
	if err != nil {
		return err
	}
	if h.ended(now) {
		return ErrEnded
	}
	return putChoice(ctx, tx, e, account, person, code, granted, now)
}

// Choice is a purpose or an option as it stands for an account.
type Choice struct {
	Set, Code string
	// Purpose tells a purpose (off until granted) from an option (on until objected to).
	Purpose bool
	// On says whether the processing, or the use, may take place.
	On bool
	// Asked says that the purpose was brought or changed and the account has not answered yet.
	Asked bool
}

// Choices are all purposes and options that the editions in effect have, as they stand for an account. What is not
// listed is not allowed. A purpose that an edition changed is off until it is granted anew, whatever was granted before.
func (s *Service) Choices(ctx context.Context, account int64) ([]Choice, error) {
	chains, err := loadChains(ctx, s.db)
	if err != nil {
		return nil, err
	}
	h, err := loadHistory(ctx, s.db, account)
	if err != nil {
		return nil, err
	}
	list, err := loadChoices(ctx, s.db, account)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var (
		out  []Choice
		seen = map[string]bool{}
	)
	for _, key := range h.keys(chains) {
		c := chains[key.set]
		e := c.current(now)
		if e == nil || seen[key.set] {
			continue
		}
		seen[key.set] = true
		b := bound(c, h.of(key.set, key.app, c), h.ends, now)
		alive := b != nil && b.EndedAt == 0
		for _, p := range e.Terms.Purposes {
			granted, found := answer(list, e.Set, p, c.askedBy(p, e.Number), e.Number)
			out = append(out, Choice{Set: e.Set, Code: p, Purpose: true, On: alive && granted, Asked: alive && !found})
		}
		for _, o := range e.Terms.Options {
			granted, found := answer(list, e.Set, o, 0, e.Number)
			out = append(out, Choice{Set: e.Set, Code: o, On: alive && (granted || !found)})
		}
	}
	return out, nil
}

// Allowed says whether a purpose or option is on for an account; false for what no edition in effect has.
func (s *Service) Allowed(ctx context.Context, account int64, set, code string) (bool, error) {
	all, err := s.Choices(ctx, account)
	if err != nil {
		return false, err
	}
	return slices.ContainsFunc(all, func(c Choice) bool { return c.Set == set && c.Code == code && c.On }), nil
}
