package push

import (
	"cmp"
	"context"
	"embed"
	"log/slog"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/gate"
	"borealis/internal/engine/presence"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/jobs"
	"borealis/internal/kernel/lease"
	"borealis/internal/kernel/webhook"
	"borealis/internal/service/push/relay"
	"borealis/internal/service/push/route"
)

//go:embed migrations
var migrations embed.FS

// Deps is what the service stands on.
type Deps struct {
	DB       *db.DB
	Bus      *bus.Bus
	Outbox   *outbox.Outbox
	Gate     *gate.Gate
	Audience *audience.Index
	Devices  *device.Registry
	Presence *presence.Presence
	Leases   *lease.Keeper
	IDs      *id.Sequence
	Clock    clock.Clock
	Log      *slog.Logger
	Metrics  prometheus.Registerer
	// Blobs keep what is uploaded.
	Blobs *blob.Store
	// Hooks deliver receipts to the servers of apps.
	Hooks *webhook.Service
	// CallbackSecret is what the receipts of an app are signed with.
	CallbackSecret func(*gate.App) string
	// Jobs fire schedules.
	Jobs *jobs.Queue
	// Sealer encrypts credentials for the database.
	Sealer relay.Sealer
	// Audit keeps who changed credentials at vendors.
	Audit *audit.Log
	// Channels send through vendors; nil: there are none.
	Channels *channel.Dispatcher
	// SMS sends short messages; nil: there are none.
	SMS route.ShortMessages
	// ReceiptURL is where a vendor that is told with each message reports to. Optional.
	ReceiptURL func(appKey string, name wire.Name) string
	// MasterSecret finds the master secret of an app by its key.
	MasterSecret func(ctx context.Context, appKey string) (string, error)
	// PublicURL is the base of addresses at which the server is reached by who makes a request.
	PublicURL func(*http.Request) string
	// Zone of times in answers that belong to no app.
	Zone *time.Location
	// ClientIP of a request, for the allow-lists of the apps of a group. Optional.
	ClientIP func(*http.Request) netip.Addr
	// Node is the name under which this node numbers its broadcasts; unique among running nodes and runs.
	Node string
	// MaxRows is the largest number of targets kept as rows; 0: 1,000.
	MaxRows int
}

// Service is the push service. It is safe for concurrent use.
type Service struct {
	parts

	db       *db.DB
	bus      *bus.Bus
	outbox   *outbox.Outbox
	gate     *gate.Gate
	audience *audience.Index
	devices  *device.Registry
	presence *presence.Presence
	leases   *lease.Keeper
	ids      *id.Sequence
	clock    clock.Clock
	log      *slog.Logger
	metrics  *metrics
	node     string
	clientIP func(*http.Request) netip.Addr
	maxRows  int

	merges  chan *merge
	slots   chan struct{} // of background work
	behind  sync.WaitGroup
	pending *pending

	rows     recent[fact]     // messages known to be kept as rows
	released recent[struct{}] // messages known to have been handed to the edges

	seqMu sync.Mutex
	seqs  map[int64]uint64 // by app: number of broadcasts this node sent

	mu    sync.RWMutex
	wides map[int64]*wide    // by message
	byApp map[int64][]*wide  // live ones, in order of acceptance
	owned map[int]*ownership // by partition
}

// ownership is what the node remembers of a partition it owns.
type ownership struct {
	// releasedTo: everything accepted up to then (Unix ms) has been handed to the edges.
	releasedTo atomic.Int64
	// noticed counts messages since releasedTo was stored last.
	noticed atomic.Int64
}

// New returns the service. Run runs its loops.
func New(d Deps) *Service {
	s := &Service{
		db: d.DB, bus: d.Bus, outbox: d.Outbox, gate: d.Gate, audience: d.Audience, devices: d.Devices, presence: d.Presence,
		leases: d.Leases, ids: d.IDs, clock: d.Clock, log: d.Log, node: d.Node, clientIP: d.ClientIP, maxRows: cmp.Or(d.MaxRows, maxRows),
		merges:  make(chan *merge, mergeQueue),
		slots:   make(chan struct{}, maxBackground),
		pending: newPending(),
		wides:   make(map[int64]*wide),
		byApp:   make(map[int64][]*wide),
		owned:   make(map[int]*ownership),
		seqs:    make(map[int64]uint64),
	}
	if d.Channels == nil {
		d.Channels = channel.New(d.Clock)
	}
	s.parts = newParts(s, &d)
	s.metrics = newMetrics(d.Metrics, s)
	return s
}

// Run merges receipts, offers what is not acknowledged, expires and cleans up, until ctx ends.
func (s *Service) Run(ctx context.Context) error {
	// At once: an edge that knows this node notices if it misses the first broadcast. A failure is made good by the next.
	if err := s.sync(ctx); err != nil {
		s.log.Warn("edges not told of this node", "err", err)
	}
	var wg sync.WaitGroup
	defer s.behind.Wait()
	defer wg.Wait()
	wg.Go(func() { s.every(ctx, offerTick, s.offer) })
	wg.Go(func() { s.every(ctx, syncTick, s.sync) })
	wg.Go(func() { s.every(ctx, rescanTick, s.rescan) })
	wg.Go(func() { s.every(ctx, paceTick, s.releasePaced) })
	wg.Go(func() { s.every(ctx, sweepTick, s.sweep) })
	s.run(ctx, &wg, s, func(err error) { s.log.Error("a part of the push service ended", "err", err) })
	return s.runMerger(ctx)
}

// every calls work at a pace until ctx ends. An error is logged: each of the loops tries again at its next turn.
func (s *Service) every(ctx context.Context, pace time.Duration, work func(context.Context) error) {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := work(ctx); err != nil && ctx.Err() == nil {
				s.log.Warn("push loop", "err", err)
			}
		}
	}
}
