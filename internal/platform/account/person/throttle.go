package person

import (
	"context"
	"fmt"
	"time"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/ratelimit"
)

// pace is how attempts at one thing are slowed down: so many are free, then each waits twice as long as the one before. A day
// without attempts forgives.
type pace struct {
	free       int64
	first, max time.Duration
}

// Nobody can try more than about a hundred passwords a day on one person, and an attacker cannot keep the person out for
// longer than a quarter of an hour after they stop.
var (
	personPace  = pace{5, 30 * time.Second, 15 * time.Minute}
	addressPace = pace{30, 30 * time.Second, time.Hour}
)

func (p *pace) after(fails int64) time.Duration {
	if fails < p.free {
		return 0
	}
	wait := p.first
	for i := p.free; i < fails && wait < p.max; i++ {
		wait *= 2
	}
	return min(wait, p.max)
}

// attempt counts an attempt before its outcome is known, so that many at once are not more than many one by one. It fails
// with *WaitError, and then nothing is counted. A success is told by forgive.
func (s *Service) attempt(ctx context.Context, tx *db.Tx, target string, p *pace) error {
	now := s.now()
	var fails, failedAt, until int64
	err := tx.QueryRow(ctx, `insert into account_person_throttle (target, fails, failed_at, until) values ($1, 0, $2, 0)
		on conflict (target) do update set target = excluded.target returning fails, failed_at, until`, target, now).Scan(&fails, &failedAt, &until)
	if err != nil {
		return fmt.Errorf("person: lock attempts: %w", err)
	}
	if wait := time.Duration(until-now) * time.Millisecond; wait > 0 && wait <= p.max {
		return &WaitError{wait}
	}
	if now-failedAt > day.Milliseconds() {
		fails = 0
	}
	fails++
	until = 0
	if wait := p.after(fails); wait > 0 {
		until = now + wait.Milliseconds()
	}
	if _, err := tx.Exec(ctx, `update account_person_throttle set fails = $2, failed_at = $3, until = $4 where target = $1`, target, fails, now, until); err != nil {
		return fmt.Errorf("person: count an attempt: %w", err)
	}
	return nil
}

// forgive forgets the attempts at a person, who has just proved to be there, and of an address only this one: its other
// attempts may have been somebody else's passwords.
func forgive(ctx context.Context, tx *db.Tx, person, address string) error {
	if _, err := tx.Exec(ctx, `delete from account_person_throttle where target = $1`, person); err != nil {
		return fmt.Errorf("person: forget attempts: %w", err)
	}
	if address == "" {
		return nil
	}
	if _, err := tx.Exec(ctx, `update account_person_throttle set fails = fails - 1, until = 0 where target = $1 and fails > 0`, address); err != nil {
		return fmt.Errorf("person: forget an attempt: %w", err)
	}
	return nil
}

// addressTarget is "" where there is no address.
func (s *Service) addressTarget(w Where) string {
	if !w.IP.IsValid() {
		return ""
	}
	return "ip:" + s.keys.Blind("person/ip", ratelimit.IPKey(w.IP).String())
}

// begin counts an attempt at a person and from an address; the order of locks is always this.
func (s *Service) begin(ctx context.Context, tx *db.Tx, person, address string) error {
	if address != "" {
		if err := s.attempt(ctx, tx, address, &addressPace); err != nil {
			return err
		}
	}
	return s.attempt(ctx, tx, person, &personPace)
}
