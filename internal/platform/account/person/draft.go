package person

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

// DraftTTL is how long a sign-up may take.
const DraftTTL = 24 * time.Hour

// Fields that are verified, and named in errors.
const (
	FieldName    = "name"
	FieldEmail   = "email"
	FieldMobile  = "mobile"
	FieldSecret  = "password"
	FieldAccount = "account_name"
)

// Form is what a visitor fills in. In private mode Name and Mobile may be empty.
type Form struct {
	Name, Email, Mobile string
	// Locale in which the person is written to, e.g. "zh-CN"; may be empty.
	Locale string
	// Invitation is the token of an invitation: the e-mail address is the invitation's, and no account of their own is
	// made.
	Invitation string
}

// Draft is a sign-up that has been begun.
type Draft struct {
	// Token stands for it; it is returned only by Begin.
	Token string
	Name  string
	// Email and Mobile are masked. The others say what is still to be proved.
	Email, Mobile               string
	EmailVerified, MobileNeeded bool
	MobileVerified              bool
	// Provider is the log-in elsewhere with which it was begun, or empty.
	Provider  string
	ExpiresAt time.Time
}

type draftRow struct {
	id                          int64
	hash                        string
	name, email, mobile         string
	emailAt, mobileAt           int64
	invitation                  int64
	provider, subject           string
	locale                      string
	expiresAt                   int64
	nameSealed, emailSealed     string
	mobileSealed, subjectSealed string
}

const draftColumns = `id, token_hash, name_sealed, email_sealed, email_at, mobile_sealed, mobile_at, invitation_id, provider, subject_sealed, locale, expires_at`

func (s *Service) scanDraft(row *sql.Row) (*draftRow, error) {
	var d draftRow
	err := row.Scan(&d.id, &d.hash, &d.nameSealed, &d.emailSealed, &d.emailAt, &d.mobileSealed, &d.mobileAt, &d.invitation, &d.provider, &d.subjectSealed, &d.locale, &d.expiresAt)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrLink
	case err != nil:
		return nil, fmt.Errorf("person: read a draft: %w", err)
	}
	for _, f := range []struct {
		field, sealed string
		into          *string
	}{{"draft/name", d.nameSealed, &d.name}, {"draft/email", d.emailSealed, &d.email}, {"draft/mobile", d.mobileSealed, &d.mobile},
		{"draft/subject", d.subjectSealed, &d.subject}} {
		if *f.into, err = s.open(f.field, d.hash, f.sealed); err != nil {
			return nil, err
		}
	}
	return &d, nil
}

func (s *Service) queryDraft(ctx context.Context, r rower, token string) (*draftRow, error) {
	return s.scanDraft(r.QueryRow(ctx, `select `+draftColumns+` from account_person_draft where token_hash = $1 and expires_at > $2`, hashToken(token), s.now()))
}

// lockDraft reads a draft in order to change it.
func (s *Service) lockDraft(ctx context.Context, tx *db.Tx, token string) (*draftRow, error) {
	return s.scanDraft(tx.QueryRow(ctx, `update account_person_draft set locale = locale where token_hash = $1
		and expires_at > $2 returning `+draftColumns, hashToken(token), s.now()))
}

func (s *Service) insertDraft(ctx context.Context, tx *db.Tx, d *draftRow) error {
	if err := s.sealDraft(d); err != nil {
		return err
	}
	now := s.now()
	_, err := tx.Exec(ctx, `insert into account_person_draft (token_hash, name_sealed, email_blind, email_sealed, email_at, mobile_blind,
			mobile_sealed, mobile_at, invitation_id, provider,
			subject_sealed, locale, created_at, expires_at) values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)`,
		d.hash, d.nameSealed, s.blindEmail(d.email), d.emailSealed, d.emailAt, s.blindMobile(d.mobile), d.mobileSealed, d.mobileAt,
		d.invitation, d.provider, d.subjectSealed, d.locale, now, d.expiresAt)
	if err != nil {
		return fmt.Errorf("person: insert a draft: %w", err)
	}
	return nil
}

func (s *Service) sealDraft(d *draftRow) (err error) {
	for _, f := range []struct {
		field, plain string
		into         *string
	}{{"draft/name", d.name, &d.nameSealed}, {"draft/email", d.email, &d.emailSealed}, {"draft/mobile", d.mobile, &d.mobileSealed},
		{"draft/subject", d.subject, &d.subjectSealed}} {
		if *f.into, err = s.seal(f.field, d.hash, f.plain); err != nil {
			return err
		}
	}
	return nil
}

func (s *Service) shown(d *draftRow) *Draft {
	return &Draft{
		Name: d.name, Email: contact.MaskEmail(d.email), Mobile: contact.MaskMobile(d.mobile), EmailVerified: d.emailAt != 0, MobileVerified: d.mobileAt != 0,
		MobileNeeded: d.mobile != "" || s.opt.Platform, Provider: d.provider, ExpiresAt: clock.FromMillis(d.expiresAt),
	}
}

// check normalises a form. It fails with *InvalidError.
func (s *Service) check(f *Form) error {
	if len(f.Locale) > 35 {
		return &InvalidError{"locale", "is too long"}
	}
	for _, c := range []struct {
		field    string
		value    *string
		optional bool
		check    func(string) (string, error)
	}{
		{FieldName, &f.Name, !s.opt.Platform, contact.Name},
		{FieldEmail, &f.Email, false, contact.Email},
		{FieldMobile, &f.Mobile, !s.opt.Platform, contact.Mobile},
	} {
		if c.optional && *c.value == "" {
			continue
		}
		value, err := c.check(*c.value)
		if err != nil {
			return &InvalidError{c.field, err.Error()}
		}
		*c.value = value
	}
	return nil
}

// Begin begins a sign-up: nothing but a draft is made of it, and nothing is looked up, so it cannot tell whether somebody is
// known. It fails with *InvalidError, ErrSignUpClosed, ErrLink for an invitation that is not good, or *WaitError.
func (s *Service) Begin(ctx context.Context, f Form, w Where) (*Draft, error) {
	return s.beginDraft(ctx, f, w, "", "")
}

func (s *Service) beginDraft(ctx context.Context, f Form, w Where, provider, subject string) (*Draft, error) {
	if f.Invitation == "" && !s.opt.Platform && !s.opt.SignUp {
		return nil, ErrSignUpClosed
	}
	if err := s.mayAsk(w); err != nil {
		return nil, err
	}
	var invited *invitationRow
	if f.Invitation != "" {
		var err error
		if invited, err = s.queryInvitation(ctx, s.db, f.Invitation); err != nil {
			return nil, err
		}
		f.Email = invited.email
	}
	if provider == "" { // who comes from elsewhere fills the form in afterwards
		if err := s.check(&f); err != nil {
			return nil, err
		}
	}
	token, hash := newToken(prefixDraft)
	d := &draftRow{hash: hash, name: f.Name, email: f.Email, mobile: f.Mobile, locale: f.Locale, provider: provider, subject: subject, expiresAt: s.now() + DraftTTL.Milliseconds()}
	if invited != nil {
		d.invitation = invited.ID
		if invited.mailed { // only who reads that mailbox has the link
			d.emailAt = s.now()
		}
	}
	if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.insertDraft(ctx, tx, d) }); err != nil {
		return nil, err
	}
	out := s.shown(d)
	out.Token = token
	return out, nil
}

// Draft returns a sign-up, so that it can be resumed. It fails with ErrLink.
func (s *Service) Draft(ctx context.Context, token string) (*Draft, error) {
	d, err := s.queryDraft(ctx, s.db, token)
	if err != nil {
		return nil, err
	}
	return s.shown(d), nil
}

// Amend replaces what was filled in. An address that changes has to be proved anew; the one of an invitation stays.
func (s *Service) Amend(ctx context.Context, token string, f Form) (*Draft, error) {
	var out *Draft
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		d, err := s.lockDraft(ctx, tx, token)
		if err != nil {
			return err
		}
		f := f
		if d.invitation != 0 {
			f.Email = d.email
		}
		if err := s.check(&f); err != nil {
			return err
		}
		if contact.EmailKey(f.Email) != contact.EmailKey(d.email) {
			d.emailAt = 0
		}
		if f.Mobile != d.mobile {
			d.mobileAt = 0
		}
		d.name, d.email, d.mobile, d.locale = f.Name, f.Email, f.Mobile, f.Locale
		if err := s.sealDraft(d); err != nil {
			return err
		}
		out = s.shown(d)
		_, err = tx.Exec(ctx, `update account_person_draft
			set name_sealed = $2, email_blind = $3, email_sealed = $4, email_at = $5, mobile_blind = $6, mobile_sealed = $7, mobile_at = $8, locale = $9
			where id = $1`, d.id, d.nameSealed, s.blindEmail(d.email), d.emailSealed, d.emailAt, s.blindMobile(d.mobile), d.mobileSealed, d.mobileAt, d.locale)
		if err != nil {
			return fmt.Errorf("person: amend a draft: %w", err)
		}
		return nil
	})
	return out, err
}

// place is what a code for a field of a draft proves.
func (s *Service) place(d *draftRow, field string) (codePlace, string, error) {
	p := codePlace{purpose: KindRegister, bound: "draft:" + rowOf(d.id)}
	switch {
	case field == FieldEmail && d.email != "":
		p.target = s.blindEmail(d.email)
		return p, d.email, nil
	case field == FieldMobile && d.mobile != "":
		p.target = s.blindMobile(d.mobile)
		return p, d.mobile, nil
	}
	return p, "", &InvalidError{"field", "is not an address that was given"}
}

// checkChannel: mail goes to mailboxes, SMS and voice to numbers. When SMS does not arrive, voice is asked for; a step is never
// skipped.
func checkChannel(field, channel string) error {
	if (field == FieldEmail) != (channel == ChannelEmail) || field == FieldMobile && channel != ChannelSMS && channel != ChannelVoice {
		return &InvalidError{"channel", "cannot bring a code there"}
	}
	return nil
}

// SendCode sends a code for the field "email" or "mobile" of a draft. It fails with ErrLink, *InvalidError or *WaitError.
func (s *Service) SendCode(ctx context.Context, token, field, channel string, w Where) error {
	if err := checkChannel(field, channel); err != nil {
		return err
	}
	if err := s.mayAsk(w); err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		d, err := s.lockDraft(ctx, tx, token)
		if err != nil {
			return err
		}
		p, to, err := s.place(d, field)
		if err != nil {
			return err
		}
		code, err := s.newCode(ctx, tx, p)
		if err != nil {
			return err
		}
		return s.send(ctx, tx, Message{Channel: channel, Kind: KindRegister, To: to, Code: code, Locale: d.locale})
	})
}

// Verify proves an address of a draft. It fails with ErrLink, *InvalidError or ErrCode.
func (s *Service) Verify(ctx context.Context, token, field, code string) error {
	ok := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		d, err := s.lockDraft(ctx, tx, token)
		if err != nil {
			return err
		}
		p, _, err := s.place(d, field)
		if err != nil {
			return err
		}
		if ok, err = s.useCode(ctx, tx, p, code); err != nil || !ok {
			return err
		}
		column := "email_at"
		if field == FieldMobile {
			column = "mobile_at"
		}
		if _, err := tx.Exec(ctx, `update account_person_draft set `+column+` = $2 where id = $1`, d.id, s.now()); err != nil {
			return fmt.Errorf("person: verify: %w", err)
		}
		return nil
	})
	if err == nil && !ok {
		return ErrCode
	}
	return err
}

// Abandon removes a draft: who declines leaves nothing behind.
func (s *Service) Abandon(ctx context.Context, token string) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `delete from account_person_draft where token_hash = $1`, hashToken(token)); err != nil {
			return fmt.Errorf("person: abandon a draft: %w", err)
		}
		return nil
	})
}

func (s *Service) auditAs(ctx context.Context, tx *db.Tx, actor, action, object string, detail any) error {
	return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: action, Object: object, Detail: detail})
}
