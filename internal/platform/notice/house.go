package notice

import (
	"context"
	"errors"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	sweepPace = time.Minute
	// keepMandatory and keepOptional are how long notices are kept: proof of what was told outlives claims; the rest is history.
	keepMandatory = 6 * 366 * 24 * time.Hour
	keepOptional  = 400 * 24 * time.Hour
	// abandoned is when a notice whose caller never finished is dropped.
	abandoned = 7 * 24 * time.Hour
)

// keepHouse hands out big notices, and once a minute counts what waits and drops what is old.
func (s *Service) keepHouse(ctx context.Context) error {
	look, sweep := time.NewTicker(pace), time.NewTicker(sweepPace)
	defer look.Stop()
	defer sweep.Stop()
	err := s.sweep(ctx)
	for {
		if err != nil && ctx.Err() == nil {
			s.log.Warn("notices", "err", err) // the next turn tries again
		}
		select {
		case <-ctx.Done():
			return nil
		case <-look.C:
			err = s.releaseAll(ctx)
		case <-s.release:
			err = s.releaseAll(ctx)
		case <-sweep.C:
			err = s.sweep(ctx)
		}
	}
}

// releaseAll makes what accepted notices have prepared visible and due, a chunk in each transaction.
func (s *Service) releaseAll(ctx context.Context) error {
	for {
		var (
			id       string
			released int
		)
		rows, err := s.db.Query(ctx, `select id, released from notice_notice where state = $1 order by created_at limit 1`, stateAccepted)
		if err != nil {
			return wrap("release", err)
		}
		some := rows.Next()
		if some {
			err = rows.Scan(&id, &released)
		}
		if err = errors.Join(err, rows.Err(), rows.Close()); err != nil || !some {
			return err
		}
		if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.releaseChunk(ctx, tx, id, released) }); err != nil {
			return err
		}
		s.poke()
	}
}

// releaseChunk does nothing if another node released the chunk.
func (s *Service) releaseChunk(ctx context.Context, tx *db.Tx, id string, from int) error {
	now := s.now()
	n, err := tx.Exec(ctx, `update notice_notice set released = released + $3, state = case when released + $3 >= recipients then $4 else state end
		where id = $1 and released = $2 and state = $5`, id, from, chunk, stateReleased, stateAccepted)
	if err != nil || n == 0 {
		return err
	}
	_, err = tx.Exec(ctx, `update notice_delivery set state = 1, due_at = $4 where state = 0 and recipient_id in
		(select id from notice_recipient where notice_id = $1 and n >= $2 and n < $3)`, id, from, from+chunk, now)
	if err != nil {
		return wrap("release", err)
	}
	_, err = tx.Exec(ctx, `update notice_recipient set visible_at = $4, deemed_at = $4, deemed_date = $5
		where notice_id = $1 and n >= $2 and n < $3 and insite and visible_at = 0`, id, from, from+chunk, now, s.date(now))
	if err != nil {
		return wrap("release", err)
	}
	return nil
}

func (s *Service) sweep(ctx context.Context) error {
	var waiting int64
	if err := s.db.QueryRow(ctx, `select count(*) from notice_delivery where state = 1`).Scan(&waiting); err != nil {
		return wrap("count", err)
	}
	s.waiting.Store(waiting)
	now := s.clock.Now()
	for class, keep := range map[string]time.Duration{Legal: keepMandatory, Security: keepMandatory, Billing: keepMandatory, Product: keepOptional, Marketing: keepOptional} {
		if err := s.drop(ctx, `class = $1 and created_at < $2`, class, clock.Millis(now.Add(-keep))); err != nil {
			return err
		}
	}
	return s.drop(ctx, `state = $1 and created_at < $2`, statePreparing, clock.Millis(now.Add(-abandoned)))
}

// drop deletes notices, oldest first, a chunk of recipients in each transaction.
func (s *Service) drop(ctx context.Context, where string, args ...any) error {
	for {
		gone := false
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			gone = false
			rows, err := tx.Query(ctx, `select id from notice_notice where `+where+` order by created_at limit 1`, args...)
			if err != nil {
				return wrap("drop", err)
			}
			var id string
			if rows.Next() {
				err = rows.Scan(&id)
			}
			if err = errors.Join(err, rows.Err(), rows.Close()); err != nil || id == "" {
				return err
			}
			gone = true
			if err := deleteSome(ctx, tx, id); err != nil {
				return err
			}
			_, err = tx.Exec(ctx, `delete from notice_notice where id = $1 and not exists (select 1 from notice_recipient where notice_id = $1)`, id)
			return err
		})
		if err != nil || !gone {
			return err
		}
	}
}

// Erase removes what is personal of a user from all notices: addresses and the phrase. What was told when stays, without name. For a person
// whose account is purged.
func (s *Service) Erase(ctx context.Context, tx *db.Tx, user int64) error {
	if user <= 0 {
		return &InvalidError{Field: "user", Reason: "must be a user"}
	}
	_, err := tx.Exec(ctx, `update notice_recipient set email = '', email_blind = '', email_masked = '', mobile = '', mobile_masked = '', word = ''
		where user_id = $1`, user)
	if err != nil {
		return wrap("erase", err)
	}
	if _, err = tx.Exec(ctx, `delete from notice_preference where user_id = $1`, user); err != nil {
		return wrap("erase", err)
	}
	return nil
}
