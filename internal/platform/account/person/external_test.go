package person_test

import (
	"context"
	"net/url"
	"testing"

	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/platform/account/person"
	"borealis/internal/platform/account/person/external"
)

// elsewhere is a provider in memory; those on the wire are tested in their own package.
type elsewhere struct {
	name, subject string
	asked         external.Request
	answered      external.Answer
}

func (e *elsewhere) Name() string { return e.name }

func (e *elsewhere) URL(_ context.Context, r external.Request) (string, error) {
	e.asked = r
	return "https://elsewhere.example/?" + url.Values{"state": {r.State}}.Encode(), nil
}

func (e *elsewhere) Identity(_ context.Context, a external.Answer) (*external.Identity, error) {
	e.answered = a
	return &external.Identity{Subject: e.subject, Scopes: []string{"profile"}, Name: "张三"}, nil
}

// AG-USE-04, AG-USE-05.
func TestSignInElsewhere(t *testing.T) {
	t.Parallel()
	dbtest.Each(t, func(t *testing.T, d *db.DB) {
		ctx := context.Background()
		hub, chat := &elsewhere{name: "hub", subject: "7"}, &elsewhere{name: "chat", subject: "7"}
		h := open(t, d, person.Options{Platform: true, CodesPerAddress: 1000}, hub, chat)
		travel := func(p *elsewhere, x *person.Session) (*person.Arrival, error) {
			out := ok[*person.Departure](t)(h.Depart(ctx, p.name, "https://push.example.com/back", "", x))
			return h.Arrive(ctx, p.name, p.asked.State, "code", out.Binding, x, at(1))
		}
		_, err := h.Depart(ctx, "nowhere", "", "", nil)
		wants(t, "an unknown provider", err, person.ErrNotFound)

		// The first time it is a sign-up like every other: nothing exists before acceptance.
		a := ok[*person.Arrival](t)(travel(hub, nil))
		if a.SignedIn != nil || a.Draft == nil || a.Draft.Provider != "hub" {
			t.Fatalf("%+v", a)
		}
		if hub.answered.Nonce != hub.asked.Nonce || hub.answered.Verifier == "" || hub.asked.Challenge == "" || hub.asked.Challenge == hub.answered.Verifier {
			t.Errorf("asked %+v, answered %+v", hub.asked, hub.answered)
		}
		_, _, err = h.Complete(ctx, person.Completion{Draft: a.Draft.Token, Password: good, Hook: h.hook()}, at(1))
		as[*person.InvalidError](t, "without the form", err)
		_ = ok[*person.Draft](t)(h.Amend(ctx, a.Draft.Token, form(1)))
		h.prove(t, a.Draft.Token, person.FieldEmail, form(1).Email)
		h.prove(t, a.Draft.Token, person.FieldMobile, "+86"+mobile(1))
		_, _, err = h.Complete(ctx, person.Completion{Draft: a.Draft.Token, Password: good}, at(1))
		wants(t, "without acceptance", err, person.ErrMustAgree)
		in, _, err := h.Complete(ctx, person.Completion{Draft: a.Draft.Token, Password: good, Hook: h.hook()}, at(1))
		must(t, err)
		if a := ok[*person.Arrival](t)(travel(hub, nil)); a.SignedIn == nil || a.SignedIn.User != in.User {
			t.Errorf("the second time: %+v", a)
		}

		// The answer must come by the browser that was sent, once, for the provider it was sent to.
		out := ok[*person.Departure](t)(h.Depart(ctx, "hub", "https://push.example.com/back", "", nil))
		_, err = h.Arrive(ctx, "hub", hub.asked.State, "code", "another browser's", nil, at(1))
		wants(t, "in another browser", err, person.ErrLink)
		_, err = h.Arrive(ctx, "hub", hub.asked.State, "code", out.Binding, nil, at(1))
		wants(t, "a state twice", err, person.ErrLink)
		out = ok[*person.Departure](t)(h.Depart(ctx, "hub", "https://push.example.com/back", "", nil))
		_, err = h.Arrive(ctx, "chat", hub.asked.State, "code", out.Binding, nil, at(1))
		wants(t, "at another provider", err, person.ErrLink)

		// Linking: the same log-in elsewhere is of one person here.
		two := h.register(t, 2, false)
		_, err = travel(hub, h.session(t, two.Token))
		wants(t, "of another person", err, person.ErrBound)
		linked := ok[*person.Arrival](t)(travel(chat, h.session(t, two.Token)))
		_, err = h.Authenticate(ctx, two.Token)
		wants(t, "the token from before", err, person.ErrSession)
		list := ok[[]person.Binding](t)(h.Bindings(ctx, two.User))
		if len(list) != 1 || list[0].Provider != "chat" || len(list[0].Scopes) != 1 {
			t.Errorf("%+v", list)
		}
		x := h.session(t, linked.Linked)
		out = ok[*person.Departure](t)(h.Depart(ctx, "chat", "https://push.example.com/back", "", x))
		_, err = h.Arrive(ctx, "chat", chat.asked.State, "code", out.Binding, h.session(t, in.Token), at(1))
		wants(t, "linking in another session", err, person.ErrLink)
		_ = ok[string](t)(h.Unbind(ctx, x, "chat"))
		if a := ok[*person.Arrival](t)(travel(chat, nil)); a.Draft == nil {
			t.Error("an ended binding signs in")
		}
		// The last way in stays.
		must(t, h.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
			_, err := tx.Exec(ctx, `update account_person_user set password_hash = '' where id = $1`, in.User)
			return err
		}))
		_, err = h.Unbind(ctx, h.session(t, in.Token), "hub")
		wants(t, "the last way in", err, person.ErrLastMethod)
	})
}
