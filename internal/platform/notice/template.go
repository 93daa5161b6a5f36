package notice

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/notice/wording"
)

//go:embed templates/builtin.json
var builtinFile embed.FS

// TemplateState is where a version of a template is.
type TemplateState int64

// States: a draft can be reviewed, a reviewed one is used until a newer one is reviewed or it is retired.
const (
	Draft TemplateState = iota + 1
	Reviewed
	Retired
)

// Template is what notices of a code say.
type Template struct {
	// Code is upper case with dashes, "N-MAINT".
	Code string `json:"code"`
	// Class is one of the classes; Category groups messages in the in-site box, a short word such as "maintenance".
	Class    string `json:"class"`
	Category string `json:"category"`
	// Channels are where recipients are told, Fallback where those are told, in this order, whom no channel reached. The in-site box is the
	// last fallback of mandatory classes, named or not.
	Channels []string `json:"channels"`
	Fallback []string `json:"fallback,omitempty"`
	// Acknowledge asks each reader of the in-site message to confirm it.
	Acknowledge  bool                  `json:"acknowledge,omitempty"`
	Placeholders []wording.Placeholder `json:"placeholders"`
	Texts        wording.Texts         `json:"texts"`

	// Version counts from 1; the texts that come with the program are version 0.
	Version    int64         `json:"-"`
	State      TemplateState `json:"-"`
	Hash       string        `json:"-"` // hexadecimal SHA-256 of all the above
	Author     string        `json:"-"`
	Reviewer   string        `json:"-"`
	CreatedAt  time.Time     `json:"-"`
	ReviewedAt time.Time     `json:"-"`
}

const maxVersions = 1000

var (
	codePattern     = regexp.MustCompile(`^N(?:-[A-Z0-9]{1,20}){1,5}$`)
	categoryPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)
)

// check is the form of a template without its wording.
func (t *Template) check() error {
	switch {
	case !codePattern.MatchString(t.Code):
		return &InvalidError{Field: "code", Reason: "must be upper case words joined by dashes, beginning with N-"}
	case !knownClass(t.Class):
		return &InvalidError{Field: "class", Reason: "must be one of: legal, security, billing, product, marketing"}
	case !categoryPattern.MatchString(t.Category):
		return &InvalidError{Field: "category", Reason: "must be 1 to 30 of a-z, 0-9 and -, beginning with a letter"}
	case len(t.Channels) == 0:
		return &InvalidError{Field: "channels", Reason: "must not be empty"}
	}
	if err := checkChannels("channels", t.Class, t.Channels, t.Texts.ZH.Short != ""); err != nil {
		return err
	}
	return checkChannels("fallback", t.Class, t.Fallback, t.Texts.ZH.Short != "")
}

// chain is the fallback as it is gone through: what is mandatory ends in the in-site box if nothing else reached the user.
func (t *Template) chain() []string {
	if Mandatory(t.Class) && !slices.Contains(t.Fallback, InSite) {
		return append(slices.Clone(t.Fallback), InSite)
	}
	return t.Fallback
}

func checkChannels(field, class string, list []string, short bool) error {
	for i, c := range list {
		switch {
		case c != InSite && c != Email && c != SMS:
			return &InvalidError{Field: field, Reason: "must be of: insite, email, sms"}
		case slices.Contains(list[:i], c):
			return &InvalidError{Field: field, Reason: "has " + c + " twice"}
		case c == SMS && class == Marketing:
			return &InvalidError{Field: field, Reason: "marketing does not go out by text message"}
		case c == SMS && !short:
			return &InvalidError{Field: field, Reason: "text messages need the short form of the texts"}
		}
	}
	return nil
}

// Lint is everything that is wrong with the wording of a template.
func (s *Service) Lint(t *Template) []wording.Problem {
	return s.rules.Lint(&t.Texts, t.Placeholders, t.Class == Security)
}

// SaveDraft stores a new version of a template as a draft. The wording may still have problems (Lint); the form may not. actor is who
// does it, as the audit log has it. The error may be an *InvalidError.
func (s *Service) SaveDraft(ctx context.Context, tx *db.Tx, actor string, t Template) (version int64, err error) {
	if err := t.check(); err != nil {
		return 0, err
	}
	body, hash, err := t.encode()
	if err != nil {
		return 0, err
	}
	if err := tx.QueryRow(ctx, `select coalesce(max(version), 0) + 1 from notice_template where code = $1`, t.Code).Scan(&version); err != nil {
		return 0, wrap("save template", err)
	}
	if version > maxVersions {
		return 0, &InvalidError{Field: "code", Reason: fmt.Sprintf("has %d versions already", maxVersions)}
	}
	_, err = tx.Exec(ctx, `insert into notice_template (code, version, state, body, hash, author, created_at, reviewer, reviewed_at)
		values ($1, $2, $3, $4, $5, $6, $7, '', 0)`, t.Code, version, int64(Draft), body, hash, actor, s.now())
	if err != nil {
		return 0, wrap("save template", err)
	}
	return version, s.log1(ctx, tx, actor, "notice_template.draft", t.Code, version, hash)
}

// Review makes a draft the text of its code. It fails with ErrNoTemplate, ErrNotDraft, ErrReviewer if reviewer wrote it, and an
// *InvalidError for the first problem of the wording.
func (s *Service) Review(ctx context.Context, tx *db.Tx, reviewer, code string, version int64) error {
	n, err := tx.Exec(ctx, `update notice_template set reviewer = $3, reviewed_at = $4, state = $5
		where code = $1 and version = $2 and state = $6`, code, version, reviewer, s.now(), int64(Reviewed), int64(Draft))
	if err != nil {
		return wrap("review", err)
	}
	t, err := queryTemplate(ctx, tx, `code = $1 and version = $2`, code, version)
	switch {
	case err != nil:
		return err
	case n == 0:
		return ErrNotDraft
	case t.Author == reviewer && !s.selfReview:
		return ErrReviewer
	}
	if err := wording.Error(s.Lint(t)); err != nil {
		return err
	}
	return s.log1(ctx, tx, reviewer, "notice_template.review", code, version, t.Hash)
}

// Retire takes a version out of use: the one reviewed before it, or the one that comes with the program, is used again.
func (s *Service) Retire(ctx context.Context, tx *db.Tx, actor, code string, version int64) error {
	n, err := tx.Exec(ctx, `update notice_template set state = $3 where code = $1 and version = $2 and state <> $3`, code, version, int64(Retired))
	if err != nil {
		return wrap("retire", err)
	}
	if n == 0 {
		return ErrNoTemplate
	}
	return s.log1(ctx, tx, actor, "notice_template.retire", code, version, "")
}

func (s *Service) log1(ctx context.Context, tx *db.Tx, actor, action, code string, version int64, hash string) error {
	return s.audit.Append(ctx, tx, audit.Entry{
		Actor: actor, Action: action, Object: fmt.Sprintf("notice_template:%s.%d", code, version), Detail: map[string]any{"hash": hash},
	})
}

// Template is what notices of a code say now: the newest reviewed version, or the text that comes with the program. ErrNoTemplate.
func (s *Service) Template(ctx context.Context, code string) (*Template, error) {
	return currentTemplate(ctx, s.db, code)
}

// Versions are all stored versions of a code, the newest first.
func (s *Service) Versions(ctx context.Context, code string) ([]Template, error) {
	return queryTemplates(ctx, s.db, `code = $1 order by version desc limit 1000`, code)
}

// Builtin are the texts that come with the program, by code.
func Builtin() (map[string]*Template, error) {
	data, err := builtinFile.ReadFile("templates/builtin.json")
	if err != nil {
		return nil, wrap("templates", err)
	}
	var list []*Template
	if err := json.Unmarshal(data, &list); err != nil {
		return nil, wrap("templates", err)
	}
	out := make(map[string]*Template, len(list))
	for _, t := range list {
		if _, t.Hash, err = t.encode(); err != nil {
			return nil, err
		}
		t.State = Reviewed
		out[t.Code] = t
	}
	return out, nil
}

func (t *Template) encode() (body, hash string, err error) {
	data, err := json.Marshal(t)
	if err != nil {
		return "", "", wrap("template", err)
	}
	sum := sha256.Sum256(data)
	return string(data), hex.EncodeToString(sum[:]), nil
}

func currentTemplate(ctx context.Context, q querier, code string) (*Template, error) {
	t, err := queryTemplate(ctx, q, `code = $1 and state = $2 order by version desc limit 1`, code, int64(Reviewed))
	if !errors.Is(err, ErrNoTemplate) {
		return t, err
	}
	builtin, err := Builtin()
	if err != nil {
		return nil, err
	}
	if t := builtin[code]; t != nil {
		return t, nil
	}
	return nil, ErrNoTemplate
}

func queryTemplate(ctx context.Context, q querier, where string, args ...any) (*Template, error) {
	list, err := queryTemplates(ctx, q, where, args...)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNoTemplate
	}
	return &list[0], nil
}

func queryTemplates(ctx context.Context, q querier, where string, args ...any) ([]Template, error) {
	rows, err := q.Query(ctx, `select version, state, body, hash, author, created_at, reviewer, reviewed_at from notice_template where `+where, args...)
	if err != nil {
		return nil, wrap("templates", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Template
	for rows.Next() {
		var (
			t                 Template
			body              string
			created, reviewed int64
			version, state    int64
			hash, author, who string
		)
		if err := rows.Scan(&version, &state, &body, &hash, &author, &created, &who, &reviewed); err != nil {
			return nil, wrap("templates", err)
		}
		if err := json.Unmarshal([]byte(body), &t); err != nil {
			return nil, wrap("template", err)
		}
		t.Version, t.State, t.Hash, t.Author, t.Reviewer = version, TemplateState(state), hash, author, who
		t.CreatedAt = clock.FromMillis(created)
		if reviewed > 0 {
			t.ReviewedAt = clock.FromMillis(reviewed)
		}
		out = append(out, t)
	}
	return out, rows.Err()
}
