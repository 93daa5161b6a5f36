package push

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/channel"
	"borealis/internal/engine/channel/wire"
	"borealis/internal/engine/device"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/engine/presence"
	"borealis/internal/kernel/audit"
	"borealis/internal/kernel/blob"
	"borealis/internal/kernel/bus"
	"borealis/internal/kernel/bus/bustest"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/db/dbtest"
	"borealis/internal/kernel/id"
	"borealis/internal/kernel/jobs"
	"borealis/internal/kernel/lease"
	"borealis/internal/kernel/ratelimit"
	"borealis/internal/kernel/web/compat"
	"borealis/internal/kernel/webhook"
	"borealis/internal/service/push/pushevent"
	"borealis/internal/service/push/route"
)

func TestMain(m *testing.M) {
	// Each check of the model runs dozens of real transactions; -rapid.checks asks for more.
	if err := flag.Set("rapid.checks", "15"); err != nil {
		panic(err)
	}
	dbtest.Main(m)
}

// rig is a push service with everything real below it, no edge, and a clock that the test moves. Its loops do not run,
// except the merger; the test calls them.
type rig struct {
	*Service
	registry *prometheus.Registry // of the process that runs
	t        testing.TB
	db       *db.DB
	bus      *bus.Bus
	fake     *clock.Fake
	gate     *gate.Gate
	devices  *device.Registry
	audience *audience.Index
	progress pushevent.Progress // sum of all progress events
	// Of the events of acceptance: how many, pushes that they tell of, and the targets of these.
	events              int
	accepted, addressed int64
	ended               []pushevent.FrameEnded
	leases              *lease.Keeper
	vendors             []wire.Vendor
	texts               route.ShortMessages
	stop                func()
}

// advance moves the clock; leases that ran out meanwhile are taken again.
func (r *rig) advance(d time.Duration) {
	r.t.Helper()
	r.fake.Advance(d)
	if err := r.leases.Renew(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

type plainSealer struct{}

func (plainSealer) Seal(plain, _ []byte) (string, error)         { return string(plain), nil }
func (plainSealer) Open(sealed string, _ []byte) ([]byte, error) { return []byte(sealed), nil }

const smallRows = 3

func newRig(t testing.TB, d *db.DB) *rig {
	t.Helper()
	ctx := context.Background()
	for _, migrate := range []func(context.Context, *db.DB) error{id.Migrate, lease.Migrate, outbox.Migrate, audit.Migrate, audience.Migrate, device.Migrate, blob.Migrate, jobs.Migrate, webhook.Migrate, Migrate} {
		if err := migrate(ctx, d); err != nil {
			t.Fatal(err)
		}
	}
	r := &rig{t: t, db: d, bus: bustest.Open(t, ""), fake: clock.NewFake(time.Date(2026, 11, 23, 4, 0, 0, 0, time.UTC))}
	r.gate = gate.New(ratelimit.NewWindows[gate.RateKey](r.fake, time.Minute, 1000))
	r.boot()
	t.Cleanup(func() { r.stop() })
	return r
}

// boot starts the service as a new process would: nothing in memory.
func (r *rig) boot() {
	r.t.Helper()
	if r.stop != nil {
		r.stop()
	}
	log := slog.New(slog.DiscardHandler)
	codec, err := deviceid.New(bytes.Repeat([]byte{7}, 32))
	if err != nil {
		r.t.Fatal(err)
	}
	box := outbox.New(r.db, r.fake, log)
	box.Subscribe("test", []string{pushevent.TopicAccepted, pushevent.TopicProgress, pushevent.TopicFrameEnded}, r.consume)
	r.audience = audience.New(r.db, r.bus, device.NewRows(r.db), r.fake, log)
	r.devices, err = device.New(device.Deps{DB: r.db, Bus: r.bus, Audience: r.audience, Gate: r.gate, IDs: codec, Sealer: plainSealer{}, Clock: r.fake, Log: log})
	if err != nil {
		r.t.Fatal(err)
	}
	r.leases = lease.New(r.db, r.fake, log, "push", id.NewKey(), edgewire.Partitions, lease.Events{
		Acquired: func(ctx context.Context, p int, _ int64) {
			if err := r.Acquire(ctx, p); err != nil {
				r.t.Error(err)
			}
		},
		Lost: func(p int) { r.Lose(p) },
	})
	r.registry = prometheus.NewRegistry()
	r.Service = New(Deps{
		DB: r.db, Bus: r.bus, Outbox: box, Gate: r.gate, Audience: r.audience, Devices: r.devices,
		Presence: presence.New(r.bus, r.fake, log, "n", nil), Leases: r.leases, IDs: id.NewSequence(r.db, r.fake, "msg"), Clock: r.fake, Log: log,
		Metrics: r.registry, Node: "n", Sealer: plainSealer{}, Hooks: webhook.New(webhook.Deps{DB: r.db, Clock: r.fake, Log: log, Metrics: prometheus.NewRegistry()}), Jobs: jobs.New(r.db, r.fake, log),
		CallbackSecret: func(app *gate.App) string { return "secret of " + app.Key }, Zone: time.UTC, Blobs: blob.New(r.db, r.fake, log), MaxRows: smallRows,
		Channels: channel.New(r.fake, r.vendors...), SMS: r.texts, Audit: audit.New(r.fake, []byte("key")),
	})
	ctx, cancel := context.WithCancel(context.Background())
	r.advance(time.Minute) // leases of the process before are over
	done := make(chan struct{})
	go func() { defer close(done); _ = r.runMerger(ctx) }()
	r.stop = func() { cancel(); <-done }
}

func (r *rig) consume(_ context.Context, _ *db.Tx, events []outbox.Event) error {
	for _, e := range events {
		if e.Topic == pushevent.TopicAccepted {
			var a pushevent.Accepted
			if err := e.Decode(&a); err != nil {
				return err
			}
			r.events++
			r.accepted += 1 + a.More
			r.addressed += a.Targets
			continue
		}
		if e.Topic == pushevent.TopicFrameEnded {
			var f pushevent.FrameEnded
			if err := e.Decode(&f); err != nil {
				return err
			}
			r.ended = append(r.ended, f)
			continue
		}
		var p pushevent.Progress
		if err := e.Decode(&p); err != nil {
			return err
		}
		r.progress.Sent += p.Sent
		r.progress.Delivered += p.Delivered
		r.progress.Displayed += p.Displayed
		r.progress.Clicked += p.Clicked
		r.progress.Failed += p.Failed
	}
	return nil
}

// target is a device of a test.
type target struct {
	ordinal uint32
	rid     string
}

var apps atomic.Int64

// newApp publishes an app with the given number of joined devices and returns them.
func (r *rig) newApp(offline int, platforms ...string) (*gate.App, []target) {
	r.t.Helper()
	number := apps.Add(1)
	app := gate.App{ID: number, Key: fmt.Sprintf("%024d", number), State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1}
	app.Settings.OfflineMessages = offline
	r.gate.Publish(app)
	known := r.gate.AppByID(app.ID)
	var devices []target
	for _, name := range platforms {
		p, _ := audience.ParsePlatform(name)
		reg, err := r.devices.Register(context.Background(), known, device.Registration{Platform: p})
		if err != nil {
			r.t.Fatal(err)
		}
		out := r.devices.Connect(context.Background(), edgewire.Connect{Edge: "e", App: app.ID, Epoch: 1, Ordinal: reg.Ordinal, Generation: 1})
		if out.Refusal != edgewire.Admitted {
			r.t.Fatalf("device %d: refused %d", reg.Ordinal, out.Refusal)
		}
		devices = append(devices, target{reg.Ordinal, reg.RegistrationID})
	}
	return known, devices
}

// wantCode demands a refusal with a code of the vendor's table.
func wantCode(t testing.TB, err error, code int) {
	t.Helper()
	var refused *compat.Error
	if !errors.As(err, &refused) || refused.Code != code {
		t.Errorf("%v, want code %d", err, code)
	}
}

// alias gives a device an alias.
func (r *rig) alias(app *gate.App, d target, alias string) {
	r.t.Helper()
	if err := r.devices.SetProfile(context.Background(), app, d.ordinal, device.ProfileChange{Alias: &alias}, device.ByServer); err != nil {
		r.t.Fatal(err)
	}
}
