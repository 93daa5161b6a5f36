package person

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/pquerna/otp"
	"github.com/pquerna/otp/hotp"
	"github.com/pquerna/otp/totp"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
)

const (
	// totpPeriod is how long a code shows, in seconds; one period to either side is taken for a clock that is off.
	totpPeriod = 30
	totpSkew   = 1
	// RecoveryCodes is how many there are in a set, each of 50 random bits.
	RecoveryCodes     = 10
	recoveryCodeChars = 10
)

// Enrolment is what an authenticator app is set up with. It is shown once.
type Enrolment struct {
	// Secret in base32; URL is the otpauth:// address of the same, for a QR code.
	Secret, URL string
}

func hasTOTP(ctx context.Context, r rower, user int64) (yes bool, err error) {
	err = r.QueryRow(ctx, `select count(*) > 0 from account_person_totp where user_id = $1 and confirmed_at > 0`, user).Scan(&yes)
	if err != nil {
		return false, fmt.Errorf("person: read a second factor: %w", err)
	}
	return yes, nil
}

// BeginTOTP makes the secret of an authenticator app. It counts from ConfirmTOTP on. It fails with ErrProof, and with
// *InvalidError if there is one already.
func (s *Service) BeginTOTP(ctx context.Context, x *Session) (*Enrolment, error) {
	if err := s.Proved(x); err != nil {
		return nil, err
	}
	key, err := totp.Generate(totp.GenerateOpts{Issuer: s.opt.Issuer, AccountName: rowOf(x.User), Period: totpPeriod, Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
	if err != nil {
		return nil, fmt.Errorf("person: make a TOTP secret: %w", err)
	}
	sealed, err := s.seal("totp", rowOf(x.User), key.Secret())
	if err != nil {
		return nil, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `insert into account_person_totp (user_id, secret_sealed, confirmed_at, last_step, created_at) values ($1, $2, 0, 0, $3)
			on conflict (user_id) do update set secret_sealed = excluded.secret_sealed, last_step = 0, created_at = excluded.created_at
				where account_person_totp.confirmed_at = 0`, x.User, sealed, s.now())
		switch {
		case err != nil:
			return fmt.Errorf("person: write a TOTP secret: %w", err)
		case n == 0:
			return &InvalidError{"totp", "is set up already; remove it first"}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &Enrolment{key.Secret(), key.URL()}, nil
}

// ConfirmTOTP turns the second factor on, with a code that shows that the app works. It returns the session's new token and
// the recovery codes, which are shown once; all other sessions end. It fails with ErrCode, ErrProof or *WaitError.
func (s *Service) ConfirmTOTP(ctx context.Context, x *Session, code string) (token string, recovery []string, err error) {
	if err := s.Proved(x); err != nil {
		return "", nil, err
	}
	right := false
	err = s.guarded(ctx, x.User, &right, func(ctx context.Context, tx *db.Tx, u *userRow) error {
		right = false
		ok, err := s.useTOTP(ctx, tx, x.User, code, false)
		if err != nil || !ok {
			return err
		}
		if _, err := tx.Exec(ctx, `update account_person_totp set confirmed_at = $2 where user_id = $1`, x.User, s.now()); err != nil {
			return fmt.Errorf("person: confirm a second factor: %w", err)
		}
		if recovery, err = s.newRecoveryCodes(ctx, tx, x.User); err != nil {
			return err
		}
		if token, err = s.factorChanged(ctx, tx, x, u, "totp.on"); err != nil {
			return err
		}
		right = true
		return nil
	})
	return token, recovery, err
}

// factorChanged is what follows when the ways to prove who somebody is change: other sessions end, this one has a new token,
// the person is told.
func (s *Service) factorChanged(ctx context.Context, tx *db.Tx, x *Session, u *userRow, what string) (token string, err error) {
	if token, err = s.rotate(ctx, tx, x); err != nil {
		return "", err
	}
	if err := endSessions(ctx, tx, x.User, x.ID); err != nil {
		return "", err
	}
	link, err := s.notMe(ctx, tx, x.User)
	if err != nil {
		return "", err
	}
	if err := s.notify(ctx, tx, u, Notice{Kind: NoticeFactor, NotMe: link, Facts: map[string]string{"what": what}}); err != nil {
		return "", err
	}
	return token, s.audit.Append(ctx, tx, audit.Entry{Actor: userName(x.User), Action: what, Object: userName(x.User)})
}

// RemoveTOTP turns the second factor off. It fails with ErrProof, ErrNotFound, or *InvalidError where one is demanded and no
// passkey is there instead.
func (s *Service) RemoveTOTP(ctx context.Context, x *Session) (token string, err error) {
	if err := s.Proved(x); err != nil {
		return "", err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `delete from account_person_totp where user_id = $1`, x.User)
		switch {
		case err != nil:
			return fmt.Errorf("person: remove a second factor: %w", err)
		case n == 0:
			return ErrNotFound
		}
		if _, err := tx.Exec(ctx, `delete from account_person_recovery_code where user_id = $1`, x.User); err != nil {
			return fmt.Errorf("person: remove recovery codes: %w", err)
		}
		if missing, err := s.secondMissing(ctx, tx, u); err != nil || missing {
			return errors.Join(err, &InvalidError{"totp", "is demanded of you; add a passkey first"})
		}
		token, err = s.factorChanged(ctx, tx, x, u, "totp.off")
		return err
	})
	return token, err
}

// NewRecoveryCodes replaces what is left of the set. It fails with ErrProof, or ErrNotFound without a second factor.
func (s *Service) NewRecoveryCodes(ctx context.Context, x *Session) (codes []string, err error) {
	if err := s.Proved(x); err != nil {
		return nil, err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if on, err := hasTOTP(ctx, tx, x.User); err != nil || !on {
			return errors.Join(err, ErrNotFound)
		}
		var err error
		if codes, err = s.newRecoveryCodes(ctx, tx, x.User); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: userName(x.User), Action: "totp.recovery_codes", Object: userName(x.User)})
	})
	return codes, err
}

func (s *Service) newRecoveryCodes(ctx context.Context, tx *db.Tx, user int64) ([]string, error) {
	if _, err := tx.Exec(ctx, `delete from account_person_recovery_code where user_id = $1`, user); err != nil {
		return nil, fmt.Errorf("person: drop recovery codes: %w", err)
	}
	codes := make([]string, RecoveryCodes)
	for i := range codes {
		var raw [7]byte
		_, _ = rand.Read(raw[:])
		code := strings.ToLower(base32.StdEncoding.EncodeToString(raw[:])[:recoveryCodeChars])
		if _, err := tx.Exec(ctx, `insert into account_person_recovery_code (user_id, mac) values ($1, $2)`, user, s.recoveryMAC(user, code)); err != nil {
			return nil, fmt.Errorf("person: write recovery codes: %w", err)
		}
		codes[i] = code[:5] + "-" + code[5:]
	}
	return codes, nil
}

func (s *Service) recoveryMAC(user int64, code string) string {
	code = strings.ToLower(strings.NewReplacer("-", "", " ", "").Replace(code))
	mac := hmac.New(sha256.New, s.codeKey)
	mac.Write([]byte("recovery code\x00" + rowOf(user) + "\x00" + code))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

// useSecond uses a code of an authenticator app or a recovery code: either works once. what says which it was.
func (s *Service) useSecond(ctx context.Context, tx *db.Tx, user int64, code string) (what string, ok bool, err error) {
	code = strings.ReplaceAll(strings.TrimSpace(code), " ", "")
	if len(code) <= 8 {
		ok, err = s.useTOTP(ctx, tx, user, code, true)
		return "totp", ok, err
	}
	n, err := tx.Exec(ctx, `delete from account_person_recovery_code where user_id = $1 and mac = $2`, user, s.recoveryMAC(user, code))
	if err != nil {
		return "", false, fmt.Errorf("person: use a recovery code: %w", err)
	}
	return "recovery_code", n == 1, nil
}

// useTOTP accepts a code of now or of one period to either side, if no code of its period or a later one was accepted before.
func (s *Service) useTOTP(ctx context.Context, tx *db.Tx, user int64, code string, confirmed bool) (bool, error) {
	var sealed string
	err := tx.QueryRow(ctx, `select secret_sealed from account_person_totp where user_id = $1 and (confirmed_at > 0) = $2`, user, confirmed).Scan(&sealed)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("person: read a second factor: %w", err)
	}
	key, err := s.open("totp", rowOf(user), sealed)
	if err != nil {
		return false, err
	}
	now := s.clock.Now().Unix() / totpPeriod
	for step := now - totpSkew; step <= now+totpSkew; step++ {
		right, err := hotp.ValidateCustom(code, uint64(step), key, hotp.ValidateOpts{Digits: otp.DigitsSix, Algorithm: otp.AlgorithmSHA1})
		if err != nil || !right {
			continue // a code of another length is an error
		}
		n, err := tx.Exec(ctx, `update account_person_totp set last_step = $2 where user_id = $1 and last_step < $2`, user, step)
		if err != nil {
			return false, fmt.Errorf("person: use a second factor: %w", err)
		}
		return n == 1, nil
	}
	return false, nil
}

// guarded runs an attempt to prove something: it is counted before, in a transaction of its own, and forgiven if right is set.
// Where it is not, the error is ErrCode and what act wrote stays.
func (s *Service) guarded(ctx context.Context, user int64, right *bool, act func(context.Context, *db.Tx, *userRow) error) error {
	target := "proof:" + rowOf(user)
	if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.attempt(ctx, tx, target, &personPace) }); err != nil {
		return err
	}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, user)
		if err != nil {
			return err
		}
		// The row of the attempts comes before what act locks; a wrong attempt takes it again below.
		if err := forgive(ctx, tx, target, ""); err != nil {
			return err
		}
		if err := act(ctx, tx, u); err != nil {
			return err
		}
		if !*right {
			return errWrong
		}
		return nil
	})
	if errors.Is(err, errWrong) {
		return ErrCode
	}
	return err
}

// errWrong takes back the forgiveness together with everything else.
var errWrong = errors.New("wrong")

// SecondFactor finishes signing in with a code of the authenticator app or a recovery code. The session has a new token; the
// old one is good for nothing any more. It fails with ErrCode, ErrSession or *WaitError.
func (s *Service) SecondFactor(ctx context.Context, token, code string, w Where) (*SignedIn, error) {
	x, err := s.find(ctx, s.db, token)
	if err != nil {
		return nil, err
	}
	if x.stage != stageSecond {
		return nil, ErrSession
	}
	out := &SignedIn{User: x.User, Session: x.ID}
	right := false
	err = s.guarded(ctx, x.User, &right, func(ctx context.Context, tx *db.Tx, u *userRow) error {
		right = false
		what, ok, err := s.useSecond(ctx, tx, x.User, code)
		if err != nil || !ok {
			return err
		}
		if out.Token, err = s.rotate(ctx, tx, x); err != nil {
			return err
		}
		method := x.Method + "+" + what
		if err := s.logLogin(ctx, tx, x.User, method, OutcomeOK, x.ID, w); err != nil {
			return err
		}
		right = true
		return s.tellLogin(ctx, tx, u, method, x.ID, w)
	})
	if errors.Is(err, ErrCode) {
		log := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return s.logLogin(ctx, tx, x.User, x.Method+"+", OutcomeWrong, x.ID, w)
		})
		return nil, errors.Join(err, log)
	}
	if err != nil {
		return nil, err
	}
	return out, nil
}

// StepUp proves again who is there, for what matters: with a code where a second factor is on (a password alone might be
// stolen), else with the password. The session has a new token. It fails with ErrCode, ErrCredentials, ErrSession or *WaitError.
func (s *Service) StepUp(ctx context.Context, x *Session, pass, code string) (token string, err error) {
	u, err := s.queryUser(ctx, s.db, x.User)
	if err != nil {
		return "", err
	}
	second, err := hasTOTP(ctx, s.db, x.User)
	if err != nil {
		return "", err
	}
	if !second {
		return s.stepUpByPassword(ctx, x, u, pass)
	}
	right := false
	err = s.guarded(ctx, x.User, &right, func(ctx context.Context, tx *db.Tx, _ *userRow) error {
		right = false
		_, ok, err := s.useSecond(ctx, tx, x.User, code)
		if err != nil || !ok {
			return err
		}
		right = true
		token, err = s.rotate(ctx, tx, x)
		return err
	})
	return token, err
}

func (s *Service) stepUpByPassword(ctx context.Context, x *Session, u *userRow, pass string) (token string, err error) {
	target := "proof:" + rowOf(x.User)
	if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.attempt(ctx, tx, target, &personPace) }); err != nil {
		return "", err
	}
	ok, _, err := s.hasher.Check(ctx, pass, u.hash)
	if err != nil {
		return "", err
	}
	if !ok {
		return "", ErrCredentials
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := forgive(ctx, tx, target, ""); err != nil {
			return err
		}
		token, err = s.rotate(ctx, tx, x)
		return err
	})
	return token, err
}
