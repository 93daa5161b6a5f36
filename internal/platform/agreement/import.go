package agreement

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

// Imported is what became of a document of a folder.
type Imported struct {
	Code, Version, Set string
	// Hash is of the master.
	Hash  string
	Stage Stage
	// Result is "new", "changed" or "unchanged".
	Result string
	// TranslationWaits says that the translation was not stored, because the master has to be reviewed first: import
	// again after the review.
	TranslationWaits bool
	Findings         []legaltext.Finding
}

// Import reads a folder of files <code>.<locale>.md into versions: masters as drafts, translations for those that are
// reviewed (or all at once with reviewed, by which actor says that the masters were reviewed outside). values fill the
// placeholders. Everything or nothing is stored; doing it again changes nothing. Errors: *legaltext.FieldError, joined, with
// the files they are in; ErrStage for a text that differs from one announced under the same version.
func (s *Service) Import(ctx context.Context, actor string, files fs.FS, dir string, values map[string]string, reviewed bool) ([]Imported, error) {
	pairs, err := legaltext.ReadFolder(files, dir, values)
	if err != nil {
		return nil, err
	}
	return s.ImportTexts(ctx, actor, pairs, reviewed)
}

// ImportTexts is Import of texts that are read already, such as the samples.
func (s *Service) ImportTexts(ctx context.Context, actor string, pairs []legaltext.Pair, reviewed bool) ([]Imported, error) {
	var out []Imported
	err := s.db.InTx(ctx, func(ctx context.Context, tx *db.Tx) error {
		out = nil
		for i := range pairs {
			r, err := s.importPair(ctx, tx, actor, &pairs[i], reviewed)
			if err != nil {
				return fmt.Errorf("%s: %w", pairs[i].Master.FileName(), err)
			}
			out = append(out, *r)
		}
		return nil
	})
	return out, err
}

func (s *Service) importPair(ctx context.Context, tx *db.Tx, actor string, p *legaltext.Pair, reviewed bool) (*Imported, error) {
	old, err := loadVersion(ctx, tx, p.Master.Code, p.Master.Version)
	if err != nil && !errors.Is(err, ErrNotFound) {
		return nil, err
	}
	v, err := s.save(ctx, tx, actor, p.Master)
	if err != nil {
		return nil, err
	}
	r := &Imported{Code: v.Code, Version: v.Version, Set: v.Set, Hash: v.Hash, Result: "unchanged", Findings: legaltext.Lint(*p, s.hosts)}
	switch {
	case old == nil:
		r.Result = "new"
	case old.Hash != v.Hash:
		r.Result = "changed"
	}
	if reviewed && v.Stage == Draft {
		if v, err = s.review(ctx, tx, actor, v); err != nil {
			return nil, err
		}
	}
	if p.Translation != nil {
		if r.TranslationWaits = v.Stage == Draft; !r.TranslationWaits {
			before := v.Translation
			if v, err = s.translate(ctx, tx, actor, p.Translation); err != nil {
				return nil, err
			}
			if before != v.Translation && r.Result == "unchanged" {
				r.Result = "changed"
			}
		}
	}
	r.Stage = v.Stage
	return r, nil
}

// Lint looks over a version and its translation. Errors: ErrNotFound.
func (s *Service) Lint(ctx context.Context, code, version string) ([]legaltext.Finding, error) {
	v, err := loadVersion(ctx, s.db, code, version)
	if err != nil {
		return nil, err
	}
	var p legaltext.Pair
	if p.Master, err = s.text(ctx, s.db, v.Hash); err != nil {
		return nil, err
	}
	if v.Translation != "" {
		if p.Translation, err = s.text(ctx, s.db, v.Translation); err != nil {
			return nil, err
		}
	}
	return legaltext.Lint(p, s.hosts), nil
}
