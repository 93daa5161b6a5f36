package device

import (
	"context"
	"embed"
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"sync/atomic"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

//go:embed migrations
var migrations embed.FS

// Sealer encrypts personal data for the database; *secret.Keys is one. aad binds a value to its place.
type Sealer interface {
	Seal(plain, aad []byte) (string, error)
	Open(sealed string, aad []byte) ([]byte, error)
}

// Presence tells who is connected now.
type Presence interface {
	Online(app int64, ordinal uint32) bool
}

// RegistrationLimiter decides whether one more registration may be tried.
type RegistrationLimiter interface {
	AllowRegistration(app int64, from netip.Addr) bool
}

// Hook is called inside the transaction that registers or joins a device; its error undoes the transaction.
type Hook func(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, platform audience.Platform) error

// SeenHook is called inside the transaction that writes last-seen times, for up to 200 devices of a platform; its error
// undoes the transaction, and the devices come again.
type SeenHook func(ctx context.Context, tx *db.Tx, e deviceevent.Seen) error

// Deps are what a Registry needs.
type Deps struct {
	DB       *db.DB
	Audience *audience.Index
	Gate     *gate.Gate
	IDs      *deviceid.Codec
	Sealer   Sealer
	Clock    clock.Clock
	Log      *slog.Logger

	// Bus carries the order to end a deleted device's connections. Optional.
	Bus *bus.Bus
	// Presence is needed by the status endpoint. Without it nobody is online.
	Presence Presence
	// Fence is the number under which this node owns the app; it rises with each change of owner. It fails when the
	// node does not own the app. Optional; without it connections are numbered by the clock, so nodes whose clocks
	// differ by more than a change of owner takes would end a device's new connection instead of the old one.
	Fence func(app int64) (int64, error)
	// Limiter of registrations over HTTP. Without it there is no limit.
	Limiter RegistrationLimiter
	// Endpoints are the MQTT addresses told to a device that registered by the given Host. Optional.
	Endpoints func(host string) []string
	// ClientIP of a request. Optional; the peer's address otherwise.
	ClientIP func(*http.Request) netip.Addr
	// OnRegistered and OnJoined are optional.
	OnRegistered, OnJoined Hook
	// OnSeen is optional.
	OnSeen SeenHook
}

// Registry is the package's service. It is safe for concurrent use.
type Registry struct {
	Deps
	epochs    epochs
	seen      seen
	unclaimed unclaimedSets
	// ids and names remember what imported ids and ordinals belong to each other, which never changes.
	ids   recent[importKey, uint32]
	names recent[deviceKey, string]
	// tags remembers numbers of tags between batches of an import; each use asks whether it still exists.
	tags recent[tagKey, uint32]
	// conn is the last connection number given out, without the fence.
	conn atomic.Uint64
}

// Migrate brings the package's tables forward.
func Migrate(ctx context.Context, d *db.DB) error { return d.Migrate(ctx, "device", migrations) }

// New returns a registry. The tables of device and audience must have been migrated.
func New(d Deps) (*Registry, error) {
	if d.DB == nil || d.Audience == nil || d.Gate == nil || d.IDs == nil || d.Sealer == nil || d.Clock == nil || d.Log == nil {
		return nil, errors.New("device: a dependency is missing")
	}
	return &Registry{Deps: d}, nil
}

const (
	flushEvery = 10 * time.Second
	sweepEvery = 10 * time.Minute
)

// Run writes last-seen times and deletes devices that never joined, until ctx ends; then it writes what is left.
func (r *Registry) Run(ctx context.Context) error {
	flush, sweep := time.NewTicker(flushEvery), time.NewTicker(sweepEvery)
	defer flush.Stop()
	defer sweep.Stop()
	for {
		select {
		case <-ctx.Done():
			last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
			defer cancel()
			return r.FlushSeen(last)
		case <-flush.C:
			if err := r.FlushSeen(ctx); err != nil && ctx.Err() == nil {
				r.Log.Warn("last-seen times not written", "err", err)
			}
		case <-sweep.C:
			if _, err := r.Sweep(ctx); err != nil && ctx.Err() == nil {
				r.Log.Warn("expired devices not deleted", "err", err)
			}
			if _, err := r.SweepTokens(ctx); err != nil && ctx.Err() == nil {
				r.Log.Warn("old tokens not deleted", "err", err)
			}
			if _, err := r.SweepLive(ctx); err != nil && ctx.Err() == nil {
				r.Log.Warn("expired live activities not deleted", "err", err)
			}
		}
	}
}
