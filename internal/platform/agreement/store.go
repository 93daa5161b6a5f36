package agreement

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

const editionColumns = `id, set_code, number, hash, class, commercial, terms, announced_at, effective_at, withdrawn_at`

type scanner interface{ Scan(dest ...any) error }

func scanEdition(row scanner) (Edition, error) {
	var (
		e     Edition
		terms string
	)
	if err := row.Scan(&e.ID, &e.Set, &e.Number, &e.Hash, &e.Class, &e.Commercial, &terms, &e.AnnouncedAt, &e.EffectiveAt, &e.WithdrawnAt); err != nil {
		return e, err
	}
	return e, json.Unmarshal([]byte(terms), &e.Terms)
}

func queryEditions(ctx context.Context, r reader, query string, args ...any) ([]Edition, error) {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("agreement: editions: %w", err)
	}
	defer rows.Close()
	var list []Edition
	for rows.Next() {
		e, err := scanEdition(rows)
		if err != nil {
			return nil, fmt.Errorf("agreement: editions: %w", err)
		}
		list = append(list, e)
	}
	return list, rows.Err()
}

func loadChain(ctx context.Context, r reader, set string) (chain, error) {
	if !storable(set) {
		return nil, nil // PostgreSQL would refuse the question
	}
	return queryEditions(ctx, r, `select `+editionColumns+` from agreement_edition where set_code = $1 and withdrawn_at = 0 order by number`, set)
}

func loadChains(ctx context.Context, r reader) (map[string]chain, error) {
	all, err := queryEditions(ctx, r, `select `+editionColumns+` from agreement_edition where withdrawn_at = 0 order by set_code, number`)
	if err != nil {
		return nil, err
	}
	chains := map[string]chain{}
	for i := range all {
		chains[all[i].Set] = append(chains[all[i].Set], all[i])
	}
	return chains, nil
}

// loadMembers reads the documents of an edition in order, with the newest translation of each master.
func loadMembers(ctx context.Context, r reader, edition int64) ([]member, error) {
	rows, err := r.Query(ctx, `select d.id, d.code, d.version, d.hash, d.place, d.class, coalesce((select t.hash from agreement_translation t
			where t.document = d.id and t.locale = $2 and t.source = d.hash order by t.id desc limit 1), '')
		from agreement_member m join agreement_document d on d.id = m.document where m.edition = $1 order by m.place`, edition, string(legaltext.English))
	if err != nil {
		return nil, fmt.Errorf("agreement: members: %w", err)
	}
	defer rows.Close()
	var list []member
	for rows.Next() {
		var m member
		if err := rows.Scan(&m.document, &m.code, &m.version, &m.hash, &m.place, &m.class, &m.translated); err != nil {
			return nil, fmt.Errorf("agreement: members: %w", err)
		}
		list = append(list, m)
	}
	return list, rows.Err()
}

func loadHistory(ctx context.Context, r reader, account int64) (*history, error) {
	h := &history{}
	rows, err := r.Query(ctx, `select id, app, set_code, edition, number, state, offered_at, decided_at, binds_from, read_only_from, exit_until
		from agreement_acceptance where account = $1 order by id`, account)
	if err != nil {
		return nil, fmt.Errorf("agreement: history: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var d decision
		if err := rows.Scan(&d.id, &d.app, &d.set, &d.edition, &d.number, &d.state, &d.offered, &d.decided, &d.bindsFrom, &d.readOnly, &d.exitEnd); err != nil {
			return nil, fmt.Errorf("agreement: history: %w", err)
		}
		h.decisions = append(h.decisions, d)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("agreement: history: %w", err)
	}
	rows.Close()
	return h, h.loadEnds(ctx, r, account)
}

func (h *history) loadEnds(ctx context.Context, r reader, account int64) error {
	rows, err := r.Query(ctx, `select at, until from agreement_end where account = $1 order by id`, account)
	if err != nil {
		return fmt.Errorf("agreement: ends: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var e span
		if err := rows.Scan(&e.from, &e.to); err != nil {
			return fmt.Errorf("agreement: ends: %w", err)
		}
		h.ends = append(h.ends, e)
	}
	return rows.Err()
}

func queryInts(ctx context.Context, r reader, query string, args ...any) ([]int64, error) {
	rows, err := r.Query(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("agreement: %w", err)
	}
	defer rows.Close()
	var list []int64
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, fmt.Errorf("agreement: %w", err)
		}
		list = append(list, n)
	}
	return list, rows.Err()
}

// text is the document stored under a hash.
func (s *Service) text(ctx context.Context, r reader, hash string) (*legaltext.Document, error) {
	if d := s.texts.get(hash); d != nil {
		return d, nil
	}
	var canonical string
	err := r.QueryRow(ctx, `select canonical from agreement_text where hash = $1`, hash).Scan(&canonical)
	if errors.Is(err, db.ErrNoRows) {
		return nil, fmt.Errorf("%w: text %.12s", ErrNotFound, hash)
	}
	if err != nil {
		return nil, fmt.Errorf("agreement: text: %w", err)
	}
	d, err := legaltext.Parse(canonical)
	if err != nil {
		return nil, fmt.Errorf("agreement: the stored text %.12s cannot be read: %w", hash, err)
	}
	if d.Hash() != hash {
		return nil, fmt.Errorf("agreement: the stored text %.12s was changed", hash)
	}
	s.texts.put(hash, d)
	return d, nil
}

func putText(ctx context.Context, tx *db.Tx, d *legaltext.Document, now int64) (hash string, err error) {
	canonical := d.Canonical()
	hash = legaltext.HashText(canonical)
	if _, err := tx.Exec(ctx, `insert into agreement_text (hash, canonical, created_at) values ($1, $2, $3) on conflict (hash) do nothing`,
		hash, canonical, now); err != nil {
		return "", fmt.Errorf("agreement: store text: %w", err)
	}
	return hash, nil
}
