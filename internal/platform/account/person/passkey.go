package person

import (
	"context"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/account/person/contact"
)

const (
	ceremonyTTL = 5 * time.Minute
	maxPasskeys = 20
	// maxAnswer bounds what an authenticator says, in bytes.
	maxAnswer     = 64 << 10
	handlePurpose = "person/webauthn-handle"
)

// ErrPasskey says that an authenticator's answer is not good. What is wrong with it is in the log, not in the answer.
var ErrPasskey = errors.New("the passkey was not accepted")

// ErrNoPasskeys says that the installation has no address to which passkeys could belong.
var ErrNoPasskeys = errors.New("passkeys need the address of the console to be configured")

type passkeys struct{ rp *webauthn.WebAuthn }

// newPasskeys returns nil without an origin.
func newPasskeys(origin, name string) (*passkeys, error) {
	if origin == "" {
		return nil, nil
	}
	u, err := url.Parse(origin)
	if err != nil || u.Hostname() == "" {
		return nil, fmt.Errorf("person: %q is not the address of a console", origin)
	}
	rp, err := webauthn.New(&webauthn.Config{
		RPID: u.Hostname(), RPDisplayName: name, RPOrigins: []string{u.Scheme + "://" + u.Host}, AttestationPreference: protocol.PreferNoAttestation,
		// A passkey stands for two factors, so it must ask for the finger or the PIN, and it must be found without a name.
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired, UserVerification: protocol.VerificationRequired},
	})
	if err != nil {
		return nil, fmt.Errorf("person: passkeys: %w", err)
	}
	return &passkeys{rp}, nil
}

// Passkey is one as its owner sees it.
type Passkey struct {
	ID        int64
	Name      string
	CreatedAt time.Time
	UsedAt    time.Time // zero: it was not
}

// holder is a person as the library wants them.
type holder struct {
	user        *userRow
	handle      []byte
	credentials []webauthn.Credential
	rows        []int64
}

func (h *holder) WebAuthnID() []byte                         { return h.handle }
func (h *holder) WebAuthnName() string                       { return rowOf(h.user.id) }
func (h *holder) WebAuthnDisplayName() string                { return h.user.name }
func (h *holder) WebAuthnCredentials() []webauthn.Credential { return h.credentials }

// handle says who somebody is to an authenticator, and nothing to anybody else.
func (s *Service) handle(user int64) []byte {
	return []byte(s.keys.Token(handlePurpose, binary.BigEndian.AppendUint64(nil, uint64(user))))
}

func (s *Service) holder(ctx context.Context, r reader, user int64) (*holder, error) {
	u, err := s.queryUser(ctx, r, user)
	if err != nil {
		return nil, err
	}
	h := &holder{user: u, handle: s.handle(user)}
	rows, err := r.Query(ctx, `select id, credential_id, data_sealed from account_person_passkey where user_id = $1 order by id`, user)
	if err != nil {
		return nil, fmt.Errorf("person: read passkeys: %w", err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			id         int64
			key, plain string
			c          webauthn.Credential
		)
		if err := rows.Scan(&id, &key, &plain); err != nil {
			return nil, fmt.Errorf("person: read passkeys: %w", err)
		}
		if plain, err = s.open("passkey", rowOf(user)+"/"+key, plain); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(plain), &c); err != nil {
			return nil, fmt.Errorf("person: passkey %d: %w", id, err)
		}
		h.credentials, h.rows = append(h.credentials, c), append(h.rows, id)
	}
	return h, errors.Join(rows.Err(), rows.Close())
}

// BeginPasskey makes the options of navigator.credentials.create, JSON, and the token with which the answer comes back. It
// fails with ErrProof, ErrNoPasskeys or *InvalidError.
func (s *Service) BeginPasskey(ctx context.Context, x *Session) (options []byte, token string, err error) {
	if s.passkeys == nil {
		return nil, "", ErrNoPasskeys
	}
	if err := s.Proved(x); err != nil {
		return nil, "", err
	}
	h, err := s.holder(ctx, s.db, x.User)
	if err != nil {
		return nil, "", err
	}
	if len(h.credentials) >= maxPasskeys {
		return nil, "", &InvalidError{"passkey", fmt.Sprintf("is one too many: at most %d", maxPasskeys)}
	}
	exclude := make([]protocol.CredentialDescriptor, len(h.credentials))
	for i := range h.credentials {
		exclude[i] = h.credentials[i].Descriptor()
	}
	creation, data, err := s.passkeys.rp.BeginRegistration(h, webauthn.WithExclusions(exclude))
	if err != nil {
		return nil, "", fmt.Errorf("person: begin a passkey: %w", err)
	}
	return s.ceremony(ctx, ticketPasskey, x.User, creation, data)
}

func (s *Service) ceremony(ctx context.Context, kind string, user int64, options any, data *webauthn.SessionData) (text []byte, token string, err error) {
	if text, err = json.Marshal(options); err != nil {
		return nil, "", fmt.Errorf("person: passkey options: %w", err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		token, err = s.newTicket(ctx, tx, kind, user, data, 0, ceremonyTTL)
		return err
	})
	return text, token, err
}

// challenge takes the ceremony of a token; it is used up whatever comes of the answer.
func (s *Service) challenge(ctx context.Context, kind, token string) (t *ticket, data webauthn.SessionData, err error) {
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) (err error) {
		data = webauthn.SessionData{}
		t, err = s.useTicket(ctx, tx, kind, token, &data)
		return err
	})
	data.Expires = time.Time{} // the ticket's end is by our clock
	return t, data, err
}

// FinishPasskey keeps the new passkey under a name. The session has a new token, all others end. It fails with ErrLink, ErrPasskey,
// ErrProof or *InvalidError.
func (s *Service) FinishPasskey(ctx context.Context, x *Session, token, name string, answer []byte) (fresh string, err error) {
	if s.passkeys == nil {
		return "", ErrNoPasskeys
	}
	if err := s.Proved(x); err != nil {
		return "", err
	}
	if name, err = contact.Name(name); err != nil {
		return "", &InvalidError{FieldName, err.Error()}
	}
	t, data, err := s.challenge(ctx, ticketPasskey, token)
	if err != nil {
		return "", err
	}
	if t.user != x.User || len(answer) > maxAnswer {
		return "", ErrLink
	}
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return "", s.refused(err)
	}
	h, err := s.holder(ctx, s.db, x.User)
	if err != nil {
		return "", err
	}
	c, err := s.passkeys.rp.CreateCredential(h, data, parsed)
	if err != nil {
		return "", s.refused(err)
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		key := base64.RawURLEncoding.EncodeToString(c.ID)
		sealed, err := s.sealPasskey(x.User, key, c)
		if err != nil {
			return err
		}
		_, err = tx.Exec(ctx, `insert into account_person_passkey (user_id, credential_id, name, data_sealed, created_at, used_at) values ($1, $2, $3, $4, $5, 0)`,
			x.User, key, name, sealed, s.now())
		if err != nil {
			return fmt.Errorf("person: insert a passkey: %w", err)
		}
		fresh, err = s.factorChanged(ctx, tx, x, u, "passkey.add")
		return err
	})
	if db.IsUnique(err) {
		return "", ErrPasskey
	}
	return fresh, err
}

func (s *Service) sealPasskey(user int64, key string, c *webauthn.Credential) (string, error) {
	text, err := json.Marshal(c)
	if err != nil {
		return "", fmt.Errorf("person: passkey: %w", err)
	}
	return s.seal("passkey", rowOf(user)+"/"+key, string(text))
}

func (s *Service) refused(err error) error {
	detail := err.Error()
	if e, ok := errors.AsType[*protocol.Error](err); ok {
		detail = e.Details + ": " + e.DevInfo
	}
	s.log.Info("passkey refused", "err", detail)
	return ErrPasskey
}

// BeginPasskeySignIn makes the options of navigator.credentials.get, JSON, and the token with which the answer comes back. It
// asks for no name, so it tells nobody who is known.
func (s *Service) BeginPasskeySignIn(ctx context.Context, w Where) (options []byte, token string, err error) {
	if s.passkeys == nil {
		return nil, "", ErrNoPasskeys
	}
	assertion, data, err := s.passkeys.rp.BeginDiscoverableLogin(webauthn.WithUserVerification(protocol.VerificationRequired))
	if err != nil {
		return nil, "", fmt.Errorf("person: begin a passkey sign-in: %w", err)
	}
	if target := s.addressTarget(w); target != "" {
		if err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error { return s.attempt(ctx, tx, target, &addressPace) }); err != nil {
			return nil, "", err
		}
	}
	return s.ceremony(ctx, ticketSignIn, 0, assertion, data)
}

// SignInByPasskey signs in who holds a passkey; no second factor is asked for. It fails with ErrLink, ErrPasskey, ErrFrozen.
func (s *Service) SignInByPasskey(ctx context.Context, token string, answer []byte, w Where) (*SignedIn, error) {
	h, c, err := s.assert(ctx, token, answer)
	if err != nil {
		return nil, err
	}
	address := s.addressTarget(w)
	out, err := s.signedIn(ctx, h.user.id, MethodPasskey, w, func(ctx context.Context, tx *db.Tx, _ *userRow) error {
		if err := s.usePasskey(ctx, tx, h, c); err != nil {
			return err
		}
		return forgive(ctx, tx, userName(h.user.id), address)
	})
	if errors.Is(err, ErrPasskey) {
		return nil, errors.Join(s.cloned(ctx, h), ErrPasskey)
	}
	return out, err
}

// StepUpByPasskey is StepUp with the answer of a passkey of the same person; begin it with BeginPasskeySignIn.
func (s *Service) StepUpByPasskey(ctx context.Context, x *Session, token string, answer []byte) (fresh string, err error) {
	h, c, err := s.assert(ctx, token, answer)
	if err != nil {
		return "", err
	}
	if h.user.id != x.User {
		return "", ErrPasskey
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if err := s.usePasskey(ctx, tx, h, c); err != nil {
			return err
		}
		fresh, err = s.rotate(ctx, tx, x)
		return err
	})
	return fresh, err
}

func (s *Service) assert(ctx context.Context, token string, answer []byte) (*holder, *webauthn.Credential, error) {
	if s.passkeys == nil {
		return nil, nil, ErrNoPasskeys
	}
	_, data, err := s.challenge(ctx, ticketSignIn, token)
	if err != nil {
		return nil, nil, err
	}
	if len(answer) > maxAnswer {
		return nil, nil, ErrPasskey
	}
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, nil, s.refused(err)
	}
	var h *holder
	c, err := s.passkeys.rp.ValidateDiscoverableLogin(func(_, handle []byte) (webauthn.User, error) {
		raw, err := s.keys.OpenToken(handlePurpose, string(handle))
		if err != nil || len(raw) != 8 {
			return nil, errors.New("no user handle of this installation")
		}
		h, err = s.holder(ctx, s.db, int64(binary.BigEndian.Uint64(raw)))
		return h, err
	}, data, parsed)
	if err != nil {
		return nil, nil, s.refused(err)
	}
	return h, c, nil
}

// usePasskey writes the counter of a passkey. One whose counter did not rise has been copied, and is refused.
func (s *Service) usePasskey(ctx context.Context, tx *db.Tx, h *holder, c *webauthn.Credential) error {
	if c.Authenticator.CloneWarning {
		return ErrPasskey
	}
	key := base64.RawURLEncoding.EncodeToString(c.ID)
	sealed, err := s.sealPasskey(h.user.id, key, c)
	if err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `update account_person_passkey set data_sealed = $3, used_at = $4 where user_id = $1 and credential_id = $2`, h.user.id, key, sealed, s.now())
	switch {
	case err != nil:
		return fmt.Errorf("person: use a passkey: %w", err)
	case n == 0: // removed meanwhile
		return ErrPasskey
	}
	return nil
}

func (s *Service) cloned(ctx context.Context, h *holder) error {
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		link, err := s.notMe(ctx, tx, h.user.id)
		if err != nil {
			return err
		}
		return s.notify(ctx, tx, h.user, Notice{Kind: NoticePasskeyCloned, NotMe: link})
	})
}

// Passkeys lists a person's.
func (s *Service) Passkeys(ctx context.Context, user int64) ([]Passkey, error) {
	rows, err := s.db.Query(ctx, `select id, name, created_at, used_at from account_person_passkey where user_id = $1 order by id`, user)
	if err != nil {
		return nil, fmt.Errorf("person: list passkeys: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Passkey
	for rows.Next() {
		var (
			p             Passkey
			created, used int64
		)
		if err := rows.Scan(&p.ID, &p.Name, &created, &used); err != nil {
			return nil, fmt.Errorf("person: list passkeys: %w", err)
		}
		p.CreatedAt = clock.FromMillis(created)
		if used != 0 {
			p.UsedAt = clock.FromMillis(used)
		}
		out = append(out, p)
	}
	return out, rows.Err()
}

// RemovePasskey removes one. It fails with ErrProof, ErrNotFound, ErrLastMethod, or *InvalidError where it is the second
// factor that is demanded.
func (s *Service) RemovePasskey(ctx context.Context, x *Session, passkey int64) (token string, err error) {
	if err := s.Proved(x); err != nil {
		return "", err
	}
	err = s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		u, err := s.lockUser(ctx, tx, x.User)
		if err != nil {
			return err
		}
		n, err := tx.Exec(ctx, `delete from account_person_passkey where id = $1 and user_id = $2`, passkey, x.User)
		switch {
		case err != nil:
			return fmt.Errorf("person: remove a passkey: %w", err)
		case n == 0:
			return ErrNotFound
		}
		if err := waysIn(ctx, tx, u); err != nil {
			return err
		}
		if missing, err := s.secondMissing(ctx, tx, u); err != nil || missing {
			return errors.Join(err, &InvalidError{"passkey", "is the second factor that is demanded of you; set up another first"})
		}
		token, err = s.factorChanged(ctx, tx, x, u, "passkey.remove")
		return err
	})
	return token, err
}

// waysIn fails with ErrLastMethod when nothing is left to sign in with.
func waysIn(ctx context.Context, tx *db.Tx, u *userRow) error {
	var n int
	err := tx.QueryRow(ctx, `select (select count(*) from account_person_passkey where user_id = $1) + (select count(*) from account_person_binding where user_id = $1)`,
		u.id).Scan(&n)
	switch {
	case err != nil:
		return fmt.Errorf("person: count ways to sign in: %w", err)
	case n == 0 && u.hash == "":
		return ErrLastMethod
	}
	return nil
}
