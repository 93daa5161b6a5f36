package agreement

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

// Stage is how far a version of a document is.
type Stage string

// Stages. Effective and Superseded are not steps that somebody takes: they follow from the editions and the time.
const (
	Draft      Stage = "draft"
	Reviewed   Stage = "reviewed"
	Translated Stage = "translated"
	Announced  Stage = "announced"
	Effective  Stage = "effective"
	Superseded Stage = "superseded"
	// Withdrawn: the announcement was taken back before it took effect. The text is public by then and stays as it is;
	// it can be announced again.
	Withdrawn Stage = "withdrawn"
)

// Version is one version of a document.
type Version struct {
	ID                 int64
	Code, Version, Set string
	Class              legaltext.Class
	Order              int64
	// Hash is the hash of the master.
	Hash  string
	Stage Stage
	// Translation is the hash of the newest translation of exactly this master, or empty.
	Translation string
	// Stale says that there are translations, but none of this master.
	Stale bool
	// Author and Reviewer are actors, as in the audit log.
	Author, Reviewer                 string
	CreatedAt, UpdatedAt, ReviewedAt int64
}

const versionQuery = `select d.id, d.code, d.version, d.set_code, d.class, d.place, d.hash, d.stage, d.author, d.reviewer, d.created_at, d.updated_at, d.reviewed_at,
	coalesce((select t.hash from agreement_translation t where t.document = d.id and t.locale = 'en' and t.source = d.hash order by t.id desc limit 1), ''),
	(select count(*) from agreement_translation t where t.document = d.id)
	from agreement_document d`

func scanVersion(row scanner) (*Version, error) {
	var (
		v            Version
		translations int64
	)
	err := row.Scan(&v.ID, &v.Code, &v.Version, &v.Set, &v.Class, &v.Order, &v.Hash, &v.Stage, &v.Author, &v.Reviewer, &v.CreatedAt, &v.UpdatedAt, &v.ReviewedAt,
		&v.Translation, &translations)
	v.Stale = translations > 0 && v.Translation == ""
	return &v, err
}

func loadVersion(ctx context.Context, r reader, code, version string) (*Version, error) {
	if !storable(code) || !storable(version) {
		return nil, fmt.Errorf("%w: %.60q %.60q", ErrNotFound, code, version)
	}
	v, err := scanVersion(r.QueryRow(ctx, versionQuery+` where d.code = $1 and d.version = $2`, code, version))
	if errors.Is(err, db.ErrNoRows) {
		return nil, fmt.Errorf("%w: %s %s", ErrNotFound, code, version)
	}
	if err != nil {
		return nil, fmt.Errorf("agreement: version: %w", err)
	}
	return v, nil
}

// stageAt is the stage of v at t, given the editions of its set and which of them have v.
func stageAt(v *Version, c chain, in []int64, t int64) Stage {
	if v.Stage != Announced {
		return v.Stage
	}
	has := func(e *Edition) bool { return e != nil && slices.Contains(in, e.ID) }
	if cur := c.current(t); has(cur) {
		return Effective
	}
	for i := range c {
		if c[i].EffectiveAt <= t && has(&c[i]) {
			return Superseded
		}
	}
	return Announced
}

// Versions are the versions of a document, the newest first; of all documents if code is empty. At most 1,000.
func (s *Service) Versions(ctx context.Context, code string) ([]Version, error) {
	if !storable(code) {
		return nil, nil
	}
	chains, err := loadChains(ctx, s.db)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.Query(ctx, versionQuery+` where d.code = $1 or $1 = '' order by d.id desc limit 1000`, code)
	if err != nil {
		return nil, fmt.Errorf("agreement: versions: %w", err)
	}
	defer rows.Close()
	var list []Version
	for rows.Next() {
		v, err := scanVersion(rows)
		if err != nil {
			return nil, fmt.Errorf("agreement: versions: %w", err)
		}
		list = append(list, *v)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("agreement: versions: %w", err)
	}
	rows.Close()
	for i := range list {
		in, err := queryInts(ctx, s.db, `select edition from agreement_member where document = $1`, list[i].ID)
		if err != nil {
			return nil, err
		}
		list[i].Stage = stageAt(&list[i], chains[list[i].Set], in, s.now())
	}
	return list, nil
}

// Save writes the master of a version: new, or over a draft that was not announced yet. A text that changed must be
// reviewed again, and its translations are stale. actor is who does it, as in the audit log. Errors: *FieldError;
// ErrStage once it was announced.
func (s *Service) Save(ctx context.Context, actor string, doc *legaltext.Document) (*Version, error) {
	d := *doc
	d.Normalize()
	if err := d.Check(); err != nil {
		return nil, err
	}
	if d.Locale != legaltext.Master {
		return nil, wrong("locale", "a version begins with its master in %s; translations are bound to it", legaltext.Master)
	}
	var v *Version
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		v, err = s.save(ctx, tx, actor, &d)
		return err
	})
	return v, err
}

func (s *Service) save(ctx context.Context, tx *db.Tx, actor string, d *legaltext.Document) (*Version, error) {
	now := s.now()
	if _, err := tx.Exec(ctx, `insert into agreement_set (code, kind, service, revision, created_at) values ($1, $2, $3, 1, $4)
		on conflict (code) do update set revision = agreement_set.revision + 1`, d.Set(), string(d.Kind), d.Service, now); err != nil {
		return nil, fmt.Errorf("agreement: save: %w", err)
	}
	var other string
	err := tx.QueryRow(ctx, `select set_code from agreement_document where code = $1 and set_code <> $2 limit 1`, d.Code, d.Set()).Scan(&other)
	if err == nil {
		return nil, wrong("kind", "%s belongs to the set %s and cannot move to %s", d.Code, other, d.Set())
	}
	if !errors.Is(err, db.ErrNoRows) {
		return nil, fmt.Errorf("agreement: save: %w", err)
	}
	old, err := loadVersion(ctx, tx, d.Code, d.Version)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	hash, err := putText(ctx, tx, d, now)
	if err != nil {
		return nil, err
	}
	switch {
	case old == nil:
		_, err = tx.Exec(ctx, `insert into agreement_document (code, version, set_code, class, place, hash, stage, author, reviewer, created_at, updated_at, reviewed_at)
			values ($1, $2, $3, $4, $5, $6, $7, $8, '', $9, $9, 0)`, d.Code, d.Version, d.Set(), string(d.Class), d.Order, hash, string(Draft), actor, now)
	case old.Hash == hash:
		return old, nil
	case old.Stage == Announced || old.Stage == Withdrawn:
		return nil, fmt.Errorf("%w: %s %s was announced and cannot change; write a new version", ErrStage, d.Code, d.Version)
	default:
		_, err = tx.Exec(ctx, `update agreement_document set class = $2, place = $3, hash = $4, stage = $5, author = $6, reviewer = '', updated_at = $7, reviewed_at = 0
			where id = $1`, old.ID, string(d.Class), d.Order, hash, string(Draft), actor, now)
	}
	if err != nil {
		return nil, fmt.Errorf("agreement: save: %w", err)
	}
	if err := s.note(ctx, tx, actor, "agreement.save", d.Code, d.Version, map[string]any{"hash": hash, "class": d.Class}); err != nil {
		return nil, err
	}
	return loadVersion(ctx, tx, d.Code, d.Version)
}

// note writes what was done to a version into the audit log.
func (s *Service) note(ctx context.Context, tx *db.Tx, actor, action, code, version string, detail map[string]any) error {
	return s.audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: action, Object: "agreement_document:" + code + "/" + version, Detail: detail})
}

// Review records that the master with exactly this hash was reviewed by legal staff. Errors: ErrNotFound; ErrStage if it
// is no draft; *HashError if the text has changed since it was read.
func (s *Service) Review(ctx context.Context, actor, code, version, hash string) (*Version, error) {
	var v *Version
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		v, err = s.step(ctx, tx, code, version)
		if err != nil {
			return err
		}
		if v.Hash != hash {
			return hashProblem(v.Set, hash, v.Hash)
		}
		v, err = s.review(ctx, tx, actor, v)
		return err
	})
	return v, err
}

func (s *Service) review(ctx context.Context, tx *db.Tx, actor string, v *Version) (*Version, error) {
	if v.Stage != Draft {
		return nil, fmt.Errorf("%w: %s %s is %s, not a draft", ErrStage, v.Code, v.Version, v.Stage)
	}
	stage := Reviewed
	if v.Translation != "" { // of exactly this text, from before a change that was taken back
		stage = Translated
	}
	if _, err := tx.Exec(ctx, `update agreement_document set stage = $2, reviewer = $3, reviewed_at = $4, updated_at = $4 where id = $1`,
		v.ID, string(stage), actor, s.now()); err != nil {
		return nil, fmt.Errorf("agreement: review: %w", err)
	}
	if err := s.note(ctx, tx, actor, "agreement.review", v.Code, v.Version, map[string]any{"hash": v.Hash}); err != nil {
		return nil, err
	}
	return loadVersion(ctx, tx, v.Code, v.Version)
}

// step locks the set of a version, so that steps of it and announcements come one after another, and reads the version.
func (s *Service) step(ctx context.Context, tx *db.Tx, code, version string) (*Version, error) {
	if !storable(code) || !storable(version) {
		return nil, fmt.Errorf("%w: %.60q %.60q", ErrNotFound, code, version)
	}
	if _, err := tx.Exec(ctx, `update agreement_set set revision = revision + 1
		where code = (select set_code from agreement_document where code = $1 and version = $2)`, code, version); err != nil {
		return nil, fmt.Errorf("agreement: lock set: %w", err)
	}
	return loadVersion(ctx, tx, code, version)
}

// Translate adds a translation, bound to the master by doc.Source. The master must have been reviewed. After the
// announcement a better translation may follow: it changes neither the hash of the edition nor what binds; which
// text a person was shown stands in the acceptance. Errors: *FieldError, ErrNotFound, ErrStage, *HashError if the
// master is another by now.
func (s *Service) Translate(ctx context.Context, actor string, doc *legaltext.Document) (*Version, error) {
	d := *doc
	d.Normalize()
	if err := d.Check(); err != nil {
		return nil, err
	}
	if d.Locale == legaltext.Master {
		return nil, wrong("locale", "%s is the master", d.Locale)
	}
	var v *Version
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		var err error
		v, err = s.translate(ctx, tx, actor, &d)
		return err
	})
	return v, err
}

func (s *Service) translate(ctx context.Context, tx *db.Tx, actor string, d *legaltext.Document) (*Version, error) {
	v, err := s.step(ctx, tx, d.Code, d.Version)
	if err != nil {
		return nil, err
	}
	if v.Hash != d.Source {
		return nil, hashProblem(v.Set, d.Source, v.Hash)
	}
	if v.Stage == Draft {
		return nil, fmt.Errorf("%w: the master of %s %s is not reviewed", ErrStage, d.Code, d.Version)
	}
	master, err := s.text(ctx, tx, v.Hash)
	if err != nil {
		return nil, err
	}
	if !sameKeys(master.Purposes, d.Purposes) || !sameKeys(master.Options, d.Options) {
		return nil, wrong("purposes", "purposes and options must be those of the master, each with a label")
	}
	now := s.now()
	hash, err := putText(ctx, tx, d, now)
	if err != nil {
		return nil, err
	}
	if v.Translation == hash {
		return v, nil
	}
	if _, err := tx.Exec(ctx, `insert into agreement_translation (document, locale, source, hash, author, created_at) values ($1, $2, $3, $4, $5, $6)`,
		v.ID, string(d.Locale), d.Source, hash, actor, now); err != nil {
		return nil, fmt.Errorf("agreement: translate: %w", err)
	}
	if v.Stage == Reviewed {
		if _, err := tx.Exec(ctx, `update agreement_document set stage = $2, updated_at = $3 where id = $1`, v.ID, string(Translated), now); err != nil {
			return nil, fmt.Errorf("agreement: translate: %w", err)
		}
	}
	if err := s.note(ctx, tx, actor, "agreement.translate", d.Code, d.Version, map[string]any{"hash": hash, "source": d.Source, "locale": d.Locale}); err != nil {
		return nil, err
	}
	return loadVersion(ctx, tx, d.Code, d.Version)
}

func sameKeys(a, b map[string]string) bool {
	if len(a) != len(b) {
		return false
	}
	for k := range a {
		if _, ok := b[k]; !ok {
			return false
		}
	}
	return true
}
