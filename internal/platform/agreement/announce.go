package agreement

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/agreementevent"
	"borealis/internal/platform/agreement/legaltext"
)

// Ref names a version of a document.
type Ref struct{ Code, Version string }

// Announcement is a change of a set.
type Announcement struct {
	Set string
	// Documents come new or replace the version that is there.
	Documents []Ref
	// Remove are codes of documents that end. That is a commercial change.
	Remove []string
	// EffectiveAt is when the change takes effect; the zero time is the earliest that the notice allows.
	EffectiveAt time.Time
	// Untranslated allows documents without a fresh translation: readers of English get the master with a note.
	Untranslated bool
}

// Announce makes an edition of a set public. It takes effect by itself at its time, which is at least the notice of its
// class away, and after every edition announced before; the first edition of a set needs no notice.
// Errors: *FieldError, ErrNotFound, ErrStage.
func (s *Service) Announce(ctx context.Context, actor string, a Announcement) (*Edition, error) {
	if len(a.Documents)+len(a.Remove) == 0 {
		return nil, wrong("documents", "nothing is announced")
	}
	if len(a.Documents)+len(a.Remove) > 100 {
		return nil, wrong("documents", "at most 100 documents change at once")
	}
	if !storable(a.Set) {
		return nil, fmt.Errorf("%w: set %.60q", ErrNotFound, a.Set)
	}
	var out *Edition
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		n, err := tx.Exec(ctx, `update agreement_set set revision = revision + 1 where code = $1`, a.Set)
		if err != nil {
			return fmt.Errorf("agreement: announce: %w", err)
		}
		if n == 0 {
			return fmt.Errorf("%w: set %s", ErrNotFound, a.Set)
		}
		out, err = s.announce(ctx, tx, actor, &a)
		return err
	})
	if err != nil {
		return nil, err
	}
	s.settled.forget()
	return out, nil
}

// change is what an announcement does to a set.
type change struct {
	members    []member
	documents  []int64 // that change
	class      legaltext.Class
	commercial bool
	asks       []string
	detail     []string
}

func (s *Service) announce(ctx context.Context, tx *db.Tx, actor string, a *Announcement) (*Edition, error) {
	c, err := loadChain(ctx, tx, a.Set)
	if err != nil {
		return nil, err
	}
	var old []member
	if len(c) > 0 {
		if old, err = loadMembers(ctx, tx, c[len(c)-1].ID); err != nil {
			return nil, err
		}
	}
	ch, err := s.apply(ctx, tx, a, old)
	if err != nil {
		return nil, err
	}
	e := &Edition{Set: a.Set, Class: ch.class, Commercial: ch.commercial, AnnouncedAt: s.now()}
	if e.EffectiveAt, err = s.effect(c, ch.class, a.EffectiveAt, e.AnnouncedAt); err != nil {
		return nil, err
	}
	if e.Terms, err = s.terms(ctx, tx, ch); err != nil {
		return nil, err
	}
	if err := tx.QueryRow(ctx, `select coalesce(max(number), 0) + 1 from agreement_edition where set_code = $1`, a.Set).Scan(&e.Number); err != nil {
		return nil, fmt.Errorf("agreement: number: %w", err)
	}
	if err := insertEdition(ctx, tx, e, actor, ch); err != nil {
		return nil, err
	}
	if err := s.outbox.Publish(ctx, tx, agreementevent.TopicAnnounced, agreementevent.Announced{
		Set: e.Set, Number: e.Number, Hash: e.Hash, Class: string(e.Class), AnnouncedAt: e.AnnouncedAt, EffectiveAt: e.EffectiveAt, First: len(c) == 0,
	}); err != nil {
		return nil, err
	}
	return e, s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "agreement.announce", Object: editionObject(e), Detail: map[string]any{
		"hash": e.Hash, "class": e.Class, "effective_at": e.EffectiveAt, "changes": ch.detail, "untranslated": a.Untranslated,
	}})
}

func editionObject(e *Edition) string { return fmt.Sprintf("agreement_edition:%s/%d", e.Set, e.Number) }

// apply puts the announced documents into the set.
func (s *Service) apply(ctx context.Context, tx *db.Tx, a *Announcement, old []member) (*change, error) {
	ch := &change{members: slices.Clone(old), class: legaltext.Editorial}
	raise := func(c legaltext.Class) {
		if c.Rank() > ch.class.Rank() {
			ch.class = c
		}
		ch.commercial = ch.commercial || c == legaltext.Commercial
	}
	index := func(code string) int {
		return slices.IndexFunc(ch.members, func(m member) bool { return m.code == code })
	}
	named := map[string]bool{}
	for _, ref := range a.Documents {
		if named[ref.Code] {
			return nil, wrong("documents", "%s is named twice", ref.Code)
		}
		named[ref.Code] = true
		v, err := s.announceable(ctx, tx, a, ref)
		if err != nil {
			return nil, err
		}
		text, err := s.text(ctx, tx, v.Hash)
		if err != nil {
			return nil, err
		}
		var before *legaltext.Document
		at := index(ref.Code)
		if at >= 0 {
			if before, err = s.text(ctx, tx, ch.members[at].hash); err != nil {
				return nil, err
			}
		}
		if err := checkClass(text, before, len(old) == 0); err != nil {
			return nil, err
		}
		if v.Class == legaltext.PersonalData || before == nil {
			ch.asks = append(ch.asks, slices.Collect(maps.Keys(text.Purposes))...)
		}
		raise(v.Class)
		m := member{document: v.ID, code: v.Code, version: v.Version, hash: v.Hash, place: v.Order, class: v.Class}
		if at >= 0 {
			ch.members[at] = m
		} else {
			ch.members = append(ch.members, m)
		}
		ch.documents = append(ch.documents, v.ID)
		ch.detail = append(ch.detail, v.Code+" "+v.Version)
	}
	for _, code := range a.Remove {
		at := index(code)
		if at < 0 || named[code] {
			return nil, wrong("remove", "%s is not in the set, or is announced at the same time", code)
		}
		ch.members = slices.Delete(ch.members, at, at+1)
		raise(legaltext.Commercial)
		ch.detail = append(ch.detail, "without "+code)
	}
	if len(ch.members) == 0 {
		return nil, wrong("remove", "a set cannot be empty")
	}
	sortMembers(ch.members)
	return ch, nil
}

// announceable is a version that may be announced.
func (s *Service) announceable(ctx context.Context, tx *db.Tx, a *Announcement, ref Ref) (*Version, error) {
	v, err := loadVersion(ctx, tx, ref.Code, ref.Version)
	if err != nil {
		return nil, err
	}
	switch {
	case v.Set != a.Set:
		return nil, wrong("documents", "%s belongs to the set %s", ref.Code, v.Set)
	case v.Stage != Translated && v.Stage != Reviewed && v.Stage != Withdrawn:
		return nil, fmt.Errorf("%w: %s %s is %s", ErrStage, ref.Code, ref.Version, v.Stage)
	case v.Translation == "" && !a.Untranslated:
		return nil, fmt.Errorf("%w: %s %s has no translation of its present text", ErrStage, ref.Code, ref.Version)
	}
	text, err := s.text(ctx, tx, v.Hash)
	if err != nil {
		return nil, err
	}
	if names := legaltext.Placeholders(text); len(names) > 0 {
		return nil, wrong("body", "%s has placeholders that are not filled: %v", ref.Code, names)
	}
	return v, nil
}

// checkClass keeps a version from being called less than it is, as far as a program can see.
func checkClass(text, before *legaltext.Document, first bool) error {
	if first {
		return nil
	}
	if before == nil {
		before = &legaltext.Document{}
		if text.Class == legaltext.Editorial {
			return wrong("class", "%s is new in the set, so it is no editorial change", text.Code)
		}
	}
	for _, p := range slices.Sorted(maps.Keys(text.Purposes)) {
		if label, ok := before.Purposes[p]; (!ok || label != text.Purposes[p]) && text.Class != legaltext.PersonalData {
			return wrong("class", "%s brings or changes the purpose %s, so it must be personal_data", text.Code, p)
		}
	}
	for _, o := range slices.Sorted(maps.Keys(text.Options)) {
		if _, ok := before.Options[o]; !ok && text.Class == legaltext.Editorial {
			return wrong("class", "%s brings the option %s, so it is no editorial change", text.Code, o)
		}
	}
	return nil
}

// effect is when a change of a class takes effect, Unix milliseconds.
func (s *Service) effect(c chain, class legaltext.Class, want time.Time, now int64) (int64, error) {
	earliest := now
	if len(c) > 0 {
		switch class {
		case legaltext.Commercial:
			earliest += s.rules.Commercial.Milliseconds()
		case legaltext.PersonalData:
			earliest += s.rules.PersonalData.Milliseconds()
		}
	}
	last := int64(0)
	if len(c) > 0 {
		last = c[len(c)-1].EffectiveAt
	}
	if want.IsZero() {
		return max(earliest, last+1), nil
	}
	at := clock.Millis(want)
	switch {
	case at < earliest:
		return 0, wrong("effective_at", "a %s change needs its notice: the earliest is %s", class, clock.FromMillis(earliest).Format(time.RFC3339))
	case at <= last:
		return 0, wrong("effective_at", "must be after the edition announced before, which takes effect at %s", clock.FromMillis(last).Format(time.RFC3339))
	}
	return at, nil
}

// terms gathers the choices of all documents of the edition.
func (s *Service) terms(ctx context.Context, tx *db.Tx, ch *change) (Terms, error) {
	var t Terms
	for _, m := range ch.members {
		text, err := s.text(ctx, tx, m.hash)
		if err != nil {
			return t, err
		}
		t.Purposes = append(t.Purposes, slices.Collect(maps.Keys(text.Purposes))...)
		t.Options = append(t.Options, slices.Collect(maps.Keys(text.Options))...)
	}
	t.Asks = ch.asks
	for _, list := range []*[]string{&t.Purposes, &t.Options, &t.Asks} {
		slices.Sort(*list)
		*list = slices.Compact(*list)
	}
	return t, nil
}

func insertEdition(ctx context.Context, tx *db.Tx, e *Edition, actor string, ch *change) error {
	text := manifest(e.Set, e.Number, ch.members)
	e.Hash = legaltext.HashText(text)
	terms, err := json.Marshal(e.Terms)
	if err != nil {
		return fmt.Errorf("agreement: terms: %w", err)
	}
	if err := tx.QueryRow(ctx, `insert into agreement_edition
			(set_code, number, hash, manifest, class, commercial, terms, announced_by, announced_at, effective_at, withdrawn_at, told_at)
		values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, 0, 0) returning id`,
		e.Set, e.Number, e.Hash, text, string(e.Class), e.Commercial, string(terms), actor, e.AnnouncedAt, e.EffectiveAt).Scan(&e.ID); err != nil {
		return fmt.Errorf("agreement: announce: %w", err)
	}
	for i, m := range ch.members {
		if _, err := tx.Exec(ctx, `insert into agreement_member (edition, place, document) values ($1, $2, $3)`, e.ID, i+1, m.document); err != nil {
			return fmt.Errorf("agreement: announce: %w", err)
		}
	}
	for _, id := range ch.documents {
		if _, err := tx.Exec(ctx, `update agreement_document set stage = $2, updated_at = $3 where id = $1`, id, string(Announced), e.AnnouncedAt); err != nil {
			return fmt.Errorf("agreement: announce: %w", err)
		}
	}
	return nil
}

// Withdraw takes back the newest announcement of a set, before it takes effect. Its number is not used again, what was
// decided about it no longer counts, and its documents can be announced again. Errors: ErrNotFound; ErrStage if it has
// taken effect or another was announced after it; *FieldError without a reason.
func (s *Service) Withdraw(ctx context.Context, actor, set string, number int64, reason string) error {
	if reason == "" || len(reason) > 2000 || !storable(reason) {
		return wrong("reason", "must have 1 to 2000 bytes")
	}
	if !storable(set) {
		return fmt.Errorf("%w: set %.60q", ErrNotFound, set)
	}
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		if _, err := tx.Exec(ctx, `update agreement_set set revision = revision + 1 where code = $1`, set); err != nil {
			return fmt.Errorf("agreement: withdraw: %w", err)
		}
		c, err := loadChain(ctx, tx, set)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(c, func(e Edition) bool { return e.Number == number })
		if i < 0 {
			return fmt.Errorf("%w: edition %d of %s", ErrNotFound, number, set)
		}
		now := s.now()
		if i != len(c)-1 || c[i].EffectiveAt <= now {
			return fmt.Errorf("%w: edition %d of %s is in effect, or another follows it", ErrStage, number, set)
		}
		return s.withdraw(ctx, tx, actor, &c[i], reason, now)
	})
	if err == nil {
		s.settled.forget()
	}
	return err
}

func (s *Service) withdraw(ctx context.Context, tx *db.Tx, actor string, e *Edition, reason string, now int64) error {
	if _, err := tx.Exec(ctx, `update agreement_edition set withdrawn_at = $2 where id = $1`, e.ID, now); err != nil {
		return fmt.Errorf("agreement: withdraw: %w", err)
	}
	// Documents that the edition brought are in no other edition that counts.
	if _, err := tx.Exec(ctx, `update agreement_document set stage = $2, updated_at = $3 where id in (
		select m.document from agreement_member m where m.edition = $1 and not exists (
			select 1 from agreement_member o join agreement_edition e on e.id = o.edition where o.document = m.document and e.withdrawn_at = 0))`,
		e.ID, string(Withdrawn), now); err != nil {
		return fmt.Errorf("agreement: withdraw: %w", err)
	}
	event := agreementevent.Withdrawn{Set: e.Set, Number: e.Number, Reason: reason, At: now}
	if err := s.outbox.Publish(ctx, tx, agreementevent.TopicWithdrawn, event); err != nil {
		return err
	}
	return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: "agreement.withdraw", Object: editionObject(e), Detail: map[string]any{
		"reason": reason,
	}})
}
