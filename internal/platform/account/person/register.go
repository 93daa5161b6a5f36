package person

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
	"borealis/internal/platform/account/person/password"
)

// Registered is who has come into being.
type Registered struct {
	User, Account int64
	// Invited: Account is the one of the invitation, and was there before.
	Invited bool
	// At is Unix milliseconds, the time at which everything takes effect.
	At    int64
	Where Where
}

// Hook does in the transaction of a registration what it must not be without: acceptance of the agreement. What it
// returns is put into the welcome notice, e.g. the versions that were accepted. It must do nothing outside tx. An error
// undoes everything.
type Hook func(ctx context.Context, tx *db.Tx, r Registered) (map[string]string, error)

// Completion is the last step of a sign-up.
type Completion struct {
	Draft    string
	Password string
	// AccountName is what the new account is called; the person's name if empty. Organisation says that it is for one.
	AccountName  string
	Organisation bool
	// Hook must be there in platform mode.
	Hook Hook
}

// Complete makes a person and their account of a draft, signs them in, and ends the draft: all or nothing. It fails with
// ErrLink, *InvalidError for what is missing, ErrMustAgree without a hook in platform mode, *TakenError, and what the hook
// fails with.
func (s *Service) Complete(ctx context.Context, c Completion, w Where) (*SignedIn, *Registered, error) {
	d, err := s.queryDraft(ctx, s.db, c.Draft)
	if err != nil {
		return nil, nil, err
	}
	if err := s.ready(d, &c); err != nil {
		return nil, nil, err
	}
	hash, err := s.judged(ctx, c.Password, d.name, d.email, d.mobile)
	if err != nil {
		return nil, nil, err
	}
	return s.create(ctx, c, w, hash, MethodRegister, func(ctx context.Context, tx *db.Tx) (*draftRow, error) {
		d, err := s.lockDraft(ctx, tx, c.Draft)
		if err != nil {
			return nil, err
		}
		if err := s.ready(d, &c); err != nil { // it may have been amended
			return nil, err
		}
		if _, err := tx.Exec(ctx, `delete from account_person_draft where id = $1`, d.id); err != nil {
			return nil, fmt.Errorf("person: end a draft: %w", err)
		}
		return d, nil
	})
}

// ready checks that nothing is missing.
func (s *Service) ready(d *draftRow, c *Completion) error {
	switch {
	case s.opt.Platform && c.Hook == nil:
		return ErrMustAgree
	case s.opt.Platform && d.name == "":
		return &InvalidError{FieldName, "must not be empty"}
	case d.email == "":
		return &InvalidError{FieldEmail, "must not be empty"}
	case d.emailAt == 0 && (s.opt.Platform || d.invitation == 0):
		return &InvalidError{FieldEmail, "has not been proved with a code"}
	case s.opt.Platform && d.mobile == "":
		return &InvalidError{FieldMobile, "must not be empty"}
	case d.mobile != "" && d.mobileAt == 0:
		return &InvalidError{FieldMobile, "has not been proved with a code"}
	}
	if c.AccountName == "" {
		return nil
	}
	name, err := contact.Name(c.AccountName)
	if err != nil {
		return &InvalidError{FieldAccount, err.Error()}
	}
	c.AccountName = name
	return nil
}

func (s *Service) judged(ctx context.Context, pass string, own ...string) (hash string, err error) {
	if err := password.Judge(pass, own...); err != nil {
		return "", &InvalidError{FieldSecret, err.Error()}
	}
	return s.hasher.Hash(ctx, pass)
}

// create is the one transaction in which a person comes into being; take gives what they filled in and ends it.
func (s *Service) create(ctx context.Context, c Completion, w Where, hash, method string, take func(context.Context, *db.Tx) (*draftRow, error)) (*SignedIn, *Registered, error) {
	var (
		out     SignedIn
		reg     Registered
		draft   *draftRow
		fresh   *userRow
		isBound bool
	)
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if draft, err = take(ctx, tx); err != nil {
			return err
		}
		now := s.now()
		fresh = newUser(draft, hash, now)
		if method == MethodLink {
			fresh.operator = gate.OperatorOwner
		}
		if err := s.insertUser(ctx, tx, fresh); err != nil {
			return err
		}
		reg = Registered{User: fresh.id, Invited: draft.invitation != 0, At: now, Where: w}
		if draft.invitation != 0 {
			reg.Account, err = s.joinInvited(ctx, tx, draft.invitation, fresh)
		} else {
			reg.Account, err = s.insertAccount(ctx, tx, fresh, c.AccountName, c.Organisation)
		}
		if err != nil {
			return err
		}
		isBound = false
		if draft.provider != "" {
			isBound = true
			if err := s.insertBinding(ctx, tx, fresh.id, draft.provider, draft.subject); err != nil {
				return err
			}
			isBound = false
		}
		facts := map[string]string{}
		if c.Hook != nil {
			if facts, err = c.Hook(ctx, tx, reg); err != nil {
				return err
			}
		}
		if out, err = s.settle(ctx, tx, fresh, &reg, method, facts); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, userName(fresh.id), "user.register", userName(fresh.id), map[string]any{"account": reg.Account, "invited": reg.Invited, "method": method})
	})
	if db.IsUnique(err) {
		if isBound {
			return nil, nil, ErrBound
		}
		return nil, nil, s.taken(ctx, draft)
	}
	if err != nil {
		return nil, nil, err
	}
	return &out, &reg, nil
}

func newUser(d *draftRow, hash string, now int64) *userRow {
	u := &userRow{name: d.name, email: d.email, emailAt: d.emailAt, mobile: d.mobile, mobileAt: d.mobileAt, hash: hash, state: StateActive, createdAt: now}
	if u.name == "" {
		u.name = strings.ToValidUTF8(u.email[:strings.IndexByte(u.email, '@')], "")
	}
	if hash != "" {
		u.passwordAt = now
	}
	return u
}

// settle writes what a new person begins with: the proof of their addresses as the first check, a session, the welcome.
func (s *Service) settle(ctx context.Context, tx *db.Tx, u *userRow, reg *Registered, method string, facts map[string]string) (SignedIn, error) {
	if u.emailAt != 0 {
		if err := s.insertCheck(ctx, tx, u.id, SourceCode, CheckValid); err != nil {
			return SignedIn{}, err
		}
	}
	token, id, err := s.startSession(ctx, tx, u.id, stageFull, method, reg.Where)
	if err != nil {
		return SignedIn{}, err
	}
	if err := s.logLogin(ctx, tx, u.id, method, OutcomeOK, id, reg.Where); err != nil {
		return SignedIn{}, err
	}
	all := map[string]string{"user": rowOf(u.id), "account": rowOf(reg.Account), "name": u.name, "email": contact.MaskEmail(u.email), "mobile": contact.MaskMobile(u.mobile)}
	maps.Copy(all, facts)
	if err := s.notify(ctx, tx, u, Notice{Kind: NoticeWelcome, Account: reg.Account, Facts: all}); err != nil {
		return SignedIn{}, err
	}
	return SignedIn{Token: token, User: u.id, Session: id}, nil
}

// taken says which address of a draft is somebody's. Both are proved to be the visitor's, so they may know.
func (s *Service) taken(ctx context.Context, d *draftRow) error {
	if _, err := s.queryUserByMobile(ctx, s.db, s.blindMobile(d.mobile)); err == nil {
		return &TakenError{FieldMobile}
	} else if !errors.Is(err, ErrNotFound) {
		return err
	}
	return &TakenError{FieldEmail}
}

// bootstrapTTL is how long the printed link is good.
const bootstrapTTL = day

// bootstrapLock is the row that whoever becomes the first person has to have, whatever the number of nodes.
const bootstrapLock = "lock:bootstrap"

// Bootstrap makes the link with which the first owner of an installation comes; an older one ends. Empty: there are people
// already. It is printed once, where only the operator reads.
func (s *Service) Bootstrap(ctx context.Context) (token string, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		token = ""
		if some, err := s.somebody(ctx, tx); err != nil || some {
			return err
		}
		if err := dropTickets(ctx, tx, 0, ticketBootstrap); err != nil {
			return err
		}
		if token, err = s.newTicket(ctx, tx, ticketBootstrap, 0, nil, 0, bootstrapTTL); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, "system:bootstrap", "bootstrap.link", "installation", nil)
	})
	return token, err
}

func (s *Service) somebody(ctx context.Context, tx *db.Tx) (some bool, err error) {
	if _, err := tx.Exec(ctx, `insert into account_person_throttle (target, fails, failed_at, until) values ($1, 0, $2, 0)
		on conflict (target) do update set failed_at = excluded.failed_at`, bootstrapLock, s.now()); err != nil {
		return false, fmt.Errorf("person: lock: %w", err)
	}
	if err := tx.QueryRow(ctx, `select count(*) > 0 from account_person_user`).Scan(&some); err != nil {
		return false, fmt.Errorf("person: count people: %w", err)
	}
	return some, nil
}

// Owner is who comes by the bootstrap link. An e-mail address is enough in private mode; a password can be set later, by who
// adds a passkey at once.
type Owner struct {
	Token               string
	Email, Name, Mobile string
	Password            string
	AccountName, Locale string
	Organisation        bool
	// Hook as of a Completion; it may be nil in private mode.
	Hook Hook
}

// BootstrapOwner makes the first person: operator and owner of an account. The link is the proof; addresses are not proved by
// it and can be later (ChangeContact). It fails with ErrLink, *InvalidError or ErrMustAgree.
func (s *Service) BootstrapOwner(ctx context.Context, o Owner, w Where) (*SignedIn, *Registered, error) {
	if _, err := s.peekTicket(ctx, s.db, ticketBootstrap, o.Token, new(any)); err != nil {
		return nil, nil, err
	}
	f := Form{Name: o.Name, Email: o.Email, Mobile: o.Mobile, Locale: o.Locale}
	if err := s.check(&f); err != nil {
		return nil, nil, err
	}
	c := Completion{AccountName: o.AccountName, Organisation: o.Organisation, Hook: o.Hook}
	d := &draftRow{name: f.Name, email: f.Email, mobile: f.Mobile, locale: f.Locale}
	if s.opt.Platform && o.Hook == nil {
		return nil, nil, ErrMustAgree
	}
	if c.AccountName != "" {
		name, err := contact.Name(c.AccountName)
		if err != nil {
			return nil, nil, &InvalidError{FieldAccount, err.Error()}
		}
		c.AccountName = name
	}
	hash := ""
	if o.Password != "" {
		var err error
		if hash, err = s.judged(ctx, o.Password, f.Name, f.Email, f.Mobile); err != nil {
			return nil, nil, err
		}
	}
	return s.create(ctx, c, w, hash, MethodLink, func(ctx context.Context, tx *db.Tx) (*draftRow, error) {
		if some, err := s.somebody(ctx, tx); err != nil || some {
			return nil, errors.Join(err, ErrLink)
		}
		if _, err := s.useTicket(ctx, tx, ticketBootstrap, o.Token, new(any)); err != nil {
			return nil, err
		}
		return d, nil
	})
}
