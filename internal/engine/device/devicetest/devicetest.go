// Package devicetest gives the tests of packages above a real registry with devices in it.
package devicetest

import (
	"context"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device"
	"borealis/internal/engine/deviceid"
	"borealis/internal/engine/edge/edgewire"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
	"borealis/internal/kernel/secret"
)

// Start is what the clock of a new Rig shows.
func Start() time.Time { return time.Date(2027, 2, 28, 12, 0, 0, 0, time.UTC) }

// Rig is a registry over a database, with a clock that stands still.
type Rig struct {
	*device.Registry
	Fake *clock.Fake
	t    testing.TB
}

// New migrates the tables of audience and device and returns a registry that knows the enabled apps 1 and 2.
func New(t testing.TB, d *db.DB) *Rig {
	t.Helper()
	for _, migrate := range []func(context.Context, *db.DB) error{audience.Migrate, device.Migrate} {
		if err := migrate(context.Background(), d); err != nil {
			t.Fatal(err)
		}
	}
	keys := secret.Generate()
	ids, err := deviceid.New(keys.Derive("rid/v1"))
	if err != nil {
		t.Fatal(err)
	}
	fake, log := clock.NewFake(Start()), slog.New(slog.DiscardHandler)
	registry, err := device.New(device.Deps{
		DB: d, Audience: audience.New(d, nil, device.NewRows(d), fake, log), Gate: gate.New(nil), IDs: ids, Sealer: keys, Clock: fake, Log: log,
	})
	if err != nil {
		t.Fatal(err)
	}
	r := &Rig{Registry: registry, Fake: fake, t: t}
	for id := int64(1); id <= 2; id++ {
		r.Gate.Publish(gate.App{ID: id, Key: fmt.Sprintf("app%021d", id), State: gate.Enabled, Settings: gate.DefaultSettings(), Revision: 1})
	}
	return r
}

// App is one of the apps.
func (r *Rig) App(id int64) *gate.App { return r.Gate.AppByID(id) }

// Join registers a device and lets it connect once.
func (r *Rig) Join(app int64, p audience.Platform, info device.Info) device.Registered {
	r.t.Helper()
	out, err := r.Register(context.Background(), r.App(app), device.Registration{Platform: p, Device: info})
	if err != nil {
		r.t.Fatal(err)
	}
	ref, err := r.IDs.Parse(app, out.RegistrationID)
	if err != nil {
		r.t.Fatal(err)
	}
	generation, ok := r.IDs.CheckSecret(app, ref, out.Secret)
	if !ok {
		r.t.Fatal("the secret is not the device's")
	}
	c := r.Connect(context.Background(), edgewire.Connect{Edge: "e", App: app, Epoch: ref.Epoch, Ordinal: ref.Ordinal, Generation: generation})
	if c.Refusal != edgewire.Admitted {
		r.t.Fatalf("device not admitted: %d", c.Refusal)
	}
	return out
}

// Set changes a device's profile as the app's backend does.
func (r *Rig) Set(app int64, ordinal uint32, c device.ProfileChange) {
	r.t.Helper()
	if err := r.SetProfile(context.Background(), r.App(app), ordinal, c, device.ByServer); err != nil {
		r.t.Fatal(err)
	}
}
