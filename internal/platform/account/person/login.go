package person

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

// maxLoginName bounds what is looked up, in bytes.
const maxLoginName = 320

// SignedIn is the outcome of signing in.
type SignedIn struct {
	// Token is the session's. It is shown once, here.
	Token string
	// Second: the token is good only for SecondFactor, which is asked for now.
	Second  bool
	User    int64
	Session int64
}

// Login is one attempt to sign in, as the person sees it in their list.
type Login struct {
	At      time.Time
	Method  string
	Outcome string
	Where   Where
	Session int64
}

// Outcomes of attempts.
const (
	OutcomeOK     = "ok"
	OutcomeWrong  = "wrong"
	OutcomeSecond = "second_factor"
	OutcomeFrozen = "frozen"
)

// SignIn signs a person in by the number of their log-in or their mobile number (in private mode also their e-mail address)
// and password. It fails with ErrCredentials, *WaitError, or, for the right password only, ErrFrozen.
//
// What is unknown costs what is known costs: one look-up, one counted attempt, one computed hash, one row of the list.
func (s *Service) SignIn(ctx context.Context, name, pass string, w Where) (*SignedIn, error) {
	name = strings.TrimSpace(name)
	if len(name) > maxLoginName {
		return nil, ErrCredentials
	}
	u, err := s.lookUp(ctx, name)
	if err != nil {
		return nil, err
	}
	// Whatever a person is called by, they are counted once.
	target, address := "name:"+s.keys.Blind("person/name", strings.ToLower(name)), s.addressTarget(w)
	if u.id != 0 {
		target = userName(u.id)
	}
	if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.begin(ctx, tx, target, address) }); err != nil {
		return nil, err
	}
	ok, stale, err := s.hasher.Check(ctx, pass, u.hash)
	if err != nil {
		return nil, err
	}
	if !ok {
		err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			return s.logLogin(ctx, tx, u.id, MethodPassword, OutcomeWrong, 0, w)
		})
		return nil, errors.Join(err, ErrCredentials)
	}
	fresh := ""
	if stale {
		if fresh, err = s.hasher.Hash(ctx, pass); err != nil {
			return nil, err
		}
	}
	return s.signedIn(ctx, u.id, MethodPassword, w, func(ctx context.Context, tx *db.Tx, now *userRow) error {
		if now.hash != u.hash { // it was changed while it was compared
			return ErrCredentials
		}
		if fresh != "" {
			if _, err := tx.Exec(ctx, `update account_person_user set password_hash = $2 where id = $1`, u.id, fresh); err != nil {
				return fmt.Errorf("person: write a password: %w", err)
			}
		}
		return forgive(ctx, tx, target, address)
	})
}

// lookUp finds the person of a log-in name; a row of zeros stands for nobody.
func (s *Service) lookUp(ctx context.Context, name string) (*userRow, error) {
	var (
		u   *userRow
		err error
	)
	if strings.Contains(name, "@") {
		blind := ""
		if email, bad := contact.Email(name); bad == nil && !s.opt.Platform {
			blind = s.blindEmail(email)
		}
		u, err = s.queryUserByEmail(ctx, s.db, blind)
	} else if mobile, bad := contact.Mobile(name); bad == nil {
		u, err = s.queryUserByMobile(ctx, s.db, s.blindMobile(mobile))
	} else {
		id, _ := strconv.ParseInt(name, 10, 64) // 0 is nobody
		u, err = s.queryUser(ctx, s.db, id)
	}
	if errors.Is(err, ErrNotFound) {
		return &userRow{}, nil
	}
	return u, err
}

// signedIn makes the session of a person whose first factor was right. inTx runs in its transaction, with the locked person.
func (s *Service) signedIn(ctx context.Context, user int64, method string, w Where, inTx func(context.Context, *db.Tx, *userRow) error) (*SignedIn, error) {
	out := &SignedIn{User: user}
	frozen := false
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if inTx != nil {
			if err := inTx(ctx, tx, u); err != nil {
				return err
			}
		}
		if frozen = u.state == StateFrozen; frozen {
			return s.logLogin(ctx, tx, user, method, OutcomeFrozen, 0, w)
		}
		stage, outcome := stageFull, OutcomeOK
		out.Second = false
		if method != MethodPasskey { // a passkey is two factors: the thing, and what unlocks it
			if out.Second, err = hasTOTP(ctx, tx, user); err != nil {
				return err
			}
			if out.Second {
				stage, outcome = stageSecond, OutcomeSecond
			}
		}
		if out.Token, out.Session, err = s.startSession(ctx, tx, user, stage, method, w); err != nil {
			return err
		}
		if err := s.logLogin(ctx, tx, user, method, outcome, out.Session, w); err != nil {
			return err
		}
		if out.Second {
			return nil
		}
		return s.tellLogin(ctx, tx, u, method, out.Session, w)
	})
	switch {
	case errors.Is(err, ErrNotFound):
		return nil, ErrCredentials
	case err != nil:
		return nil, err
	case frozen:
		return nil, ErrFrozen
	}
	return out, nil
}

// tellLogin tells a person of a log-in from where there was none in the last 30 days.
func (s *Service) tellLogin(ctx context.Context, tx *db.Tx, u *userRow, method string, session int64, w Where) error {
	known, err := s.knownPlace(ctx, tx, u.id, session, w)
	if err != nil {
		return err
	}
	if !known {
		link, err := s.notMe(ctx, tx, u.id)
		if err != nil {
			return err
		}
		facts := map[string]string{"method": method, "ip": addr(w.IP), "agent": w.Agent[:min(len(w.Agent), maxAgent)]}
		if err := s.notify(ctx, tx, u, Notice{Kind: NoticeLogin, NotMe: link, Facts: facts}); err != nil {
			return err
		}
	}
	return s.audit.Append(ctx, tx, audit.Entry{Actor: userName(u.id), Action: "session.start", Object: "session:" + rowOf(session), Detail: map[string]string{"method": method}})
}

// knownPlaces is how many log-ins are looked back at.
const knownPlaces = 50

func (s *Service) knownPlace(ctx context.Context, tx *db.Tx, user, session int64, w Where) (bool, error) {
	list, err := s.queryLogins(ctx, tx, user, s.now()-30*day.Milliseconds(), knownPlaces)
	if err != nil {
		return false, err
	}
	for _, l := range list {
		if l.Outcome == OutcomeOK && l.Session != session && l.Where.IP == w.IP.Unmap() && l.Where.Agent == w.Agent[:min(len(w.Agent), maxAgent)] {
			return true, nil
		}
	}
	return false, nil
}

// logLogin keeps an attempt. Those at nobody are kept as well, of user 0, so that they cost the same; nobody reads them.
func (s *Service) logLogin(ctx context.Context, tx *db.Tx, user int64, method, outcome string, session int64, w Where) error {
	sealed, err := s.sealWhere("login", rowOf(user), w)
	if err != nil {
		return err
	}
	_, err = tx.Exec(ctx, `insert into account_person_login (user_id, at, method, outcome, session_id, where_sealed) values ($1, $2, $3, $4, $5, $6)`,
		user, s.now(), method, outcome, session, sealed)
	if err != nil {
		return fmt.Errorf("person: log an attempt: %w", err)
	}
	return nil
}

// Logins lists the newest attempts to sign a person in, at most limit (≤ 500).
func (s *Service) Logins(ctx context.Context, user int64, limit int) ([]Login, error) {
	return s.queryLogins(ctx, s.db, user, 0, max(1, min(limit, 500)))
}

func (s *Service) queryLogins(ctx context.Context, r querier, user, since int64, limit int) ([]Login, error) {
	rows, err := r.Query(ctx, `select at, method, outcome, session_id, where_sealed from account_person_login where user_id = $1 and at >= $2 order by id desc limit $3`,
		user, since, limit)
	if err != nil {
		return nil, fmt.Errorf("person: list log-ins: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Login
	for rows.Next() {
		var (
			l      Login
			at     int64
			sealed string
		)
		if err := rows.Scan(&at, &l.Method, &l.Outcome, &l.Session, &sealed); err != nil {
			return nil, fmt.Errorf("person: list log-ins: %w", err)
		}
		l.At = clock.FromMillis(at)
		if l.Where, err = s.openWhere("login", rowOf(user), sealed); err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, errors.Join(rows.Err(), rows.Close())
}

// SignOut ends the session of a token; one that has ended is no error.
func (s *Service) SignOut(ctx context.Context, token string) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `delete from account_person_session where token_hash = $1`, hashToken(token)); err != nil {
			return fmt.Errorf("person: end a session: %w", err)
		}
		return nil
	})
}
