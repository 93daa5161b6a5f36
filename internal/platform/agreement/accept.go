package agreement

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/agreementevent"
	"borealis/internal/platform/agreement/legaltext"
)

// Origin is where a decision came from. It is personal data: stored sealed.
type Origin struct {
	IP        string `json:"ip,omitempty"`
	UserAgent string `json:"user_agent,omitempty"`
}

// Decision is what a person decides for an account about an edition of a set.
type Decision struct {
	Account int64
	// App is the app whose use of a service the terms are for; 0 in the sets of the account.
	App int64
	// Person is the user who decides. MaySign says that the caller found the person to have the permission.
	Person  int64
	MaySign bool
	Set     string
	// Hash is of the edition that was shown.
	Hash string
	// Locale is the language it was shown in. What binds is the master.
	Locale legaltext.Locale
	// Purposes are those granted, Objections the options objected to. Who is asked for a purpose and does not grant it
	// has not consented.
	Purposes, Objections []string
	Origin               Origin
	// Form are the fields of the form as they were sent, and evidence of reading: at most 32 of 200 bytes each. No
	// personal data.
	Form map[string]string
	// Rendered is the hash of what the client displayed, if it says so.
	Rendered string
}

// Acceptance is a decision as it was recorded.
type Acceptance struct {
	ID, Account, App int64
	Set              string
	Number           int64
	// Hash is of the edition, i.e. of the masters.
	Hash   string
	State  State
	Locale legaltext.Locale
	Person int64
	// OfferedAt, DecidedAt and BindsFrom are Unix milliseconds. An edition accepted before it takes effect binds from then.
	OfferedAt, DecidedAt, BindsFrom int64
	// ReadOnlyFrom and ExitUntil are Unix milliseconds of a decline that ends in leaving, 0 otherwise.
	ReadOnlyFrom, ExitUntil int64
	// Event is the act of use that accepted.
	Event string
}

// SignUp is the decision of a visitor who becomes a user.
type SignUp struct {
	Account, Person int64
	// Hashes are of the sets as shown: set to hash, each agreed to in a box of its own.
	Hashes               map[string]string
	Locale               legaltext.Locale
	Purposes, Objections []string
	Origin               Origin
	Form                 map[string]string
	Rendered             string
}

// SignUp records, in the transaction that creates the account, that the visitor agreed to every set that is to be
// accepted. If it returns an error the transaction must fail, so that no account is there without its acceptance. The
// time of the acceptance is that of this transaction: of the last step of the registration. Errors: *HashError that names
// every set whose hash is missing or not in effect, and the right hashes; ErrNotPublished; *FieldError.
func (s *Service) SignUp(ctx context.Context, tx *db.Tx, in SignUp) ([]Acceptance, error) {
	for set := range in.Hashes {
		if !slices.Contains(signUpSets(), set) {
			return nil, wrong("hashes", "%.60q is no set of the registration", set)
		}
	}
	var (
		refused HashError
		chains  = map[string]chain{}
		terms   Terms
		now     = s.now()
	)
	for _, set := range signUpSets() {
		c, err := loadChain(ctx, tx, set)
		if err != nil {
			return nil, err
		}
		e := c.current(now)
		if e == nil {
			return nil, fmt.Errorf("%w: %s", ErrNotPublished, set)
		}
		if in.Hashes[set] != e.Hash {
			refused.Problems = append(refused.Problems, HashProblem{Set: set, Given: in.Hashes[set], Current: e.Hash})
		}
		chains[set] = c
		terms.Purposes = append(terms.Purposes, e.Terms.Purposes...)
		terms.Options = append(terms.Options, e.Terms.Options...)
	}
	if len(refused.Problems) > 0 {
		return nil, &refused
	}
	if err := checkChoices(&terms, in.Purposes, in.Objections); err != nil {
		return nil, err
	}
	var out []Acceptance
	for _, set := range signUpSets() {
		e := chains[set].current(now)
		a, err := s.accept(ctx, tx, chains[set], e, &Decision{
			Account: in.Account, Person: in.Person, MaySign: true, Set: set, Hash: e.Hash, Locale: in.Locale, Purposes: only(in.Purposes, e.Terms.Purposes),
			Objections: only(in.Objections, e.Terms.Options), Origin: in.Origin, Form: in.Form, Rendered: in.Rendered,
		}, now)
		if err != nil {
			return nil, err
		}
		out = append(out, *a)
	}
	return out, nil
}

func only(list, of []string) []string {
	var out []string
	for _, x := range list {
		if slices.Contains(of, x) {
			out = append(out, x)
		}
	}
	return out
}

// Accept records that an account accepts an edition by a click, in the caller's transaction. The hash must be of the
// edition in effect, or, for who is bound by the set already, of one that is announced: it then binds from its effect.
// Accepting again what was accepted changes nothing but the choices. Errors: ErrNotSigner, *HashError, ErrNotPublished,
// *FieldError.
func (s *Service) Accept(ctx context.Context, tx *db.Tx, in Decision) (*Acceptance, error) {
	c, e, _, now, err := s.decide(ctx, tx, &in)
	if err != nil {
		return nil, err
	}
	if err := checkChoices(&e.Terms, in.Purposes, in.Objections); err != nil {
		return nil, err
	}
	return s.accept(ctx, tx, c, e, &in, now)
}

// decide finds the edition that a decision is about.
func (s *Service) decide(ctx context.Context, tx *db.Tx, in *Decision) (c chain, e *Edition, h *history, now int64, err error) {
	if !in.MaySign {
		return nil, nil, nil, 0, ErrNotSigner
	}
	if err := checkSubject(in); err != nil {
		return nil, nil, nil, 0, err
	}
	if c, err = loadChain(ctx, tx, in.Set); err != nil {
		return nil, nil, nil, 0, err
	}
	if h, err = loadHistory(ctx, tx, in.Account); err != nil {
		return nil, nil, nil, 0, err
	}
	now = s.now()
	if h.ended(now) {
		return nil, nil, nil, 0, ErrEnded
	}
	current := c.current(now)
	if current == nil {
		return nil, nil, nil, 0, fmt.Errorf("%w: %s", ErrNotPublished, in.Set)
	}
	if e = c.byHash(in.Hash); e == nil || e.Number < current.Number {
		return nil, nil, nil, 0, hashProblem(in.Set, in.Hash, current.Hash)
	}
	if e.Number > current.Number {
		if b := bound(c, h.of(in.Set, in.App, c), h.ends, now); b == nil {
			return nil, nil, nil, 0, hashProblem(in.Set, in.Hash, current.Hash)
		}
	}
	return c, e, h, now, nil
}

func checkSubject(in *Decision) error {
	switch isService := in.Set != SetAgreement && in.Set != SetPrivacy; {
	case in.Account <= 0:
		return wrong("account", "is missing")
	case isService && in.App <= 0:
		return wrong("app", "the terms of a service are accepted for an app")
	case !isService && in.App != 0:
		return wrong("app", "the set %s is accepted for the whole account", in.Set)
	}
	return nil
}

func checkChoices(t *Terms, purposes, objections []string) error {
	for _, p := range purposes {
		if !slices.Contains(t.Purposes, p) {
			return wrong("purposes", "%.60q is no purpose of the edition", p)
		}
	}
	for _, o := range objections {
		if !slices.Contains(t.Options, o) {
			return wrong("objections", "%.60q is no option of the edition", o)
		}
	}
	return nil
}

// accept writes a click and the choices made with it.
func (s *Service) accept(ctx context.Context, tx *db.Tx, c chain, e *Edition, in *Decision, now int64) (*Acceptance, error) {
	a := &Acceptance{
		Account: in.Account, App: in.App, Set: e.Set, Number: e.Number, Hash: e.Hash, State: AcceptedClick, Locale: in.Locale, Person: in.Person,
		DecidedAt: now, BindsFrom: max(now, e.EffectiveAt),
	}
	p, err := s.proof(ctx, tx, e, in)
	if err != nil {
		return nil, err
	}
	isNew, err := s.record(ctx, tx, e, a, p, in.Origin)
	if err != nil {
		return nil, err
	}
	if err := s.choose(ctx, tx, c, e, in, now); err != nil {
		return nil, err
	}
	if !isNew {
		return a, nil
	}
	return a, s.publishAccepted(ctx, tx, a)
}

func (s *Service) publishAccepted(ctx context.Context, tx *db.Tx, a *Acceptance) error {
	return s.outbox.Publish(ctx, tx, agreementevent.TopicAccepted, agreementevent.Accepted{
		Account: a.Account, App: a.App, Set: a.Set, Number: a.Number, State: string(a.State), At: a.DecidedAt, BindsFrom: a.BindsFrom,
	})
}

// RecordOffer records that an edition was shown to an account, which is evidence that it could decide. Once for each
// edition; nothing if it has decided. Errors: as Accept.
func (s *Service) RecordOffer(ctx context.Context, tx *db.Tx, in Decision) error {
	in.MaySign = true // to look needs no permission
	_, e, h, now, err := s.decide(ctx, tx, &in)
	if err != nil {
		return err
	}
	for i := range h.decisions {
		if d := &h.decisions[i]; d.edition == e.ID && d.app == in.App {
			return nil
		}
	}
	_, err = tx.Exec(ctx, `insert into agreement_acceptance (account, app, set_code, edition, number, edition_hash, state, locale, person, offered_at, decided_at,
			binds_from, read_only_from, exit_until, event, proof, origin, origin_digest, mac)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0, 0, 0, '', '', '', '', '') on conflict do nothing`,
		in.Account, in.App, e.Set, e.ID, e.Number, e.Hash, string(Offered), string(in.Locale), in.Person, now)
	if err != nil {
		return fmt.Errorf("agreement: offer: %w", err)
	}
	return nil
}

// CountRefusal counts a visitor who did not agree and left: a number for a day, and nothing about the visitor.
func (s *Service) CountRefusal(ctx context.Context, set string) error {
	e, err := s.edition(ctx, set, 0)
	if err != nil {
		return err
	}
	day := s.clock.Now().UTC().Format("2006-01-02")
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		_, err := tx.Exec(ctx, `insert into agreement_refusal (set_code, number, day, count) values ($1, $2, $3, 1)
			on conflict (set_code, number, day) do update set count = agreement_refusal.count + 1`, e.Set, e.Number, day)
		return err
	})
}

// Refusals is how many visitors did not agree to an edition.
func (s *Service) Refusals(ctx context.Context, set string, number int64) (int64, error) {
	var n int64
	err := s.db.QueryRow(ctx, `select cast(coalesce(sum(count), 0) as bigint) from agreement_refusal where set_code = $1 and number = $2`, set, number).Scan(&n)
	return n, err
}

// NotAcceptedError says that a service has terms of its own that the app's account has not accepted.
type NotAcceptedError struct {
	// Set and Hash are what has to be accepted.
	Set, Hash string
}

// Error makes NotAcceptedError an error.
func (e *NotAcceptedError) Error() string {
	return fmt.Sprintf("agreement: the terms %s (%s) are not accepted", e.Set, e.Hash)
}

// MayEnable says whether the terms of a service allow it to be enabled for an app: it has none in effect, or the account
// is bound by them for this app. Call it in the transaction that enables. Errors: *NotAcceptedError.
func (s *Service) MayEnable(ctx context.Context, tx *db.Tx, account, app int64, service string) error {
	set := ServiceSet(service)
	c, err := loadChain(ctx, tx, set)
	if err != nil {
		return err
	}
	now := s.now()
	e := c.current(now)
	if e == nil {
		return nil
	}
	h, err := loadHistory(ctx, tx, account)
	if err != nil {
		return err
	}
	list := h.of(set, app, c)
	b := bound(c, list, h.ends, now)
	if b == nil || b.EndedAt > 0 || declined(c, list).active(now) {
		return &NotAcceptedError{Set: set, Hash: e.Hash}
	}
	return nil
}

// active says whether a decline has made the account read-only at t.
func (d *decision) active(t int64) bool { return d != nil && d.readOnly > 0 && d.readOnly <= t }

var errNoRow = errors.New("agreement: an acceptance that was there has gone")
