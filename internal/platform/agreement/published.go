package agreement

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"borealis/internal/kernel/db"
)

// Published are the editions in effect of all sets, in order of the sets: the whole contract for one page.
func (s *Service) Published(ctx context.Context) ([]Edition, error) {
	chains, err := loadChains(ctx, s.db)
	if err != nil {
		return nil, err
	}
	now := s.now()
	var out []Edition
	for _, set := range slices.Sorted(maps.Keys(chains)) {
		if e := chains[set].current(now); e != nil {
			out = append(out, *e)
		}
	}
	return out, nil
}

// Editions are all editions of a set, withdrawn ones too, the newest first.
func (s *Service) Editions(ctx context.Context, set string) ([]Edition, error) {
	if !storable(set) {
		return nil, nil
	}
	return queryEditions(ctx, s.db, `select `+editionColumns+` from agreement_edition where set_code = $1 order by number desc limit 1000`, set)
}

// edition reads one edition; number 0 is the one in effect.
func (s *Service) edition(ctx context.Context, set string, number int64) (*Edition, error) {
	if number == 0 {
		c, err := loadChain(ctx, s.db, set)
		if err != nil {
			return nil, err
		}
		if e := c.current(s.now()); e != nil {
			return e, nil
		}
		return nil, fmt.Errorf("%w: %s", ErrNotPublished, set)
	}
	if !storable(set) {
		return nil, fmt.Errorf("%w: edition %d of %.60q", ErrNotFound, number, set)
	}
	e, err := scanEdition(s.db.QueryRow(ctx, `select `+editionColumns+` from agreement_edition where set_code = $1 and number = $2`, set, number))
	if errors.Is(err, db.ErrNoRows) {
		return nil, fmt.Errorf("%w: edition %d of %s", ErrNotFound, number, set)
	}
	if err != nil {
		return nil, fmt.Errorf("agreement: edition: %w", err)
	}
	return &e, nil
}
