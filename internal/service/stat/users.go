package stat

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/RoaringBitmap/roaring/v2"

	"borealis/internal/engine/audience"
	"borealis/internal/engine/device/deviceevent"
	"borealis/internal/engine/gate"
	"borealis/internal/kernel/bus/outbox"
	"borealis/internal/kernel/clock"
	"borealis/internal/kernel/db"
)

// Connected tells which devices of an app are connected now; *presence.Presence is one.
type Connected interface {
	Devices(app int64) *roaring.Bitmap
}

// Platforms divides devices by their platform; *audience.Index is one.
type Platforms interface {
	SplitPlatforms(app int64, set *roaring.Bitmap) map[audience.Platform]*roaring.Bitmap
}

// UsersDeps are what Users needs.
type UsersDeps struct {
	DB        *db.DB
	Gate      *gate.Gate
	Outbox    *outbox.Outbox
	Connected Connected
	Platforms Platforms
	// Owns tells whether this node samples the connections of an app; nil: it samples all.
	Owns func(app int64) bool
	// Zone is that of groups.
	Zone  *time.Location
	Clock clock.Clock
	Log   *slog.Logger
}

// Users counts devices that are new, online and active. It is safe for concurrent use.
type Users struct {
	UsersDeps
	samples map[int64]*sample // of Run's goroutine

	mu    sync.Mutex
	zones map[string]*time.Location
}

// metric is a kind of set. The numbers are stored.
type metric uint8

const (
	newDevices metric = iota + 1
	onlineDevices
	activeDevices
)

// usersBatch bounds the events of one transaction: one can be of 200 devices in as many places.
const usersBatch = 25

// NewUsers returns the counter and subscribes it to the outbox; Run samples connections and closes what is past.
func NewUsers(d UsersDeps) *Users {
	u := &Users{UsersDeps: d, samples: make(map[int64]*sample), zones: make(map[string]*time.Location)}
	d.Outbox.Subscribe("stat.users", []string{deviceevent.TopicRegistered, deviceevent.TopicSeen}, u.consume, outbox.Batch(usersBatch))
	return u
}

const (
	sampleEvery = time.Minute
	closeEvery  = 5 * time.Minute
)

// Run samples who is connected and closes sets that are past, until ctx ends.
func (u *Users) Run(ctx context.Context) error {
	samples, closes := time.NewTicker(sampleEvery), time.NewTicker(closeEvery)
	defer samples.Stop()
	defer closes.Stop()
	for {
		var err error
		select {
		case <-ctx.Done():
			return nil
		case <-samples.C:
			err = u.Sample(ctx)
		case <-closes.C:
			err = u.Close(ctx)
		}
		if err != nil && ctx.Err() == nil {
			u.Log.Warn("users not counted, trying again", "err", err)
		}
	}
}

// zone is that of an app. Looking one up reads files, so what was found is kept.
func (u *Users) zone(app *gate.App) *time.Location {
	if app == nil {
		return u.Zone
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	name := app.Settings.Zone
	zone := u.zones[name]
	if zone == nil {
		if zone = app.Settings.Location(); len(u.zones) < maxZones {
			u.zones[name] = zone
		}
	}
	return zone
}

// maxZones that are kept; there are about 600.
const maxZones = 1000

// consume adds a batch of events up to sets before it writes.
func (u *Users) consume(ctx context.Context, tx *db.Tx, events []outbox.Event) error {
	found := make(sightings)
	for _, e := range events {
		if err := u.gather(found, e); err != nil {
			return err
		}
	}
	return found.write(ctx, tx, u.Clock.Now())
}

func (u *Users) gather(found sightings, e outbox.Event) error {
	hourOf := func(app, at int64) int64 {
		return hour.bucket(clock.FromMillis(at).In(u.zone(u.Gate.AppByID(app))))
	}
	switch e.Topic {
	case deviceevent.TopicRegistered:
		var r deviceevent.Registered
		if err := e.Decode(&r); err != nil {
			return err
		}
		for _, m := range []metric{newDevices, activeDevices} {
			found.add(r.App, audience.Platform(r.Platform), m, hourOf(r.App, r.At), roaring.BitmapOf(r.Ordinal))
		}
	case deviceevent.TopicSeen:
		var s deviceevent.Seen
		if err := e.Decode(&s); err != nil {
			return err
		}
		for m, data := range map[metric][]byte{onlineDevices: s.Seen, activeDevices: s.Active} {
			if len(data) == 0 {
				continue
			}
			set := roaring.New()
			if err := set.UnmarshalBinary(data); err != nil {
				return fmt.Errorf("stat: set of event %d: %w", e.ID, err)
			}
			found.add(s.App, audience.Platform(s.Platform), m, hourOf(s.App, s.At), set)
		}
	}
	return nil
}
