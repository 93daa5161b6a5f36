package person

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
)

// SetRole gives a member another role. The actor needs MembersManage, and OwnersManage where an owner comes or goes. It counts
// from the member's next request on, and their open proofs end: what they may do more has to be proved anew. It fails with
// ErrNotFound, ErrLastOwner, *InvalidError or *gate.ForbiddenError.
func (s *Service) SetRole(ctx context.Context, actor *gate.Actor, user int64, role gate.Role) error {
	if err := checkRole(role); err != nil {
		return err
	}
	return s.changeMember(ctx, actor, user, role, func(ctx context.Context, tx *db.Tx, u *userRow, old gate.Role) error {
		n, err := tx.Exec(ctx, `update account_person_member set role = $3 where account_id = $1 and user_id = $2 and ($3 <> $4 or expires_at = 0)`,
			actor.Account, user, string(role), string(gate.RoleOwner))
		switch {
		case err != nil:
			return fmt.Errorf("person: set a role: %w", err)
		case n == 0:
			return &InvalidError{"role", "cannot be owner: the membership ends by itself"}
		}
		if _, err := tx.Exec(ctx, `update account_person_session set proved_at = 0 where user_id = $1`, user); err != nil {
			return fmt.Errorf("person: end proofs: %w", err)
		}
		facts := map[string]string{"old": string(old), "new": string(role)}
		if err := s.notify(ctx, tx, u, Notice{Kind: NoticeRoleChanged, Account: actor.Account, Facts: facts}); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, actor.String(), "member.role", accountName(actor.Account)+"/"+userName(user), facts)
	})
}

// RemoveMember ends a membership: the person's tokens of the account are dead when it returns, and their sessions give
// nothing in it any more. The actor needs MembersManage (OwnersManage for an owner); anybody may remove themselves in a session. It fails as
// SetRole does.
func (s *Service) RemoveMember(ctx context.Context, actor *gate.Actor, user int64) error {
	return s.changeMember(ctx, actor, user, "", func(ctx context.Context, tx *db.Tx, u *userRow, old gate.Role) error {
		if _, err := tx.Exec(ctx, `delete from account_person_member where account_id = $1 and user_id = $2`, actor.Account, user); err != nil {
			return fmt.Errorf("person: remove a member: %w", err)
		}
		if err := s.endTokens(ctx, tx, `user_id = $2 and account_id = $3`, user, actor.Account); err != nil {
			return err
		}
		if err := s.notify(ctx, tx, u, Notice{Kind: NoticeMemberRemoved, Account: actor.Account}); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, actor.String(), "member.remove", accountName(actor.Account)+"/"+userName(user), map[string]string{"role": string(old)})
	})
}

// changeMember is a change of one member's role ("" ends the membership), with the account locked and the rules checked.
func (s *Service) changeMember(ctx context.Context, actor *gate.Actor, user int64, role gate.Role, act func(context.Context, *db.Tx, *userRow, gate.Role) error) error {
	leaves := role == "" && user == actor.User && actor.Token == 0 && actor.Account != 0
	if !leaves {
		if err := actor.May(gate.MembersManage); err != nil {
			return err
		}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if err := lockAccount(ctx, tx, actor.Account); err != nil {
			return err
		}
		old, err := s.membership(ctx, tx, actor.Account, user)
		if err != nil {
			return err
		}
		// What the actor was when they asked may have been taken from them since.
		now, err := s.membership(ctx, tx, actor.Account, actor.User)
		switch {
		case err != nil:
			return err
		case old == "" || now == "":
			return ErrNotFound
		case now != actor.Role:
			return &gate.ForbiddenError{Permission: gate.MembersManage, Obstacle: gate.NoPermission, Detail: "your role has changed"}
		}
		if (old == gate.RoleOwner || role == gate.RoleOwner) && !leaves {
			if err := actor.May(gate.OwnersManage); err != nil {
				return err
			}
		}
		if old == gate.RoleOwner && role != gate.RoleOwner {
			if err := s.anotherOwner(ctx, tx, actor.Account, user); err != nil {
				return err
			}
		}
		return act(ctx, tx, u, old)
	})
}

func (s *Service) anotherOwner(ctx context.Context, tx *db.Tx, account, but int64) error {
	var others int
	err := tx.QueryRow(ctx, `select count(*) from account_person_member where account_id = $1 and role = $2 and user_id <> $3 and expires_at = 0`,
		account, string(gate.RoleOwner), but).Scan(&others)
	switch {
	case err != nil:
		return fmt.Errorf("person: count owners: %w", err)
	case others == 0:
		return ErrLastOwner
	}
	return nil
}

// SetOperator makes a person an operator, or gives them another role; "" ends it. The actor needs OperatorStaff. All sessions
// of the person end, because what they may do changes. It fails with ErrNotFound, *InvalidError, *gate.ForbiddenError, or ErrLastOwner
// where no operator would be owner any more.
func (s *Service) SetOperator(ctx context.Context, actor *gate.Actor, user int64, role gate.Role) error {
	if err := actor.May(gate.OperatorStaff); err != nil {
		return err
	}
	if role != "" && !slices.Contains(gate.OperatorRoles(), role) {
		return &InvalidError{"role", fmt.Sprintf("must be one of %v", gate.OperatorRoles())}
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := s.somebody(ctx, tx); err != nil { // the lock of the installation
			return err
		}
		u, err := s.lockUser(ctx, tx, user)
		if err != nil {
			return err
		}
		if u.operator == gate.OperatorOwner && role != gate.OperatorOwner {
			var others int
			err := tx.QueryRow(ctx, `select count(*) from account_person_user where operator_role = $1 and id <> $2`, string(gate.OperatorOwner), user).Scan(&others)
			if err != nil || others == 0 {
				return errors.Join(err, ErrLastOwner)
			}
		}
		if _, err := tx.Exec(ctx, `update account_person_user set operator_role = $2 where id = $1`, user, string(role)); err != nil {
			return fmt.Errorf("person: set an operator: %w", err)
		}
		if err := endSessions(ctx, tx, user, 0); err != nil {
			return err
		}
		return s.auditAs(ctx, tx, actor.String(), "operator.role", userName(user), map[string]string{"old": string(u.operator), "new": string(role)})
	})
}
