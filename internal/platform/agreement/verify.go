package agreement

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"fmt"
	"strconv"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

// Damage is something stored that is not as it was written.
type Damage struct {
	// Kind is "text", "edition" or "acceptance", Key its hash or number.
	Kind, Key string
	Problem   string
}

// maxDamages bounds what Verify reports.
const maxDamages = 1000

// Verify recomputes the hash of every text and every edition (from the documents it holds), and the code that protects
// every decision. It returns what does not agree, at most 1,000 entries.
func (s *Service) Verify(ctx context.Context) ([]Damage, error) {
	var found []Damage
	add := func(kind, key, format string, args ...any) {
		if len(found) < maxDamages {
			found = append(found, Damage{Kind: kind, Key: key, Problem: fmt.Sprintf(format, args...)})
		}
	}
	for _, check := range []func(context.Context, func(kind, key, format string, args ...any)) error{s.verifyTexts, s.verifyEditions, s.verifyDecisions} {
		if err := check(ctx, add); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (s *Service) verifyTexts(ctx context.Context, add func(kind, key, format string, args ...any)) error {
	after := ""
	for {
		n := 0
		rows, err := s.db.Query(ctx, `select hash, canonical from agreement_text where hash > $1 order by hash limit 100`, after)
		if err != nil {
			return fmt.Errorf("agreement: verify: %w", err)
		}
		for rows.Next() {
			var hash, canonical string
			if err := rows.Scan(&hash, &canonical); err != nil {
				rows.Close()
				return fmt.Errorf("agreement: verify: %w", err)
			}
			n++
			after = hash
			if got := legaltext.HashText(canonical); got != hash {
				add("text", hash, "the text has the hash %s", got)
			}
		}
		rows.Close()
		if err := rows.Err(); err != nil || n == 0 {
			return err
		}
	}
}

func (s *Service) verifyEditions(ctx context.Context, add func(kind, key, format string, args ...any)) error {
	all, err := queryEditions(ctx, s.db, `select `+editionColumns+` from agreement_edition order by id`)
	if err != nil {
		return err
	}
	for i := range all {
		e := &all[i]
		members, err := loadMembers(ctx, s.db, e.ID)
		if err != nil {
			return err
		}
		text := manifest(e.Set, e.Number, members)
		var stored string
		if err := s.db.QueryRow(ctx, `select manifest from agreement_edition where id = $1`, e.ID).Scan(&stored); err != nil {
			return fmt.Errorf("agreement: verify: %w", err)
		}
		if stored != text || legaltext.HashText(text) != e.Hash {
			add("edition", e.Hash, "edition %d of %s does not hold the documents it was announced with", e.Number, e.Set)
		}
		for _, m := range members {
			var n int64
			if err := s.db.QueryRow(ctx, `select count(*) from agreement_text where hash = $1`, m.hash).Scan(&n); err != nil {
				return fmt.Errorf("agreement: verify: %w", err)
			}
			if n == 0 {
				add("text", m.hash, "the text of %s %s is missing", m.code, m.version)
			}
		}
	}
	return nil
}

func (s *Service) verifyDecisions(ctx context.Context, add func(kind, key, format string, args ...any)) error {
	after := int64(0)
	for {
		n := 0
		rows, err := s.db.Query(ctx, `select `+acceptanceColumns+`, proof, origin_digest, mac from agreement_acceptance
			where id > $1 and state not in ('offered', 'expired') order by id limit 500`, after)
		if err != nil {
			return fmt.Errorf("agreement: verify: %w", err)
		}
		for rows.Next() {
			var (
				a                  Acceptance
				proof, digest, mac string
			)
			if err := rows.Scan(append(a.dest(), &proof, &digest, &mac)...); err != nil {
				rows.Close()
				return fmt.Errorf("agreement: verify: %w", err)
			}
			n++
			after = a.ID
			if !hmac.Equal([]byte(mac), []byte(s.mac(&a, proof, digest))) {
				add("acceptance", strconv.FormatInt(a.ID, 10), "the decision of account %d about edition %d of %s was changed", a.Account, a.Number, a.Set)
			}
		}
		rows.Close()
		if err := rows.Err(); err != nil || n == 0 {
			return err
		}
	}
}

// Evidence is a decision with everything that proves it.
type Evidence struct {
	Acceptance
	// Proof is JSON: what was shown and sent (Proof), or the act of use.
	Proof string
	// Origin is empty once it was erased.
	Origin Origin
	// Intact says that nothing of it was changed since.
	Intact bool
}

// Evidence reads the decisions of an account, the oldest first, at most 1,000. It opens personal data, so the look is
// written into the audit log with its reason. Errors: *FieldError without a reason.
func (s *Service) Evidence(ctx context.Context, actor string, account int64, reason string) ([]Evidence, error) {
	if reason == "" || len(reason) > 2000 || !storable(reason) {
		return nil, wrong("reason", "must have 1 to 2000 bytes")
	}
	var out []Evidence
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		if out, err = s.evidence(ctx, tx, account); err != nil {
			return err
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "agreement.evidence", Object: fmt.Sprintf("account:%d", account),
			Detail: map[string]any{"reason": reason, "rows": len(out)}})
	})
	return out, err
}

func (s *Service) evidence(ctx context.Context, tx *db.Tx, account int64) ([]Evidence, error) {
	rows, err := tx.Query(ctx, `select `+acceptanceColumns+`, proof, origin, origin_digest, mac from agreement_acceptance where account = $1 order by id limit 1000`, account)
	if err != nil {
		return nil, fmt.Errorf("agreement: evidence: %w", err)
	}
	defer rows.Close()
	var out []Evidence
	for rows.Next() {
		var (
			e                   Evidence
			sealed, digest, mac string
		)
		if err := rows.Scan(append(e.dest(), &e.Proof, &sealed, &digest, &mac)...); err != nil {
			return nil, fmt.Errorf("agreement: evidence: %w", err)
		}
		e.Intact = e.State == Offered || e.State == Expired || hmac.Equal([]byte(mac), []byte(s.mac(&e.Acceptance, e.Proof, digest)))
		if sealed != "" {
			text, err := s.keys.Open(sealed, originPlace(account))
			if err != nil {
				return nil, fmt.Errorf("agreement: origin of acceptance %d: %w", e.ID, err)
			}
			if err := json.Unmarshal(text, &e.Origin); err != nil {
				return nil, fmt.Errorf("agreement: origin of acceptance %d: %w", e.ID, err)
			}
		}
		out = append(out, e)
	}
	return out, rows.Err()
}

// EraseOrigins erases where the decisions of an account came from, when they need no longer be kept. The decisions stay,
// and stay verifiable.
func (s *Service) EraseOrigins(ctx context.Context, tx *db.Tx, account int64) error {
	if _, err := tx.Exec(ctx, `update agreement_acceptance set origin = '' where account = $1 and origin <> ''`, account); err != nil {
		return fmt.Errorf("agreement: erase origins: %w", err)
	}
	return nil
}
