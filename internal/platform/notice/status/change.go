package status

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/notice/wording"
)

// Kinds of changes of a service (AG-SVC-11).
const (
	KindChange      = "change"
	KindUpgrade     = "upgrade"
	KindSuspension  = "suspension"
	KindTermination = "termination"
)

const (
	// SunsetPeriod is how long before its end users are told of the planned end of a service, or of less of it.
	SunsetPeriod = 30 * 24 * time.Hour
	// ToldWithin is how soon they are told of what was not planned.
	ToldWithin = 15 * time.Minute
)

// ServiceChange is a change of a service and when users were told of it.
type ServiceChange struct {
	ID int64 `json:"id"`
	// Service is its code in the catalogue, Kind one of the kinds.
	Service string `json:"service"`
	Kind    string `json:"kind"`
	Planned bool   `json:"planned"`
	// Texts say what changes and whom it affects.
	Texts wording.Texts `json:"texts"`
	// Reason is needed for a planned end sooner than SunsetPeriod, such as a law.
	Reason string `json:"reason"`
	// DecidedAt 0: now. EffectiveAt; ToldAt is the first notice, 0: none yet. Unix ms.
	DecidedAt   int64 `json:"decided_at"`
	EffectiveAt int64 `json:"effective_at"`
	ToldAt      int64 `json:"told_at"`
	// Notices are the ids of the notices about it.
	Notices []string `json:"notices"`
}

// Late tells whether users were, or still are, told too late: after ToldWithin of what was not planned, after it took effect of what was.
func (c *ServiceChange) Late(now int64) bool {
	told := c.ToldAt
	if told == 0 {
		told = now
	}
	if c.Planned {
		return told > c.EffectiveAt
	}
	return told > c.DecidedAt+ToldWithin.Milliseconds()
}

// Record records a change. Errors: *wording.InvalidError.
func (s *Service) Record(ctx context.Context, tx *db.Tx, actor string, c ServiceChange) (int64, error) {
	now := s.now()
	if c.DecidedAt == 0 {
		c.DecidedAt = now
	}
	switch {
	case !codePattern.MatchString(c.Service):
		return 0, invalid("service", "must be the code of a service")
	case !slices.Contains([]string{KindChange, KindUpgrade, KindSuspension, KindTermination}, c.Kind):
		return 0, invalid("kind", "must be one of: change, upgrade, suspension, termination")
	case c.DecidedAt > now:
		return 0, invalid("decided_at", "must not be in the future")
	case c.EffectiveAt <= 0:
		return 0, invalid("effective_at", "must be given")
	case c.Planned && c.EffectiveAt < now:
		return 0, invalid("effective_at", "of a planned change must not be in the past")
	case len(c.Reason) > maxReason:
		return 0, invalid("reason", fmt.Sprintf("has more than %d bytes", maxReason))
	case c.Planned && c.Kind == KindTermination && c.EffectiveAt-now < SunsetPeriod.Milliseconds() && strings.TrimSpace(c.Reason) == "":
		return 0, invalid("effective_at", "the planned end of a service is told 30 days before, or there is a reason why not")
	}
	if err := wording.Error(s.Rules.Lint(&c.Texts, nil, false)); err != nil {
		return 0, err
	}
	texts, err := json.Marshal(c.Texts)
	if err != nil {
		return 0, wrap("change", err)
	}
	err = tx.QueryRow(ctx, `insert into notice_status_service_change (service, kind, planned, texts, reason, decided_at, effective_at, told_at, created_at)
		values ($1, $2, $3, $4, $5, $6, $7, 0, $8) returning id`, c.Service, c.Kind, c.Planned, string(texts), c.Reason, c.DecidedAt, c.EffectiveAt, now).Scan(&c.ID)
	if err != nil {
		return 0, wrap("change", err)
	}
	return c.ID, s.log(ctx, tx, actor, "service_change.record", fmt.Sprint("service_change:", c.ID), map[string]any{
		"service": c.Service, "kind": c.Kind, "planned": c.Planned, "effective_at": c.EffectiveAt,
	})
}

// Told records, in the transaction that accepts it or afterwards, that a notice about a change went out. The first one counts. ErrNone.
func (s *Service) Told(ctx context.Context, tx *db.Tx, change int64, notice string) error {
	now := s.now()
	n, err := tx.Exec(ctx, `update notice_status_service_change set told_at = case when told_at = 0 then $2 else told_at end where id = $1`, change, now)
	if err != nil {
		return wrap("told", err)
	}
	if n == 0 {
		return ErrNone
	}
	_, err = tx.Exec(ctx, `insert into notice_status_change_notice (change_id, notice_id, at)
		values ($1, $2, $3) on conflict (change_id, notice_id) do nothing`, change, notice, now)
	if err != nil {
		return wrap("told", err)
	}
	return nil
}

// Changes lists changes, the newest first, before the one with an ID (0: all), at most 100.
func (s *Service) Changes(ctx context.Context, before int64) ([]ServiceChange, error) {
	if before == 0 {
		before = 1 << 62
	}
	rows, err := s.DB.Query(ctx, `select id, service, kind, planned, texts, reason, decided_at, effective_at, told_at from notice_status_service_change
		where id < $1 order by id desc limit $2`, before, pageSize)
	if err != nil {
		return nil, wrap("changes", err)
	}
	var out []ServiceChange
	for rows.Next() {
		var (
			c     ServiceChange
			texts string
		)
		err = rows.Scan(&c.ID, &c.Service, &c.Kind, &c.Planned, &texts, &c.Reason, &c.DecidedAt, &c.EffectiveAt, &c.ToldAt)
		if err == nil {
			err = json.Unmarshal([]byte(texts), &c.Texts)
		}
		if err != nil {
			break
		}
		out = append(out, c)
	}
	if err := errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return nil, wrap("changes", err)
	}
	for i := range out {
		if out[i].Notices, err = s.noticesOf(ctx, out[i].ID); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (s *Service) noticesOf(ctx context.Context, change int64) ([]string, error) {
	rows, err := s.DB.Query(ctx, `select notice_id from notice_status_change_notice where change_id = $1 order by at, notice_id limit 1000`, change)
	if err != nil {
		return nil, wrap("changes", err)
	}
	defer func() { _ = rows.Close() }()
	var out []string
	for rows.Next() {
		var n string
		if err := rows.Scan(&n); err != nil {
			return nil, wrap("changes", err)
		}
		out = append(out, n)
	}
	return out, rows.Err()
}
