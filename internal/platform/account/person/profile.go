package person

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

const (
	// CoolDown is how long payouts and the closing of accounts wait after a change of an address or a recovery.
	CoolDown = 24 * time.Hour
	// notMeTTL is how long "not me" can be said to what happened, and how long an old address can be brought back by it.
	notMeTTL  = 7 * 24 * time.Hour
	changeTTL = 30 * time.Minute
)

// Change is something that was changed of a person's data.
type Change struct {
	ID       int64
	At       time.Time
	Field    string
	Old, New string // masked
	Actor    string
	Where    Where
}

type changeData struct{ Field, Value string }

// BeginChange begins to replace a person's "email" or "mobile": a code goes to the new address. It fails with ErrProof,
// *InvalidError or *WaitError, and does not say whether the address is somebody else's.
func (s *Service) BeginChange(ctx context.Context, x *Session, field, value, channel string, w Where) (token string, err error) {
	if err := errors.Join(s.Proved(x), checkChannel(field, channel)); err != nil {
		return "", err
	}
	if err := s.mayAsk(w); err != nil {
		return "", err
	}
	p := codePlace{purpose: KindChange, bound: userName(x.User)}
	if p.target, err = s.normalise(field, &value); err != nil {
		return "", err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		code, err := s.newCode(ctx, tx, p)
		if err != nil {
			return err
		}
		if err := dropTickets(ctx, tx, x.User, ticketChange); err != nil {
			return err
		}
		if token, err = s.newTicket(ctx, tx, ticketChange, x.User, changeData{field, value}, 0, changeTTL); err != nil {
			return err
		}
		return s.send(ctx, tx, Message{User: x.User, Channel: channel, Kind: KindChange, To: value, Code: code})
	})
	return token, err
}

func (s *Service) normalise(field string, value *string) (blind string, err error) {
	switch field {
	case FieldEmail:
		*value, err = contact.Email(*value)
		blind = s.blindEmail(*value)
	case FieldMobile:
		*value, err = contact.Mobile(*value)
		blind = s.blindMobile(*value)
	default:
		return "", &InvalidError{"field", "must be email or mobile"}
	}
	if err != nil {
		return "", &InvalidError{field, err.Error()}
	}
	return blind, nil
}

// ConfirmChange replaces the address once the code proves it. The old address is told and can take it back for seven days. It
// fails with ErrLink, ErrCode, ErrProof or *TakenError.
func (s *Service) ConfirmChange(ctx context.Context, x *Session, token, code string, w Where) error {
	if err := s.Proved(x); err != nil {
		return err
	}
	var c changeData
	t, err := s.peekTicket(ctx, s.db, ticketChange, token, &c)
	if err != nil {
		return err
	}
	if t.user != x.User {
		return ErrLink
	}
	p := codePlace{purpose: KindChange, bound: userName(x.User)}
	if p.target, err = s.normalise(c.Field, &c.Value); err != nil {
		return err
	}
	ok := false
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		if ok, err = s.useCode(ctx, tx, p, code); err != nil || !ok {
			return err
		}
		if _, err := s.useTicket(ctx, tx, ticketChange, token, &c); err != nil {
			return err
		}
		return s.replaceContact(ctx, tx, u, c, w)
	})
	switch {
	case db.IsUnique(err):
		return &TakenError{c.Field} // the visitor has proved that it is theirs
	case err == nil && !ok:
		return ErrCode
	}
	return err
}

func (s *Service) replaceContact(ctx context.Context, tx *db.Tx, u *userRow, c changeData, w Where) error {
	old, provedAt, masked := u.email, u.emailAt, contact.MaskEmail(c.Value)
	if c.Field == FieldMobile {
		old, provedAt, masked = u.mobile, u.mobileAt, contact.MaskMobile(c.Value)
	}
	if provedAt == 0 {
		old = "" // what was never proved is not brought back
	}
	id, err := s.insertChange(ctx, tx, u, c.Field, u.masked(c.Field), masked, old, w)
	if err != nil {
		return err
	}
	n := Notice{Kind: NoticeContact, Emails: appendNew(nil, u.email), Mobiles: appendNew(nil, u.mobile), Facts: map[string]string{"field": c.Field,
		"old": u.masked(c.Field), "new": masked}}
	if c.Field == FieldMobile {
		u.mobile, u.mobileAt = c.Value, s.now()
	} else {
		u.email, u.emailAt = c.Value, s.now()
	}
	u.coolUntil = s.now() + CoolDown.Milliseconds()
	if err := s.writeContacts(ctx, tx, u); err != nil {
		return err
	}
	if err := s.insertCheck(ctx, tx, u.id, SourceCode, CheckValid); err != nil {
		return err
	}
	if n.NotMe, err = s.notMe(ctx, tx, u.id); err != nil {
		return err
	}
	if err := s.notify(ctx, tx, u, n); err != nil {
		return err
	}
	return s.auditAs(ctx, tx, userName(u.id), "user.change", userName(u.id), map[string]any{"field": c.Field, "change": id})
}

// Rename changes a person's name. It fails with ErrProof or *InvalidError.
func (s *Service) Rename(ctx context.Context, x *Session, name string, w Where) error {
	if err := s.Proved(x); err != nil {
		return err
	}
	name, err := contact.Name(name)
	if err != nil {
		return &InvalidError{FieldName, err.Error()}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		id, err := s.insertChange(ctx, tx, u, FieldName, maskName(u.name), maskName(name), u.name, w)
		if err != nil {
			return err
		}
		u.name = name
		if err := s.writeContacts(ctx, tx, u); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, userName(u.id), "user.change", userName(u.id), map[string]any{"field": FieldName, "change": id})
	})
}

func maskName(name string) string {
	for _, r := range name {
		return string(r) + "**"
	}
	return ""
}

func (s *Service) insertChange(ctx context.Context, tx *db.Tx, u *userRow, field, old, fresh, plain string, w Where) (id int64, err error) {
	sealed, err := s.seal("change/old", rowOf(u.id), plain)
	if err != nil {
		return 0, err
	}
	where, err := s.sealWhere("change", rowOf(u.id), w)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `insert into account_person_change (user_id, field, old_masked, new_masked, old_sealed, actor, where_sealed, at)
		values ($1, $2, $3, $4, $5, $6, $7, $8) returning id`,
		u.id, field, old, fresh, sealed, userName(u.id), where, s.now()).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("person: log a change: %w", err)
	}
	return id, nil
}

// Changes lists what was changed of a person's data, newest first, at most 500.
func (s *Service) Changes(ctx context.Context, user int64) ([]Change, error) {
	rows, err := s.db.Query(ctx, `select id, at, field, old_masked, new_masked, actor, where_sealed from account_person_change where user_id = $1 order by id desc limit 500`,
		user)
	if err != nil {
		return nil, fmt.Errorf("person: list changes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Change
	for rows.Next() {
		var (
			c     Change
			at    int64
			where string
		)
		if err := rows.Scan(&c.ID, &at, &c.Field, &c.Old, &c.New, &c.Actor, &where); err != nil {
			return nil, fmt.Errorf("person: list changes: %w", err)
		}
		c.At = clock.FromMillis(at)
		if c.Where, err = s.openWhere("change", rowOf(user), where); err != nil {
			return nil, err
		}
		out = append(out, c)
	}
	return out, rows.Err()
}

// ChangePassword replaces a password, or sets the first. The old one is asked for; every other session ends and this one has
// a new token. It fails with ErrProof, ErrCredentials, *WaitError or *InvalidError.
func (s *Service) ChangePassword(ctx context.Context, x *Session, old, fresh string) (token string, err error) {
	if err := s.Proved(x); err != nil {
		return "", err
	}
	u, err := s.queryUser(ctx, s.db, x.User)
	if err != nil {
		return "", err
	}
	target := "proof:" + rowOf(x.User)
	if u.hash != "" {
		if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.attempt(ctx, tx, target, &personPace) }); err != nil {
			return "", err
		}
		if ok, _, err := s.hasher.Check(ctx, old, u.hash); err != nil || !ok {
			return "", errors.Join(err, ErrCredentials)
		}
	}
	hash, err := s.judged(ctx, fresh, u.own()...)
	if err != nil {
		return "", err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		now, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		if now.hash != u.hash {
			return ErrCredentials
		}
		if err := forgive(ctx, tx, target, ""); err != nil {
			return err
		}
		if err := s.writePassword(ctx, tx, x.User, hash); err != nil {
			return err
		}
		token, err = s.factorChanged(ctx, tx, x, now, "password.change")
		return err
	})
	return token, err
}

// Posture is how safe a log-in is, for its owner.
type Posture struct {
	HasPassword       bool
	PasswordChangedAt time.Time
	TOTP              bool
	RecoveryCodesLeft int
	Passkeys          int
	Bindings          int
	Sessions          int
	Tokens            int
	// SecondDemanded: a role demands a second factor, and it is missing.
	SecondDemanded bool
	// Score is from 0 to 100; Advice says what would raise it, as codes.
	Score  int
	Advice []string
}

// Posture measures a person's log-in.
func (s *Service) Posture(ctx context.Context, user int64) (*Posture, error) {
	u, err := s.queryUser(ctx, s.db, user)
	if err != nil {
		return nil, err
	}
	p := &Posture{HasPassword: u.hash != ""}
	if u.passwordAt != 0 {
		p.PasswordChangedAt = clock.FromMillis(u.passwordAt)
	}
	if p.TOTP, err = hasTOTP(ctx, s.db, user); err != nil {
		return nil, err
	}
	now := s.now()
	err = s.db.QueryRow(ctx, `select (select count(*) from account_person_recovery_code where user_id = $1), (select count(*) from account_person_passkey where user_id = $1),
			(select count(*) from account_person_binding where user_id = $1), (select count(*) from account_person_session where user_id = $1 and stage = $2 and expires_at > $3),
			(select count(*) from account_person_token where user_id = $1 and ended_at = 0 and expires_at > $3)`, user, stageFull, now).
		Scan(&p.RecoveryCodesLeft, &p.Passkeys, &p.Bindings, &p.Sessions, &p.Tokens)
	if err != nil {
		return nil, fmt.Errorf("person: posture: %w", err)
	}
	if p.SecondDemanded, err = s.secondMissing(ctx, s.db, u); err != nil {
		return nil, err
	}
	p.judge(u, now)
	return p, nil
}

func (p *Posture) judge(u *userRow, now int64) {
	for _, c := range []struct {
		points int
		good   bool
		advice string
	}{
		{30, p.TOTP || p.Passkeys > 0, "second_factor"},
		{20, p.Passkeys > 0, "passkey"},
		{15, !p.TOTP || p.RecoveryCodesLeft >= 3, "recovery_codes"},
		{15, u.emailAt != 0, "verify_email"},
		{10, !p.HasPassword || now-u.passwordAt < 365*day.Milliseconds(), "old_password"},
		{10, p.Sessions <= 5, "many_sessions"},
	} {
		if c.good {
			p.Score += c.points
		} else {
			p.Advice = append(p.Advice, c.advice)
		}
	}
}
