package person

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/external"
)

// Provider is where people have a log-in elsewhere.
type Provider = external.Provider

const externalTTL = 15 * time.Minute

// ErrExternal says that the log-in elsewhere did not work; what was wrong is in the log.
var ErrExternal = errors.New("the sign-in with the other service did not work; try again")

// Departure is where a browser is sent to.
type Departure struct {
	URL string
	// Binding is kept in a cookie of the browser (HttpOnly, SameSite=Lax, for the callback's path) and comes back with it: an
	// answer that somebody else's browser was sent for is refused.
	Binding string
}

// Arrival is what came of an answer: somebody signed in, or a sign-up to be completed, or a log-in that was linked.
type Arrival struct {
	SignedIn *SignedIn
	// Draft is the sign-up of who comes for the first time: they fill the form in (Amend), prove their addresses and accept, like
	// everybody else.
	Draft *Draft
	// Linked is the session's new token.
	Linked string
}

// externalData is what is remembered of a departure.
type externalData struct {
	Provider, Nonce, Verifier, Redirect, Binding string
	// Session links: it is the number of the session, 0 for signing in.
	Session    int64
	Invitation string
}

func random() string {
	var b [32]byte
	_, _ = rand.Read(b[:])
	return base64.RawURLEncoding.EncodeToString(b[:])
}

// Depart begins a sign-in with a provider, or, with a session that was proved lately, the linking of it. redirect is the
// address of the callback here. It fails with ErrNotFound for an unknown provider or ErrProof.
func (s *Service) Depart(ctx context.Context, provider, redirect, invitation string, x *Session) (*Departure, error) {
	p, known := s.providers[provider]
	if !known {
		return nil, ErrNotFound
	}
	d := externalData{Provider: provider, Nonce: random(), Verifier: random(), Redirect: redirect, Invitation: invitation}
	user := int64(0)
	if x != nil {
		if err := s.Proved(x); err != nil {
			return nil, err
		}
		d.Session, user = x.ID, x.User
	}
	out := &Departure{Binding: random()}
	d.Binding = hashToken(out.Binding)
	var state string
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		state, err = s.newTicket(ctx, tx, ticketExternal, user, d, 0, externalTTL)
		return err
	})
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256([]byte(d.Verifier))
	out.URL, err = p.URL(ctx, external.Request{State: state, Nonce: d.Nonce, Challenge: base64.RawURLEncoding.EncodeToString(sum[:]), Redirect: redirect})
	if err != nil {
		s.log.Warn("provider cannot be reached", "provider", provider, "err", err)
		return nil, ErrExternal
	}
	return out, nil
}

// Arrive takes the answer of a provider: the state and code of the callback, and the browser's binding. x is the session of the
// browser, if there is one; only a linking looks at it. It fails with ErrLink, ErrExternal, ErrBound, ErrFrozen, ErrSignUpClosed.
//
// An e-mail address that the provider tells is never compared with anybody's here: who owns a mailbox at one service need not be
// who owns the log-in at another.
func (s *Service) Arrive(ctx context.Context, provider, state, code, binding string, x *Session, w Where) (*Arrival, error) {
	p, known := s.providers[provider]
	if !known {
		return nil, ErrNotFound
	}
	var d externalData
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		d = externalData{}
		_, err := s.useTicket(ctx, tx, ticketExternal, state, &d)
		return err
	})
	if err != nil {
		return nil, err
	}
	if d.Provider != provider || d.Binding != hashToken(binding) || d.Session != 0 && (x == nil || x.ID != d.Session) {
		return nil, ErrLink
	}
	who, err := p.Identity(ctx, external.Answer{Code: code, Nonce: d.Nonce, Verifier: d.Verifier, Redirect: d.Redirect})
	if err != nil || who.Subject == "" {
		s.log.Warn("sign-in elsewhere failed", "provider", provider, "err", err)
		return nil, ErrExternal
	}
	if d.Session != 0 {
		token, err := s.link(ctx, x, provider, who)
		return &Arrival{Linked: token}, err
	}
	return s.arrived(ctx, provider, who, d.Invitation, w)
}

func (s *Service) arrived(ctx context.Context, provider string, who *external.Identity, invitation string, w Where) (*Arrival, error) {
	var user int64
	err := s.db.QueryRow(ctx, `select user_id from account_person_binding where provider = $1 and subject_blind = $2`,
		provider, s.blindSubject(provider, who.Subject)).Scan(&user)
	switch {
	case err == nil:
		in, err := s.signedIn(ctx, user, MethodExternal+provider, w, nil)
		return &Arrival{SignedIn: in}, err
	case !errors.Is(err, db.ErrNoRows):
		return nil, fmt.Errorf("person: find a binding: %w", err)
	}
	draft, err := s.beginDraft(ctx, Form{Invitation: invitation}, w, provider, who.Subject+"\n"+strings.Join(who.Scopes, " "))
	if err != nil {
		return nil, err
	}
	return &Arrival{Draft: draft}, nil
}

func (s *Service) blindSubject(provider, subject string) string {
	return s.keys.Blind("person/external", provider+"\x00"+subject)
}

// insertBinding binds a log-in elsewhere; subject is the provider's, with the scopes behind a line break.
func (s *Service) insertBinding(ctx context.Context, tx *db.Tx, user int64, provider, subject string) error {
	subject, scopes, _ := strings.Cut(subject, "\n")
	_, err := tx.Exec(ctx, `insert into account_person_binding (user_id, provider, subject_blind, scopes, created_at) values ($1, $2, $3, $4, $5)`,
		user, provider, s.blindSubject(provider, subject), scopes, s.now())
	if err != nil {
		return fmt.Errorf("person: bind a log-in: %w", err)
	}
	return nil
}

func (s *Service) link(ctx context.Context, x *Session, provider string, who *external.Identity) (token string, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		if err := s.insertBinding(ctx, tx, x.User, provider, who.Subject+"\n"+strings.Join(who.Scopes, " ")); err != nil {
			return err
		}
		token, err = s.factorChanged(ctx, tx, x, u, "binding.add")
		return err
	})
	if db.IsUnique(err) { // of another person, or this person has another one of the provider
		return "", ErrBound
	}
	return token, err
}

// Binding is a log-in elsewhere that is bound to a person.
type Binding struct {
	Provider string
	// Scopes are what the person allowed there.
	Scopes    []string
	CreatedAt time.Time
}

// Bindings lists a person's.
func (s *Service) Bindings(ctx context.Context, user int64) ([]Binding, error) {
	rows, err := s.db.Query(ctx, `select provider, scopes, created_at from account_person_binding where user_id = $1 order by id`, user)
	if err != nil {
		return nil, fmt.Errorf("person: list bindings: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Binding
	for rows.Next() {
		var (
			b      Binding
			scopes string
			at     int64
		)
		if err := rows.Scan(&b.Provider, &scopes, &at); err != nil {
			return nil, fmt.Errorf("person: list bindings: %w", err)
		}
		b.Scopes, b.CreatedAt = strings.Fields(scopes), clock.FromMillis(at)
		out = append(out, b)
	}
	return out, rows.Err()
}

// Unbind ends a binding. It fails with ErrProof, ErrNotFound, or ErrLastMethod.
func (s *Service) Unbind(ctx context.Context, x *Session, provider string) (token string, err error) {
	if err := s.Proved(x); err != nil {
		return "", err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `delete from account_person_binding where user_id = $1 and provider = $2`, x.User, provider)
		switch {
		case err != nil:
			return fmt.Errorf("person: unbind: %w", err)
		case n == 0:
			return ErrNotFound
		}
		if err := waysIn(ctx, tx, u); err != nil {
			return err
		}
		token, err = s.factorChanged(ctx, tx, x, u, "binding.remove")
		return err
	})
	return token, err
}
