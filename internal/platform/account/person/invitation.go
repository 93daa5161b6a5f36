package person

import (
	"context"
	"errors"
	"fmt"
	"time"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

const (
	// InvitationTTL is how long an invitation is good.
	InvitationTTL = 7 * 24 * time.Hour
	// maxInvitations is how many open ones an account has.
	maxInvitations = 100
)

// Invitation is the offer of a place in an account to a named person.
type Invitation struct {
	ID      int64
	Account int64
	Email   string
	Role    gate.Role
	// Until is when the membership will end by itself; zero: it does not.
	Until                time.Time
	InvitedBy            int64
	CreatedAt, ExpiresAt time.Time
}

type invitationRow struct {
	Invitation
	hash   string
	until  int64
	mailed bool
	email  string
}

const invitationColumns = `id, account_id, email_sealed, role, member_until, invited_by, created_at, expires_at, token_hash, mailed`

// live is what an invitation must be to be good for something; the parameter is the time.
const live = `ended_at = 0 and expires_at > `

func (s *Service) scanInvitation(scan func(...any) error) (*invitationRow, error) {
	var (
		r                invitationRow
		sealed           string
		created, expires int64
	)
	err := scan(&r.ID, &r.Account, &sealed, &r.Role, &r.until, &r.InvitedBy, &created, &expires, &r.hash, &r.mailed)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return nil, ErrLink
	case err != nil:
		return nil, fmt.Errorf("person: read an invitation: %w", err)
	}
	if r.email, err = s.open("invitation", r.hash, sealed); err != nil {
		return nil, err
	}
	r.Email, r.CreatedAt, r.ExpiresAt = r.email, clock.FromMillis(created), clock.FromMillis(expires)
	if r.until != 0 {
		r.Until = clock.FromMillis(r.until)
	}
	return &r, nil
}

func (s *Service) queryInvitation(ctx context.Context, r rower, token string) (*invitationRow, error) {
	return s.scanInvitation(r.QueryRow(ctx, `select `+invitationColumns+` from account_person_invitation where token_hash = $1 and `+live+`$2`, hashToken(token), s.now()).Scan)
}

// Invite offers a place in the actor's account to the owner of an e-mail address. until is when the membership will end by
// itself (zero: it does not; owners' never does). The actor needs MembersManage, and OwnersManage to invite an owner. The link goes
// by mail; in private mode, where there may be no mail, it is returned as well. It fails with *InvalidError or *gate.ForbiddenError.
func (s *Service) Invite(ctx context.Context, actor *gate.Actor, email string, role gate.Role, until time.Time) (id int64, token string, err error) {
	if err := s.checkInvitation(actor, &email, role, until); err != nil {
		return 0, "", err
	}
	token, hash := newToken(prefixInvitation)
	sealed, err := s.seal("invitation", hash, email)
	if err != nil {
		return 0, "", err
	}
	memberUntil := int64(0)
	if !until.IsZero() {
		memberUntil = clock.Millis(until)
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := lockAccount(ctx, tx, actor.Account); err != nil {
			return err
		}
		now := s.now()
		var open int
		if err := tx.QueryRow(ctx, `select count(*) from account_person_invitation where account_id = $1 and `+live+`$2`, actor.Account, now).Scan(&open); err != nil {
			return fmt.Errorf("person: count invitations: %w", err)
		}
		if open >= maxInvitations {
			return &InvalidError{"invitation", fmt.Sprintf("is one too many: at most %d are open at once", maxInvitations)}
		}
		blind := s.blindEmail(email)
		// Who is invited again is invited by the new link only.
		if _, err := tx.Exec(ctx, `update account_person_invitation set ended_at = $3 where account_id = $1 and email_blind = $2 and ended_at = 0`,
			actor.Account, blind, now); err != nil {
			return fmt.Errorf("person: replace an invitation: %w", err)
		}
		err := tx.QueryRow(ctx, `insert into account_person_invitation (account_id, email_blind, email_sealed, role, token_hash, mailed,
				invited_by, member_until, expires_at, ended_at, accepted_by, created_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, $9, 0, 0, $10) returning id`,
			actor.Account, blind, sealed, string(role), hash, s.opt.Platform, actor.User, memberUntil, now+InvitationTTL.Milliseconds(), now).Scan(&id)
		if err != nil {
			return fmt.Errorf("person: insert an invitation: %w", err)
		}
		a, err := s.queryAccount(ctx, tx, actor.Account)
		if err != nil {
			return err
		}
		by, err := s.queryUser(ctx, tx, actor.User)
		if err != nil {
			return err
		}
		names := map[string]string{"account": a.Name, "by": by.name, "role": string(role)}
		if err := s.send(ctx, tx, Message{Channel: ChannelEmail, Kind: KindInvitation, To: email, Token: token, Names: names}); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, actor.String(), "invitation.create", accountName(actor.Account), map[string]any{"invitation": id, "role": role, "until": memberUntil})
	})
	if err != nil || s.opt.Platform {
		return id, "", err
	}
	return id, token, nil
}

func (s *Service) checkInvitation(actor *gate.Actor, email *string, role gate.Role, until time.Time) error {
	if err := actor.May(gate.MembersManage); err != nil {
		return err
	}
	if err := checkRole(role); err != nil {
		return err
	}
	if role == gate.RoleOwner {
		if err := actor.May(gate.OwnersManage); err != nil {
			return err
		}
		if !until.IsZero() {
			return &InvalidError{"until", "cannot be set for an owner"}
		}
	}
	if !until.IsZero() && !until.After(s.clock.Now()) {
		return &InvalidError{"until", "must be in the future"}
	}
	address, err := contact.Email(*email)
	if err != nil {
		return &InvalidError{FieldEmail, err.Error()}
	}
	*email = address
	return nil
}

// Invitations lists the open ones of the actor's account. The actor needs MembersManage.
func (s *Service) Invitations(ctx context.Context, actor *gate.Actor) ([]Invitation, error) {
	if err := actor.May(gate.MembersManage); err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, `select `+invitationColumns+` from account_person_invitation where account_id = $1 and `+live+`$2 order by id`, actor.Account, s.now())
	if err != nil {
		return nil, fmt.Errorf("person: list invitations: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Invitation
	for rows.Next() {
		r, err := s.scanInvitation(rows.Scan)
		if err != nil {
			return nil, err
		}
		out = append(out, r.Invitation)
	}
	return out, rows.Err()
}

// Uninvite takes an invitation back. The actor needs MembersManage. It fails with ErrNotFound.
func (s *Service) Uninvite(ctx context.Context, actor *gate.Actor, invitation int64) error {
	if err := actor.May(gate.MembersManage); err != nil {
		return err
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update account_person_invitation set ended_at = $3 where id = $1 and account_id = $2 and `+live+`$3`, invitation, actor.Account, s.now())
		switch {
		case err != nil:
			return fmt.Errorf("person: take an invitation back: %w", err)
		case n == 0:
			return ErrNotFound
		}
		return s.auditAs(ctx, tx, actor.String(), "invitation.end", accountName(actor.Account), map[string]int64{"invitation": invitation})
	})
}

// Accept takes the place that an invitation offers, for the person of a session. It is for whom it names: their e-mail address must be
// the one that was invited. It fails with ErrLink or *InvalidError.
func (s *Service) Accept(ctx context.Context, x *Session, token string) (account int64, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		inv, err := s.queryInvitation(ctx, tx, token)
		if err != nil {
			return err
		}
		if s.blindEmail(u.email) != s.blindEmail(inv.email) || u.emailAt == 0 && s.opt.Platform {
			return &InvalidError{"invitation", "is for somebody else: it names another e-mail address than yours"}
		}
		if err := mayJoin(ctx, tx, u.id); err != nil {
			return err
		}
		account, err = s.joinInvited(ctx, tx, inv.ID, u)
		return err
	})
	return account, err
}

// joinInvited uses an invitation and makes the membership. Order of locks: the person is locked or new.
func (s *Service) joinInvited(ctx context.Context, tx *db.Tx, invitation int64, u *userRow) (account int64, err error) {
	now := s.now()
	var (
		role      gate.Role
		until, by int64
	)
	err = tx.QueryRow(ctx, `update account_person_invitation set ended_at = $2, accepted_by = $3 where id = $1
		and `+live+`$2 returning account_id, role, member_until, invited_by`, invitation, now, u.id).
		Scan(&account, &role, &until, &by)
	switch {
	case errors.Is(err, db.ErrNoRows):
		return 0, ErrLink
	case err != nil:
		return 0, fmt.Errorf("person: use an invitation: %w", err)
	}
	if err := lockAccount(ctx, tx, account); err != nil {
		return 0, err
	}
	if err := s.mayStillInvite(ctx, tx, account, by, role); err != nil {
		return 0, err
	}
	// A membership that has ended by itself makes place for the new one.
	if _, err := tx.Exec(ctx, `delete from account_person_member where account_id = $1 and user_id = $2 and expires_at > 0 and expires_at <= $3`,
		account, u.id, now); err != nil {
		return 0, fmt.Errorf("person: end a membership: %w", err)
	}
	if already, err := s.membership(ctx, tx, account, u.id); err != nil || already != "" {
		return 0, errors.Join(err, &InvalidError{"invitation", "is for an account that you are a member of"})
	}
	var members int
	if err := tx.QueryRow(ctx, `select count(*) from account_person_member where account_id = $1`, account).Scan(&members); err != nil {
		return 0, fmt.Errorf("person: count members: %w", err)
	}
	if members >= maxMembers {
		return 0, &InvalidError{"invitation", fmt.Sprintf("cannot be accepted: an account has at most %d members", maxMembers)}
	}
	if err := insertMember(ctx, tx, account, u.id, role, by, until, now); err != nil {
		return 0, err
	}
	inviter, err := s.queryUser(ctx, tx, by)
	if err != nil {
		return 0, err
	}
	if err := s.notify(ctx, tx, inviter, Notice{Kind: NoticeMemberJoined, Account: account, Facts: map[string]string{"name": u.name, "role": string(role)}}); err != nil {
		return 0, err
	}
	return account, s.auditAs(ctx, tx, userName(u.id), "invitation.accept", accountName(account), map[string]any{"invitation": invitation, "role": role})
}

// mayStillInvite: an invitation is worth as much as its author's word at the time it is used.
func (s *Service) mayStillInvite(ctx context.Context, tx *db.Tx, account, by int64, role gate.Role) error {
	inviter, err := s.membership(ctx, tx, account, by)
	switch {
	case err != nil:
		return err
	case !inviter.Has(gate.MembersManage), role == gate.RoleOwner && !inviter.Has(gate.OwnersManage):
		return ErrLink
	}
	return nil
}
