package person

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

// States of a person.
const (
	StateActive = "active"
	// StateFrozen: "not me" was said; only recovery leads back.
	StateFrozen = "frozen"
)

// Person is who somebody is, for themselves and for who may see it.
type Person struct {
	ID             int64
	Name           string
	Email, Mobile  string
	EmailVerified  bool
	MobileVerified bool
	HasPassword    bool
	State          string
	Operator       gate.Role
	// CoolUntil: after a change of an address or a recovery, until when payouts and the closing of accounts wait.
	// Zero if nothing waits.
	CoolUntil time.Time
	CreatedAt time.Time
}

// userRow is a person with their addresses opened.
type userRow struct {
	id            int64
	name          string
	email, mobile string
	emailAt       int64
	mobileAt      int64
	hash          string
	passwordAt    int64
	state         string
	operator      gate.Role
	coolUntil     int64
	createdAt     int64

	nameSealed, emailSealed, mobileSealed string
	emailBlind, mobileBlind               string
}

const userColumns = `id, name_sealed, email_blind, email_sealed, email_at, mobile_blind, mobile_sealed, mobile_at,
	password_hash, password_at, state, operator_role, cool_until, created_at`

type rower interface {
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

type querier interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

// scanUser returns ErrNotFound where there is no row.
func (s *Service) scanUser(row *sql.Row) (*userRow, error) {
	var u userRow
	err := row.Scan(&u.id, &u.nameSealed, &u.emailBlind, &u.emailSealed, &u.emailAt, &u.mobileBlind, &u.mobileSealed, &u.mobileAt,
		&u.hash, &u.passwordAt, &u.state, &u.operator, &u.coolUntil, &u.createdAt)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("person: read a person: %w", err)
	}
	for _, f := range []struct {
		field, sealed string
		into          *string
	}{{"user/name", u.nameSealed, &u.name}, {"user/email", u.emailSealed, &u.email}, {"user/mobile", u.mobileSealed, &u.mobile}} {
		if *f.into, err = s.open(f.field, rowOf(u.id), f.sealed); err != nil {
			return nil, err
		}
	}
	return &u, nil
}

func (s *Service) queryUser(ctx context.Context, r rower, id int64) (*userRow, error) {
	return s.scanUser(r.QueryRow(ctx, `select `+userColumns+` from account_person_user where id = $1`, id))
}

func (s *Service) queryUserByEmail(ctx context.Context, r rower, blind string) (*userRow, error) {
	return s.scanUser(r.QueryRow(ctx, `select `+userColumns+` from account_person_user where email_blind = $1 and email_blind <> ''`, blind))
}

func (s *Service) queryUserByMobile(ctx context.Context, r rower, blind string) (*userRow, error) {
	return s.scanUser(r.QueryRow(ctx, `select `+userColumns+` from account_person_user where mobile_blind = $1 and mobile_blind <> ''`, blind))
}

// lockUser reads a person in order to change what hangs on them.
func (s *Service) lockUser(ctx context.Context, tx *db.Tx, id int64) (*userRow, error) {
	return s.scanUser(tx.QueryRow(ctx, `update account_person_user set revision = revision + 1 where id = $1 returning `+userColumns, id))
}

// insertUser fills in u.id. A violated unique index means that an address is somebody's already.
func (s *Service) insertUser(ctx context.Context, tx *db.Tx, u *userRow) error {
	u.emailBlind, u.mobileBlind = s.blindEmail(u.email), s.blindMobile(u.mobile)
	err := tx.QueryRow(ctx, `insert into account_person_user (name_sealed, email_blind, email_sealed, email_at, mobile_blind, mobile_sealed, mobile_at, password_hash, password_at,
			state, operator_role, cool_until, created_at, revision)
		values ('', $1, '', $2, $3, '', $4, $5, $6, $7, $8, 0, $9, 1) returning id`,
		u.emailBlind, u.emailAt, u.mobileBlind, u.mobileAt, u.hash, u.passwordAt, u.state, string(u.operator), u.createdAt).Scan(&u.id)
	if err != nil {
		return fmt.Errorf("person: insert a person: %w", err)
	}
	return s.writeContacts(ctx, tx, u)
}

// writeContacts seals and writes name and addresses, with what they are found by.
func (s *Service) writeContacts(ctx context.Context, tx *db.Tx, u *userRow) (err error) {
	row := rowOf(u.id)
	if u.nameSealed, err = s.seal("user/name", row, u.name); err != nil {
		return err
	}
	if u.emailSealed, err = s.seal("user/email", row, u.email); err != nil {
		return err
	}
	if u.mobileSealed, err = s.seal("user/mobile", row, u.mobile); err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `update account_person_user
		set name_sealed = $2, email_blind = $3, email_sealed = $4, email_at = $5, mobile_blind = $6, mobile_sealed = $7, mobile_at = $8,
			cool_until = $9 where id = $1`,
		u.id, u.nameSealed, s.blindEmail(u.email), u.emailSealed, u.emailAt, s.blindMobile(u.mobile), u.mobileSealed, u.mobileAt, u.coolUntil)
	if err != nil {
		return fmt.Errorf("person: write addresses: %w", err)
	}
	return nil
}

func (s *Service) writePassword(ctx context.Context, tx *db.Tx, user int64, hash string) error {
	if _, err := tx.Exec(ctx, `update account_person_user set password_hash = $2, password_at = $3 where id = $1`, user, hash, s.now()); err != nil {
		return fmt.Errorf("person: write a password: %w", err)
	}
	return nil
}

func writeState(ctx context.Context, tx *db.Tx, user int64, state string, coolUntil int64) error {
	if _, err := tx.Exec(ctx, `update account_person_user set state = $2, cool_until = $3 where id = $1`, user, state, coolUntil); err != nil {
		return fmt.Errorf("person: write a state: %w", err)
	}
	return nil
}

func (u *userRow) person(now int64) *Person {
	p := &Person{
		ID: u.id, Name: u.name, Email: u.email, Mobile: u.mobile, EmailVerified: u.emailAt != 0, MobileVerified: u.mobileAt != 0,
		HasPassword: u.hash != "", State: u.state, Operator: u.operator, CreatedAt: clock.FromMillis(u.createdAt),
	}
	if u.coolUntil > now {
		p.CoolUntil = clock.FromMillis(u.coolUntil)
	}
	return p
}

// Person returns a person. It fails with ErrNotFound.
func (s *Service) Person(ctx context.Context, user int64) (*Person, error) {
	u, err := s.queryUser(ctx, s.db, user)
	if err != nil {
		return nil, err
	}
	return u.person(s.now()), nil
}

// own are a person's words, which make bad passwords.
func (u *userRow) own() []string { return []string{u.name, u.email, u.mobile} }

func (u *userRow) masked(field string) string {
	if field == FieldMobile {
		return contact.MaskMobile(u.mobile)
	}
	return contact.MaskEmail(u.email)
}
