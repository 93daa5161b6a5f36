package person

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/db"
)

const (
	purgeEvery = 10 * time.Minute
	purgeBatch = 500
	// keepLogs is how long log-ins and attempts to reach people are kept.
	keepLogs = 365 * 24 * time.Hour
)

// Run purges what has expired, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	ticker := time.NewTicker(purgeEvery)
	defer ticker.Stop()
	for {
		if err := s.Purge(ctx); err != nil && ctx.Err() == nil {
			s.log.Warn("what has expired was not purged", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// Purge removes what has expired: sign-ups with everything that was filled in, codes, links, sessions, counters, old logs,
// and the addresses that "not me" could still have brought back.
func (s *Service) Purge(ctx context.Context) error {
	now := s.now()
	ago := func(d time.Duration) int64 { return now - d.Milliseconds() }
	for _, p := range []struct {
		table, key, where string
		than              int64
	}{
		{"account_person_draft", "id", "expires_at <= $1", now},
		{"account_person_ticket", "id", "expires_at <= $1", now},
		{"account_person_session", "id", "expires_at <= $1", now},
		{"account_person_code", "target_blind", "sent_at <= $1", ago(day)},
		{"account_person_throttle", "target", "failed_at <= $1", ago(day)},
		{"account_person_totp", "user_id", "confirmed_at = 0 and created_at <= $1", ago(day)},
		{"account_person_recovery", "id", "at <= $1", ago(thirtyDays)},
		{"account_person_invitation", "id", "expires_at <= $1", ago(thirtyDays)},
		{"account_person_token", "id", "expires_at <= $1", ago(keepLogs)},
		{"account_person_login", "id", "at <= $1", ago(keepLogs)},
		{"account_person_contact", "id", "at <= $1", ago(keepLogs)},
	} {
		if err := s.inBatches(ctx, `delete from `+p.table+` where `+p.key+` in (select `+p.key+` from `+p.table+` where `+p.where+` order by `+p.key+` limit $2)`,
			p.than); err != nil {
			return fmt.Errorf("person: purge %s: %w", p.table, err)
		}
	}
	err := s.inBatches(ctx, `update account_person_change set old_sealed = '' where id in (select id from account_person_change where old_sealed <> ''
		and at <= $1 order by id limit $2)`, ago(notMeTTL))
	if err != nil {
		return fmt.Errorf("person: forget old addresses: %w", err)
	}
	return nil
}

func (s *Service) inBatches(ctx context.Context, statement string, than int64) error {
	for {
		var n int64
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
			n, err = tx.Exec(ctx, statement, than, purgeBatch)
			return err
		})
		if err != nil || n < purgeBatch {
			return err
		}
	}
}
