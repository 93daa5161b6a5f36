package agreement

import (
	"context"
	"errors"
	"fmt"
	"maps"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
	"borealis/internal/platform/agreement/redline"
)

// Note says what a reader of a text has to know about its language.
type Note string

// Notes.
const (
	// NoteNone: the master, read by who reads it.
	NoteNone Note = ""
	// NoteChinesePrevails: a translation; the master prevails and is a click away.
	NoteChinesePrevails Note = "chinese_prevails"
	// NoteOutdated: there is a translation, but of an older text, so the master is shown in its place.
	NoteOutdated Note = "translation_outdated"
	// NoteUntranslated: there is no translation, so the master is shown.
	NoteUntranslated Note = "untranslated"
)

// Text is a document as it is shown.
type Text struct {
	Code, Version string
	Kind          legaltext.Kind
	Class         legaltext.Class
	// Locale and Hash are of what is shown, Master is the hash of what binds.
	Locale       legaltext.Locale
	Hash, Master string
	Note         Note
	Title, Body  string
	// Purposes and Options are codes to labels. A box for a purpose is not ticked before, one for an option is.
	Purposes, Options map[string]string
}

// Offer is an edition as it is shown in a language. Its hash is what an acceptance names.
type Offer struct {
	Edition Edition
	Locale  legaltext.Locale
	Texts   []Text
}

// Show is an edition of a set in a language; number 0 is the one in effect. Where there is no translation of exactly
// the present master, the master is shown with a note. Errors: ErrNotFound, ErrNotPublished.
func (s *Service) Show(ctx context.Context, set string, number int64, locale legaltext.Locale) (*Offer, error) {
	e, err := s.edition(ctx, set, number)
	if err != nil {
		return nil, err
	}
	members, err := loadMembers(ctx, s.db, e.ID)
	if err != nil {
		return nil, err
	}
	o := &Offer{Edition: *e, Locale: locale}
	for _, m := range members {
		t, err := s.shown(ctx, &m, locale)
		if err != nil {
			return nil, err
		}
		o.Texts = append(o.Texts, *t)
	}
	return o, nil
}

// SignUpOffer are the sets that a visitor accepts to become a user, each with a hash of its own. Errors: ErrNotPublished.
func (s *Service) SignUpOffer(ctx context.Context, locale legaltext.Locale) ([]Offer, error) {
	var list []Offer
	for _, set := range signUpSets() {
		o, err := s.Show(ctx, set, 0, locale)
		if err != nil {
			return nil, err
		}
		list = append(list, *o)
	}
	return list, nil
}

func (s *Service) shown(ctx context.Context, m *member, locale legaltext.Locale) (*Text, error) {
	master, err := s.text(ctx, s.db, m.hash)
	if err != nil {
		return nil, err
	}
	doc, note := master, NoteNone
	switch {
	case locale == legaltext.Master:
	case m.translated != "":
		if doc, err = s.text(ctx, s.db, m.translated); err != nil {
			return nil, err
		}
		note = NoteChinesePrevails
	default:
		var older int64
		if err := s.db.QueryRow(ctx, `select count(*) from agreement_translation t join agreement_document d on d.id = t.document
			where d.code = $1 and d.id <= $2 and t.locale = $3`, m.code, m.document, string(locale)).Scan(&older); err != nil {
			return nil, fmt.Errorf("agreement: translations: %w", err)
		}
		if note = NoteUntranslated; older > 0 {
			note = NoteOutdated
		}
	}
	return &Text{
		Code: m.code, Version: m.version, Kind: master.Kind, Class: m.class, Locale: doc.Locale, Hash: doc.Hash(), Master: m.hash, Note: note,
		Title: doc.Title, Body: doc.Body, Purposes: maps.Clone(doc.Purposes), Options: maps.Clone(doc.Options),
	}, nil
}

// Document is the stored text with a hash, exactly as it was hashed: past versions stay readable. Errors: ErrNotFound.
func (s *Service) Document(ctx context.Context, hash string) (canonical string, err error) {
	if !storable(hash) {
		return "", fmt.Errorf("%w: text %.64q", ErrNotFound, hash)
	}
	err = s.db.QueryRow(ctx, `select canonical from agreement_text where hash = $1`, hash).Scan(&canonical)
	if errors.Is(err, db.ErrNoRows) {
		return "", fmt.Errorf("%w: text %.64q", ErrNotFound, hash)
	}
	return canonical, err
}

// Manifest is the text whose SHA-256 is the hash of an edition. Errors: ErrNotFound.
func (s *Service) Manifest(ctx context.Context, hash string) (text string, err error) {
	if !storable(hash) {
		return "", fmt.Errorf("%w: edition %.64q", ErrNotFound, hash)
	}
	err = s.db.QueryRow(ctx, `select manifest from agreement_edition where hash = $1`, hash).Scan(&text)
	if errors.Is(err, db.ErrNoRows) {
		return "", fmt.Errorf("%w: edition %.64q", ErrNotFound, hash)
	}
	return text, err
}

// Redline is how one document changed from one edition to another.
type Redline struct {
	Code string
	// From and To are versions; From is empty for a document that came, To for one that went.
	From, To string
	Class    legaltext.Class
	// Locale is of what was compared.
	Locale legaltext.Locale
	Title  []redline.Line
	Body   []redline.Line
}

// Changes compares two editions of a set: the documents that differ, in the order of the newer edition, those that went
// last. from 0 is nothing, so everything is new. A document is compared in the master if either side has no
// translation. Errors: ErrNotFound.
func (s *Service) Changes(ctx context.Context, set string, from, to int64, locale legaltext.Locale) ([]Redline, error) {
	var before, after []member
	for _, side := range []struct {
		number int64
		list   *[]member
	}{{from, &before}, {to, &after}} {
		if side.number == 0 {
			continue
		}
		e, err := s.edition(ctx, set, side.number)
		if err != nil {
			return nil, err
		}
		if *side.list, err = loadMembers(ctx, s.db, e.ID); err != nil {
			return nil, err
		}
	}
	old := map[string]*member{}
	for i := range before {
		old[before[i].code] = &before[i]
	}
	var out []Redline
	for i := range after {
		m := &after[i]
		was := old[m.code]
		delete(old, m.code)
		if was != nil && was.hash == m.hash {
			continue
		}
		r, err := s.compare(ctx, was, m, locale)
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	for i := range before {
		if old[before[i].code] == nil {
			continue
		}
		r, err := s.compare(ctx, &before[i], nil, locale)
		if err != nil {
			return nil, err
		}
		out = append(out, *r)
	}
	return out, nil
}

func (s *Service) compare(ctx context.Context, from, to *member, locale legaltext.Locale) (*Redline, error) {
	r := &Redline{Locale: legaltext.Master}
	sides := [2]*legaltext.Document{{}, {}}
	translated := locale != legaltext.Master
	for _, m := range []*member{from, to} {
		translated = translated && (m == nil || m.translated != "")
	}
	if translated {
		r.Locale = locale
	}
	for i, m := range []*member{from, to} {
		if m == nil {
			continue
		}
		hash := m.hash
		if translated {
			hash = m.translated
		}
		var err error
		if sides[i], err = s.text(ctx, s.db, hash); err != nil {
			return nil, err
		}
		r.Code, r.Class = m.code, m.class
	}
	if from != nil {
		r.From = from.version
	}
	if to != nil {
		r.To = to.version
	} else {
		r.Class = legaltext.Commercial // as Announce counts it
	}
	r.Title, r.Body = redline.Compare(sides[0].Title, sides[1].Title), redline.Compare(sides[0].Body, sides[1].Body)
	return r, nil
}
