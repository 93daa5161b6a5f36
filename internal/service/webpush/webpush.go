package webpush

import (
	"cmp"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/secret"
	"borealis/internal/service/push/pushevent"
)

//go:embed migrations
var migrations embed.FS

// Message is what is to be brought to a device.
type Message struct {
	App          int64
	Ordinal      uint32
	Subscription int64
	// Topic: it takes the place of a message of the same subscription and topic that the device does not have yet. "" is none.
	Topic string
	// Body is the member "webpush" of the device's frame, a JSON object.
	Body json.RawMessage
	// TTL 0 reaches the device only if it is connected now.
	TTL time.Duration
	// Receipt, if not 0, asks for an event pushevent.FrameEnded with this number when it is known what became of the message.
	Receipt int64
}

// Refusals of Sender.Send.
var (
	// ErrNoDevice: the device has ended, for ever.
	ErrNoDevice = errors.New("webpush: no such device")
	// ErrFull: too many messages of the subscription wait for the device.
	ErrFull = errors.New("webpush: too many messages wait for the device")
)

// Sender brings messages to devices and keeps them until they are acknowledged or their time to live is over.
type Sender interface {
	// Send returns when the message is durable. also runs in the transaction that stores it, before anything else; its error
	// is returned as it is. Others: ErrNoDevice, ErrFull.
	Send(ctx context.Context, m Message, also func(context.Context, *db.Tx) error) (msg int64, err error)
	// Withdraw forgets a message; it reports whether the device did not have it yet.
	Withdraw(ctx context.Context, app, subscription, msg int64) (bool, error)
	// WithdrawAll forgets all messages of a subscription.
	WithdrawAll(ctx context.Context, app int64, ordinal uint32, subscription int64) error
}

// Devices tells which devices exist.
type Devices interface {
	// Sync waits until everything committed before has been heard.
	Sync(ctx context.Context, app int64) error
	// Known returns those of the ordinals that belong to a device, in the same array.
	Known(app int64, ordinals []uint32) []uint32
}

// Limits are numbers of messages a minute. 0 is the default, below 0 there is no limit.
type Limits struct {
	// Subscription bounds those for one subscription; 0: 120.
	Subscription int
	// Sender bounds those of one application server, known by its key (VAPID); 0: 30,000.
	Sender int
	// Address bounds those of senders that do not say who they are, by IP address; 0: 600.
	Address int
	// Calls bounds all calls of an IP address, signed or not: a key costs nothing; 0: 30,000.
	Calls int
}

// Deps is what the service stands on.
type Deps struct {
	DB      *db.DB
	Gate    *gate.Gate
	Devices Devices
	Sender  Sender
	Keys    *secret.Keys
	Clock   clock.Clock
	Log     *slog.Logger
	Metrics prometheus.Registerer
	// Outbox tells what became of messages.
	Outbox *outbox.Outbox
	// PublicURL is the base of the addresses at which the server is reached by who makes a request.
	PublicURL func(*http.Request) string
	// ClientIP of a request.
	ClientIP func(*http.Request) netip.Addr
	Limits   Limits
}

// Service is the push service. It is safe for concurrent use.
type Service struct {
	Deps
	ids       *id.Sequence
	results   *prometheus.CounterVec
	bySub     *ratelimit.Buckets[int64]
	bySender  *ratelimit.Buckets[string]
	byAddress *ratelimit.Buckets[netip.Prefix]
	calls     *ratelimit.Buckets[netip.Prefix]
	// byReceipts bounds the requests for receipts of one receipt subscription.
	byReceipts *ratelimit.Buckets[int64]
	readers    *readers
}

const (
	// maxRateKeys bounds the memory of each limit.
	maxRateKeys = 100_000
	// readsPerMinute is how often receipts of one receipt subscription may be asked for.
	readsPerMinute = 120
	// endedBatch bounds the receipts of one transaction.
	endedBatch = 100
)

// Migrate brings the package's tables forward. Those of kernel/id are needed too.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "webpush", migrations) }

// New returns the service and subscribes it to the outbox. Run wakes readers and cleans up.
func New(d Deps) *Service {
	s := &Service{
		Deps: d, readers: newReaders(), ids: id.NewSequence(d.DB, d.Clock, "webpush"),
		results: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "borealis_webpush_messages_total", Help: "Messages that applications posted to endpoints, by the status of the answer.",
		}, []string{"status"}),
	}
	d.Metrics.MustRegister(s.results)
	d.Outbox.Subscribe("webpush", []string{pushevent.TopicFrameEnded}, s.FramesEnded, outbox.Batch(endedBatch))
	perMinute := func(n, usual int) int { return max(0, cmp.Or(n, usual)) }
	subscription, sender, address := perMinute(d.Limits.Subscription, 120), perMinute(d.Limits.Sender, 30_000), perMinute(d.Limits.Address, 600)
	s.bySub = ratelimit.NewBuckets[int64](d.Clock, subscription, subscription, maxRateKeys)
	s.bySender = ratelimit.NewBuckets[string](d.Clock, sender, sender, maxRateKeys)
	s.byAddress = ratelimit.NewBuckets[netip.Prefix](d.Clock, address, address, maxRateKeys)
	calls := perMinute(d.Limits.Calls, 30_000)
	s.calls = ratelimit.NewBuckets[netip.Prefix](d.Clock, calls, calls, maxRateKeys)
	s.byReceipts = ratelimit.NewBuckets[int64](d.Clock, readsPerMinute, readsPerMinute, maxRateKeys)
	return s
}
