package agreement

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

// Proof is what was on the screen when a decision was made.
type Proof struct {
	Texts []ProofText       `json:"texts"`
	Form  map[string]string `json:"form,omitempty"`
	// Rendered is the hash that the client gave of what it displayed.
	Rendered   string   `json:"rendered,omitempty"`
	Purposes   []string `json:"purposes,omitempty"`
	Objections []string `json:"objections,omitempty"`
}

// ProofText is a document that was shown: Hash in Locale, which binds as Master.
type ProofText struct {
	Code    string           `json:"code"`
	Version string           `json:"version"`
	Locale  legaltext.Locale `json:"locale"`
	Hash    string           `json:"hash"`
	Master  string           `json:"master"`
}

// proof is the proof of a decision as JSON. The texts are those that Show gives at this moment.
func (s *Service) proof(ctx context.Context, tx *db.Tx, e *Edition, in *Decision) (string, error) {
	if in.Locale != legaltext.Chinese && in.Locale != legaltext.English {
		return "", wrong("locale", "must be zh or en, not %.20q", string(in.Locale))
	}
	if len(in.Form) > 32 {
		return "", wrong("form", "has %d fields, at most 32 are kept", len(in.Form))
	}
	for _, k := range slices.Sorted(maps.Keys(in.Form)) {
		if v := in.Form[k]; len(k) > 64 || len(v) > 200 || !storable(k) || !storable(v) {
			return "", wrong("form", "%.64q is too long, or no text", k)
		}
	}
	if len(in.Rendered) > 128 || !storable(in.Rendered) {
		return "", wrong("rendered", "must be a hash")
	}
	members, err := loadMembers(ctx, tx, e.ID)
	if err != nil {
		return "", err
	}
	p := Proof{Form: in.Form, Rendered: in.Rendered, Purposes: in.Purposes, Objections: in.Objections}
	for _, m := range members {
		t := ProofText{Code: m.code, Version: m.version, Locale: legaltext.Master, Hash: m.hash, Master: m.hash}
		if in.Locale != legaltext.Master && m.translated != "" {
			t.Locale, t.Hash = in.Locale, m.translated
		}
		p.Texts = append(p.Texts, t)
	}
	text, err := json.Marshal(p)
	return string(text), err
}

// storable is what PostgreSQL takes as a text.
func storable(text string) bool { return utf8.ValidString(text) && !strings.ContainsRune(text, 0) }

// record writes a decision: into the offer that is open, or as a row of its own. If the edition was accepted before, it
// writes nothing, fills a from the row that is there, and isNew is false.
func (s *Service) record(ctx context.Context, tx *db.Tx, e *Edition, a *Acceptance, proof string, from Origin) (isNew bool, err error) {
	tx.AfterCommit(func() { s.settled.forgetAccount(a.Account) })
	if a.State.accepted() {
		if found, err := s.accepted(ctx, tx, e, a); found || err != nil {
			return false, err
		}
	}
	sealed, digest, err := s.seal(a.Account, from)
	if err != nil {
		return false, err
	}
	a.OfferedAt = a.DecidedAt
	err = tx.QueryRow(ctx, `select id, offered_at from agreement_acceptance where account = $1 and app = $2 and edition = $3 and state = $4`,
		a.Account, a.App, e.ID, string(Offered)).Scan(&a.ID, &a.OfferedAt)
	if err == nil {
		n, err := tx.Exec(ctx, `update agreement_acceptance set state = $3, locale = $4, person = $5, decided_at = $6, binds_from = $7, read_only_from = $8, exit_until = $9,
				event = $10, proof = $11, origin = $12, origin_digest = $13, mac = $14
			where id = $1 and state = $2`, a.ID, string(Offered), string(a.State), string(a.Locale), a.Person, a.DecidedAt, a.BindsFrom, a.ReadOnlyFrom, a.ExitUntil,
			a.Event, proof, sealed, digest, s.mac(a, proof, digest))
		if err != nil {
			return false, fmt.Errorf("agreement: record: %w", err)
		}
		if n == 1 {
			return true, nil
		}
		a.OfferedAt = a.DecidedAt // somebody was faster
	} else if !errors.Is(err, db.ErrNoRows) {
		return false, fmt.Errorf("agreement: record: %w", err)
	}
	err = tx.QueryRow(ctx, `insert into agreement_acceptance (account, app, set_code, edition, number, edition_hash, state, locale, person, offered_at, decided_at,
			binds_from, read_only_from, exit_until, event, proof, origin, origin_digest, mac)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19) on conflict do nothing returning id`,
		a.Account, a.App, e.Set, e.ID, e.Number, e.Hash, string(a.State), string(a.Locale), a.Person, a.OfferedAt, a.DecidedAt,
		a.BindsFrom, a.ReadOnlyFrom, a.ExitUntil, a.Event, proof, sealed, digest, s.mac(a, proof, digest)).Scan(&a.ID)
	if errors.Is(err, db.ErrNoRows) {
		found, err := s.accepted(ctx, tx, e, a)
		if err == nil && !found {
			err = errNoRow
		}
		return false, err
	}
	if err != nil {
		return false, fmt.Errorf("agreement: record: %w", err)
	}
	return true, nil
}

const acceptanceColumns = `id, account, app, set_code, number, edition_hash, state, locale, person, offered_at, decided_at, binds_from, read_only_from, exit_until, event`

func (a *Acceptance) dest() []any {
	return []any{
		&a.ID, &a.Account, &a.App, &a.Set, &a.Number, &a.Hash, &a.State, &a.Locale, &a.Person, &a.OfferedAt, &a.DecidedAt, &a.BindsFrom,
		&a.ReadOnlyFrom, &a.ExitUntil, &a.Event,
	}
}

// accepted fills a with the acceptance of an edition that is there, if it still binds.
func (s *Service) accepted(ctx context.Context, tx *db.Tx, e *Edition, a *Acceptance) (found bool, err error) {
	err = tx.QueryRow(ctx, `select `+acceptanceColumns+` from agreement_acceptance
		where account = $1 and app = $2 and edition = $3 and state in ('accepted_click', 'accepted_continued_use')`, a.Account, a.App, e.ID).Scan(a.dest()...)
	if errors.Is(err, db.ErrNoRows) {
		return false, nil
	}
	return err == nil, err
}

// seal is the origin as it is stored, and a keyed digest that stays when the origin is erased.
func (s *Service) seal(account int64, from Origin) (sealed, digest string, err error) {
	if len(from.IP) > 64 || len(from.UserAgent) > 1024 {
		return "", "", wrong("origin", "address or user agent is too long")
	}
	text, err := json.Marshal(from)
	if err != nil {
		return "", "", fmt.Errorf("agreement: origin: %w", err)
	}
	if sealed, err = s.keys.Seal(text, originPlace(account)); err != nil {
		return "", "", fmt.Errorf("agreement: seal origin: %w", err)
	}
	return sealed, s.digest("origin", strconv.FormatInt(account, 10), string(text)), nil
}

func originPlace(account int64) []byte {
	return []byte("agreement/origin/" + strconv.FormatInt(account, 10))
}

// mac protects a decision against being changed by who has the database but not the keys.
func (s *Service) mac(a *Acceptance, proof, digest string) string {
	n := func(i int64) string { return strconv.FormatInt(i, 10) }
	return s.digest("acceptance", n(a.Account), n(a.App), a.Set, n(a.Number), a.Hash, string(a.State), string(a.Locale), n(a.Person), n(a.OfferedAt), n(a.DecidedAt),
		n(a.BindsFrom), n(a.ReadOnlyFrom), n(a.ExitUntil), a.Event, proof, digest)
}

// digest covers every part with its length, so no two lists have the same bytes.
func (s *Service) digest(parts ...string) string {
	h := hmac.New(sha256.New, s.macKey)
	for _, p := range parts {
		_, _ = fmt.Fprintf(h, "%d:%s", len(p), p) // a hash does not fail
	}
	return hex.EncodeToString(h.Sum(nil))
}
