package person

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

// Kinds of subjects and of their accounts.
const (
	KindPerson       = "person"
	KindOrganisation = "organisation"
)

// maxMembers bounds an account, maxAccounts a person.
const (
	maxMembers  = 1000
	maxAccounts = 100
)

// Account is who is bound by the agreement and owns apps.
type Account struct {
	ID   int64
	Name string
	// Kind is KindPerson or KindOrganisation.
	Kind string
	// Subject is who is bound today, Initial who applied for it; the latter never changes.
	Subject   int64
	Initial   Initial
	CreatedAt time.Time
}

// Initial is the applicant of an account as of its creation.
type Initial struct {
	Subject int64  `json:"-"`
	User    int64  `json:"-"`
	Name    string `json:"name"`
	Email   string `json:"email"`
	Mobile  string `json:"mobile"`
	At      int64  `json:"at"`
}

// Member is a person's place in an account.
type Member struct {
	Account, User int64
	Name, Email   string
	Role          gate.Role
	InvitedBy     int64
	JoinedAt      time.Time
	// Until is when it ends by itself; zero: it does not.
	Until time.Time
}

// insertAccount makes an account with its subject and its first owner.
func (s *Service) insertAccount(ctx context.Context, tx *db.Tx, u *userRow, name string, organisation bool) (id int64, err error) {
	kind := KindPerson
	if organisation {
		kind = KindOrganisation
	}
	if name == "" {
		name = u.name
	}
	var subject int64
	if err := tx.QueryRow(ctx, `insert into account_person_subject (kind, identifier_blind, created_at) values ($1, '', $2) returning id`,
		kind, s.now()).Scan(&subject); err != nil {
		return 0, fmt.Errorf("person: insert a subject: %w", err)
	}
	text, err := json.Marshal(Initial{Name: u.name, Email: u.email, Mobile: u.mobile, At: s.now()})
	if err != nil {
		return 0, fmt.Errorf("person: initial applicant: %w", err)
	}
	initial, err := s.seal("account/initial", rowOf(subject), string(text))
	if err != nil {
		return 0, err
	}
	sealed, err := s.seal("account/name", rowOf(subject), name)
	if err != nil {
		return 0, err
	}
	err = tx.QueryRow(ctx, `insert into account_person_account (name_sealed, kind, subject_id, initial_subject_id, initial_user_id, initial_sealed, created_at, revision)
		values ($1, $2, $3, $3, $4, $5, $6, 1) returning id`, sealed, kind, subject, u.id, initial, s.now()).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("person: insert an account: %w", err)
	}
	return id, insertMember(ctx, tx, id, u.id, gate.RoleOwner, 0, 0, s.now())
}

func insertMember(ctx context.Context, tx *db.Tx, account, user int64, role gate.Role, by, until, now int64) error {
	_, err := tx.Exec(ctx, `insert into account_person_member (account_id, user_id, role, invited_by, expires_at, joined_at) values ($1, $2, $3, $4, $5, $6)`,
		account, user, string(role), by, until, now)
	if err != nil {
		return fmt.Errorf("person: insert a member: %w", err)
	}
	return nil
}

// CreateAccount makes a further account of a person. The hook is that of a registration: nothing exists without it.
func (s *Service) CreateAccount(ctx context.Context, x *Session, name string, organisation bool, hook Hook, w Where) (int64, error) {
	if s.opt.Platform && hook == nil {
		return 0, ErrMustAgree
	}
	name, err := contact.Name(name)
	if err != nil {
		return 0, &InvalidError{FieldAccount, err.Error()}
	}
	var id int64
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		if err := mayJoin(ctx, tx, x.User); err != nil {
			return err
		}
		if id, err = s.insertAccount(ctx, tx, u, name, organisation); err != nil {
			return err
		}
		if hook != nil {
			if _, err := hook(ctx, tx, Registered{User: x.User, Account: id, At: s.now(), Where: w}); err != nil {
				return err
			}
		}
		return s.auditAs(ctx, tx, userName(x.User), "account.create", accountName(id), nil)
	})
	return id, err
}

func mayJoin(ctx context.Context, tx *db.Tx, user int64) error {
	var n int
	if err := tx.QueryRow(ctx, `select count(*) from account_person_member where user_id = $1`, user).Scan(&n); err != nil {
		return fmt.Errorf("person: count accounts: %w", err)
	}
	if n >= maxAccounts {
		return &InvalidError{"account", fmt.Sprintf("is one too many: a person has at most %d", maxAccounts)}
	}
	return nil
}

func accountName(id int64) string { return "account:" + rowOf(id) }

// Account returns an account. It fails with ErrNotFound.
func (s *Service) Account(ctx context.Context, id int64) (*Account, error) {
	return s.queryAccount(ctx, s.db, id)
}

func (s *Service) queryAccount(ctx context.Context, r rower, id int64) (*Account, error) {
	a := Account{ID: id}
	var (
		name, initial string
		created       int64
	)
	err := r.QueryRow(ctx, `select name_sealed, kind, subject_id, initial_subject_id, initial_user_id, initial_sealed, created_at from account_person_account where id = $1`,
		id).
		Scan(&name, &a.Kind, &a.Subject, &a.Initial.Subject, &a.Initial.User, &initial, &created)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrNotFound
	case err != nil:
		return nil, fmt.Errorf("person: read an account: %w", err)
	}
	row := rowOf(a.Initial.Subject)
	if a.Name, err = s.open("account/name", row, name); err != nil {
		return nil, err
	}
	text, err := s.open("account/initial", row, initial)
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal([]byte(text), &a.Initial); err != nil {
		return nil, fmt.Errorf("person: initial applicant: %w", err)
	}
	a.CreatedAt = clock.FromMillis(created)
	return &a, nil
}

// RenameAccount changes what an account is called. The actor needs AccountManage in it.
func (s *Service) RenameAccount(ctx context.Context, actor *gate.Actor, name string) error {
	if err := actor.May(gate.AccountManage); err != nil {
		return err
	}
	name, err := contact.Name(name)
	if err != nil {
		return &InvalidError{FieldAccount, err.Error()}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := lockAccount(ctx, tx, actor.Account); err != nil {
			return err
		}
		a, err := s.queryAccount(ctx, tx, actor.Account)
		if err != nil {
			return err
		}
		sealed, err := s.seal("account/name", rowOf(a.Initial.Subject), name)
		if err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, `update account_person_account set name_sealed = $2 where id = $1`, a.ID, sealed); err != nil {
			return fmt.Errorf("person: rename an account: %w", err)
		}
		return s.auditAs(ctx, tx, actor.String(), "account.rename", accountName(a.ID), nil)
	})
}

// Identify notes in the caller's transaction what a register knows the subject of an account by, once that was proved, and
// returns the other accounts of who has the same: one subject may have several, and it is seen.
func (s *Service) Identify(ctx context.Context, tx *db.Tx, account int64, identifier string) (others []int64, err error) {
	blind := s.keys.Blind("person/subject", identifier)
	_, err = tx.Exec(ctx, `update account_person_subject set identifier_blind = $2 where id = (select subject_id from account_person_account where id = $1)`, account, blind)
	if err != nil {
		return nil, fmt.Errorf("person: identify a subject: %w", err)
	}
	rows, err := tx.Query(ctx, `select a.id from account_person_account a join account_person_subject x on x.id = a.subject_id
		where x.identifier_blind = $1 and a.id <> $2 order by a.id limit 100`, blind, account)
	if err != nil {
		return nil, fmt.Errorf("person: accounts of a subject: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id int64
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("person: accounts of a subject: %w", err)
		}
		others = append(others, id)
	}
	return others, errors.Join(rows.Err(), rows.Close())
}

// lockAccount makes changes of an account's members follow each other.
func lockAccount(ctx context.Context, tx *db.Tx, id int64) error {
	n, err := tx.Exec(ctx, `update account_person_account set revision = revision + 1 where id = $1`, id)
	switch {
	case err != nil:
		return fmt.Errorf("person: lock an account: %w", err)
	case n == 0:
		return ErrNotFound
	}
	return nil
}

// membership is the role of a person in an account now; "" is none.
func (s *Service) membership(ctx context.Context, r rower, account, user int64) (gate.Role, error) {
	var role gate.Role
	err := r.QueryRow(ctx, `select role from account_person_member where account_id = $1 and user_id = $2 and (expires_at = 0 or expires_at > $3)`,
		account, user, s.now()).Scan(&role)
	if err != nil && !errors.Is(err, db.ErrNoRows) {
		return "", fmt.Errorf("person: read a member: %w", err)
	}
	return role, nil
}

// Actor is who acts in a session for an account (0: none). It fails with ErrNotFound where the person is no member: an
// account that is not theirs is none for them.
func (s *Service) Actor(ctx context.Context, x *Session, account int64) (*gate.Actor, error) {
	u, err := s.queryUser(ctx, s.db, x.User)
	if err != nil {
		return nil, err
	}
	a := &gate.Actor{User: x.User, Operator: u.operator, Session: x.ID}
	if account != 0 {
		if a.Role, err = s.membership(ctx, s.db, account, x.User); err != nil {
			return nil, err
		}
		if a.Role == "" {
			return nil, ErrNotFound
		}
		a.Account = account
	}
	switch missing, err := s.secondMissing(ctx, s.db, u); {
	case err != nil:
		return nil, err
	case missing:
		a.Unproven = "set up a second factor first: your role demands it"
	case s.opt.PasswordAge > 0 && u.hash != "" && s.now()-u.passwordAt >= s.opt.PasswordAge.Milliseconds():
		a.Unproven = "change your password first: it is too old"
	}
	return a, nil
}

// secondMissing tells whether a second factor is demanded of a person, as an operator or an owner of an organisation's account,
// and is not there.
func (s *Service) secondMissing(ctx context.Context, r rower, u *userRow) (bool, error) {
	if !s.opt.RequireSecond {
		return false, nil
	}
	var strong, owns bool
	err := r.QueryRow(ctx, `select (select count(*) from account_person_totp where user_id = $1 and confirmed_at > 0) + (select count(*)
		from account_person_passkey where user_id = $1) > 0,
			(select count(*) from account_person_member m join account_person_account a on a.id = m.account_id where m.user_id = $1 and m.role = $2 and a.kind = $3) > 0`,
		u.id, string(gate.RoleOwner), KindOrganisation).Scan(&strong, &owns)
	if err != nil {
		return false, fmt.Errorf("person: read factors: %w", err)
	}
	return !strong && (owns || u.operator != ""), nil
}

const memberColumns = `m.account_id, m.user_id, m.role, m.invited_by, m.expires_at, m.joined_at, u.name_sealed, u.email_sealed`

// Members lists the members of the actor's account by number, those that have ended not. The actor needs MembersRead.
func (s *Service) Members(ctx context.Context, actor *gate.Actor) ([]Member, error) {
	if err := actor.May(gate.MembersRead); err != nil {
		return nil, err
	}
	return s.queryMembers(ctx, `m.account_id = $1`, actor.Account)
}

// Accounts lists the places of a person, by number of the account.
func (s *Service) Accounts(ctx context.Context, user int64) ([]Member, error) {
	return s.queryMembers(ctx, `m.user_id = $1`, user)
}

func (s *Service) queryMembers(ctx context.Context, where string, id int64) ([]Member, error) {
	rows, err := s.db.Query(ctx, `select `+memberColumns+` from account_person_member m join account_person_user u on u.id = m.user_id
		where `+where+` and (m.expires_at = 0 or m.expires_at > $2) order by m.account_id, m.user_id`, id, s.now())
	if err != nil {
		return nil, fmt.Errorf("person: list members: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Member
	for rows.Next() {
		var (
			m             Member
			until, joined int64
			name, email   string
		)
		if err := rows.Scan(&m.Account, &m.User, &m.Role, &m.InvitedBy, &until, &joined, &name, &email); err != nil {
			return nil, fmt.Errorf("person: list members: %w", err)
		}
		if m.Name, err = s.open("user/name", rowOf(m.User), name); err != nil {
			return nil, err
		}
		if m.Email, err = s.open("user/email", rowOf(m.User), email); err != nil {
			return nil, err
		}
		m.JoinedAt = clock.FromMillis(joined)
		if until != 0 {
			m.Until = clock.FromMillis(until)
		}
		out = append(out, m)
	}
	return out, rows.Err()
}

// checkRole refuses a role that is not one of an account.
func checkRole(role gate.Role) error {
	if !slices.Contains(gate.AccountRoles(), role) {
		return &InvalidError{"role", fmt.Sprintf("must be one of %v", gate.AccountRoles())}
	}
	return nil
}
