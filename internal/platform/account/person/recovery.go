package person

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

const (
	recoveryTTL = 24 * time.Hour
	// maxRecoveries is how many a person has within 30 days.
	maxRecoveries = 3
	thirtyDays    = 30 * 24 * time.Hour
)

// Recovery is a recovery whose code was right.
type Recovery struct {
	// Token is for FinishRecovery, from ReadyAt on and for a day.
	Token   string
	ReadyAt time.Time
}

func (s *Service) recoverPlace(email string) codePlace {
	return codePlace{purpose: KindRecover, bound: KindRecover, target: s.blindEmail(email)}
}

// BeginRecovery sends a code to an e-mail address, if it is somebody's proved one, and else a message that it is nobody's. The answer and
// the work are the same. It fails with *InvalidError for what is no address, or *WaitError.
func (s *Service) BeginRecovery(ctx context.Context, email, locale string, w Where) error {
	if err := s.mayAsk(w); err != nil {
		return err
	}
	if _, err := s.normalise(FieldEmail, &email); err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.recoverable(ctx, tx, email)
		if err != nil {
			return err
		}
		code, err := s.newCode(ctx, tx, s.recoverPlace(email))
		if err != nil {
			return err
		}
		m := Message{User: u.id, Channel: ChannelEmail, Kind: KindNobody, To: email, Locale: locale}
		if u.id != 0 {
			m.Kind, m.Code = KindRecover, code
		}
		return s.send(ctx, tx, m)
	})
}

// recoverable is who can be recovered by an address; a row of zeros is nobody.
func (s *Service) recoverable(ctx context.Context, r rower, email string) (*userRow, error) {
	u, err := s.queryUserByEmail(ctx, r, s.blindEmail(email))
	switch {
	case errors.Is(err, ErrNotFound):
		return &userRow{}, nil
	case err != nil:
		return nil, err
	case u.emailAt == 0:
		return &userRow{}, nil
	}
	return u, nil
}

// ProveRecovery checks the code. All addresses of the person are told, with a link to stop it; the new password can be set
// when the wait is over. It fails with ErrCode, *InvalidError, or *WaitError where there were too many within 30 days.
func (s *Service) ProveRecovery(ctx context.Context, email, code string, w Where) (*Recovery, error) {
	if _, err := s.normalise(FieldEmail, &email); err != nil {
		return nil, err
	}
	out := &Recovery{ReadyAt: s.clock.Now().Add(s.opt.RecoveryWait)}
	ok, over := false, false
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.recoverable(ctx, tx, email)
		if err != nil {
			return err
		}
		ok, over = false, false
		right, err := s.useCode(ctx, tx, s.recoverPlace(email), code)
		if err != nil || !right || u.id == 0 {
			return err
		}
		ok = true
		if _, err := s.lockUser(ctx, tx, u.id); err != nil {
			return err
		}
		var n int
		if err := tx.QueryRow(ctx, `select count(*) from account_person_recovery where user_id = $1 and at > $2`,
			u.id, s.now()-thirtyDays.Milliseconds()).Scan(&n); err != nil {
			return fmt.Errorf("person: count recoveries: %w", err)
		}
		if over = n >= maxRecoveries; over {
			return s.auditAs(ctx, tx, userName(u.id), "recovery.refuse", userName(u.id), map[string]int{"within_30_days": n})
		}
		return s.startRecovery(ctx, tx, u, out, w)
	})
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, ErrCode
	case over:
		return nil, &WaitError{thirtyDays}
	}
	return out, nil
}

func (s *Service) startRecovery(ctx context.Context, tx *db.Tx, u *userRow, out *Recovery, w Where) (err error) {
	if _, err := tx.Exec(ctx, `insert into account_person_recovery (user_id, at) values ($1, $2)`, u.id, s.now()); err != nil {
		return fmt.Errorf("person: insert a recovery: %w", err)
	}
	if err := dropTickets(ctx, tx, u.id, ticketRecovery); err != nil {
		return err
	}
	if out.Token, err = s.newTicket(ctx, tx, ticketRecovery, u.id, nil, clock.Millis(out.ReadyAt), recoveryTTL); err != nil {
		return err
	}
	link, err := s.notMe(ctx, tx, u.id)
	if err != nil {
		return err
	}
	facts := map[string]string{"ready_at": out.ReadyAt.UTC().Format(time.RFC3339), "ip": addr(w.IP)}
	if err := s.notify(ctx, tx, u, Notice{Kind: NoticeRecovery, NotMe: link, Facts: facts}); err != nil {
		return err
	}
	return s.auditAs(ctx, tx, userName(u.id), "recovery.start", userName(u.id), nil)
}

// RecoveryLink makes a link for FinishRecovery for who cannot receive a code. by is who does it, for the audit log: a command on
// the server (who may use the socket may do this), or an operator whose OperatorAccountsManage the caller has checked. The person is told. It fails with
// ErrNotFound.
func (s *Service) RecoveryLink(ctx context.Context, by string, user int64) (token string, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if err := dropTickets(ctx, tx, user, ticketRecovery); err != nil {
			return err
		}
		if token, err = s.newTicket(ctx, tx, ticketRecovery, user, nil, 0, recoveryTTL); err != nil {
			return err
		}
		link, err := s.notMe(ctx, tx, user)
		if err != nil {
			return err
		}
		if err := s.notify(ctx, tx, u, Notice{Kind: NoticeRecovery, NotMe: link, Facts: map[string]string{"by": "operator"}}); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, by, "recovery.link", userName(user), nil)
	})
	return token, err
}

// FinishRecovery sets the new password and signs the person in. All sessions end; a second factor stays and is asked for, and
// payouts and closing wait for a day. It fails with ErrLink, *WaitError before its time, or *InvalidError.
func (s *Service) FinishRecovery(ctx context.Context, token, fresh string, w Where) (*SignedIn, error) {
	t, err := s.peekTicket(ctx, s.db, ticketRecovery, token, new(any))
	if err != nil {
		return nil, err
	}
	before, err := s.queryUser(ctx, s.db, t.user)
	if err != nil {
		return nil, err
	}
	hash, err := s.judged(ctx, fresh, before.own()...)
	if err != nil {
		return nil, err
	}
	return s.signedIn(ctx, t.user, MethodRecovery, w, func(ctx context.Context, tx *db.Tx, u *userRow) error {
		if _, err := s.useTicket(ctx, tx, ticketRecovery, token, new(any)); err != nil {
			return err
		}
		if err := s.writePassword(ctx, tx, u.id, hash); err != nil {
			return err
		}
		u.state, u.coolUntil = StateActive, max(u.coolUntil, s.now()+CoolDown.Milliseconds())
		if err := writeState(ctx, tx, u.id, u.state, u.coolUntil); err != nil {
			return err
		}
		if err := endSessions(ctx, tx, u.id, 0); err != nil {
			return err
		}
		if err := forgive(ctx, tx, userName(u.id), ""); err != nil {
			return err
		}
		link, err := s.notMe(ctx, tx, u.id)
		if err != nil {
			return err
		}
		if err := s.notify(ctx, tx, u, Notice{Kind: NoticePassword, NotMe: link}); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, userName(u.id), "recovery.finish", userName(u.id), nil)
	})
}

// notMe makes the link that goes with a notice.
func (s *Service) notMe(ctx context.Context, tx *db.Tx, user int64) (string, error) {
	return s.newTicket(ctx, tx, ticketNotMe, user, nil, 0, notMeTTL)
}

// NotMe is said by the link of a notice: the log-in freezes, and a code for its recovery goes to the proved e-mail address. It must be called by a
// press of a button, not by opening the link: mail scanners open links. It fails with ErrLink.
func (s *Service) NotMe(ctx context.Context, token string, w Where) error {
	t, err := s.peekTicket(ctx, s.db, ticketNotMe, token, new(any))
	if err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, t.user)
		if err != nil {
			return err
		}
		if _, err := s.useTicket(ctx, tx, ticketNotMe, token, new(any)); err != nil {
			return err
		}
		return s.freeze(ctx, tx, u, w)
	})
}

// NotMeSession is the same from the person's own list of log-ins.
func (s *Service) NotMeSession(ctx context.Context, x *Session, w Where) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		return s.freeze(ctx, tx, u, w)
	})
}

// freeze ends everything by which somebody could act as a person, and every way in that was made within the time that "not
// me" looks back; what is older stays. Addresses that were changed within it come back.
func (s *Service) freeze(ctx context.Context, tx *db.Tx, u *userRow, w Where) error {
	replaced := Notice{Emails: appendNew(nil, u.email), Mobiles: appendNew(nil, u.mobile)}
	if err := s.bringBack(ctx, tx, u); err != nil {
		return err
	}
	if err := endSessions(ctx, tx, u.id, 0); err != nil {
		return err
	}
	if err := s.endTokens(ctx, tx, `user_id = $2`, u.id); err != nil {
		return err
	}
	if err := dropTickets(ctx, tx, u.id, ticketRecovery, ticketChange, ticketPasskey, ticketExternal); err != nil {
		return err
	}
	since := s.now() - notMeTTL.Milliseconds()
	for _, table := range []string{"account_person_passkey", "account_person_binding", "account_person_totp"} {
		if _, err := tx.Exec(ctx, `delete from `+table+` where user_id = $1 and created_at > $2`, u.id, since); err != nil {
			return fmt.Errorf("person: take back ways in: %w", err)
		}
	}
	u.coolUntil = s.now() + CoolDown.Milliseconds()
	if err := writeState(ctx, tx, u.id, StateFrozen, u.coolUntil); err != nil {
		return err
	}
	if err := s.recoverFrozen(ctx, tx, u); err != nil {
		return err
	}
	replaced.Kind, replaced.Facts = NoticeFrozen, map[string]string{"ip": addr(w.IP)}
	if err := s.notify(ctx, tx, u, replaced); err != nil {
		return err
	}
	return s.auditAs(ctx, tx, userName(u.id), "user.freeze", userName(u.id), nil)
}

// bringBack restores the proved addresses that a person had before the time that "not me" looks back, unless they are
// somebody else's by now.
func (s *Service) bringBack(ctx context.Context, tx *db.Tx, u *userRow) error {
	rows, err := tx.Query(ctx, `select field, old_sealed from account_person_change where user_id = $1 and at > $2 and old_sealed <> '' order by id desc`,
		u.id, s.now()-notMeTTL.Milliseconds())
	if err != nil {
		return fmt.Errorf("person: read changes: %w", err)
	}
	defer func() { _ = rows.Close() }()
	old := map[string]string{} // the oldest is read last
	for rows.Next() {
		var field, sealed string
		if err := rows.Scan(&field, &sealed); err != nil {
			return fmt.Errorf("person: read changes: %w", err)
		}
		if old[field], err = s.open("change/old", rowOf(u.id), sealed); err != nil {
			return err
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return err
	}
	if email := old[FieldEmail]; email != "" {
		other, err := s.queryUserByEmail(ctx, tx, s.blindEmail(email))
		if free(other, err, u) {
			u.email = email
		}
	}
	if mobile := old[FieldMobile]; mobile != "" {
		other, err := s.queryUserByMobile(ctx, tx, s.blindMobile(mobile))
		if free(other, err, u) {
			u.mobile = mobile
		}
	}
	return s.writeContacts(ctx, tx, u)
}

// free tells whether an address is nobody's but u's; after another error it is not touched.
func free(other *userRow, err error, u *userRow) bool {
	return errors.Is(err, ErrNotFound) || err == nil && other.id == u.id
}

// recoverFrozen sends the code of a recovery, if one may be sent now; otherwise the person asks for it.
func (s *Service) recoverFrozen(ctx context.Context, tx *db.Tx, u *userRow) error {
	if u.email == "" || u.emailAt == 0 {
		return nil
	}
	code, err := s.newCode(ctx, tx, s.recoverPlace(u.email))
	if _, wait := errors.AsType[*WaitError](err); wait {
		return nil
	}
	if err != nil {
		return err
	}
	return s.send(ctx, tx, Message{User: u.id, Channel: ChannelEmail, Kind: KindRecover, To: u.email, Code: code})
}
