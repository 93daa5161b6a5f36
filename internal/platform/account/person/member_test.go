package person_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/account/person"
)

// join brings a registered person into somebody's account.
func (h *house) join(t *testing.T, owner *gate.Actor, n int, role gate.Role, until time.Time) *person.SignedIn {
	t.Helper()
	ctx := context.Background()
	in := h.register(t, n, false)
	_, _, err := h.Invite(ctx, owner, form(n).Email, role, until)
	must(t, err)
	if account := ok[int64](t)(h.Accept(ctx, h.session(t, in.Token), h.courier.last(t, form(n).Email).Token)); account != owner.Account {
		t.Errorf("joined %d", account)
	}
	return in
}

// AG-USE-01: invitations name a person and a role, expire, and work once.
func TestInvitations(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		owner := h.actor(t, h.register(t, 1, false).Token, 0)
		two, three := h.register(t, 2, false), h.register(t, 3, false)
		invite := func() string {
			t.Helper()
			_, shown, err := h.Invite(ctx, owner, "USER2@example.com", gate.RoleDeveloper, time.Time{})
			must(t, err)
			if shown != "" {
				t.Error("the link is shown to who invites, though it proves a mailbox")
			}
			return h.courier.last(t, "USER2@example.com").Token
		}
		old, link := invite(), invite()
		_, err := h.Accept(ctx, h.session(t, two.Token), old)
		wants(t, "a replaced one", err, person.ErrLink)
		_, err = h.Accept(ctx, h.session(t, three.Token), link)
		as[*person.InvalidError](t, "by somebody else", err)
		var wg sync.WaitGroup
		var mu sync.Mutex
		joined := 0
		for range 4 {
			wg.Go(func() {
				if _, err := h.Accept(ctx, h.session(t, two.Token), link); err == nil {
					mu.Lock()
					joined++
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		if joined != 1 {
			t.Errorf("joined %d times", joined)
		}
		if a := h.actor(t, two.Token, owner.Account); a.Role != gate.RoleDeveloper {
			t.Errorf("%+v", a)
		}
		_, err = h.Accept(ctx, h.session(t, two.Token), invite())
		as[*person.InvalidError](t, "a member", err)

		developer := h.actor(t, two.Token, owner.Account)
		_, _, err = h.Invite(ctx, developer, "x@example.com", gate.RoleDeveloper, time.Time{})
		as[*gate.ForbiddenError](t, "by a developer", err)
		must(t, h.SetRole(ctx, owner, two.User, gate.RoleAdmin))
		admin := h.actor(t, two.Token, owner.Account)
		_, _, err = h.Invite(ctx, admin, "x@example.com", gate.RoleOwner, time.Time{})
		as[*gate.ForbiddenError](t, "an owner by an admin", err)
		_, _, err = h.Invite(ctx, admin, "x@example.com", "root", time.Time{})
		as[*person.InvalidError](t, "an unknown role", err)

		// What an admin offered is worth nothing once they are none.
		id, _, err := h.Invite(ctx, admin, form(3).Email, gate.RoleDeveloper, time.Time{})
		must(t, err)
		must(t, h.SetRole(ctx, owner, two.User, gate.RoleDeveloper))
		link = h.courier.last(t, form(3).Email).Token
		_, err = h.Accept(ctx, h.session(t, three.Token), link)
		wants(t, "by who may not invite any more", err, person.ErrLink)
		must(t, h.Uninvite(ctx, owner, id))
		wants(t, "twice", h.Uninvite(ctx, owner, id), person.ErrNotFound)
		_, _, err = h.Invite(ctx, owner, form(3).Email, gate.RoleDeveloper, time.Time{})
		must(t, err)
		link = h.courier.last(t, form(3).Email).Token
		h.clock.Advance(person.InvitationTTL)
		three = ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(3), good, at(3)))
		_, err = h.Accept(ctx, h.session(t, three.Token), link)
		wants(t, "after a week", err, person.ErrLink)
	})
}

// AG-USE-01, AG-USE-02: who is removed, or whose membership ends, is out at once, with all tokens; roles bound tokens as they
// are now.
func TestRevokedMembersAreOutAtOnce(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		owner := h.actor(t, h.register(t, 1, false).Token, 0)
		dev := h.join(t, owner, 2, gate.RoleDeveloper, time.Time{})
		guest := h.join(t, owner, 3, gate.RoleAdmin, h.clock.Now().Add(time.Hour))
		token := func(in *person.SignedIn, scopes ...gate.Permission) string {
			t.Helper()
			s, _, err := h.CreateToken(ctx, h.session(t, in.Token), h.actor(t, in.Token, owner.Account), "ci", scopes, 24*time.Hour)
			must(t, err)
			return s
		}
		by := func(secret string) error { _, err := h.AuthenticateToken(ctx, secret, at(9)); return err }
		d, g := token(dev, gate.PushSend, gate.AppsRead), token(guest, gate.MembersManage)
		a := ok[*gate.Actor](t)(h.AuthenticateToken(ctx, d, at(9)))
		must(t, a.May(gate.PushSend))
		as[*gate.ForbiddenError](t, "out of scope", a.May(gate.AppsManage))
		if err := h.RemoveMember(ctx, a, dev.User); err == nil {
			t.Error("a token removes its owner")
		}
		must(t, h.SetRole(ctx, owner, dev.User, gate.RoleAuditor))
		a = ok[*gate.Actor](t)(h.AuthenticateToken(ctx, d, at(9)))
		as[*gate.ForbiddenError](t, "beyond the role", a.May(gate.PushSend))
		must(t, a.May(gate.AppsRead))
		wants(t, "an open proof of a changed role", h.Proved(h.session(t, dev.Token)), person.ErrProof)

		must(t, h.RemoveMember(ctx, owner, dev.User))
		wants(t, "a removed member's token", by(d), person.ErrSession)
		_, err := h.Actor(ctx, h.session(t, dev.Token), owner.Account)
		wants(t, "a removed member's session", err, person.ErrNotFound)
		must(t, by(g))
		h.clock.Advance(time.Hour)
		wants(t, "a token of a membership that has ended", by(g), person.ErrSession)
		if list := ok[[]person.Member](t)(h.Members(ctx, owner)); len(list) != 1 || list[0].User != owner.User {
			t.Errorf("members %+v", list)
		}
		if list := ok[[]person.Token](t)(h.Tokens(ctx, owner)); len(list) != 1 || list[0].Owner == "" || list[0].UsedAt.IsZero() || list[0].Where.IP != at(9).IP {
			t.Errorf("tokens %+v", list)
		}
		// Invited again, the old tokens stay dead.
		_, _, err = h.Invite(ctx, owner, form(2).Email, gate.RoleDeveloper, time.Time{})
		must(t, err)
		_ = ok[int64](t)(h.Accept(ctx, h.session(t, dev.Token), h.courier.last(t, form(2).Email).Token))
		wants(t, "a token from the time before", by(d), person.ErrSession)
	})
}

// AG-USE-02: tokens are attributable, bounded, shown once and revocable.
func TestTokens(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		in := h.register(t, 1, false)
		x, a := h.session(t, in.Token), h.actor(t, in.Token, 0)
		for what, f := range map[string]func() error{
			"no scopes": func() error { _, _, err := h.CreateToken(ctx, x, a, "ci", nil, time.Hour); return err },
			"an operator's": func() error {
				_, _, err := h.CreateToken(ctx, x, a, "ci", []gate.Permission{gate.OperatorStaff}, time.Hour)
				return err
			},
			"tokens of tokens": func() error {
				_, _, err := h.CreateToken(ctx, x, a, "ci", []gate.Permission{gate.TokensOwn}, time.Hour)
				return err
			},
			"for ever": func() error {
				_, _, err := h.CreateToken(ctx, x, a, "ci", []gate.Permission{gate.PushSend}, 400*24*time.Hour)
				return err
			},
			"a name of nothing": func() error {
				_, _, err := h.CreateToken(ctx, x, a, "\u200b", []gate.Permission{gate.PushSend}, time.Hour)
				return err
			},
		} {
			as[*person.InvalidError](t, what, f())
		}
		secret, id, err := h.CreateToken(ctx, x, a, "ci", []gate.Permission{gate.PushSend, gate.PushSend}, time.Hour)
		must(t, err)
		if h.count(t, `select count(*) from account_person_token where token_hash = $1 or where_sealed like '%198.51%'`, secret) != 0 {
			t.Error("the token is stored as it is")
		}
		actor := ok[*gate.Actor](t)(h.AuthenticateToken(ctx, secret, at(1)))
		if actor.Token != id || actor.User != in.User || actor.Account != a.Account || len(actor.Scopes) != 1 || actor.Operator != "" {
			t.Errorf("%+v", actor)
		}
		_, _, err = h.CreateToken(ctx, x, actor, "ci", []gate.Permission{gate.PushSend}, time.Hour)
		as[*gate.ForbiddenError](t, "by a token", err)
		stranger := h.actor(t, h.register(t, 2, false).Token, 0)
		wants(t, "somebody else's", h.EndToken(ctx, stranger, id), person.ErrNotFound)
		must(t, h.EndToken(ctx, a, id))
		_, err = h.AuthenticateToken(ctx, secret, at(1))
		wants(t, "ended", err, person.ErrSession)
		secret, _, err = h.CreateToken(ctx, h.session(t, in.Token), a, "ci", []gate.Permission{gate.PushSend}, time.Hour)
		must(t, err)
		h.clock.Advance(time.Hour)
		_, err = h.AuthenticateToken(ctx, secret, at(1))
		wants(t, "expired", err, person.ErrSession)
		x = h.session(t, in.Token)
		_, _, err = h.CreateToken(ctx, x, a, "ci", []gate.Permission{gate.PushSend}, time.Hour)
		wants(t, "without a fresh proof", err, person.ErrProof)
		x = h.session(t, ok[string](t)(h.StepUp(ctx, x, good, "")))
		secret, _, err = h.CreateToken(ctx, x, a, "ci", []gate.Permission{gate.PushSend}, time.Hour)
		must(t, err)
		must(t, h.EndLeakedToken(ctx, "system:scanner", secret))
		_, err = h.AuthenticateToken(ctx, secret, at(1))
		wants(t, "leaked", err, person.ErrSession)
		_ = h.courier.notice(t, person.NoticeTokenLeaked, in.User)
		for _, made := range []string{"", "bat_", secret + "x", in.Token} {
			_, err := h.AuthenticateToken(ctx, made, at(1))
			wants(t, "made up", err, person.ErrSession)
		}
	})
}

// The last owner cannot leave: not by themselves, not together with the other one.
func TestTheLastOwnerStays(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		one := h.register(t, 1, false)
		owner := h.actor(t, one.Token, 0)
		wants(t, "leaving", h.RemoveMember(ctx, owner, owner.User), person.ErrLastOwner)
		wants(t, "stepping down", h.SetRole(ctx, owner, owner.User, gate.RoleAdmin), person.ErrLastOwner)
		two := h.join(t, owner, 2, gate.RoleAdmin, time.Time{})
		admin := h.actor(t, two.Token, owner.Account)
		as[*gate.ForbiddenError](t, "an admin makes themselves owner", h.SetRole(ctx, admin, two.User, gate.RoleOwner))
		as[*gate.ForbiddenError](t, "an admin removes an owner", h.RemoveMember(ctx, admin, one.User))
		must(t, h.SetRole(ctx, owner, two.User, gate.RoleOwner))
		second := h.actor(t, two.Token, owner.Account)
		for range 150 { // whether the two meet is by chance
			var wg sync.WaitGroup
			errs, begin := make([]error, 2), make(chan struct{})
			for i, a := range []*gate.Actor{owner, second} {
				wg.Go(func() {
					<-begin
					errs[i] = h.RemoveMember(ctx, a, a.User)
				})
			}
			close(begin)
			wg.Wait()
			if (errs[0] == nil) == (errs[1] == nil) || !errors.Is(errors.Join(errs...), person.ErrLastOwner) {
				t.Fatalf("both leave at once: %v", errs)
			}
			left := owner.User
			if errs[1] == nil {
				left = second.User
			}
			must(t, h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { // they come back
				_, err := tx.Exec(ctx, `insert into account_person_member (account_id, user_id, role, invited_by, expires_at, joined_at) values ($1, $2, 'owner', 0, 0, 0)`, owner.Account, left)
				return err
			}))
		}
	})
}

// Whatever members do to each other, an account has an owner, and nobody gets more than who acts may give.
func TestMembersProperty(t *testing.T) {
	t.Parallel()
	d := dbtest.SQLite(t)
	h := open(t, d, person.Options{Platform: true, CodesPerAddress: 100_000})
	ctx := context.Background()
	first := h.register(t, 1, false)
	owner := h.actor(t, first.Token, 0)
	people := []*person.SignedIn{first}
	for n := 2; n <= 4; n++ {
		people = append(people, h.join(t, owner, n, gate.RoleAdmin, time.Time{}))
	}
	roles := map[int64]gate.Role{}
	for _, m := range ok[[]person.Member](t)(h.Members(ctx, owner)) {
		roles[m.User] = m.Role
	}
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 6).Draw(rt, "acts") {
			by, of := rapid.SampledFrom(people).Draw(rt, "by").User, rapid.SampledFrom(people).Draw(rt, "of").User
			role := rapid.SampledFrom(append(gate.AccountRoles(), "")).Draw(rt, "role")
			actor := &gate.Actor{User: by, Account: owner.Account, Role: roles[by], Session: 1}
			owners := 0
			for _, r := range roles {
				if r == gate.RoleOwner {
					owners++
				}
			}
			want := roles[by] != "" && roles[of] != "" && (role == "" && by == of || roles[by].Has(gate.MembersManage) && (roles[of] != gate.RoleOwner && role != gate.RoleOwner || roles[by] == gate.RoleOwner)) &&
				(roles[of] != gate.RoleOwner || role == gate.RoleOwner || owners > 1)
			var err error
			if role == "" {
				err = h.RemoveMember(ctx, actor, of)
			} else {
				err = h.SetRole(ctx, actor, of, role)
			}
			if (err == nil) != want {
				rt.Fatalf("%d (%s) makes %d (%s) %q: %v", by, roles[by], of, roles[of], role, err)
			}
			if err == nil {
				roles[of] = role
			}
		}
		got := map[int64]gate.Role{}
		rows, err := h.db.Query(ctx, `select user_id, role from account_person_member where account_id = $1`, owner.Account)
		if err != nil {
			rt.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var u int64
			var r gate.Role
			if err := rows.Scan(&u, &r); err != nil {
				rt.Fatal(err)
			}
			got[u] = r
		}
		for u, r := range roles {
			if got[u] != r {
				rt.Fatalf("%d is %q, want %q", u, got[u], r)
			}
		}
	})
}

// AG-DEF-02: one subject may have several accounts, and it is seen. AG-REC-05: the initial applicant never changes.
func TestSubjects(t *testing.T) {
	each(t, func(t *testing.T, h *house) {
		ctx := context.Background()
		one, two := h.actor(t, h.register(t, 1, false).Token, 0), h.actor(t, h.register(t, 2, false).Token, 0)
		identify := func(account int64) (others []int64) {
			t.Helper()
			must(t, h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
				others, err = h.Identify(ctx, tx, account, "91110000MA01ABCD2E")
				return err
			}))
			return others
		}
		if got := identify(one.Account); len(got) != 0 {
			t.Errorf("%v", got)
		}
		if got := identify(two.Account); len(got) != 1 || got[0] != one.Account {
			t.Errorf("%v", got)
		}
		before := ok[*person.Account](t)(h.Account(ctx, one.Account))
		in := ok[*person.SignedIn](t)(h.SignIn(ctx, mobile(1), good, at(1)))
		x := h.session(t, in.Token)
		must(t, h.Rename(ctx, x, "李四", at(1)))
		must(t, h.RenameAccount(ctx, one, "李四的公司"))
		after := ok[*person.Account](t)(h.Account(ctx, one.Account))
		if after.Initial != before.Initial || after.Initial.Name != "张三" || after.Name != "李四的公司" {
			t.Errorf("%+v was %+v", after, before)
		}
		more := ok[int64](t)(h.CreateAccount(ctx, x, "另一个", true, h.hook(), at(1)))
		_, err := h.CreateAccount(ctx, x, "另一个", true, nil, at(1))
		wants(t, "without acceptance", err, person.ErrMustAgree)
		if list := ok[[]person.Member](t)(h.Accounts(ctx, x.User)); len(list) != 2 || list[1].Account != more || list[1].Role != gate.RoleOwner {
			t.Errorf("%+v", list)
		}
	})
}
