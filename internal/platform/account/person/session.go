package person

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Stages of a session.
const (
	stageFull = "full"
	// stageSecond waits for the second factor and is good for nothing else.
	stageSecond = "second"
)

// Ways to sign in.
const (
	MethodPassword = "password"
	MethodPasskey  = "passkey"
	MethodLink     = "link"
	MethodRegister = "register"
	MethodRecovery = "recovery"
	// MethodExternal is followed by the provider's name: "external:github".
	MethodExternal = "external:"
)

const (
	// secondTTL is how long the second factor is waited for.
	secondTTL = 10 * time.Minute
	// seenEvery bounds how often the use of a session or token is written.
	seenEvery = time.Minute
	// ProofTTL is how long a proof of who is there is fresh: signing in is one, and StepUp.
	ProofTTL = 10 * time.Minute
	// maxSessions is how many one person has at once; the oldest ends for a new one.
	maxSessions = 50
)

// Session is somebody signed in.
type Session struct {
	ID   int64
	User int64
	// Method is how they signed in.
	Method                                string
	Where                                 Where
	CreatedAt, SeenAt, ProvedAt, Deadline time.Time

	hash  string
	stage string
	state string
}

// Proved tells whether who is there has been proved lately enough for an act that matters. It fails with ErrProof.
func (s *Service) Proved(sess *Session) error {
	if age := s.clock.Now().Sub(sess.ProvedAt); age >= ProofTTL || age < -time.Minute {
		return ErrProof
	}
	return nil
}

const sessionColumns = `x.id, x.user_id, x.method, x.where_sealed, x.created_at, x.seen_at, x.proved_at, x.expires_at, x.token_hash, x.stage`

func (s *Service) scanSession(scan func(...any) error, more ...any) (*Session, error) {
	var (
		x                             Session
		where                         string
		created, seen, proved, expire int64
	)
	if err := scan(append([]any{&x.ID, &x.User, &x.Method, &where, &created, &seen, &proved, &expire, &x.hash, &x.stage}, more...)...); err != nil {
		return nil, err
	}
	var err error
	if x.Where, err = s.openWhere("session", rowOf(x.User), where); err != nil {
		return nil, err
	}
	x.CreatedAt, x.SeenAt, x.ProvedAt, x.Deadline = clock.FromMillis(created), clock.FromMillis(seen), clock.FromMillis(proved), clock.FromMillis(expire)
	return &x, nil
}

// startSession makes a session. Its token is always a new one.
func (s *Service) startSession(ctx context.Context, tx *db.Tx, user int64, stage, method string, w Where) (token string, id int64, err error) {
	token, hash := newToken(prefixSession)
	sealed, err := s.sealWhere("session", rowOf(user), w)
	if err != nil {
		return "", 0, err
	}
	now, ttl := s.now(), s.opt.Absolute
	if stage == stageSecond {
		ttl = secondTTL
	}
	err = tx.QueryRow(ctx, `insert into account_person_session (token_hash, user_id, stage, method, where_sealed, created_at, seen_at, proved_at, expires_at)
		values ($1, $2, $3, $4, $5, $6, $6, $6, $7) returning id`, hash, user, stage, method, sealed, now, now+ttl.Milliseconds()).Scan(&id)
	if err != nil {
		return "", 0, fmt.Errorf("person: insert a session: %w", err)
	}
	_, err = tx.Exec(ctx, `delete from account_person_session where user_id = $1 and id <= (select id from account_person_session where user_id = $1
		order by id desc limit 1 offset $2)`, user, maxSessions)
	if err != nil {
		return "", 0, fmt.Errorf("person: bound sessions: %w", err)
	}
	return token, id, nil
}

// find returns a session that has not ended. It fails with ErrSession or ErrFrozen.
func (s *Service) find(ctx context.Context, r rower, token string) (*Session, error) {
	var state string
	row := r.QueryRow(ctx, `select `+sessionColumns+`, u.state from account_person_session x join account_person_user u on u.id = x.user_id where x.token_hash = $1`,
		hashToken(token))
	x, err := s.scanSession(row.Scan, &state)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrSession
	case err != nil:
		return nil, fmt.Errorf("person: read a session: %w", err)
	case state == StateFrozen:
		return nil, ErrFrozen
	}
	now := s.clock.Now()
	if !now.Before(x.Deadline) || now.Sub(x.SeenAt) >= s.opt.Idle {
		return nil, ErrSession
	}
	x.state = state
	return x, nil
}

// Authenticate finds the session of a token and notes that it is used. It fails with ErrSession: there is none, it ended, or
// it still waits for the second factor.
func (s *Service) Authenticate(ctx context.Context, token string) (*Session, error) {
	x, err := s.find(ctx, s.db, token)
	if err != nil {
		return nil, err
	}
	if x.stage != stageFull {
		return nil, ErrSession
	}
	if now := s.clock.Now(); now.Sub(x.SeenAt) >= seenEvery {
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update account_person_session set seen_at = $2 where id = $1 and seen_at < $2`, x.ID, clock.Millis(now))
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("person: note a session's use: %w", err)
		}
		x.SeenAt = now
	}
	return x, nil
}

// rotate replaces the token of a session, which may do more from now on. The session is locked by it: of
// two at once, one fails with ErrSession.
func (s *Service) rotate(ctx context.Context, tx *db.Tx, x *Session) (token string, err error) {
	token, hash := newToken(prefixSession)
	now := s.now()
	expires := clock.Millis(x.Deadline)
	if x.stage == stageSecond {
		expires = clock.Millis(x.CreatedAt) + s.opt.Absolute.Milliseconds()
	}
	n, err := tx.Exec(ctx, `update account_person_session set token_hash = $3, stage = $4, proved_at = $5, seen_at = $5, expires_at = $6 where id = $1 and token_hash = $2`,
		x.ID, x.hash, hash, stageFull, now, expires)
	switch {
	case err != nil:
		return "", fmt.Errorf("person: rotate a session: %w", err)
	case n == 0:
		return "", ErrSession
	}
	return token, nil
}

// Sessions lists where a person is signed in, newest first.
func (s *Service) Sessions(ctx context.Context, user int64) ([]Session, error) {
	now := s.clock.Now()
	rows, err := s.db.Query(ctx, `select `+sessionColumns+` from account_person_session x where x.user_id = $1 and x.stage = $2 and x.expires_at > $3
		and x.seen_at > $4 order by x.id desc`,
		user, stageFull, clock.Millis(now), clock.Millis(now.Add(-s.opt.Idle)))
	if err != nil {
		return nil, fmt.Errorf("person: list sessions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Session
	for rows.Next() {
		x, err := s.scanSession(rows.Scan)
		if err != nil {
			return nil, fmt.Errorf("person: list sessions: %w", err)
		}
		out = append(out, *x)
	}
	return out, rows.Err()
}

// EndSession ends a session of a person: their own, or another one of theirs. It fails with ErrNotFound.
func (s *Service) EndSession(ctx context.Context, actor *gate.Actor, session int64) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `delete from account_person_session where id = $1 and user_id = $2`, session, actor.User)
		switch {
		case err != nil:
			return fmt.Errorf("person: end a session: %w", err)
		case n == 0:
			return ErrNotFound
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor.String(), Action: "session.end", Object: "session:" + rowOf(session)})
	})
}

// EndOtherSessions ends every session of a person but this one.
func (s *Service) EndOtherSessions(ctx context.Context, x *Session) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := endSessions(ctx, tx, x.User, x.ID); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: userName(x.User), Action: "session.end_others", Object: userName(x.User)})
	})
}

// endSessions ends those of a person, but one.
func endSessions(ctx context.Context, tx *db.Tx, user, but int64) error {
	if _, err := tx.Exec(ctx, `delete from account_person_session where user_id = $1 and id <> $2`, user, but); err != nil {
		return fmt.Errorf("person: end sessions: %w", err)
	}
	return nil
}

func userName(id int64) string { return "user:" + rowOf(id) }
