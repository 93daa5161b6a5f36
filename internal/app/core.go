package app

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device"
	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/engine/presence"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/config"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/jobs"
	"borealis/internal/kernel/lease"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/secret"
	"borealis/internal/kernel/web"
	"borealis/internal/kernel/webhook"
	"borealis/internal/platform/account"
	"borealis/internal/service/push"
	"borealis/internal/service/stat"
	"borealis/internal/service/webpush"
)

const (
	// maxRateKeys bounds the memory of rate limits.
	maxRateKeys = 200_000
	// auditKey is the purpose under which the audit log derives the key of its chain.
	auditKey = "audit"
	// calendarZone is where days turn, unless an app says otherwise.
	calendarZone = "Asia/Shanghai"
)

// core is what a node with a database is made of.
type core struct {
	log     *slog.Logger
	clock   clock.Clock
	proxies web.Proxies

	db       *db.DB
	keys     *secret.Keys
	codec    *deviceid.Codec
	outbox   *outbox.Outbox
	blobs    *blob.Store
	jobs     *jobs.Queue
	hooks    *webhook.Service
	leases   *lease.Keeper
	gate     *gate.Gate
	account  *account.Service
	presence *presence.Presence
	audience *audience.Index
	devices  *device.Registry
	push     *push.Service
	webpush  *webpush.Service
	stat     *stat.Service
	users    *stat.Users
	owner    *owner
	admin    *adminServer
}

// openCore opens the database, migrates it, and builds the parts. Nothing runs yet. at tells a device that registered by
// a Host where to connect.
func openCore(ctx context.Context, cfg *config.Config, b *bus.Bus, node string, at func(host string) []string, reg prometheus.Registerer, log *slog.Logger) (*core, error) {
	c := &core{log: log, clock: clock.System{}}
	var err error
	if c.proxies, err = web.ParseProxies(cfg.TrustedProxies); err != nil {
		return nil, err
	}
	zone, err := time.LoadLocation(calendarZone)
	if err != nil {
		return nil, fmt.Errorf("app: %w", err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("app: data directory: %w", err)
	}
	c.db, err = db.Open(ctx, db.Options{URL: string(cfg.DatabaseURL), Path: filepath.Join(cfg.DataDir, "borealis.db"), Log: log})
	if err != nil {
		return nil, err
	}
	if err := c.build(ctx, cfg, b, node, at, zone, reg); err != nil {
		return nil, errors.Join(err, c.db.Close())
	}
	return c, nil
}

func (c *core) build(ctx context.Context, cfg *config.Config, b *bus.Bus, node string, at func(host string) []string, zone *time.Location, reg prometheus.Registerer) error {
	for _, migrate := range []func(context.Context, *db.DB) error{
		id.Migrate, lease.Migrate, outbox.Migrate, audit.Migrate, account.Migrate, audience.Migrate, device.Migrate, blob.Migrate, jobs.Migrate, webhook.Migrate,
		push.Migrate, stat.Migrate, webpush.Migrate,
	} {
		if err := migrate(ctx, c.db); err != nil {
			return err
		}
	}
	var err error
	if c.keys, err = loadKeys(ctx, cfg, c.db); err != nil {
		return err
	}
	if c.codec, err = deviceCodec(c.keys); err != nil {
		return err
	}
	c.outbox = outbox.New(c.db, c.clock, c.log)
	c.gate = gate.New(ratelimit.NewWindows[gate.RateKey](c.clock, time.Minute, maxRateKeys))
	auditLog := audit.New(c.clock, c.keys.Derive(auditKey))
	c.account = account.New(c.db, b, c.gate, c.keys, auditLog, c.clock, c.log)
	c.presence = presence.New(b, c.clock, c.log, node, c.left)
	c.audience = audience.New(c.db, b, device.NewRows(c.db), c.clock, c.log)
	c.devices, err = device.New(device.Deps{
		DB: c.db, Audience: c.audience, Gate: c.gate, IDs: c.codec, Sealer: c.keys, Clock: c.clock, Log: c.log, Bus: b,
		Presence: c.presence, Endpoints: at, ClientIP: c.proxies.ClientIP,
		Limiter:      newLimiter(c.clock, c.gate, cfg.RegistrationsPerMinute),
		OnRegistered: c.deviceRegistered,
		OnSeen: func(ctx context.Context, tx *db.Tx, e deviceevent.Seen) error {
			return c.outbox.Publish(ctx, tx, deviceevent.TopicSeen, e)
		},
		Fence: func(app int64) (int64, error) { return c.leases.Fence(edgewire.Partition(app)) },
	})
	if err != nil {
		return err
	}
	c.leases = lease.New(c.db, c.clock, c.log, "push", node, edgewire.Partitions, lease.Events{
		Acquired: func(ctx context.Context, p int, fence int64) { c.owner.acquired(ctx, p, fence) },
		Lost:     func(p int) { c.owner.lost(p) },
	})
	c.blobs = blob.New(c.db, c.clock, c.log)
	c.jobs = jobs.New(c.db, c.clock, c.log)
	c.hooks = webhook.New(webhook.Deps{DB: c.db, Clock: c.clock, Log: c.log, Metrics: reg, Allow: networks(cfg.CallbackAllow)})
	channels, texts, err := vendors(cfg, c.clock)
	if err != nil {
		return err
	}
	c.push = push.New(push.Deps{
		DB: c.db, Bus: b, Outbox: c.outbox, Gate: c.gate, Audience: c.audience, Devices: c.devices, Presence: c.presence,
		Leases: c.leases, IDs: id.NewSequence(c.db, c.clock, "msg"), Clock: c.clock, Log: c.log, Metrics: reg, Node: node,
		Blobs: c.blobs, Jobs: c.jobs, Hooks: c.hooks, CallbackSecret: c.callbackSecret, Sealer: c.keys, MasterSecret: c.masterSecret,
		Zone: zone, PublicURL: publicURL(cfg), ClientIP: c.proxies.ClientIP,
		Audit:    auditLog,
		Channels: channels, SMS: texts,
		ReceiptURL: c.receiptURL(cfg),
	})
	c.webpush = webpush.New(webpush.Deps{
		DB: c.db, Gate: c.gate, Devices: c.audience, Sender: webpushSender{c.push}, Keys: c.keys, Clock: c.clock, Log: c.log, Metrics: reg,
		PublicURL: publicURL(cfg), ClientIP: c.proxies.ClientIP, Outbox: c.outbox,
	})
	c.stat = stat.New(c.db, c.clock, zone, c.presence, c.outbox)
	c.users = stat.NewUsers(stat.UsersDeps{
		DB: c.db, Gate: c.gate, Outbox: c.outbox, Connected: c.presence, Platforms: c.audience,
		Owns: func(app int64) bool { _, err := c.leases.Fence(edgewire.Partition(app)); return err == nil },
		Zone: zone, Clock: c.clock, Log: c.log,
	})
	c.owner = newOwner(b, c.devices, c.push, c.presence, c.log)
	c.admin = newAdminServer(c, filepath.Join(cfg.DataDir, AdminSocket))
	registerCoreMetrics(reg, c)
	return c.answerEdges(b)
}

// deviceRegistered puts the event into the transaction that registers the device.
func (c *core) deviceRegistered(ctx context.Context, tx *db.Tx, app int64, ordinal uint32, platform audience.Platform) error {
	return c.outbox.Publish(ctx, tx, deviceevent.TopicRegistered, deviceevent.Registered{
		App: app, Ordinal: ordinal, Platform: uint8(platform), At: clock.Millis(c.clock.Now()),
	})
}

// callbackKey is the purpose under which the secrets of receipts derive from the id key.
const callbackKey = "callback"

// callbackSecret is what the receipts of an app are signed with: its own, and the same on every node.
func (c *core) callbackSecret(app *gate.App) string {
	mac := hmac.New(sha256.New, c.keys.Derive(callbackKey))
	mac.Write([]byte(app.Key))
	return hex.EncodeToString(mac.Sum(nil))
}

// networks are those of a configuration that has been checked.
func networks(texts []string) []netip.Prefix {
	var out []netip.Prefix
	for _, text := range texts {
		if p, err := netip.ParsePrefix(text); err == nil {
			out = append(out, p.Masked())
		}
	}
	return out
}

// masterSecret finds the master secret of an app.
func (c *core) masterSecret(ctx context.Context, appKey string) (string, error) {
	app, err := c.account.App(ctx, appKey)
	if err != nil {
		return "", err
	}
	return app.MasterSecret, nil
}

// left notes when devices were last online, on the node that owns their app.
func (c *core) left(app int64, devices []uint32) {
	if _, err := c.leases.Fence(edgewire.Partition(app)); err == nil {
		c.devices.Seen(app, devices)
	}
}

// answerEdges serves what every core node can answer.
func (c *core) answerEdges(b *bus.Bus) error {
	_, err := b.Subscribe(edgewire.SubjectApp, edgewire.QueueCore, func(m *bus.Msg) {
		var in edgewire.AppRequest
		err := m.Decode(&in)
		if err == nil {
			facts := edgewire.AppFacts{AppKey: in.AppKey}
			if app := c.gate.App(in.AppKey); app != nil {
				facts = account.Facts(app)
			}
			err = m.Respond(facts)
		}
		if err != nil {
			c.log.Warn("facts of an app not answered", "err", err)
		}
	})
	if err != nil {
		return err
	}
	_, err = b.Subscribe(subjectKeys, edgewire.QueueCore, func(m *bus.Msg) {
		if err := m.Respond(keysReply{Fingerprint: c.keys.Fingerprint()}); err != nil {
			c.log.Warn("fingerprint not answered", "err", err)
		}
	})
	return err
}

// limiter bounds registrations from one address and of one app. It implements device.RegistrationLimiter.
type limiter struct {
	gate      *gate.Gate
	byApp     *ratelimit.Windows[int64]
	byAddress *ratelimit.Buckets[netip.Prefix] // nil: no limit
}

func newLimiter(c clock.Clock, g *gate.Gate, perAddress int) *limiter {
	l := &limiter{gate: g, byApp: ratelimit.NewWindows[int64](c, time.Minute, maxRateKeys)}
	if perAddress > 0 {
		l.byAddress = ratelimit.NewBuckets[netip.Prefix](c, perAddress, perAddress, maxRateKeys)
	}
	return l
}

// AllowRegistration decides by address first, so that one address cannot use up an app's share.
func (l *limiter) AllowRegistration(id int64, from netip.Addr) bool {
	if l.byAddress != nil && !l.byAddress.Allow(ratelimit.IPKey(from)) {
		return false
	}
	app := l.gate.AppByID(id)
	return app == nil || l.byApp.Take(id, app.Settings.RegisterRate).Allowed
}

// healthy reports whether the node can serve.
func (c *core) healthy(r *http.Request) error { return c.db.Ping(r.Context()) }
