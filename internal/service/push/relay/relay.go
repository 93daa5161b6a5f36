package relay

import (
	"context"
	"embed"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/service/push/relay/vendor"
)

//go:embed migrations
var migrations embed.FS

// Sealer encrypts the credentials; *secret.Keys is one.
type Sealer interface {
	Seal(plain, aad []byte) (string, error)
	Open(sealed string, aad []byte) ([]byte, error)
}

// Devices knows who has not moved over; *device.Registry is one.
type Devices interface {
	Unclaimed(ctx context.Context, app int64) (*roaring.Bitmap, error)
	ImportedIDs(ctx context.Context, app int64, ordinals []uint32) (map[uint32]string, error)
}

// Leases say who works for an app; *lease.Keeper of the push partitions is one.
type Leases interface {
	Fence(partition int) (int64, error)
	Check(ctx context.Context, tx *db.Tx, partition int) error
}

// Settler ends what is owed of a message to devices, as accepted by a vendor. Doing it again changes nothing. It is
// called on the node that owns the app's partition.
type Settler interface {
	Settle(ctx context.Context, app, msg int64, ordinals []uint32) error
}

// Deps are what the service stands on.
type Deps struct {
	DB      *db.DB
	Gate    *gate.Gate
	Devices Devices
	Leases  Leases
	Sealer  Sealer
	Clock   clock.Clock
	Log     *slog.Logger
	// Secret is the master secret of an app here, used at the vendor by apps whose Account has none of its own.
	Secret func(ctx context.Context, appKey string) (string, error)
	// Transport of the calls; nil: the usual one. It must verify TLS.
	Transport http.RoundTripper
}

// Service relays. It is safe for concurrent use.
type Service struct {
	Deps
	http  *http.Client
	wake  chan struct{}
	slots chan struct{} // of apps that are worked on
	turns sync.WaitGroup
	first int64 // app that the next round begins with; only Run's goroutine uses it

	mu    sync.Mutex
	lines map[int64]*line
}

// line is what this node remembers of an app's calls.
type line struct {
	running bool
	mu      sync.Mutex
	// until nothing is to be called, Unix milliseconds; failures without a success between.
	until    int64
	failures int
	// cidMu is held while keys are asked for.
	cidMu  sync.Mutex
	cids   []string // not used yet
	cidsAt int64
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "push_relay", migrations) }

// New returns the service; Run does its work.
func New(d Deps) *Service {
	return &Service{
		Deps: d, http: vendor.HTTPClient(d.Transport), wake: make(chan struct{}, 1), slots: make(chan struct{}, maxApps),
		lines: make(map[int64]*line),
	}
}

const (
	// tick is how often the database is asked for work: it may have been accepted on another node.
	tick = time.Second
	// maxApps bounds the apps that are worked on at once.
	maxApps = 16
	// cleanTick is how often old messages are deleted.
	cleanTick = 10 * time.Minute
)

// Wake looks for work at once. Call it after the transaction of Record has committed; without it the work waits for a second.
func (s *Service) Wake() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends, for apps whose partition this node owns.
func (s *Service) Run(ctx context.Context, parent Settler) error {
	ticker, clean := time.NewTicker(tick), time.NewTicker(cleanTick)
	defer ticker.Stop()
	defer clean.Stop()
	defer s.turns.Wait()
	for {
		if err := s.round(ctx, parent); err != nil && ctx.Err() == nil {
			s.Log.Warn("relay", "err", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		case <-s.wake:
		case <-clean.C:
			if err := s.clean(ctx); err != nil && ctx.Err() == nil {
				s.Log.Warn("relayed messages not deleted", "err", err)
			}
		}
	}
}

// round starts a turn for each app that has work and none running, beginning where the last round ran out of slots. It does
// not wait for them (turns).
func (s *Service) round(ctx context.Context, parent Settler) error {
	var apps []int64
	for app := int64(0); ; {
		var err error
		if app, err = nextApp(ctx, s.DB, app); err != nil {
			return err
		}
		if app == 0 {
			break
		}
		apps = append(apps, app)
	}
	first, _ := slices.BinarySearch(apps, s.first)
	for _, app := range slices.Concat(apps[first:], apps[:first]) {
		facts := s.Gate.AppByID(app)
		if _, err := s.Leases.Fence(edgewire.Partition(app)); err != nil || facts == nil {
			continue
		}
		l := s.begin(app)
		if l == nil {
			continue
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.end(l)
			s.first = app
			return nil
		}
		s.turns.Go(func() {
			defer func() { <-s.slots; s.end(l) }()
			if err := s.turn(ctx, parent, facts, l); err != nil && ctx.Err() == nil {
				s.Log.Warn("relay", "app", app, "err", err)
			}
		})
	}
	return nil
}

// begin takes the app's line, unless a turn has it.
func (s *Service) begin(app int64) *line {
	s.mu.Lock()
	defer s.mu.Unlock()
	l := s.lines[app]
	if l == nil {
		l = &line{}
		s.lines[app] = l
	}
	if l.running {
		return nil
	}
	l.running = true
	return l
}

func (s *Service) end(l *line) {
	s.mu.Lock()
	defer s.mu.Unlock()
	l.running = false
}

// paused tells whether the app's calls wait.
func (l *line) paused(now int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return now < l.until
}

// pause makes them wait, at least so long.
func (l *line) pause(now int64, d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.until = max(l.until, now+d.Milliseconds())
}

// failed counts a failure and makes the calls wait for longer with each.
func (l *line) failed(now int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now < l.until {
		return // another call of the same moment has counted it
	}
	l.failures++
	l.until = max(l.until, now+backoff(l.failures).Milliseconds())
}

func (l *line) succeeded() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.failures = 0
}
