package person

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

const (
	// maxTokens is how many live tokens a person has in one account.
	maxTokens = 50
	// MaxTokenTTL is the longest that a token can be good.
	MaxTokenTTL = 366 * 24 * time.Hour
)

// Token is an API token as it is listed. Its secret is shown once, by CreateToken.
type Token struct {
	ID, User, Account int64
	// Owner is the person's name.
	Owner, Name          string
	Scopes               []gate.Permission
	CreatedAt, ExpiresAt time.Time
	// UsedAt and Where are of its last use (within a minute); zero: it was not used.
	UsedAt time.Time
	Where  Where
}

// CreateToken makes a token for the API with which its owner acts in the actor's account, within scopes and for ttl. The
// actor needs TokensOwn in a session that was proved lately, and every scope: nobody gives away what they do not have.
// The secret is returned once. It fails with *InvalidError, ErrProof or *gate.ForbiddenError.
func (s *Service) CreateToken(ctx context.Context, x *Session, actor *gate.Actor, name string, scopes []gate.Permission, ttl time.Duration) (secret string, id int64, err error) {
	if x.User != actor.User || actor.Token != 0 {
		return "", 0, &gate.ForbiddenError{Permission: gate.TokensOwn, Obstacle: gate.OutOfScope, Detail: "tokens are made in a session"}
	}
	if err := errors.Join(actor.May(gate.TokensOwn), s.Proved(x)); err != nil {
		return "", 0, err
	}
	if name, err = contact.Name(name); err != nil {
		return "", 0, &InvalidError{FieldName, err.Error()}
	}
	if ttl < time.Minute || ttl > MaxTokenTTL {
		return "", 0, &InvalidError{"expires_in", "must be from a minute to 366 days"}
	}
	list, err := checkScopes(actor, scopes)
	if err != nil {
		return "", 0, err
	}
	secret, hash := newToken(prefixAPI)
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		if role, err := s.membership(ctx, tx, actor.Account, x.User); err != nil || role != actor.Role {
			return errors.Join(err, ErrNotFound) // removed or demoted while this was asked for
		}
		now := s.now()
		var live int
		if err := tx.QueryRow(ctx, `select count(*) from account_person_token where user_id = $1 and account_id = $2 and ended_at = 0 and expires_at > $3`,
			x.User, actor.Account, now).Scan(&live); err != nil {
			return fmt.Errorf("person: count tokens: %w", err)
		}
		if live >= maxTokens {
			return &InvalidError{"token", fmt.Sprintf("is one too many: at most %d are live at once", maxTokens)}
		}
		err = tx.QueryRow(ctx, `insert into account_person_token (user_id, account_id, name, token_hash, scopes, created_at, expires_at, ended_at, used_at, where_sealed)
			values ($1, $2, $3, $4, $5, $6, $7, 0, 0, '') returning id`, x.User, actor.Account, name, hash, list, now, now+ttl.Milliseconds()).Scan(&id)
		if err != nil {
			return fmt.Errorf("person: insert a token: %w", err)
		}
		if err := s.notify(ctx, tx, u, Notice{Kind: NoticeTokenCreated, Account: actor.Account, Facts: map[string]string{"name": name, "scopes": list}}); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, actor.String(), "token.create", "token:"+rowOf(id), map[string]any{"account": actor.Account, "scopes": scopes, "days": ttl.Hours() / 24})
	})
	if err != nil {
		return "", 0, err
	}
	return secret, id, nil
}

func checkScopes(actor *gate.Actor, scopes []gate.Permission) (string, error) {
	if len(scopes) == 0 || len(scopes) > 64 {
		return "", &InvalidError{"scopes", "must name at least one permission"}
	}
	sorted := slices.Compact(slices.Sorted(slices.Values(scopes)))
	texts := make([]string, len(sorted))
	for i, p := range sorted {
		if !actor.Role.Has(p) || p == gate.TokensOwn {
			return "", &InvalidError{"scopes", fmt.Sprintf("has %.64q, which is not yours to give to a token", string(p))}
		}
		texts[i] = string(p)
	}
	return strings.Join(texts, " "), nil
}

// AuthenticateToken returns who acts with a token: its owner, in its account, within its scopes and within what their role is
// now. Nothing of it is remembered, so a member who was removed is out at once. It fails with ErrSession.
func (s *Service) AuthenticateToken(ctx context.Context, secret string, w Where) (*gate.Actor, error) {
	if !strings.HasPrefix(secret, prefixAPI) || len(secret) > 128 {
		return nil, ErrSession
	}
	now := s.now()
	var (
		a      gate.Actor
		owner  userRow
		scopes string
		usedAt int64
	)
	err := s.db.QueryRow(ctx, `select t.id, t.user_id, t.account_id, t.scopes, t.used_at, m.role, u.operator_role
		from account_person_token t join account_person_user u on u.id = t.user_id
			join account_person_member m on m.account_id = t.account_id and m.user_id = t.user_id
		where t.token_hash = $1 and t.ended_at = 0 and t.expires_at > $2 and u.state = $3 and (m.expires_at = 0 or m.expires_at > $2)`, hashToken(secret), now, StateActive).
		Scan(&a.Token, &a.User, &a.Account, &scopes, &usedAt, &a.Role, &owner.operator)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrSession
	case err != nil:
		return nil, fmt.Errorf("person: read a token: %w", err)
	}
	for p := range strings.FieldsSeq(scopes) {
		a.Scopes = append(a.Scopes, gate.Permission(p))
	}
	owner.id = a.User
	if missing, err := s.secondMissing(ctx, s.db, &owner); err != nil {
		return nil, err
	} else if missing {
		a.Unproven = "the token's owner has to set up a second factor first"
	}
	if now-usedAt < seenEvery.Milliseconds() && now >= usedAt {
		return &a, nil
	}
	sealed, err := s.sealWhere("token", rowOf(a.Token), w)
	if err != nil {
		return nil, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `update account_person_token set used_at = $2, where_sealed = $3 where id = $1`, a.Token, now, sealed)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("person: note a token's use: %w", err)
	}
	return &a, nil
}

// Tokens lists live tokens of the actor's account by number: the actor's own, or with TokensManage everybody's.
func (s *Service) Tokens(ctx context.Context, actor *gate.Actor) ([]Token, error) {
	all := actor.May(gate.TokensManage) == nil
	if !all {
		if err := actor.May(gate.TokensOwn); err != nil {
			return nil, err
		}
	}
	rows, err := s.db.Query(ctx, `select t.id, t.user_id, t.account_id, u.name_sealed, t.name, t.scopes, t.created_at, t.expires_at, t.used_at, t.where_sealed
		from account_person_token t join account_person_user u on u.id = t.user_id
		where t.account_id = $1 and ($2 or t.user_id = $3) and t.ended_at = 0 and t.expires_at > $4 order by t.id`, actor.Account, all, actor.User, s.now())
	if err != nil {
		return nil, fmt.Errorf("person: list tokens: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Token
	for rows.Next() {
		var (
			t                      Token
			owner, scopes, where   string
			created, expires, used int64
		)
		if err := rows.Scan(&t.ID, &t.User, &t.Account, &owner, &t.Name, &scopes, &created, &expires, &used, &where); err != nil {
			return nil, fmt.Errorf("person: list tokens: %w", err)
		}
		if t.Owner, err = s.open("user/name", rowOf(t.User), owner); err != nil {
			return nil, err
		}
		if t.Where, err = s.openWhere("token", rowOf(t.ID), where); err != nil {
			return nil, err
		}
		for p := range strings.FieldsSeq(scopes) {
			t.Scopes = append(t.Scopes, gate.Permission(p))
		}
		t.CreatedAt, t.ExpiresAt = clock.FromMillis(created), clock.FromMillis(expires)
		if used != 0 {
			t.UsedAt = clock.FromMillis(used)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}

// EndToken ends a token of the actor's account: the actor's own, or with TokensManage anybody's. It fails with ErrNotFound.
func (s *Service) EndToken(ctx context.Context, actor *gate.Actor, token int64) error {
	all := actor.May(gate.TokensManage) == nil
	if !all {
		if err := actor.May(gate.TokensOwn); err != nil {
			return err
		}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update account_person_token set ended_at = $2 where id = $1 and account_id = $3 and ended_at = 0 and ($4 or user_id = $5)`,
			token, s.now(), actor.Account, all, actor.User)
		switch {
		case err != nil:
			return fmt.Errorf("person: end a token: %w", err)
		case n == 0:
			return ErrNotFound
		}
		return s.auditAs(ctx, tx, actor.String(), "token.end", "token:"+rowOf(token), nil)
	})
}

// EndLeakedToken ends a token that was found where it must not be, by its secret, and tells its owner. It fails with
// ErrNotFound.
func (s *Service) EndLeakedToken(ctx context.Context, actor, secret string) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var id, user, account int64
		err := tx.QueryRow(ctx, `update account_person_token set ended_at = $2 where token_hash = $1 and ended_at = 0 returning id, user_id, account_id`,
			hashToken(secret), s.now()).Scan(&id, &user, &account)
		switch {
		case errors.Is(err, db.ErrNoRows):
			return ErrNotFound
		case err != nil:
			return fmt.Errorf("person: end a token: %w", err)
		}
		u, err := s.queryUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if err := s.notify(ctx, tx, u, Notice{Kind: NoticeTokenLeaked, Account: account, Facts: map[string]string{"token": rowOf(id)}}); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, actor, "token.leaked", "token:"+rowOf(id), nil)
	})
}

// endTokens ends tokens; the first parameter of where is $2.
func (s *Service) endTokens(ctx context.Context, tx *db.Tx, where string, args ...any) error {
	if _, err := tx.Exec(ctx, `update account_person_token set ended_at = $1 where ended_at = 0 and `+where, append([]any{s.now()}, args...)...); err != nil {
		return fmt.Errorf("person: end tokens: %w", err)
	}
	return nil
}
