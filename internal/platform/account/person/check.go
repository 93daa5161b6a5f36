package person

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

// Results of a check that what a person gave is still true.
const (
	CheckValid   = "valid"
	CheckInvalid = "invalid"
	// CheckUnknown: the source did not answer. It never counts against anybody.
	CheckUnknown = "unknown"
)

// SourceCode is the check that a one-time code is.
const SourceCode = "one_time_code"

const (
	checkEvery   = 365 * 24 * time.Hour
	checkUnknown = 24 * time.Hour
)

// Check is one check.
type Check struct {
	At             time.Time
	Source, Result string
}

func (s *Service) insertCheck(ctx context.Context, tx *db.Tx, user int64, source, result string) error {
	now := s.now()
	if _, err := tx.Exec(ctx, `insert into account_person_check (user_id, source, result, at) values ($1, $2, $3, $4)`, user, source, result, now); err != nil {
		return fmt.Errorf("person: log a check: %w", err)
	}
	next := now + checkEvery.Milliseconds()
	if result == CheckUnknown {
		next = now + checkUnknown.Milliseconds()
	}
	return s.checkAt(ctx, tx, user, next)
}

func (s *Service) checkAt(ctx context.Context, tx *db.Tx, user, due int64) error {
	_, err := tx.Exec(ctx, `insert into account_person_check_due (user_id, due_at) values ($1, $2) on conflict (user_id) do update set due_at = excluded.due_at`, user, due)
	if err != nil {
		return fmt.Errorf("person: plan a check: %w", err)
	}
	return nil
}

// RecordCheck keeps the result of a check and plans the next: in a year, or tomorrow where the source did not answer. by is who did
// it, for the audit log. It changes nothing about the person: what follows from "invalid" is decided elsewhere.
func (s *Service) RecordCheck(ctx context.Context, by string, user int64, source, result string) error {
	if !slices.Contains([]string{CheckValid, CheckInvalid, CheckUnknown}, result) {
		return &InvalidError{"result", "must be valid, invalid or unknown"}
	}
	if source == "" || len(source) > 64 {
		return &InvalidError{"source", "must have from 1 to 64 bytes"}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.lockUser(ctx, tx, user); err != nil {
			return err
		}
		if err := s.insertCheck(ctx, tx, user, source, result); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, by, "user.check", userName(user), map[string]string{"source": source, "result": result})
	})
}

// RequireCheck makes a check of a person due now, in the caller's transaction: after an event that gives reason to.
func (s *Service) RequireCheck(ctx context.Context, tx *db.Tx, user int64) error {
	return s.checkAt(ctx, tx, user, s.now())
}

// DueChecks lists people whose check is due, those that wait longest first.
func (s *Service) DueChecks(ctx context.Context, limit int) ([]int64, error) {
	rows, err := s.db.Query(ctx, `select user_id from account_person_check_due where due_at <= $1 order by due_at, user_id limit $2`, s.now(), max(1, min(limit, 1000)))
	if err != nil {
		return nil, fmt.Errorf("person: list due checks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []int64
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("person: list due checks: %w", err)
		}
		out = append(out, id)
	}
	return out, rows.Err()
}

// Checks lists the checks of a person, newest first, at most 100.
func (s *Service) Checks(ctx context.Context, user int64) ([]Check, error) {
	rows, err := s.db.Query(ctx, `select at, source, result from account_person_check where user_id = $1 order by id desc limit 100`, user)
	if err != nil {
		return nil, fmt.Errorf("person: list checks: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Check
	for rows.Next() {
		var (
			c  Check
			at int64
		)
		if err := rows.Scan(&at, &c.Source, &c.Result); err != nil {
			return nil, fmt.Errorf("person: list checks: %w", err)
		}
		c.At = clock.FromMillis(at)
		out = append(out, c)
	}
	return out, rows.Err()
}

// Outcomes of attempts to reach somebody.
const (
	ContactHanded    = "handed_over"
	ContactDelivered = "delivered"
	ContactBounced   = "bounced"
	ContactFailed    = "failed"
)

// Attempt is one attempt to reach somebody.
type Attempt struct {
	ID            int64
	Channel, Kind string
	// Address is masked.
	Address          string
	At               time.Time
	Outcome, Receipt string
	OutcomeAt        time.Time
}

func insertContact(ctx context.Context, tx *db.Tx, m *Message, now int64) (id int64, err error) {
	masked := contact.MaskEmail(m.To)
	if m.Channel != ChannelEmail {
		masked = contact.MaskMobile(m.To)
	}
	err = tx.QueryRow(ctx, `insert into account_person_contact (user_id, channel, kind, address, at, outcome, receipt, outcome_at)
		values ($1, $2, $3, $4, $5, $6, '', 0) returning id`,
		m.User, m.Channel, m.Kind, masked, now, ContactHanded).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("person: log an attempt: %w", err)
	}
	return id, nil
}

// Reached notes in the caller's transaction what became of an attempt: an outcome, and what the carrier says of it (≤ 256
// bytes), its receipt or the class of the bounce. It fails with ErrNotFound or *InvalidError.
func (s *Service) Reached(ctx context.Context, tx *db.Tx, attempt int64, outcome, receipt string) error {
	if !slices.Contains([]string{ContactDelivered, ContactBounced, ContactFailed}, outcome) {
		return &InvalidError{"outcome", "must be delivered, bounced or failed"}
	}
	if len(receipt) > 256 {
		return &InvalidError{"receipt", "is longer than 256 bytes"}
	}
	n, err := tx.Exec(ctx, `update account_person_contact set outcome = $2, receipt = $3, outcome_at = $4 where id = $1`, attempt, outcome, receipt, s.now())
	switch {
	case err != nil:
		return fmt.Errorf("person: note an outcome: %w", err)
	case n == 0:
		return ErrNotFound
	}
	return nil
}

// Attempts lists the attempts to reach a person with codes, newest first, at most limit (≤ 500).
func (s *Service) Attempts(ctx context.Context, user int64, limit int) ([]Attempt, error) {
	rows, err := s.db.Query(ctx, `select id, channel, kind, address, at, outcome, receipt, outcome_at from account_person_contact where user_id = $1 order by id desc limit $2`,
		user, max(1, min(limit, 500)))
	if err != nil {
		return nil, fmt.Errorf("person: list attempts: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Attempt
	for rows.Next() {
		var (
			a         Attempt
			at, after int64
		)
		if err := rows.Scan(&a.ID, &a.Channel, &a.Kind, &a.Address, &at, &a.Outcome, &a.Receipt, &after); err != nil {
			return nil, fmt.Errorf("person: list attempts: %w", err)
		}
		a.At = clock.FromMillis(at)
		if after != 0 {
			a.OutcomeAt = clock.FromMillis(after)
		}
		out = append(out, a)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}
