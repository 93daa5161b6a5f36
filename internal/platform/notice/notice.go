package notice

import (
	"cmp"
	"context"
	"embed"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/mail"
	"borealis/internal/kernel/secret"
	"borealis/internal/platform/notice/announce"
	"borealis/internal/platform/notice/status"
	"borealis/internal/platform/notice/wording"
)

//go:embed migrations
var migrations embed.FS

// Classes of notices.
const (
	Legal     = "legal"     // agreements, contracts, sanctions, changes of service
	Security  = "security"  // log-ins, contact data, keys, breaches
	Billing   = "billing"   // prices, statements, balances
	Product   = "product"   // news of the product; on unless turned off
	Marketing = "marketing" // off unless turned on; never by text message
)

// Channels.
const (
	InSite = "insite"
	Email  = "email"
	SMS    = "sms"
)

// Mandatory tells whether notices of a class reach users whatever they prefer.
func Mandatory(class string) bool { return class == Legal || class == Security || class == Billing }

func knownClass(class string) bool {
	return Mandatory(class) || class == Product || class == Marketing
}

// Errors of the service. InvalidError names a field that cannot be taken.
var (
	ErrNoTemplate = errors.New("notice: there is no reviewed template of this code")
	ErrNoNotice   = errors.New("notice: there is no such notice")
	ErrNoMessage  = errors.New("notice: there is no such message in this box")
	ErrConflict   = errors.New("notice: the key belongs to another notice, or somebody else is writing it at this moment")
	ErrBusy       = errors.New("notice: too much is waiting to be sent")
	ErrReviewer   = errors.New("notice: a template is reviewed by somebody other than its author")
	ErrNotDraft   = errors.New("notice: only a draft can be reviewed")
)

// InvalidError is a value that cannot be taken.
type InvalidError = wording.InvalidError

// Contact is the operator as the foot of every e-mail names them (AG-CS-01).
type Contact struct {
	// BrandZH and BrandEN are the operator's name.
	BrandZH, BrandEN string
	// Phone and Email of support; empty ones are left out.
	Phone, Email string
}

// Text is a text message to one mobile number.
type Text struct {
	// ID is the same in every attempt at a message.
	ID string
	// Mobile as E.164 has it. Locale is "zh" or "en".
	Mobile, Locale string
	// Code and Values are those of the notice, for providers that want templates of their own; Body is the finished text for others.
	Code   string
	Values map[string]string
	Body   string
}

// TextOutcome is what became of a text message.
type TextOutcome struct {
	// Class as for e-mail.
	Class mail.Class
	// Unsure: it may have been sent, and is not to be repeated, because it costs.
	Unsure bool
	// Code and Reason of the provider, without the number.
	Code, Reason string
}

// Texter sends text messages. It answers within a minute, or when its context ends.
type Texter interface {
	Text(ctx context.Context, t Text) TextOutcome
}

// Deps is what the service stands on.
type Deps struct {
	DB    *db.DB
	Clock clock.Clock
	Log   *slog.Logger
	Keys  *secret.Keys
	Audit *audit.Log
	// Mail sends e-mail; nil: there is none, and its recipients go on to the fallback.
	Mail *mail.Mailer
	// Texter sends text messages; nil: there are none.
	Texter Texter
	// Hosts are the operator's own, see wording.Rules.
	Hosts   []string
	Contact Contact
	// UnsubscribeURL is where one POST with a token (appended to it) ends optional mail, e.g. "https://console.example.com/u/".
	UnsubscribeURL string
	// SelfReview lets authors review their own templates: for an installation of one person.
	SelfReview bool
	// MaxWaiting bounds the deliveries that wait; 0: 200,000.
	MaxWaiting int
	// IncidentOpened is called in the transaction in which an overrun of a maintenance becomes an incident; nil: nobody is told.
	IncidentOpened status.Opened
}

// Service keeps and sends notices. It is safe for concurrent use.
type Service struct {
	// Announcements and Status are the public half.
	Announcements *announce.Service
	Status        *status.Service

	db         *db.DB
	clock      clock.Clock
	log        *slog.Logger
	keys       *secret.Keys
	audit      *audit.Log
	mail       *mail.Mailer
	texter     Texter
	rules      wording.Rules
	contact    Contact
	unsub      string
	selfReview bool
	maxWaiting int64
	zone       *time.Location

	// waiting is about how many deliveries wait, as counted last and accepted since.
	waiting atomic.Int64
	wake    map[string]chan struct{}
	release chan struct{}
}

const maxWaiting = 200_000

// Migrate brings the tables of the package and of those below it forward.
func Migrate(ctx context.Context, d *db.DB) error {
	if err := d.Migrate(ctx, "notice", migrations); err != nil {
		return err
	}
	if err := announce.Migrate(ctx, d); err != nil {
		return err
	}
	return status.Migrate(ctx, d)
}

// New returns the service; Run sends.
func New(d Deps) *Service {
	rules := wording.Rules{Hosts: slices.Clone(d.Hosts)}
	return &Service{
		Announcements: announce.New(announce.Deps{DB: d.DB, Clock: d.Clock, Audit: d.Audit, Rules: rules}),
		Status:        status.New(status.Deps{DB: d.DB, Clock: d.Clock, Log: d.Log, Audit: d.Audit, Rules: rules, Opened: d.IncidentOpened}),
		db:            d.DB, clock: d.Clock, log: d.Log, keys: d.Keys, audit: d.Audit, mail: d.Mail, texter: d.Texter, rules: rules, contact: d.Contact,
		unsub: d.UnsubscribeURL, selfReview: d.SelfReview, maxWaiting: int64(cmp.Or(d.MaxWaiting, maxWaiting)),
		zone:    time.FixedZone("Asia/Shanghai", 8*60*60), // no summer time since 1991
		wake:    map[string]chan struct{}{Email: make(chan struct{}, mailWorkers), SMS: make(chan struct{}, textWorkers)},
		release: make(chan struct{}, 1),
	}
}

// Run sends what is due, hands out big notices, watches maintenance windows and drops what is old, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	if err := s.recover(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("deliveries of the last run wait for their leases to end", "err", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	for range mailWorkers {
		g.Go(func() error { return s.work(ctx, Email) })
	}
	for range textWorkers {
		g.Go(func() error { return s.work(ctx, SMS) })
	}
	g.Go(func() error { return s.keepHouse(ctx) })
	g.Go(func() error { return s.Status.Run(ctx) })
	return g.Wait()
}

// date is the calendar date in Shanghai.
func (s *Service) date(ms int64) string { return clock.FromMillis(ms).In(s.zone).Format(time.DateOnly) }

func (s *Service) now() int64 { return clock.Millis(s.clock.Now()) }

func (s *Service) poke() {
	for _, c := range s.wake {
		for range cap(c) {
			select {
			case c <- struct{}{}:
			default:
			}
		}
	}
	select {
	case s.release <- struct{}{}:
	default:
	}
}

func wrap(what string, err error) error { return fmt.Errorf("notice: %s: %w", what, err) }
