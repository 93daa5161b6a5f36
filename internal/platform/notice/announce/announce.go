// Package announce keeps what the operator says to everybody (AG-NOT-02): public, dated, under links that last, with a feed.
//
// Tables: notice_announcement, notice_announcement_revision. Events: none.
//
// Invariants: an announcement is never deleted and its slug never given again; its text is never changed but by a new revision, with a reason,
// and all revisions stay visible; the date is that of publication and cannot be chosen; texts are in Chinese and English and pass the
// linter; every act is in the audit log, by the caller's transaction.
package announce

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/platform/notice/wording"
)

//go:embed migrations
var migrations embed.FS

// Errors of the service.
var (
	ErrNone   = errors.New("announce: there is no announcement under this link")
	ErrExists = errors.New("announce: there is an announcement under this link already")
)

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
	Audit *audit.Log
	Rules wording.Rules
}

// Service keeps announcements. It is safe for concurrent use.
type Service struct{ Deps }

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error {
	return d.Migrate(ctx, "notice_announce", migrations)
}

// New returns the service.
func New(d Deps) *Service { return &Service{d} }

// Announcement is one as everybody sees it.
type Announcement struct {
	// Slug is the last part of its link.
	Slug, Category string
	// Texts of the newest revision, which has this number, counted from 1.
	Texts    wording.Texts
	Revision int64
	// Hash is the hexadecimal SHA-256 of the texts.
	Hash string
	// ID orders announcements of the same time.
	ID int64
	// PublishedAt, RevisedAt and ArchivedAt are Unix ms; RevisedAt is PublishedAt before the first revision, ArchivedAt 0 while current.
	PublishedAt, RevisedAt, ArchivedAt int64
}

// Date is the calendar date of publication in Shanghai.
func (a *Announcement) Date() string {
	return clock.FromMillis(a.PublishedAt).In(time.FixedZone("Asia/Shanghai", 8*60*60)).Format(time.DateOnly)
}

// Revision is one state of an announcement's text.
type Revision struct {
	Number int64
	Texts  wording.Texts
	Hash   string
	// Reason says why it was revised; empty for the first.
	Reason string
	Actor  string
	At     int64
}

var (
	slugPattern     = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{2,79}$`)
	categoryPattern = regexp.MustCompile(`^[a-z][a-z0-9-]{0,29}$`)
)

const (
	maxReason    = 500
	maxRevisions = 1000
	maxPage      = 100
)

func invalid(field, reason string) error { return &wording.InvalidError{Field: field, Reason: reason} }

// Publish makes an announcement public when the caller's transaction commits. An empty slug becomes one of date and chance. Errors:
// *wording.InvalidError, ErrExists.
func (s *Service) Publish(ctx context.Context, tx *db.Tx, actor, slug, category string, texts wording.Texts) (string, error) {
	now := clock.Millis(s.Clock.Now())
	if slug == "" {
		unique := id.NewUUID()
		slug = (&Announcement{PublishedAt: now}).Date() + "-" + unique[len(unique)-8:]
	}
	if !slugPattern.MatchString(slug) {
		return "", invalid("slug", "must be 3 to 80 of a-z, 0-9 and -, beginning with a letter or a digit")
	}
	if !categoryPattern.MatchString(category) {
		return "", invalid("category", "must be 1 to 30 of a-z, 0-9 and -, beginning with a letter")
	}
	if err := wording.Error(s.Rules.Lint(&texts, nil, false)); err != nil {
		return "", err
	}
	var number int64
	rows, err := tx.Query(ctx, `insert into notice_announcement (slug, category, revision, published_at, revised_at, archived_at) values ($1, $2, 1, $3, $3, 0)
		on conflict (slug) do nothing returning id`, slug, category, now)
	if err != nil {
		return "", fmt.Errorf("announce: publish: %w", err)
	}
	if rows.Next() {
		err = rows.Scan(&number)
	}
	if err = errors.Join(err, rows.Err(), rows.Close()); err != nil {
		return "", fmt.Errorf("announce: publish: %w", err)
	}
	if number == 0 {
		return "", ErrExists
	}
	hash, err := s.insert(ctx, tx, number, 1, actor, "", texts, now)
	if err != nil {
		return "", err
	}
	return slug, s.audit(ctx, tx, actor, "announcement.publish", slug, map[string]any{"hash": hash})
}

// Revise gives an announcement another text, with the reason that everybody sees. Errors: *wording.InvalidError, ErrNone.
func (s *Service) Revise(ctx context.Context, tx *db.Tx, actor, slug, reason string, texts wording.Texts) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	if err := wording.Error(s.Rules.Lint(&texts, nil, false)); err != nil {
		return err
	}
	now := clock.Millis(s.Clock.Now())
	var number, revision int64
	err := tx.QueryRow(ctx, `update notice_announcement set revision = revision + 1, revised_at = $2 where slug = $1 returning id, revision`, slug, now).Scan(&number, &revision)
	if errors.Is(err, db.ErrNoRows) {
		return ErrNone
	}
	if err != nil {
		return fmt.Errorf("announce: revise: %w", err)
	}
	if revision > maxRevisions {
		return invalid("slug", fmt.Sprintf("has %d revisions already", maxRevisions))
	}
	hash, err := s.insert(ctx, tx, number, revision, actor, reason, texts, now)
	if err != nil {
		return err
	}
	return s.audit(ctx, tx, actor, "announcement.revise", slug, map[string]any{"hash": hash, "revision": revision, "reason": reason})
}

// Archive takes an announcement off the list of current ones. Its link stays. Errors: *wording.InvalidError, ErrNone.
func (s *Service) Archive(ctx context.Context, tx *db.Tx, actor, slug, reason string) error {
	if err := checkReason(reason); err != nil {
		return err
	}
	n, err := tx.Exec(ctx, `update notice_announcement set archived_at = $2 where slug = $1 and archived_at = 0`, slug, clock.Millis(s.Clock.Now()))
	if err != nil {
		return fmt.Errorf("announce: archive: %w", err)
	}
	if n == 0 {
		return ErrNone
	}
	return s.audit(ctx, tx, actor, "announcement.archive", slug, map[string]any{"reason": reason})
}

func checkReason(reason string) error {
	if strings.TrimSpace(reason) == "" || len(reason) > maxReason {
		return invalid("reason", fmt.Sprintf("must have 1 to %d bytes", maxReason))
	}
	return nil
}

func (s *Service) insert(ctx context.Context, tx *db.Tx, number, revision int64, actor, reason string, texts wording.Texts, now int64) (string, error) {
	data, err := json.Marshal(texts)
	if err != nil {
		return "", fmt.Errorf("announce: %w", err)
	}
	sum := sha256.Sum256(data)
	hash := hex.EncodeToString(sum[:])
	_, err = tx.Exec(ctx, `insert into notice_announcement_revision (announcement_id, revision, texts, hash, reason, actor, at) values ($1, $2, $3, $4, $5, $6, $7)`,
		number, revision, string(data), hash, reason, actor, now)
	if err != nil {
		return "", fmt.Errorf("announce: %w", err)
	}
	return hash, nil
}

func (s *Service) audit(ctx context.Context, tx *db.Tx, actor, action, slug string, detail any) error {
	return s.Audit.Append(ctx, tx, audit.Entry{Actor: actor, Action: action, Object: "announcement:" + slug, Detail: detail})
}

// Filter chooses announcements; zero values choose all.
type Filter struct {
	Category string
	// Archived: the archived ones instead of the current ones. All: both.
	Archived, All bool
	// Before and BeforeID continue after the last of a page: its PublishedAt and ID.
	Before, BeforeID int64
	// Limit is 1 to 100; 0: 20.
	Limit int
}

const columns = `a.id, a.slug, a.category, a.revision, a.published_at, a.revised_at, a.archived_at, r.texts, r.hash
	from notice_announcement a join notice_announcement_revision r on r.announcement_id = a.id and r.revision = a.revision`

// List lists announcements, the newest first.
func (s *Service) List(ctx context.Context, f Filter) ([]Announcement, error) {
	limit := f.Limit
	if limit <= 0 {
		limit = 20
	}
	before := f.Before
	if before == 0 {
		before = 1 << 62
	}
	rows, err := s.DB.Query(ctx, `select `+columns+` where ($1 = '' or a.category = $1) and ($2 = 1 or ($3 = 1 and a.archived_at > 0) or ($3 = 0 and a.archived_at = 0))
		and (a.published_at < $4 or a.published_at = $4 and a.id < $5) order by a.published_at desc, a.id desc limit $6`,
		f.Category, bit(f.All), bit(f.Archived), before, f.BeforeID, min(limit, maxPage))
	if err != nil {
		return nil, fmt.Errorf("announce: list: %w", err)
	}
	return scan(rows)
}

func bit(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

// Get is the announcement under a link, archived or not. ErrNone.
func (s *Service) Get(ctx context.Context, slug string) (*Announcement, error) {
	rows, err := s.DB.Query(ctx, `select `+columns+` where a.slug = $1`, slug)
	if err != nil {
		return nil, fmt.Errorf("announce: get: %w", err)
	}
	list, err := scan(rows)
	if err != nil {
		return nil, err
	}
	if len(list) == 0 {
		return nil, ErrNone
	}
	return &list[0], nil
}

func scan(rows *sql.Rows) ([]Announcement, error) {
	defer func() { _ = rows.Close() }()
	var out []Announcement
	for rows.Next() {
		var (
			a     Announcement
			texts string
		)
		if err := rows.Scan(&a.ID, &a.Slug, &a.Category, &a.Revision, &a.PublishedAt, &a.RevisedAt, &a.ArchivedAt, &texts, &a.Hash); err != nil {
			return nil, fmt.Errorf("announce: %w", err)
		}
		if err := json.Unmarshal([]byte(texts), &a.Texts); err != nil {
			return nil, fmt.Errorf("announce: texts: %w", err)
		}
		out = append(out, a)
	}
	return out, rows.Err()
}

// Revisions are all texts that an announcement has had, the first one first. ErrNone.
func (s *Service) Revisions(ctx context.Context, slug string) ([]Revision, error) {
	rows, err := s.DB.Query(ctx, `select r.revision, r.texts, r.hash, r.reason, r.actor, r.at
		from notice_announcement_revision r join notice_announcement a on a.id = r.announcement_id where a.slug = $1 order by r.revision`, slug)
	if err != nil {
		return nil, fmt.Errorf("announce: revisions: %w", err)
	}
	defer func() { _ = rows.Close() }()
	var out []Revision
	for rows.Next() {
		var (
			r     Revision
			texts string
		)
		if err := rows.Scan(&r.Number, &texts, &r.Hash, &r.Reason, &r.Actor, &r.At); err != nil {
			return nil, fmt.Errorf("announce: revisions: %w", err)
		}
		if err := json.Unmarshal([]byte(texts), &r.Texts); err != nil {
			return nil, fmt.Errorf("announce: revisions: %w", err)
		}
		out = append(out, r)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(out) == 0 {
		return nil, ErrNone
	}
	return out, nil
}
