package agreement

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/agreementevent"
)

const (
	tickEvery = 20 * time.Second
	// expireBatch bounds a transaction that closes offers.
	expireBatch = 500
)

// Run tells when editions take effect, closes offers that a newer edition overtook, and follows announcements of other
// nodes, until ctx ends. It may run on every node.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(tickEvery)
	defer ticker.Stop()
	for {
		if err := s.Tick(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("agreements not looked after", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Tick does once what Run does.
func (s *Service) Tick(ctx context.Context) error {
	s.settled.forget() // other nodes may have announced something
	now := s.now()
	due, err := queryEditions(ctx, s.db, `select `+editionColumns+` from agreement_edition
		where told_at = 0 and effective_at <= $1 and withdrawn_at = 0 order by effective_at, id limit 100`, now)
	if err != nil {
		return err
	}
	for i := range due {
		if err := s.tell(ctx, &due[i], now); err != nil {
			return err
		}
	}
	chains, err := loadChains(ctx, s.db)
	if err != nil {
		return err
	}
	for set, c := range chains {
		if e := c.current(now); e != nil {
			if err := s.expire(ctx, set, e.Number); err != nil {
				return err
			}
		}
	}
	return nil
}

// tell publishes once, whichever node is first.
func (s *Service) tell(ctx context.Context, e *Edition, now int64) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update agreement_edition set told_at = $2 where id = $1 and told_at = 0 and withdrawn_at = 0`, e.ID, now)
		if err != nil || n == 0 {
			return err
		}
		return s.outbox.Publish(ctx, tx, agreementevent.TopicEffective, agreementevent.Effective{
			Set: e.Set, Number: e.Number, Hash: e.Hash, Class: string(e.Class), EffectiveAt: e.EffectiveAt,
		})
	})
}

// expire closes offers of editions before the one in effect.
func (s *Service) expire(ctx context.Context, set string, current int64) error {
	for {
		open, err := queryInts(ctx, s.db, `select id from agreement_acceptance where state = 'offered' and set_code = $1 and number < $2 order by id limit $3`,
			set, current, expireBatch)
		if err != nil || len(open) == 0 {
			return err
		}
		args := make([]any, 0, len(open)+1)
		args = append(args, s.now())
		for _, id := range open {
			args = append(args, id)
		}
		err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update agreement_acceptance set state = 'expired', decided_at = $1 where state = 'offered' and id in (`+db.In(2, len(open))+`)`, args...)
			return err
		})
		if err != nil {
			return fmt.Errorf("agreement: expire offers: %w", err)
		}
		if len(open) < expireBatch {
			return nil
		}
	}
}
