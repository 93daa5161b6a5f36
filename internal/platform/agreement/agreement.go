package agreement

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/platform/agreement/legaltext"
)

//go:embed migrations
var migrations embed.FS

// Errors that callers tell apart. Wrong fields are *FieldError, wrong hashes *HashError.
var (
	// ErrNotFound says that there is no such document, version, set or edition.
	ErrNotFound = errors.New("agreement: not found")
	// ErrStage says that the version or edition is not in a state that allows the step.
	ErrStage = errors.New("agreement: the state does not allow this step")
	// ErrNotPublished says that a set has no edition in effect, so nobody can accept it.
	ErrNotPublished = errors.New("agreement: the set has no edition in effect")
	// ErrNotSigner says that the person may not sign for the account.
	ErrNotSigner = errors.New("agreement: this person may not sign for the account")
	// ErrAccepted says that an edition cannot be declined, because it binds the account already.
	ErrAccepted = errors.New("agreement: the edition binds the account already")
	// ErrConflict says that several specific rules of the same rank govern a topic and nobody has ruled which goes first.
	ErrConflict = errors.New("agreement: several rules of the same rank govern the topic")
)

// FieldError says which field is wrong and why.
type FieldError = legaltext.FieldError

// Sets that everybody accepts to become a user. The terms of a service are in the set ServiceSet names.
const (
	SetAgreement = "agreement"
	SetPrivacy   = "privacy"
)

// ServiceSet is the set of the terms of a service.
func ServiceSet(service string) string { return "service:" + service }

// signUpSets are accepted one by one, each by its own hash.
func signUpSets() []string { return []string{SetAgreement, SetPrivacy} }

// Keys seals where an acceptance came from, and derives the key that protects acceptances against change; *secret.Keys
// is one.
type Keys interface {
	Seal(plain, aad []byte) (string, error)
	Open(sealed string, aad []byte) ([]byte, error)
	Derive(purpose string) []byte
}

// minNotice is the least time between announcement and effect of a commercial change.
const minNotice = 7 * 24 * time.Hour

// Rules are the periods of an installation.
type Rules struct {
	// Commercial is the notice of commercial changes, at least 7 days; 0: 7 days.
	Commercial time.Duration
	// PersonalData is the notice of changes that concern personal data; 0: 7 days.
	PersonalData time.Duration
	// Exit is how long who declined may export, settle and close; 0: 30 days.
	Exit time.Duration
}

// Deps are what the service stands on.
type Deps struct {
	DB     *db.DB
	Clock  clock.Clock
	Audit  *audit.Log
	Outbox *outbox.Outbox
	Keys   Keys
	Rules  Rules
	// Hosts are those that texts may link to, for the lint.
	Hosts []string
	Log   *slog.Logger
}

// Service is the agreement service. It is safe for concurrent use.
type Service struct {
	db     *db.DB
	clock  clock.Clock
	audit  *audit.Log
	outbox *outbox.Outbox
	keys   Keys
	macKey []byte
	rules  Rules
	hosts  []string
	log    *slog.Logger

	texts   textCache
	settled settled
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "agreement", migrations) }

// New returns the service; Run tells when editions take effect. Errors: *FieldError for a rule that is too short.
func New(d Deps) (*Service, error) {
	r := d.Rules
	for _, p := range []struct {
		name      string
		value     *time.Duration
		otherwise time.Duration
	}{{"commercial", &r.Commercial, minNotice}, {"personal_data", &r.PersonalData, minNotice}, {"exit", &r.Exit, 30 * 24 * time.Hour}} {
		if *p.value < 0 {
			return nil, wrong(p.name, "must not be negative")
		}
		if *p.value == 0 {
			*p.value = p.otherwise
		}
	}
	if r.Commercial < minNotice {
		return nil, wrong("commercial", "the notice must be at least %v, not %v", minNotice, r.Commercial)
	}
	return &Service{
		db: d.DB, clock: d.Clock, audit: d.Audit, outbox: d.Outbox, keys: d.Keys, macKey: d.Keys.Derive("agreement/acceptance/v1"),
		rules: r, hosts: d.Hosts, log: d.Log,
		texts:   textCache{docs: map[string]*legaltext.Document{}},
		settled: settled{until: map[int64]map[settledKey]int64{}},
	}, nil
}

func (s *Service) now() int64 { return clock.Millis(s.clock.Now()) }

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Problem: fmt.Sprintf(format, args...)}
}

// reader reads, inside a transaction or outside.
type reader interface {
	Query(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRow(ctx context.Context, query string, args ...any) *sql.Row
}

// maxTexts bounds the texts kept parsed.
const maxTexts = 256

// textCache keeps parsed texts by hash. What is stored under a hash never changes.
type textCache struct {
	mu   sync.Mutex
	docs map[string]*legaltext.Document
}

func (c *textCache) get(hash string) *legaltext.Document {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.docs[hash]
}

func (c *textCache) put(hash string, d *legaltext.Document) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.docs) >= maxTexts {
		clear(c.docs)
	}
	c.docs[hash] = d
}
