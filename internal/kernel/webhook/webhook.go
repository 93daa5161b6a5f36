package webhook

import (
	"cmp"
	"context"
	"crypto/x509"
	"embed"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/netguard"
)

//go:embed migrations
var migrations embed.FS

// Deps is what the service stands on.
type Deps struct {
	DB      *db.DB
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Allow are networks that deliveries may go to although they are not public.
	Allow []netip.Prefix
	// Resolver looks up hosts; nil: the system's.
	Resolver *net.Resolver
	// Roots are the certificate authorities that receivers may have; nil: the system's.
	Roots *x509.CertPool
	// Timeout bounds one attempt with all its redirects; 0: 10 s.
	Timeout time.Duration
	// MaxWaiting bounds the deliveries that wait for one owner and host, see Room; 0: 1,000.
	MaxWaiting int
}

// Credentials prove to a receiver who sends.
type Credentials struct {
	// Secret is the key of the signature.
	Secret string
	// User and Password are sent by HTTP Basic authentication; no User, no authentication.
	User, Password string
}

// Source says with which credentials a delivery is sent (its Body is not filled in). An error counts as a failed
// attempt.
type Source func(ctx context.Context, d Delivery) (Credentials, error)

// Service keeps and sends deliveries. It is safe for concurrent use.
type Service struct {
	db         *db.DB
	clock      clock.Clock
	log        *slog.Logger
	metrics    *metrics
	client     *client
	timeout    time.Duration
	maxWaiting int
	sources    map[string]Source

	wake    chan struct{}
	freed   chan struct{}
	sending sync.WaitGroup

	mu sync.Mutex
	// inFlight counts by host what this node sends now, and all of it.
	inFlight map[string]int
	all      int
	// free are hosts of which something ended since the dispatcher looked last.
	free map[string]struct{}
	// checking has the owners for whom an address check runs.
	checking map[int64]struct{}
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "webhook", migrations) }

// New returns the service. Run sends.
func New(d Deps) *Service {
	timeout := cmp.Or(d.Timeout, attemptTimeout)
	s := &Service{
		db: d.DB, clock: d.Clock, log: d.Log, timeout: timeout, maxWaiting: cmp.Or(d.MaxWaiting, maxWaiting),
		client:   newClient(netguard.New(d.Allow), d.Resolver, d.Roots, timeout),
		sources:  make(map[string]Source),
		wake:     make(chan struct{}, 1),
		freed:    make(chan struct{}, 1),
		inFlight: make(map[string]int),
		free:     make(map[string]struct{}),
		checking: make(map[int64]struct{}),
	}
	s.metrics = newMetrics(d.Metrics, s)
	return s
}

// Register names the source of a kind of deliveries, which stays the same for ever. Register everything before Run and
// the first Enqueue.
func (s *Service) Register(kind string, source Source) { s.sources[kind] = source }

// Wake makes this node look for deliveries now instead of within a second.
func (s *Service) Wake() { signal(s.wake) }

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
