package agreement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

// Question is what rule governs a topic for an account.
type Question struct {
	Account int64
	// App and Service are of the service it is about; 0 and empty: none, so no terms of a service count.
	App     int64
	Service string
	// Topic is one of those that documents name in their front matter.
	Topic string
	// At is when, Unix milliseconds.
	At int64
}

// Ruling is the rule that governs, for "why this rule": the document and clause to cite.
type Ruling struct {
	Code, Version string
	// Clause is the number of the clause, empty if the user agreement fills a gap that it does not name either.
	Clause string
	Set    string
	Number int64
	// Hash is of the master that bound.
	Hash string
	Kind legaltext.Kind
	// Ordered says that the precedence laid down for the topic decided between rules of one rank.
	Ordered bool
}

// specificity ranks documents: the special rule goes before the general one.
func specificity(k legaltext.Kind) int {
	switch k {
	case legaltext.ServiceTerm:
		return 3
	case legaltext.Rule, legaltext.Privacy:
		return 2
	default:
		return 1
	}
}

// Govern finds the rule that governs a topic among the documents that bound the account at the time: the most specific
// that covers the topic; the user agreement fills gaps. Errors: ErrConflict if several of the same rank cover it and no
// precedence is laid down (nobody may be sanctioned by either until it is); ErrNotFound if nothing bound the account.
func (s *Service) Govern(ctx context.Context, q Question) (*Ruling, error) {
	list, err := s.BoundAt(ctx, q.Account, q.At)
	if err != nil {
		return nil, err
	}
	var (
		found []Ruling
		gap   *Ruling
	)
	for i := range list {
		b := &list[i]
		if b.EndedAt > 0 || b.App != 0 && (b.App != q.App || b.Set != ServiceSet(q.Service)) {
			continue
		}
		members, err := loadMembers(ctx, s.db, b.Edition.ID)
		if err != nil {
			return nil, err
		}
		for _, m := range members {
			text, err := s.text(ctx, s.db, m.hash)
			if err != nil {
				return nil, err
			}
			r := Ruling{Code: m.code, Version: m.version, Clause: text.Topics[q.Topic], Set: b.Set, Number: b.Edition.Number, Hash: m.hash, Kind: text.Kind}
			if r.Clause != "" {
				found = append(found, r)
			}
			if text.Kind == legaltext.Agreement && gap == nil {
				gap = &r
			}
		}
	}
	if len(found) == 0 {
		if gap == nil {
			return nil, fmt.Errorf("%w: nothing bound account %d", ErrNotFound, q.Account)
		}
		return gap, nil
	}
	return s.rank(ctx, &q, found)
}

func (s *Service) rank(ctx context.Context, q *Question, found []Ruling) (*Ruling, error) {
	best := 0
	for i := range found {
		best = max(best, specificity(found[i].Kind))
	}
	found = slices.DeleteFunc(found, func(r Ruling) bool { return specificity(r.Kind) < best })
	if len(found) == 1 {
		return &found[0], nil
	}
	order, err := s.Precedence(ctx, q.Topic, q.At)
	if err != nil {
		return nil, err
	}
	for _, code := range order {
		if i := slices.IndexFunc(found, func(r Ruling) bool { return r.Code == code }); i >= 0 {
			found[i].Ordered = true
			return &found[i], nil
		}
	}
	var codes []string
	for i := range found {
		codes = append(codes, found[i].Code+" "+found[i].Clause)
	}
	return nil, fmt.Errorf("%w: %s: %s", ErrConflict, q.Topic, strings.Join(codes, ", "))
}

// Precedence is the order of documents laid down for a topic as of a time, empty if there is none.
func (s *Service) Precedence(ctx context.Context, topic string, at int64) ([]string, error) {
	if !storable(topic) {
		return nil, nil
	}
	var text string
	err := s.db.QueryRow(ctx, `select codes from agreement_precedence where topic = $1 and at <= $2 order by id desc limit 1`, topic, at).Scan(&text)
	if errors.Is(err, db.ErrNoRows) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("agreement: precedence: %w", err)
	}
	var codes []string
	return codes, json.Unmarshal([]byte(text), &codes)
}

// SetPrecedence lays down which of several rules of the same rank goes first for a topic, from now on. Errors:
// *FieldError; ErrNotFound for a document that does not exist.
func (s *Service) SetPrecedence(ctx context.Context, actor, topic string, codes []string, reason string) error {
	switch {
	case topic == "" || len(topic) > 48 || !storable(topic):
		return wrong("topic", "must have 1 to 48 bytes")
	case len(codes) < 2 || len(codes) > 100:
		return wrong("codes", "must name 2 to 100 documents")
	case reason == "" || len(reason) > 2000 || !storable(reason):
		return wrong("reason", "must have 1 to 2000 bytes")
	}
	text, err := json.Marshal(codes)
	if err != nil {
		return fmt.Errorf("agreement: precedence: %w", err)
	}
	return s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		for i, code := range codes {
			if !storable(code) {
				return fmt.Errorf("%w: document %.60q", ErrNotFound, code)
			}
			if slices.Contains(codes[:i], code) {
				return wrong("codes", "%.60q is named twice", code)
			}
			var n int64
			if err := tx.QueryRow(ctx, `select count(*) from agreement_document where code = $1`, code).Scan(&n); err != nil {
				return fmt.Errorf("agreement: precedence: %w", err)
			}
			if n == 0 {
				return fmt.Errorf("%w: document %.60q", ErrNotFound, code)
			}
		}
		if _, err := tx.Exec(ctx, `insert into agreement_precedence (topic, codes, reason, actor, at) values ($1, $2, $3, $4, $5)`,
			topic, string(text), reason, actor, s.now()); err != nil {
			return fmt.Errorf("agreement: precedence: %w", err)
		}
		return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "agreement.precedence", Object: "agreement_topic:" + topic,
			Detail: map[string]any{"codes": codes, "reason": reason}})
	})
}
